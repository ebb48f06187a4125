//! What no compiler holds: rules of ARCHITECTURE.md and CONTRIBUTING.md that a look into the tree can hold.

mod ignored;
mod rust;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rust::{Code, Words};

/// A source file of the tree.
struct Source {
    /// Its path below the root, with `/` on every system.
    path: String,
    text: String,
}

impl Source {
    fn is_generated(&self) -> bool {
        self.path.contains("/gen/")
    }

    /// The documentation at its top.
    fn head(&self) -> String {
        self.text.lines().map_while(|line| line.strip_prefix("//!")).collect()
    }
}

/// A file of Rust, read.
struct Module {
    source: Source,
    code: Code,
    /// Whether a build without tests never sees it.
    only_tests: bool,
}

impl Module {
    /// What its build without tests names.
    fn shipped(&self) -> Option<&Words> {
        (!self.only_tests).then_some(&self.code.shipped)
    }

    /// What tests alone run of it.
    fn tested(&self) -> impl Iterator<Item = &Words> {
        self.only_tests.then_some(&self.code.shipped).into_iter().chain([&self.code.tested])
    }

    /// The path without its ending: what the files of its own modules begin with, up to a `/`.
    fn stem(path: &str) -> &str {
        let stem = path.trim_end_matches(".rs");
        ["/mod", "/lib", "/main"].iter().find_map(|name| stem.strip_suffix(name)).unwrap_or(stem)
    }

    fn is_below(&self, module: &str) -> bool {
        Self::stem(&self.source.path)
            .strip_prefix(module)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Every file of Rust that somebody wrote, read once.
fn modules() -> &'static [Module] {
    static MODULES: LazyLock<Vec<Module>> = LazyLock::new(|| read(sources(&[".rs"])));
    &MODULES
}

#[expect(clippy::panic, reason = "a file that is not read would be held to nothing")]
fn read(sources: Vec<Source>) -> Vec<Module> {
    let mut modules: Vec<Module> = sources
        .into_iter()
        .filter(|source| !source.is_generated())
        .map(|source| {
            let code = Code::read(&source.text).unwrap_or_else(|error| panic!("{}: {error}", source.path));
            Module { source, code, only_tests: false }
        })
        .collect();
    let of_tests: Vec<String> = modules
        .iter()
        .flat_map(|module| {
            let folder = Module::stem(&module.source.path);
            module.code.test_modules.iter().map(move |name| format!("{folder}/{name}"))
        })
        .collect();
    for module in &mut modules {
        let path = &module.source.path;
        module.only_tests = (path.contains("/tests/") && !path.contains("/src/"))
            // What the e2e suite stands on.
            || path.starts_with("tests/src/e2e/")
            || of_tests.iter().any(|test| module.is_below(test));
    }
    modules
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Every file of the tree that ends in one of `endings`, without what builds leave behind.
fn sources(endings: &[&str]) -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && (!name.starts_with('.') || name == ".ci") {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                let below = path.strip_prefix(&root).unwrap_or(&path);
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                found.push(Source { path: below.to_string_lossy().replace('\\', "/"), text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The lines of `text` that hold one of `patterns`, comments apart, with the path of the file.
fn lines_with(source: &Source, text: &str, patterns: &[&str]) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with("//") && patterns.iter().any(|pattern| line.contains(pattern)))
        .map(|line| format!("{}: {line}", source.path))
        .collect()
}

fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}\n{}", found.join("\n"));
}

/// The paths below one of `banned` that a module ships, with the path of its file.
fn shipped_below(module: &Module, banned: &[&str]) -> Vec<String> {
    let found = module.shipped().map(|shipped| shipped.paths_below(banned)).unwrap_or_default();
    found.into_iter().map(|path| format!("{}: {path}", module.source.path)).collect()
}

/// What acts, asks the time, or is not the same each time.
const ACTS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::thread",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::time::Instant",
    "std::time::SystemTime",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "tokio",
    "rand",
    "async",
    ".await",
];

/// Modules that are pure by their place, whatever their head says.
const PURE: &[&str] = &[
    "rocketmq/src/model",
    "kubectl-rocketmq/k8s/src/kinds",
    "kubectl-rocketmq/k8s/src/manifests",
    "kubectl-rocketmq/k8s/src/names",
    "kubectl-rocketmq/src/output",
];

fn is_pure_by_place(module: &Module) -> bool {
    let path = module.source.path.as_str();
    (PURE.iter().any(|pure| module.is_below(pure)) && !path.ends_with("/output/printer.rs"))
        || path.ends_with("/plan.rs")
        // The steps of each operation, from its parameters.
        || (path.starts_with("kubectl-rocketmq/ops/src/operations/") && path.ends_with("/mod.rs"))
}

fn says_pure(head: &str) -> bool {
    head.split(' ').any(|word| matches!(word, "Pure." | "Pure:"))
}

