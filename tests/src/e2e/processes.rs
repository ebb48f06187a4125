//! Processes of pods as this machine sees them: an image FROM scratch has no `kill` of its own.
//! So these tests need the lab on this machine and root, as the lab itself does.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::error::{Context, LabError, Result};

/// The name of the agent's process.
const AGENT: &str = "rocketmq-agent";

/// The name of a broker's process.
const JAVA: &str = "java";

/// How long a test waits for the writes of a list that changes.
const WRITES_WITHIN: Duration = Duration::from_secs(180);

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
    only(pod, AGENT, is_first_of_its_namespace)
}

/// The one process of a pod with that name whose `/proc/PID/status` is as wanted.
fn only(pod: &Pod, name: &str, wanted: impl Fn(&[u8]) -> bool) -> Result<Pid> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").context(|| "cannot read /proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let read = |file: &str| std::fs::read(entry.path().join(file)).unwrap_or_default();
        // The kubelet names a pod's control group after the pod's uid.
        let of_pod = String::from_utf8_lossy(&read("cgroup")).contains(&pod.uid);
        if of_pod && read("comm").trim_ascii() == name.as_bytes() && wanted(&read("status")) {
            found.push(pid);
        }
    }
    match found.as_slice() {
        [only] => Ok(Pid::from_raw(*only)),
        others => Err(LabError::new(format!(
            "pod `{}` has {} processes `{name}` on this machine, not one",
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

/// The folder of a broker's configuration, in each of its containers.
const BROKER_CONFIGURATION: &str = "etc/rocketmq/broker";

/// The broker's configuration, in [`BROKER_CONFIGURATION`].
const BROKER_CONF: &str = "broker.conf";

/// An ear at a broker's `broker.conf`: no write is missed from when it is there, however busy the machine.
#[derive(Debug)]
pub struct BrokerConfWrites {
    pod: String,
    java: Pid,
    inotify: Inotify,
}

impl BrokerConfWrites {
    /// Listens at the `broker.conf` of a pod whose Java runs.
    ///
    /// # Errors
    /// When Java does not run, or its folder cannot be watched.
    pub fn of(pod: &Pod) -> Result<Self> {
        let java = only(pod, JAVA, |_| true)?;
        let folder = format!("/proc/{java}/root/{BROKER_CONFIGURATION}");
        let inotify =
            Inotify::init(InitFlags::IN_NONBLOCK).context(|| "cannot listen for writes of files")?;
        // The agent replaces the file by rename; 4.x does, too, 5.x writes into it.
        inotify
            .add_watch(folder.as_str(), AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_CLOSE_WRITE)
            .context(|| format!("cannot listen at `{folder}`"))?;
        Ok(Self { pod: pod.name.clone(), java, inotify })
    }

    /// Kills Java with SIGKILL as soon as the file was written `writes` times.
    ///
    /// # Errors
    /// When so many writes do not come in time, or Java has ended before.
    pub fn kill_java_after(self, writes: usize) -> Result<()> {
        let deadline = Instant::now() + WRITES_WITHIN;
        let mut seen = 0;
        while seen < writes {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(LabError::new(format!(
                    "broker.conf of pod `{}` was written {seen} times in {} s, not {writes}",
                    self.pod,
                    WRITES_WITHIN.as_secs()
                )));
            }
            let mut ready = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
            let left = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut ready, left).context(|| "cannot wait for writes of files")? {
                0 => {}
                _ => {
                    let events = self.inotify.read_events().context(|| "cannot read what was written")?;
                    let of_file = |name: &OsString| name == BROKER_CONF;
                    seen += events.iter().filter(|event| event.name.as_ref().is_some_and(of_file)).count();
                }
            }
        }
        kill(self.java, Signal::SIGKILL).context(|| format!("cannot kill the Java of pod `{}`", self.pod))
    }
}
