//! What no compiler holds: rules of ARCHITECTURE.md and CONTRIBUTING.md that a look into the tree can hold.

use std::path::{Path, PathBuf};

/// A source file of the tree.
struct Source {
    /// Its path below the root, with `/` on every system.
    path: String,
    text: String,
}

impl Source {
    /// The part that ships: unit tests stand at the end of a file.
    fn shipped(&self) -> &str {
        self.text.split("#[cfg(test)]").next().unwrap_or_default()
    }

    /// The part that only tests run.
    fn tested(&self) -> &str {
        if self.is_test_file() {
            return &self.text;
        }
        self.text.find("#[cfg(test)]").map_or("", |start| &self.text[start..])
    }

    /// Whole files of tests: of a crate's `tests` folder, a module of unit tests, or what the e2e suite stands on.
    fn is_test_file(&self) -> bool {
        self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.starts_with("tests/src/e2e/")
    }

    fn is_generated(&self) -> bool {
        self.path.contains("/gen/")
    }
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

#[test]
fn i1_values_plans_manifests_and_views_do_no_io() {
    let pure = |path: &str| {
        path.starts_with("rocketmq/src/model/")
            || path.starts_with("kubectl-rocketmq/k8s/src/kinds")
            || path.starts_with("kubectl-rocketmq/k8s/src/manifests")
            || path.starts_with("kubectl-rocketmq/k8s/src/names")
            || path.ends_with("_view.rs")
            || path.ends_with("/plan.rs")
    };
    let acts = [
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "Instant",
        "SystemTime",
        "::now(",
        "tokio::",
        "rand::",
        "async fn",
    ];
    let sources = sources(&[".rs"]);
    assert!(sources.iter().any(|source| pure(&source.path)), "the pure modules have moved");
    let found: Vec<String> = sources
        .iter()
        .filter(|source| pure(&source.path) && !source.is_test_file())
        .flat_map(|source| lines_with(source, source.shipped(), &acts))
        .collect();
    assert_none("a pure module reads or does something (I1)", &found);
}

#[test]
fn i2_one_module_prints_and_main_alone_exits() {
    let prints = ["println!", "print!(", "io::stdout", "io::stderr", "io::Stdout", "io::Stderr"];
    let exits = ["process::exit", "process::abort"];
    let mut found = Vec::new();
    for source in sources(&[".rs"]) {
        if !source.path.starts_with("kubectl-rocketmq/") || source.is_test_file() {
            continue;
        }
        if source.path != "kubectl-rocketmq/src/output/printer.rs" {
            found.extend(lines_with(&source, source.shipped(), &prints));
        }
        if source.path != "kubectl-rocketmq/src/main.rs" {
            found.extend(lines_with(&source, source.shipped(), &exits));
        }
    }
    assert_none("only `output/printer` prints, only `main` exits (I2)", &found);
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
    let found: Vec<String> = sources(&[".rs"])
        .iter()
        .filter(|source| source.path.starts_with("kubectl-rocketmq/") && !source.is_test_file())
        .filter(|source| !source.path.starts_with("kubectl-rocketmq/k8s/src/names"))
        .flat_map(|source| lines_with(source, source.shipped(), &literals))
        // The operator's API group and version is no label.
        .filter(|line| !line.contains("rocketmq.apache.org/v1alpha1"))
        .collect();
    assert_none("a name or label is spelled outside `k8s/names` (I6)", &found);
}

#[test]
fn i7_one_module_of_the_agent_writes_files() {
    let writes = [
        "fs::write",
        "fs::rename",
        "fs::remove",
        "fs::create_dir",
        "fs::copy",
        "fs::set_permissions",
        "File::create",
        "File::options",
        "OpenOptions",
    ];
    let found: Vec<String> = sources(&[".rs"])
        .iter()
        .filter(|source| source.path.starts_with("agent/src/") && !source.is_test_file())
        .filter(|source| source.path != "agent/src/atomic_file.rs")
        .flat_map(|source| lines_with(source, source.shipped(), &writes))
        .collect();
    assert_none("the agent writes a file outside `atomic_file` (I7)", &found);
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
    let sleeps = ["sleep(", "sleep_until("];
    let sources = sources(&[".rs"]);
    let folder = |source: &Source| source.path.rsplit_once('/').map(|(folder, _)| folder.to_owned());
    // Where tests run on a paused clock, a sleep is a number and takes no time.
    let paused: Vec<_> =
        sources.iter().filter(|source| source.text.contains("start_paused = true")).map(folder).collect();
    let found: Vec<String> = sources
        .iter()
        .filter(|source| source.path != "tests/tests/tidy.rs" && !paused.contains(&folder(source)))
        // The one place of a crate that may pace its looks at a condition.
        .filter(|source| !source.path.ends_with("/support.rs"))
        .flat_map(|source| lines_with(source, source.tested(), &sleeps))
        .collect();
    assert_none("a test sleeps instead of waiting for a condition with a deadline", &found);
}

#[test]
fn every_promise_of_the_readme_is_a_test() {
    let sources = sources(&[".rs"]);
    let is_test = |name: &str| sources.iter().any(|source| source.tested().contains(&format!("fn {name}(")));
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