/// What of pure modules acts. A module that says so of itself in its head means all that it is made of.
fn impure(modules: &[Module]) -> Vec<String> {
    let pure: Vec<&str> = modules
        .iter()
        .filter(|module| says_pure(&module.source.head()))
        .map(|module| Module::stem(&module.source.path))
        .collect();
    modules
        .iter()
        .filter(|module| is_pure_by_place(module) || pure.iter().any(|stem| module.is_below(stem)))
        .flat_map(|module| shipped_below(module, ACTS))
        .collect()
}

#[test]
fn i1_values_plans_manifests_and_views_do_no_io() {
    for pure in PURE {
        assert!(modules().iter().any(|module| module.is_below(pure)), "`{pure}` has moved");
    }
    assert_none("a pure module reads or does something (I1)", &impure(modules()));
}

#[test]
fn i3_and_i4_crates_do_not_know_what_lies_above_or_beside_them() {
    let mut found = Vec::new();
    for (manifest, foreign) in [
        ("rocketmq/Cargo.toml", &["kube", "k8s-openapi", "tonic", "prost", "proto"][..]),
        ("proto/Cargo.toml", &["kube", "k8s-openapi"]),
        ("agent/Cargo.toml", &["kube", "k8s-openapi", "k8s"]),
        ("kubectl-rocketmq/saga/Cargo.toml", &["kube", "k8s-openapi", "tonic", "rocketmq", "proto", "k8s"]),
        ("kubectl-rocketmq/k8s/Cargo.toml", &["tonic", "prost"]),
        ("kubectl-rocketmq/ops/Cargo.toml", &["kube", "k8s-openapi", "tonic", "prost"]),
        ("kubectl-rocketmq/Cargo.toml", &["kube", "k8s-openapi", "tonic", "prost", "proto", "agents"]),
    ] {
        let text = std::fs::read_to_string(root().join(manifest)).unwrap_or_default();
        let dependencies = text.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next();
        for line in dependencies.unwrap_or_default().lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if foreign.contains(&name) {
                found.push(format!("{manifest}: `{name}`"));
            }
        }
    }
    assert_none("a crate depends on what it must not know (I3, I4)", &found);
}

#[test]
fn i6_names_and_labels_stand_in_one_module() {
    let literals = [
        "\"app.kubernetes.io/",
        "\"rocketmq-{",
        "-agent-key\"",
        "-master\"",
        "-replica-{",
        "\"rocketmq.apache.org/",
    ];
    let found: Vec<String> = modules()
        .iter()
        .filter(|module| module.source.path.starts_with("kubectl-rocketmq/"))
        .filter(|module| !module.is_below("kubectl-rocketmq/k8s/src/names"))
        .flat_map(|module| {
            let shipped = module.shipped().map(|shipped| &shipped.literals[..]).unwrap_or_default();
            shipped.iter().map(|literal| format!("{}: {literal}", module.source.path))
        })
        .filter(|line| literals.iter().any(|literal| line.contains(literal)))
        // The operator's API group and version is no label.
        .filter(|line| !line.contains("rocketmq.apache.org/v1alpha1"))
        .collect();
    assert_none("a name or label is spelled outside `k8s/names` (I6)", &found);
}

#[test]
fn bans_of_a_folder_hold_below_it() {
    // Clippy reads the nearest file alone.
    let files = sources(&["clippy.toml"]);
    let above = |path: &str| {
        let folder = |path: &str| path.trim_end_matches("clippy.toml").to_owned();
        let (own, files) = (folder(path), files.iter());
        files
            .filter(|file| own.starts_with(&folder(&file.path)) && file.path != path)
            .max_by_key(|file| file.path.len())
    };
    assert!(files.len() > 1 && above("clippy.toml").is_none(), "the bans have moved");
    let mut found = Vec::new();
    for file in &files {
        let Some(above) = above(&file.path) else { continue };
        let lacks = above.text.lines().filter(|line| !line.starts_with('#'));
        let lacks = lacks.filter(|line| !file.text.lines().any(|own| own == *line));
        found.extend(lacks.map(|line| format!("{} lacks, of {}: {line}", file.path, above.path)));
    }
    assert_none("a clippy.toml drops what the one above it says", &found);
}

#[test]
fn files_stay_short() {
    let found: Vec<String> = sources(&[".rs", ".java", ".go", ".sh"])
        .iter()
        .filter(|source| !source.is_generated())
        .map(|source| (source, source.text.lines().count()))
        .filter(|(_, lines)| *lines > 500)
        .map(|(source, lines)| format!("{}: {lines} lines", source.path))
        .collect();
    assert_none("a file is longer than 500 lines: split it by reason to change", &found);
}

