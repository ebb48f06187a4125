//! The agent's image, from `deploy/agent.Dockerfile` and a static build of this working tree.

use std::path::PathBuf;
use std::time::Duration;

use crate::command::Run;
use crate::error::Result;
use crate::home::{self, Home};
use crate::images::{Recipe, buildah, copy, fresh_folder, publish};
use crate::lock::LabLock;
use crate::progress;

const BUILD_DEADLINE: Duration = Duration::from_secs(60 * 60);
/// Named, so that only the agent is linked statically, not what the compiler loads while building it (proc macros).
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROGRAM: &str = "rocketmq-agent";
/// Cargo's profile, and the folder that it builds into.
const PROFILE: &str = "lab";

/// The image's name: its tag is the version of this workspace, as the CLI expects.
pub fn name() -> String {
    format!("docker.io/kubectl-rocketmq/agent:{}", env!("CARGO_PKG_VERSION"))
}

/// Builds the agent and gives the registry its image; the registry must be running.
///
/// # Errors
/// When cargo or buildah fails.
pub fn build(home: &Home, _lock: &LabLock) -> Result<()> {
    let program = compile()?;
    let dockerfile = home::repository().join("deploy/agent.Dockerfile");
    let recipe = Recipe::new().file(&dockerfile)?.file(&program)?;
    publish(home, &name(), &recipe, || {
        let context = fresh_folder(&home.images().join("agent"))?;
        copy(&program, &context.join(PROGRAM))?;
        buildah::build(home, &name(), &dockerfile, &context, &[])
    })
}

fn compile() -> Result<PathBuf> {
    progress::note("building the agent (static, release)");
    Run::new(crate::check::cargo())
        .args(["build", "--quiet", "--profile", PROFILE, "--bin", PROGRAM, "--target", TARGET])
        .in_folder(home::repository())
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .deadline(BUILD_DEADLINE)
        .shown()?;
    Ok(crate::check::target_folder()?.join(TARGET).join(PROFILE).join(PROGRAM))
}
