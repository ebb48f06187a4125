//! The plugin killed with SIGKILL at a moment of its journal, and the operation ended from elsewhere.

use std::time::Duration;

use crate::e2e::journal::{self, Journals, Moment};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::{Ended, Running};
use crate::e2e::scene::Scene;
use crate::e2e::watch;
use crate::error::Result;
use crate::wait::Look;

/// A killed plugin's Lease lives 45 s on.
const LEASE_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Starts a changing command and kills the plugin at this moment of its operation; returns the operation's id.
///
/// # Errors
/// When the moment does not come, or the command had ended before it was killed.
pub fn at(scene: &Scene, moment: Moment, arguments: &[&str]) -> Result<String> {
    let kubectl = &scene.kubectl;
    scene.step(&format!("{}, killed at {moment:?}", arguments.join(" ")));
    let former = journal::operations(kubectl)?;
    let mut journals = Journals::watch(kubectl)?;
    let running = Running::start(kubectl, arguments, "")?;
    let operation = journals.await_moment(moment, &former);
    running.kill()?;
    operation
}

/// Resumes or undoes an operation as soon as its dead holder's Lease has ended.
///
/// # Errors
/// When the command does not end with 0.
pub fn end(kubectl: &Kubectl, verb: &str, operation: &str) -> Result<Ended> {
    let ended = watch::until("the end of the killed plugin's Lease", LEASE_ENDS_WITHIN, || {
        match kubectl.rocketmq(&["ops", verb, operation, "-y"]) {
            Ok(ended) if ended.code == Some(3) => Look::NotYet(ended.stderr),
            Ok(ended) => Look::Ready(ended),
            Err(error) => Look::Never(error),
        }
    })?;
    ended.expect_code(0)
}