#[test]
fn tests_wait_for_conditions_and_never_sleep() {
    let folder = |module: &Module| {
        module.source.path.rsplit_once('/').map(|(folder, _)| folder.to_owned()).unwrap_or_default()
    };
    // Where tests run on a paused clock, a sleep is a number and takes no time.
    let paused: Vec<String> = modules()
        .iter()
        .filter(|module| module.source.text.contains("start_paused = true"))
        .map(folder)
        .collect();
    let found: Vec<String> = modules()
        .iter()
        .filter(|module| !paused.contains(&folder(module)))
        // The one place of a crate that may pace its looks at a condition.
        .filter(|module| !module.source.path.ends_with("/support.rs"))
        .flat_map(|module| {
            let paths = module.tested().flat_map(|words| &words.paths);
            let sleeps = paths.filter(|path| path.ends_with("sleep") || path.ends_with("sleep_until"));
            sleeps.map(|path| format!("{}: {path}", module.source.path))
        })
        .collect();
    assert_none("a test sleeps instead of waiting for a condition with a deadline", &found);
}

#[test]
fn every_promise_of_the_readme_is_a_test() {
    let is_test = |name: &&str| {
        modules().iter().flat_map(Module::tested).any(|words| words.functions.iter().any(|it| it == name))
    };
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap_or_default();
    let promises: Vec<&str> = readme
        .split("\n## ")
        .find(|section| section.to_lowercase().starts_with("promises"))
        .map(|section| section.lines().filter(|line| line.starts_with('|')).skip(2).collect())
        .unwrap_or_default();
    assert!(!promises.is_empty(), "README.md has no section `Promises` with a table");
    let mut found = Vec::new();
    for row in promises {
        let tests: Vec<&str> = row
            .trim_end_matches([' ', '|'])
            .rsplit('|')
            .next()
            .unwrap_or_default()
            .split('`')
            .skip(1)
            .step_by(2)
            .collect();
        if tests.is_empty() {
            found.push(format!("no test: {row}"));
        }
        found.extend(
            tests.iter().filter(|name| !is_test(name)).map(|name| format!("no test of the name `{name}`")),
        );
    }
    assert_none("README.md promises what no test of that name shows", &found);
}

#[test]
fn nothing_names_a_folder_of_one_machine() {
    // Split, so that this file does not name them either.
    let folders: Vec<String> = ["work/main", "work/shared", "tmp/boot", "root/.", "Users/"]
        .iter()
        .map(|folder| format!("/{folder}"))
        .collect();
    let folders: Vec<&str> = folders.iter().map(String::as_str).collect();
    let found: Vec<String> =
        sources(&[".rs", ".md", ".toml", ".yaml", ".sh", ".java", ".go", ".Dockerfile", "/run"])
            .iter()
            .filter(|source| !source.is_generated())
            .flat_map(|source| lines_with(source, &source.text, &folders))
            .collect();
    assert_none("a path that exists on one machine only", &found);
}

#[cfg(test)]
mod tests {
    use super::{Module, Source, impure, read};

    fn tree(files: &[(&str, &str)]) -> Vec<Module> {
        read(files.iter().map(|(path, text)| Source { path: (*path).into(), text: (*text).into() }).collect())
    }

    #[test]
    fn code_below_a_module_of_tests_is_seen() {
        let plan = "#[cfg(test)]\nmod tests;\n\nfn plan() { std::fs::read(\"x\"); }";
        assert_eq!(impure(&tree(&[("a/plan.rs", plan)])), ["a/plan.rs: std::fs::read"]);
    }

    #[test]
    fn who_says_pure_is_held_to_it_with_its_own_modules() {
        let act = "fn f() { std::env::var(\"X\"); }";
        let pure = format!("//! Rows,\n//! as seen. Pure.\n{act}");
        assert_eq!(impure(&tree(&[("a/src/b.rs", &pure)])), ["a/src/b.rs: std::env::var"]);
        let found = impure(&tree(&[
            ("a/src/b/mod.rs", "//! Pure: no clock."),
            ("a/src/b/c.rs", act),
            ("a/src/bc.rs", act),
        ]));
        assert_eq!(found, ["a/src/b/c.rs: std::env::var"]);
    }

    #[test]
    fn files_of_test_modules_are_tests() {
        let tree = tree(&[
            ("a/src/lib.rs", "#[cfg(test)] mod fake; mod b;"),
            ("a/src/fake/mod.rs", "mod world;"),
            ("a/src/fake/world.rs", ""),
            ("a/src/b.rs", "#[cfg(test)] mod tests;"),
            ("a/src/b/tests.rs", ""),
            ("a/src/tests/mod.rs", ""),
            ("a/tests/it.rs", ""),
        ]);
        let tests = tree.iter().filter(|module| module.only_tests).map(|module| module.source.path.as_str());
        let expected = ["a/src/fake/mod.rs", "a/src/fake/world.rs", "a/src/b/tests.rs", "a/tests/it.rs"];
        assert_eq!(tests.collect::<Vec<_>>(), expected);
    }
}
