//! Clusters that are applied again, looked at by dry runs, and held against a second CLI.

use serde_json::Value;

use crate::e2e::audit::Audit;
use crate::e2e::clusters::{self, BROKER, NAME_SERVICE};
use crate::e2e::journal::{self, Journals, Moment};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::Running;
use crate::e2e::says::says_all;
use crate::e2e::scene::Scene;
use crate::e2e::watch::ensure;
use crate::error::{LabError, Result};

/// Applies a cluster, and sees by the API server's log that the plugin made it: what shows nothing of other commands would
/// show nothing of this one either if the log or the plugin's name were not what they should be.
///
/// # Errors
/// When it is not healthy, or the log does not tell who made it.
pub fn apply_is_logged(scene: &Scene, yaml: &str) -> Result<()> {
    let audit = Audit::begin(&scene.kubectl)?;
    clusters::apply(scene, yaml)?;
    let writes = audit.writes()?;
    for resource in ["statefulsets", "services", "secrets", "configmaps", "leases", "poddisruptionbudgets"] {
        ensure(writes.iter().any(|write| write.resource == resource), || {
            format!("the API server's log tells of no {resource} of the plugin's: {writes:?}")
        })?;
    }
    Ok(())
}

/// Demands that applying again writes no object and begins no operation.
///
/// # Errors
/// When it does.
pub fn applying_again_does_nothing(scene: &Scene, yaml: &str) -> Result<()> {
    scene.step("applies again");
    let file = scene.file("again.yaml", yaml)?;
    let audit = Audit::begin(&scene.kubectl)?;
    scene.kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    audit.nothing_was_written()
}

/// Demands that dry runs of each changing verb write nothing, those that ask the API server too.
///
/// # Errors
/// When one does, or does not end with 0.
pub fn dry_runs_write_nothing(scene: &Scene, grown: &str) -> Result<()> {
    scene.step("runs dry");
    let file = scene.file("dry.yaml", grown)?;
    let audit = Audit::begin(&scene.kubectl)?;
    let commands: [&[&str]; 4] = [
        &["apply", "-f", &file],
        &["scale", "nameservice", NAME_SERVICE, "--size", "3"],
        &["scale", "broker", BROKER, "--replicas", "1"],
        &["delete", "-f", &file],
    ];
    for command in commands {
        for kind in ["--dry-run=client", "--dry-run=server"] {
            scene.kubectl.rocketmq(&[command, &[kind]].concat())?.expect_code(0)?;
        }
    }
    audit.nothing_was_written()
}

/// While one CLI applies a cluster with two name servers instead of one, another is refused with holder and age, and
/// changes nothing.
///
/// # Errors
/// When it is not, or the first does not come through.
pub fn second_cli_is_refused(scene: &Scene, grown: &str) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("applies a changed size, and scales by a second CLI meanwhile");
    let file = scene.file("grown.yaml", grown)?;
    let former = journal::operations(kubectl)?;
    let mut journals = Journals::watch(kubectl)?;
    let first = Running::start(kubectl, &["apply", "-f", &file, "-y"], "")?;
    let process = first.process();
    journals.await_moment(Moment::Started("grow-name-servers"), &former)?;
    let second = clusters::scale(kubectl, 3)?.expect_code(3)?;
    let held_by = lease(kubectl)?.holder;
    let first = first.wait()?.expect_code(0)?;
    says_all(&second.stderr, &["s ago", "nothing was changed"])?;
    names_the_holder(&second.stderr, &held_by, process)?;
    let wanted = clusters::addresses(kubectl, 2);
    let said = format!("namesrvAddr={}", wanted.join(";"));
    ensure(first.stdout.contains(&said) || first.stderr.contains(&said), || {
        format!("no `{said}` in {first:?}")
    })?;
    let recorded = clusters::recorded_list(kubectl)?;
    ensure(recorded == wanted, || format!("the record holds {recorded:?}"))
}

/// A Lease that somebody holds.
#[derive(Debug)]
pub(super) struct Held {
    /// Its name.
    pub(super) name: String,
    /// Who holds it.
    pub(super) holder: String,
}

/// The Lease of a cluster that is being changed, alone in its namespace.
pub(super) fn lease(kubectl: &Kubectl) -> Result<Held> {
    let leases = kubectl.json(&["get", "leases", "-l", "app.kubernetes.io/component=lease"])?;
    let held = |lease: &Value| {
        let name = lease["metadata"]["name"].as_str()?.to_owned();
        let holder = lease["spec"]["holderIdentity"].as_str().filter(|holder| !holder.is_empty())?;
        Some(Held { name, holder: holder.to_owned() })
    };
    let mut leases_held = leases["items"].as_array().into_iter().flatten().filter_map(held);
    leases_held.next().ok_or_else(|| LabError::new(format!("nobody holds a Lease: {leases}")))
}

/// Demands that a refusal names whom the Lease names, which is this process. What tells processes of one number apart
/// need not be printed.
fn names_the_holder(refusal: &str, holder: &str, process: u32) -> Result<()> {
    let named = refusal
        .split_once("` is changing the cluster, last seen ")
        .and_then(|(before, _)| before.rsplit('`').next())
        .ok_or_else(|| LabError::new(format!("nobody is named in:\n{refusal}")))?;
    let wanted = place(holder);
    ensure(wanted.is_some() && place(named) == wanted, || {
        format!("the refusal names `{named}`, the Lease `{holder}`")
    })?;
    let ends = format!("/{process}");
    ensure(wanted.is_some_and(|place| place.ends_with(&ends)), || {
        format!("the Lease names `{holder}`, which is not process {process}")
    })
}

/// `user@host/process` of a holder.
fn place(holder: &str) -> Option<&str> {
    let process = holder.find('/')? + 1;
    let digits = holder[process..].find(|c: char| !c.is_ascii_digit()).unwrap_or(holder.len() - process);
    (digits > 0).then(|| &holder[..process + digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_holder_of_the_lease_and_no_other() {
        let refusal = |holder: &str| {
            format!("error: refused\ncaused by: `{holder}` is changing the cluster, last seen 7s ago\n")
        };
        let named = |printed: &str, lease: &str| names_the_holder(&refusal(printed), lease, 42).is_ok();
        assert!(named("root@lab-1/42-0a1b2c3d", "root@lab-1/42-0a1b2c3d"));
        // The Lease may know more than is printed.
        assert!(named("root@lab-1/42", "root@lab-1/42-0a1b2c3d boot/7f start/9"));
        assert!(named("lab-1/42-0a1b2c3d", "lab-1/42-0a1b2c3d"));
        for (printed, lease) in [
            ("root@lab-1/41-0a1b2c3d", "root@lab-1/42-0a1b2c3d"),
            ("root@lab-1/4", "root@lab-1/42"),
            ("jane@lab-1/42", "root@lab-1/42"),
            ("root@lab-1/43", "root@lab-1/43"),
            ("nobody", "nobody"),
            ("", ""),
        ] {
            assert!(!named(printed, lease), "{printed} {lease}");
        }
        assert!(names_the_holder("error: refused\n", "root@lab-1/42", 42).is_err());
    }
}
