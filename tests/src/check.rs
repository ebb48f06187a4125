//! `cargo lab check`: formatting, lints, documentation, unit tests. Also how the lab calls cargo at all.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::command::Run;
use crate::error::{Context, LabError, Result};
use crate::{home, progress};

const DEADLINE: Duration = Duration::from_secs(90 * 60);

/// Formatting alone: it takes a second, so it is looked at before anything slow begins.
///
/// # Errors
/// When a file is not formatted.
pub fn formatting() -> Result<()> {
    step("formatting", cargo_run(&["fmt", "--all", "--check"])).map_err(|error| error.hint("cargo fmt --all"))
}

/// Lints, documentation and unit tests.
///
/// # Errors
/// At the first that fails.
pub fn code() -> Result<()> {
    step("lints", cargo_run(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    step(
        "documentation",
        cargo_run(&["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet"])
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    // The e2e suite stands among the tests, and rests unless it is asked for.
    step("unit tests", cargo_run(&["test", "--workspace", "--quiet"]).without_env(crate::suite::E2E))
}

/// The cargo that runs this program, else the one on PATH.
pub(crate) fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// Cargo in the repository.
pub(crate) fn cargo_run(arguments: &[&str]) -> Run {
    Run::new(cargo()).args(arguments).in_folder(home::repository()).deadline(DEADLINE)
}

/// Where cargo puts what it builds.
pub(crate) fn target_folder() -> Result<PathBuf> {
    let metadata = cargo_run(&["metadata", "--format-version=1", "--no-deps", "--offline"]).output()?;
    let metadata: Value = serde_json::from_str(&metadata).context(|| "cargo's metadata is not JSON")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| LabError::new("cargo's metadata names no target folder"))
}

/// Builds the CLI and returns the folder that holds `kubectl-rocketmq`.
///
/// # Errors
/// When it does not build.
pub(crate) fn build_cli() -> Result<PathBuf> {
    step("the CLI", cargo_run(&["build", "--quiet", "--package", "kubectl-rocketmq"]))?;
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
    progress::note(format!("cargo: {what}"));
    run.shown()
}
