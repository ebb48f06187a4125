//! `cargo lab check`: formatting, spelling, licences, unit tests, lints, documentation. Also how the lab calls cargo at all.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::command::{Run, find_on_path};
use crate::e2e::results;
use crate::error::{Context, LabError, Result};
use crate::{home, progress, sections, timings};

const DEADLINE: Duration = Duration::from_secs(90 * 60);

/// Formatting alone: it takes a second, so it is looked at before anything slow begins.
///
/// # Errors
/// When a file is not formatted.
pub fn formatting() -> Result<()> {
    step("formatting", cargo_run(&["fmt", "--all", "--check"])).map_err(|error| error.hint("cargo fmt --all"))
}

/// Spelling; licences, sources and advisories of crates: by tools that are used where they are installed, since building
/// them takes minutes.
///
/// # Errors
/// When one of them finds something.
pub fn tools() -> Result<()> {
    optional("typos", "the spelling was", "typos-cli", &[])?;
    let deny = ["--log-level", "warn", "check", "--hide-inclusion-graph", "licenses", "sources", "bans"];
    optional("cargo-deny", "licences and sources were", "cargo-deny", &deny)?;
    if find_on_path("cargo-deny").is_none() {
        return Ok(());
    }
    // RustSec's data base is a git repository, which is brought here by `cargo deny fetch` alone.
    let cargo_home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let mut at_hand = std::fs::read_dir(cargo_home.join("advisory-dbs")).into_iter().flatten().flatten();
    if !at_hand.any(|entry| entry.path().is_dir()) {
        progress::note("no RustSec data base is at hand: advisories were not checked; cargo deny fetch db");
        return Ok(());
    }
    let advisories = ["--offline", "--log-level", "warn", "check", "--hide-inclusion-graph", "advisories"];
    optional("cargo-deny", "advisories were", "cargo-deny", &advisories)
}

fn optional(program: &str, checks: &str, package: &str, arguments: &[&str]) -> Result<()> {
    let Some(path) = find_on_path(program) else {
        let install = format!("cargo install --locked {package}");
        progress::note(format!("{program} is not installed: {checks} not checked; {install}"));
        return Ok(());
    };
    progress::note(program);
    Run::new(path).args(arguments).in_folder(home::repository()).deadline(DEADLINE).shown()
}

/// Spelling, licences, unit tests, lints and documentation.
///
/// # Errors
/// At the first that fails.
pub fn code(priority: Priority) -> Result<()> {
    tools()?;
    let outdated = sections::outdated(results::PAGE)?;
    if !outdated.is_empty() {
        let outdated = outdated.join(", ");
        progress::note(format!(
            "{} is of an earlier product: {outdated}; cargo lab test --exhaustive",
            results::PAGE
        ));
    }
    // The e2e suite stands among the tests, and rests unless it is asked for.
    let tests = priority.cargo(10, &["test", "--workspace", "--quiet"]).without_env(crate::suite::E2E);
    step("unit tests", tests)?;
    let lints = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    step("lints", priority.cargo(19, &lints))?;
    let pages = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"];
    step("documentation", priority.cargo(19, &pages).env("RUSTDOCFLAGS", "-D warnings"))
}

/// How much of the machine checks may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Nothing else runs.
    Alone,
    /// What clients of a cluster wait for comes first.
    Beside,
}

impl Priority {
    fn cargo(self, niceness: i32, arguments: &[&str]) -> Run {
        match self {
            Self::Alone => cargo_run(arguments),
            Self::Beside => Run::new("nice")
                .args(["-n", &niceness.to_string()])
                .arg(cargo())
                .args(arguments)
                .in_folder(home::repository())
                .deadline(DEADLINE),
        }
    }
}

/// Programs of tests, with the CLI that they call beside them.
#[derive(Debug)]
pub(crate) struct Built {
    tests: Vec<(String, PathBuf)>,
}

impl Built {
    /// The program of the integration test `name`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn test(&self, name: &str) -> Result<&Path> {
        let found = self.tests.iter().find(|(test, _)| test == name).map(|(_, program)| program.as_path());
        found.ok_or_else(|| LabError::new(format!("cargo has built no test `{name}`")))
    }
}

/// Builds every test, and the CLI.
///
/// # Errors
/// When something does not build.
pub(crate) fn build_tests() -> Result<Built> {
    let arguments =
        ["test", "--workspace", "--no-run", "--quiet", "--message-format=json-render-diagnostics"];
    let messages = timings::step("cargo: tests and CLI", || {
        progress::note("cargo: tests and CLI");
        cargo_run(&arguments).answered()
    })?;
    Ok(Built { tests: messages.lines().filter_map(integration_test).collect() })
}

/// Name and program of an integration test, from one of cargo's messages.
fn integration_test(message: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(message).ok()?;
    let target = &message["target"];
    let is_test = target["kind"].as_array()?.iter().any(|kind| kind == "test");
    let (name, program) = (target["name"].as_str()?, message["executable"].as_str()?);
    is_test.then(|| (name.to_owned(), PathBuf::from(program)))
}

/// The cargo that runs this program, else the one on PATH.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Cargo in the repository.
pub(crate) fn cargo_run(arguments: &[&str]) -> Run {
    Run::new(cargo()).args(arguments).in_folder(home::repository()).deadline(DEADLINE)
}

/// What cargo knows of this repository's packages.
pub(crate) fn metadata() -> Result<Value> {
    let metadata = cargo_run(&["metadata", "--format-version=1", "--no-deps", "--offline"]).output()?;
    serde_json::from_str(&metadata).context(|| "cargo's metadata is not JSON")
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    metadata()?["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| LabError::new("cargo's metadata names no target folder"))
}

/// Builds the CLI and returns the folder that holds `kubectl-rocketmq`.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_cli() -> Result<PathBuf> {
    step("the CLI", cargo_run(&["build", "--quiet", "--bin", "kubectl-rocketmq"]))?;
    Ok(target_folder()?.join("debug"))
}

/// Builds the CLI as users have it, and returns the folder that holds `kubectl-rocketmq`.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_release_cli() -> Result<PathBuf> {
    let arguments = ["build", "--quiet", "--release", "--package", "kubectl-rocketmq"];
    step("the CLI, optimised", cargo_run(&arguments))?;
    Ok(target_folder()?.join("release"))
}

fn step(what: &str, run: Run) -> Result<()> {
    let what = format!("cargo: {what}");
    progress::note(&what);
    timings::step(&what, || run.shown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integration_tests_are_found_among_cargos_messages() {
        let message = |kind: &str, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","target":{{"kind":["{kind}"],"name":"it"}},"executable":{executable}}}"#
            )
        };
        let found = integration_test(&message("test", r#""/target/debug/deps/it-1""#));
        assert_eq!(found, Some(("it".to_owned(), PathBuf::from("/target/debug/deps/it-1"))));
        assert_eq!(integration_test(&message("lib", r#""/target/debug/deps/it-1""#)), None);
        assert_eq!(integration_test(&message("test", "null")), None);
        assert_eq!(integration_test("running 3 tests"), None);
    }
}
