//! Processes of pods as this machine sees them: an image FROM scratch has no `kill` of its own.
//! So these tests need the lab on this machine and root, as the lab itself does.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::e2e::watch;
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// The name of the agent's process.
const AGENT: &str = "rocketmq-agent";

/// Kills a pod's agent with SIGKILL.
///
/// # Errors
/// When there is not exactly one.
pub fn kill_agent(pod: &Pod) -> Result<()> {
    kill(agent(pod)?, Signal::SIGKILL).context(|| format!("cannot kill the agent of pod `{}`", pod.name))
}

/// The process of a pod's agent.
///
/// # Errors
/// When there is not exactly one.
pub fn agent(pod: &Pod) -> Result<Pid> {
    // A probe is the same program; the agent is the one that every other descends from: process 1 of its container.
    let mark = format!("POD_UID={}", pod.uid);
    let mut agents = Vec::new();
    for entry in std::fs::read_dir("/proc").context(|| "cannot read /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        let environment = read("environ");
        let of_pod = environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes());
        if of_pod
            && read("comm").trim_ascii() == AGENT.as_bytes()
            && is_first_of_its_namespace(&read("status"))
        {
            agents.push(pid);
        }
    }
    match agents.as_slice() {
        [agent] => Ok(Pid::from_raw(*agent)),
        others => Err(LabError::new(format!(
            "pod `{}` has {} agents on this machine, not one",
            pod.name,
            others.len()
        ))),
    }
}

/// `NSpid` of `/proc/PID/status` lists the process id in each namespace, the innermost last.
fn is_first_of_its_namespace(status: &[u8]) -> bool {
    String::from_utf8_lossy(status)
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))
        .and_then(|pids| pids.split_whitespace().last())
        == Some("1")
}

/// A shell loop's body that sends `signal` to the Java process of its container.
const SIGNAL_JAVA: &str = r#"for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = java ] && kill -SIGNAL ${p#/proc/}; done; true"#;

/// Sends a signal, `TERM` or `KILL`, to the Java process of a container.
///
/// # Errors
/// When the container cannot be entered.
pub fn signal_java(kubectl: &Kubectl, pod: &Pod, container: &str, signal: &str) -> Result<()> {
    kubectl.sh(&pod.name, container, &SIGNAL_JAVA.replace("SIGNAL", signal)).map(drop)
}

/// In the command line of [`kill_java_after_writes`]'s loop, to find it by.
const WATCHES: &str = "e2e-watches-broker-conf";

/// Kills a broker's Java with SIGKILL as soon as its `broker.conf` was written `writes` times. Returns when it did.
///
/// # Errors
/// When the container cannot be entered, or so many writes do not come.
pub fn kill_java_after_writes(kubectl: &Kubectl, pod: &Pod, container: &str, writes: usize) -> Result<()> {
    // The agent replaces the file by rename, which gives it another inode; 5.x writes into it, which gives it another
    // size. A write counts, and the kill comes, once two looks in a row agree on the size: it is whole then. The loop
    // counts its looks, for a small image has no clock: so many take a few minutes.
    let script = format!(
        r#": {WATCHES}; f=/etc/rocketmq/broker/broker.conf; was="$(ls -il $f)"; n=0; looks=0
while [ $n -lt {writes} ]; do
  is="$(ls -il $f)"; [ "$is" = "$was" ] || {{ n=$((n+1)); was="$is"; }}
  looks=$((looks+1)); [ $looks -lt 200000 ] || exit 3
done
until is="$(ls -il $f)"; [ "$is" = "$was" ]; do was="$is"; done
{}"#,
        SIGNAL_JAVA.replace("SIGNAL", "KILL")
    );
    // Killing Java ends the container, and with it this command in one way or another: the restart is the proof.
    match kubectl.sh(&pod.name, container, &script) {
        Err(error) if error.report().contains("exit code 3") => {
            Err(LabError::new(format!("broker.conf of pod `{}` was not written {writes} times", pod.name)))
        }
        _ => Ok(()),
    }
}

/// Waits until the loop of [`kill_java_after_writes`] looks.
///
/// # Errors
/// When it does not start.
pub fn await_watch_of_writes(kubectl: &Kubectl, pod: &Pod, container: &str) -> Result<()> {
    // The brackets keep this command from finding itself. Processes that end under its eyes are no error.
    let script = format!("grep -ls '{}' /proc/[0-9]*/cmdline; true", WATCHES.replace("e2e", "e2[e]"));
    watch::until("the loop that watches broker.conf", Duration::from_secs(30), || {
        match kubectl.sh(&pod.name, container, &script) {
            Ok(found) if found.is_empty() => Look::NotYet("it does not run yet".to_owned()),
            Ok(_) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
}
