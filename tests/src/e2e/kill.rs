//! The plugin killed with SIGKILL at a moment of its journal, and the operation ended from elsewhere.

use std::time::Duration;

use crate::e2e::apply;
use crate::e2e::journal::{self, Journals, Moment};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::{Ended, Running};
use crate::e2e::scene::Scene;
use crate::e2e::watch::{self, ensure};
use crate::error::{LabError, Result};
use crate::wait::Look;

/// A killed plugin's Lease lives 45 s on.
const LEASE_ENDS_WITHIN: Duration = Duration::from_secs(60);

/// Why a command is refused while somebody else holds the Lease.
const HELD: &str = " is changing the cluster, last seen ";

/// How often an operation is begun that may be over before the kill comes.
const TRIES: usize = 3;

/// A holder whose process no one can look for from here.
const ELSEWHERE: &str = "jane@elsewhere/7";

/// Starts a changing command and kills the plugin at this moment of its operation; returns the operation's id.
///
/// # Errors
/// When the moment does not come, or the operation was over before the kill came.
pub fn at(scene: &Scene, moment: Moment, arguments: &[&str]) -> Result<String> {
    let killed = try_at(scene, moment, arguments)?;
    killed.ok_or_else(|| {
        LabError::new(format!("`{}` was over before it was killed at {moment:?}", arguments.join(" ")))
    })
}

/// The same of an operation that may be over before a late kill comes: then `back` leads back, and it is begun anew.
///
/// # Errors
/// When the moment does not come, or the kill was late each time.
pub fn in_time(
    scene: &Scene,
    moment: Moment,
    arguments: &[&str],
    back: impl Fn() -> Result<()>,
) -> Result<String> {
    for _ in 0..TRIES {
        if let Some(operation) = try_at(scene, moment, arguments)? {
            return Ok(operation);
        }
        scene.step("it was over before it was killed: once more");
        back()?;
    }
    Err(LabError::new(format!("`{}` was over before it was killed, {TRIES} times", arguments.join(" "))))
}

/// The operation; `None` if it was over before the kill came.
fn try_at(scene: &Scene, moment: Moment, arguments: &[&str]) -> Result<Option<String>> {
    let kubectl = &scene.kubectl;
    scene.step(&format!("{}, killed at {moment:?}", arguments.join(" ")));
    let former = journal::operations(kubectl)?;
    let mut journals = Journals::watch(kubectl)?;
    let running = Running::start(kubectl, arguments, "")?;
    let operation = journals.await_moment(moment, &former);
    let killed = running.kill();
    let operation = operation?;
    let told = journal::told(kubectl, &operation)?;
    let last = told.last().map_or("nothing but the plan", String::as_str);
    scene.step(&format!("its journal ends with event {}: {last}", told.len()));
    if journal::is_done(kubectl, &operation)? {
        return Ok(None);
    }
    killed.map(|_| Some(operation))
}

/// Resumes or undoes an operation as soon as its dead holder's Lease has ended, or is taken from it.
///
/// # Errors
/// When the command does not end with 0.
pub fn end(kubectl: &Kubectl, verb: &str, operation: &str) -> Result<Ended> {
    once_free(kubectl, &["ops", verb, operation, "-y"])?.expect_code(0)
}

/// Runs a command as soon as nobody holds the Lease, whatever its exit code.
///
/// # Errors
/// When the Lease does not end.
pub fn once_free(kubectl: &Kubectl, arguments: &[&str]) -> Result<Ended> {
    watch::until("the end of the killed plugin's Lease", LEASE_ENDS_WITHIN, || {
        match kubectl.rocketmq(arguments) {
            Ok(ended) if ended.code == Some(3) && ended.stderr.contains(HELD) => Look::NotYet(ended.stderr),
            Ok(ended) => Look::Ready(ended),
            Err(error) => Look::Never(error),
        }
    })
}

/// Ends an operation from where nobody can tell that its holder is dead: the Lease must be waited for.
///
/// # Errors
/// When it is not, or the command does not end with 0 then.
pub fn end_from_elsewhere(kubectl: &Kubectl, verb: &str, operation: &str) -> Result<Ended> {
    let lease = apply::lease(kubectl)?;
    let holder = format!(r#"{{"spec":{{"holderIdentity":"{ELSEWHERE}"}}}}"#);
    kubectl.run(&["patch", "lease", &lease.name, "--type=merge", "-p", &holder])?;
    let refused = kubectl.rocketmq(&["ops", verb, operation, "-y"])?.expect_code(3)?;
    let words = format!("`{ELSEWHERE}`{HELD}");
    ensure(refused.stderr.contains(&words), || format!("no `{words}` in:\n{}", refused.stderr))?;
    end(kubectl, verb, operation)
}
