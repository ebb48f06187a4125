//! The agent's image, from `deploy/agent.Dockerfile` and a static build of this working tree.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::home::{self, Home};
use crate::images::{self, Recipe, buildah, copy, fresh_folder};
use crate::lock::LabLock;
use crate::{check, progress, timings};

/// Named, so that only the agent is linked statically, not what the compiler loads while building it (proc macros).
const TARGET: &str = "x86_64-unknown-linux-gnu";
const PROGRAM: &str = "rocketmq-agent";

/// How the agent is optimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// As users have it but for optimisation over crates, which takes a minute.
    Lab,
    /// As users have it.
    Release,
}

/// The image's name: its tag is the version of this workspace, as the CLI expects.
pub fn name() -> String {
    format!("docker.io/kubectl-rocketmq/agent:{}", env!("CARGO_PKG_VERSION"))
}

/// Gives the registry the image of a program that [`compile`] has made; the registry must be running.
///
/// # Errors
/// When buildah fails.
pub fn publish(home: &Home, program: &Path, _lock: &LabLock) -> Result<()> {
    let dockerfile = home::repository().join("deploy/agent.Dockerfile");
    let recipe = Recipe::new().file(&dockerfile)?.file(program)?;
    images::publish(home, &name(), &recipe, || {
        let context = fresh_folder(&home.images().join("agent"))?;
        copy(program, &context.join(PROGRAM))?;
        buildah::build(home, &name(), &dockerfile, &context, &[])
    })
}

/// Builds the agent as one static program.
///
/// # Errors
/// When cargo fails.
pub fn compile(profile: Profile) -> Result<PathBuf> {
    let (profile, says) = match profile {
        Profile::Lab => ("lab", "cargo: agent"),
        Profile::Release => ("release", "cargo: agent as users have it"),
    };
    progress::note(says);
    timings::step(says, || {
        check::cargo_run(&["build", "--quiet", "--profile", profile, "--bin", PROGRAM, "--target", TARGET])
            .env("RUSTFLAGS", "-C target-feature=+crt-static")
            .shown()
    })?;
    Ok(check::target_folder()?.join(TARGET).join(profile).join(PROGRAM))
}
