//! The machine's processes as `/proc` shows them.

use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// What `/proc/<pid>/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The parent's process id.
    pub parent: u32,
    /// When the process started, in clock ticks since the boot.
    pub start_ticks: u64,
    /// Whether it has ended and only its parent has not yet noticed.
    pub is_zombie: bool,
    /// CPU time of its own and of those of its children that it waited for.
    pub cpu: Duration,
}

/// How long a clock tick of `/proc` is (`USER_HZ`, the same on every machine).
const TICK: Duration = Duration::from_millis(10);

/// The present state of process `pid`, if there is one.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The CPU time of a child that has ended and was not waited for yet.
pub(crate) fn cpu_of_ended(pid: u32) -> Option<Duration> {
    stat(pid).filter(|stat| stat.is_zombie).map(|stat| stat.cpu)
}

/// The ids of all processes.
pub fn all() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The arguments with which process `pid` was started; empty when it is gone.
pub fn arguments(pid: u32) -> Vec<String> {
    parse_arguments(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default())
}

/// The short name of process `pid`.
pub fn name(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()
}

/// Identifies this boot of the machine.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Sends SIGKILL; one that has ended meanwhile is no failure.
pub fn kill(pids: &[u32]) {
    for pid in pids {
        if let Ok(pid) = i32::try_from(*pid)
            && pid > 1
        {
            let _ = signal::kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

/// Each argument ends with a zero byte.
fn parse_arguments(bytes: &[u8]) -> Vec<String> {
    let mut parts: Vec<String> =
        bytes.split(|byte| *byte == 0).map(|part| String::from_utf8_lossy(part).into_owned()).collect();
    parts.pop();
    parts
}

/// The name stands in parentheses and may itself hold spaces and parentheses, so fields are counted after the last one.
fn parse_stat(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let ticks: u32 = fields.get(11..15)?.iter().map(|field| field.parse().unwrap_or(0)).sum();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        start_ticks: fields.get(19)?.parse().ok()?,
        is_zombie: matches!(*fields.first()?, "Z" | "X"),
        cpu: TICK * ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: &str = "1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 10 18446744073709551615";

    #[test]
    fn a_name_may_hold_parentheses_and_spaces() {
        let stat = parse_stat(&format!("42 (a) b (c) S {REST}")).unwrap();
        let cpu = Duration::from_millis(260);
        assert_eq!(stat, Stat { parent: 1, start_ticks: 987_654, is_zombie: false, cpu });
        assert!(parse_stat(&format!("42 (etcd) Z {REST}")).unwrap().is_zombie);
    }

    #[test]
    fn arguments_may_be_empty_and_a_kernel_thread_has_none() {
        assert_eq!(parse_arguments(b"etcd\0--name\0\0"), ["etcd", "--name", ""]);
        assert!(parse_arguments(b"").is_empty());
    }

    #[test]
    fn half_a_line_is_no_process() {
        assert_eq!(parse_stat("42 (etcd"), None);
        assert_eq!(parse_stat("42 (etcd) S 1"), None);
    }
}
