//! Agents as this machine sees them: their memory, what they have written, and what they have logged.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nix::unistd::Pid;
use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::watch::Watch;
use crate::error::{Context, LabError, Result};

/// The agent's container.
const CONTAINER: &str = "rocketmq-agent";

/// How often it is looked at how much an agent has written.
const LOOK_EACH: Duration = Duration::from_millis(5);

/// The most memory that a process had since [`forget_peak`], in KiB.
///
/// # Errors
/// When it is gone.
pub(super) fn peak_kib(agent: Pid) -> Result<u64> {
    let text = read(agent, "status")?;
    number_after(&text, "VmHWM:")
        .ok_or_else(|| LabError::new(format!("process {agent} does not tell its peak of memory")))
}

/// Begins to look for the peak anew: `clear_refs` of proc(5).
///
/// # Errors
/// When it is gone, or is not ours to touch.
pub(super) fn forget_peak(agent: Pid) -> Result<()> {
    let path = file(agent, "clear_refs");
    std::fs::write(&path, "5").context(|| format!("cannot write {}", path.display()))
}

/// What a process wrote, while somebody watches: the moments and the bytes.
#[derive(Debug)]
pub(super) struct Writing {
    watch: Watch,
    samples: Arc<Mutex<Vec<Sample>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sample {
    at: Timestamp,
    bytes: u64,
}

impl Writing {
    /// Watches from now on.
    pub(super) fn watch(agent: Pid) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&samples);
        let watch = Watch::start(LOOK_EACH, move || {
            let bytes = number_after(&read(agent, "io")?, "wchar:")
                .ok_or_else(|| LabError::new(format!("process {agent} does not tell what it writes")))?;
            let sample = Sample { at: Timestamp::now(), bytes };
            seen.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            Ok(())
        });
        Self { watch, samples }
    }

    /// When it had written so many bytes since a moment.
    ///
    /// # Errors
    /// When it was not watched then, or has written less.
    pub(super) fn had_written(self, bytes: u64, since: Timestamp) -> Result<Timestamp> {
        self.watch.end()?;
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        reached(&samples, bytes, since)
            .ok_or_else(|| LabError::new(format!("the agent has not written {bytes} bytes since {since}")))
    }
}

fn reached(samples: &[Sample], bytes: u64, since: Timestamp) -> Option<Timestamp> {
    let before = samples.iter().rev().find(|sample| sample.at <= since)?.bytes;
    samples.iter().find(|sample| sample.at > since && sample.bytes >= before + bytes).map(|sample| sample.at)
}

/// The last time that an agent said something, and with what.
///
/// # Errors
/// When it did not.
pub(super) fn said(kubectl: &Kubectl, pod: &str, message: &str) -> Result<(Timestamp, Value)> {
    let log = kubectl.run(&["logs", pod, "-c", CONTAINER])?;
    last(&log, message)
        .ok_or_else(|| LabError::new(format!("the agent of pod `{pod}` has not said {message:?}")))
}

fn last(log: &str, message: &str) -> Option<(Timestamp, Value)> {
    let mut lines = log.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let line = lines.find(|line| line["message"] == message)?;
    Some((line["timestamp"].as_str()?.parse().ok()?, line))
}

fn file(process: Pid, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{process}/{name}"))
}

fn read(process: Pid, name: &str) -> Result<String> {
    let path = file(process, name);
    std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
}

/// The number of a line of a file of proc(5).
fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn numbers_of_proc_are_read() {
        let status = "Name:\trocketmq-agent\nVmHWM:\t   33124 kB\nVmRSS:\t   20000 kB\n";
        assert_eq!(number_after(status, "VmHWM:"), Some(33124));
        assert_eq!(number_after("rchar: 5\nwchar: 77\n", "wchar:"), Some(77));
        assert_eq!(number_after(status, "VmSwap:"), None);
    }

    #[test]
    fn what_was_written_before_does_not_count() {
        let samples =
            [(0, 100), (5, 100), (10, 150), (15, 200)].map(|(ms, bytes)| Sample { at: at(ms), bytes });
        assert_eq!(reached(&samples, 100, at(6)), Some(at(15)));
        assert_eq!(reached(&samples, 101, at(6)), None);
        assert_eq!(reached(&samples[1..], 1, at(0)), None);
    }

    #[test]
    fn the_last_line_of_a_log_counts() {
        let log = "no JSON\n\
            {\"timestamp\":\"2026-11-25T05:00:00.5Z\",\"message\":\"metadata are exported\",\"bytes\":1}\n\
            {\"timestamp\":\"2026-11-25T05:00:01Z\",\"message\":\"metadata are exported\",\"bytes\":2}\n\
            {\"timestamp\":\"2026-11-25T05:00:02Z\",\"message\":\"the gate\"}\n";
        let (when, line) = last(log, "metadata are exported").unwrap();
        assert_eq!((when, line["bytes"].as_u64()), ("2026-11-25T05:00:01Z".parse().unwrap(), Some(2)));
        assert!(last(log, "no such thing").is_none());
    }
}
