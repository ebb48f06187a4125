//! Who holds a Lease, in one string: words for people, unique for one process; and where Linux tells it, which process
//! of which machine that is, so that another one of the same machine sees that the holder is dead and need not wait.

use std::fmt;
use std::fs;
use std::path::Path;

/// Begins the part that people are not told.
const PROCESS: &str = ";boot=";

/// One process, told apart from every other: pids are used again, each pid namespace counts its own, and a container has
/// the boot id of its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    boot_id: String,
    /// The inode of the pid namespace.
    pid_namespace: u64,
    pid: u32,
    /// In ticks of the clock since the boot.
    started: u64,
}

/// What is seen of a pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// No process has it, or one that has ended and was not waited for.
    Gone,
    /// A process has it that was started then.
    Running { started: u64 },
    /// It cannot be told.
    Unknown,
}

/// Who this process is as the holder of a Lease. Each call gives another one.
pub(crate) fn ours() -> String {
    let user = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let host =
        fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    let host = host.unwrap_or_else(|| "unknown".to_owned());
    let place = user.map_or_else(String::new, |user| format!("{user}@")) + host.trim();
    let process = Process::ours().map(|process| process.to_string()).unwrap_or_default();
    format!("{place}/{}-{:08x}{process}", std::process::id(), rand::random::<u32>())
}

/// A holder as people are told of it: `user@host/pid`. One that another program wrote is told as it is.
pub(crate) fn words(holder: &str) -> &str {
    let words = holder.split_once(PROCESS).map_or(holder, |(words, _)| words);
    let is_ours = |place: &str, random: &str| {
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        place.rsplit_once('/').is_some_and(|(_, pid)| is_number(pid))
            && random.len() == 8
            && random.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    match words.rsplit_once('-') {
        Some((place, random)) if is_ours(place, random) => place,
        _ => words,
    }
}

/// True if the holder was a process of this machine and this pid namespace that is no more. Never of one that nothing
/// is known of.
pub(crate) fn is_dead(holder: &str) -> bool {
    match (Process::parse(holder), Process::ours()) {
        (Some(theirs), Some(ours)) => theirs.is_dead(&ours, seen),
        _ => false,
    }
}

impl Process {
    /// This process; `None` where the system does not tell.
    fn ours() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // Below a /proc of another pid namespace this process has another pid than it knows of.
        let (shown, _) = stat.split_once(' ')?;
        (shown.parse() == Ok(std::process::id())).then(|| Self::of(std::process::id()))?
    }

    /// The process of this pid.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let Seen::Running { started } = seen(pid) else { return None };
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
        let pid_namespace = inode(namespace.to_str()?)?;
        Some(Self { boot_id, pid_namespace, pid, started })
    }

    /// The process in a holder; `None` if it has none.
    fn parse(holder: &str) -> Option<Self> {
        let (_, process) = holder.split_once(PROCESS)?;
        let mut parts = process.split(';');
        let boot_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let mut number = |name: &str| parts.next()?.strip_prefix(name)?.parse::<u64>().ok();
        let pid_namespace = number("pidns=")?;
        let pid = u32::try_from(number("pid=")?).ok()?;
        let started = number("start=")?;
        parts.next().is_none().then_some(Self { boot_id, pid_namespace, pid, started })
    }

    /// True if this process, seen from `here`, is no more.
    fn is_dead(&self, here: &Self, seen: impl FnOnce(u32) -> Seen) -> bool {
        if (&self.boot_id, self.pid_namespace) != (&here.boot_id, here.pid_namespace) {
            return false;
        }
        match seen(self.pid) {
            Seen::Gone => true,
            Seen::Running { started } => started != self.started,
            Seen::Unknown => false,
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot_id, pid_namespace, pid, started } = self;
        write!(f, "{PROCESS}{boot_id};pidns={pid_namespace};pid={pid};start={started}")
    }
}

/// What Linux shows of a pid.
fn seen(pid: u32) -> Seen {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => state(&stat),
        Err(_) if Path::new(&format!("/proc/{pid}")).exists() => Seen::Unknown,
        Err(_) => {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            if shows_all_processes(&mounts) { Seen::Gone } else { Seen::Unknown }
        }
    }
}

/// What `/proc/<pid>/stat` says: `pid (name) state`, and the start as the 22nd field. The name may have anything in it.
fn state(stat: &str) -> Seen {
    let Some((_, rest)) = stat.rsplit_once(')') else { return Seen::Unknown };
    let mut fields = rest.split_ascii_whitespace();
    match (fields.next(), fields.nth(18).map(str::parse)) {
        (Some("Z" | "X" | "x"), _) => Seen::Gone,
        (Some(_), Some(Ok(started))) => Seen::Running { started },
        _ => Seen::Unknown,
    }
}

/// True if /proc does not hide processes of other users (`hidepid`, proc(5)): a process that is not there is gone then.
fn shows_all_processes(mountinfo: &str) -> bool {
    let proc = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc"));
    let Some((_, source)) = proc.and_then(|line| line.split_once(" - ")) else { return false };
    let mut fields = source.split(' ');
    let (kind, options) = (fields.next(), fields.nth(1).unwrap_or_default());
    let hides =
        |option: &str| option.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off"));
    kind == Some("proc") && !options.split(',').any(hides)
}

/// The inode in `pid:[4026531836]`.
fn inode(namespace: &str) -> Option<u64> {
    namespace.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> Process {
        Process { boot_id: "b-1".to_owned(), pid_namespace: 4_026_531_836, pid: 4711, started: 760 }
    }

    #[test]
    fn a_process_is_found_again_in_its_holder_and_nothing_else_is() {
        let check = |holder: &str, expected: Option<Process>| {
            assert_eq!(Process::parse(holder), expected, "{holder}");
        };
        check(&format!("jane@laptop/4711-1a2b3c4d{}", process()), Some(process()));
        check("jane@laptop/4711-1a2b3c4d;boot=b-1;pidns=4026531836;pid=4711;start=760", Some(process()));
        for other in [
            "",
            "one",
            "jane@laptop/4711-1a2b3c4d",
            "x;boot=",
            "x;boot=;pidns=1;pid=2;start=3",
            "x;boot=b;pidns=1;pid=2",
            "x;boot=b;pidns=1;pid=2;start=",
            "x;boot=b;pidns=1;pid=2;start=3;more=4",
            "x;boot=b;pid=2;pidns=1;start=3",
            "x;boot=b;pidns=1;pid=99999999999;start=3",
        ] {
            check(other, None);
        }
    }

    #[test]
    fn people_are_told_user_host_and_pid() {
        let check = |holder: &str, expected: &str| assert_eq!(words(holder), expected);
        check(&format!("jane@my-laptop/4711-1a2b3c4d{}", process()), "jane@my-laptop/4711");
        check("jane@my-laptop/4711-1a2b3c4d", "jane@my-laptop/4711");
        check("laptop/4711-1a2b3c4d;boot=b;pidns=1;pid=2;start=3", "laptop/4711");
        for other in
            ["one", "", "operator-deadbeef", "pod/web-deadbeef", "jane@laptop/4711-1a2b", "a/1-1a2b3c4g"]
        {
            check(other, other);
        }
    }

    #[test]
    fn only_a_process_of_the_same_boot_and_namespace_is_known_to_be_dead() {
        let check = |theirs: Process, seen: Seen, dead: bool| {
            assert_eq!(theirs.is_dead(&process(), |_| seen), dead, "{theirs} {seen:?}");
        };
        let running = |started| Seen::Running { started };
        check(process(), running(760), false);
        check(process(), running(761), true);
        check(process(), Seen::Gone, true);
        check(process(), Seen::Unknown, false);
        for other in [
            Process { boot_id: "b-2".to_owned(), ..process() },
            Process { pid_namespace: 4_026_532_199, ..process() },
        ] {
            for seen in [running(760), running(761), Seen::Gone, Seen::Unknown] {
                check(other.clone(), seen, false);
            }
        }
    }

    #[test]
    fn what_linux_shows_of_a_process_is_read() {
        let stat = |name: &str, state: &str| {
            format!(
                "4711 ({name}) {state} 1 4711 4711 0 -1 4194304 99 0 0 0 0 0 0 0 20 0 1 0 760 3133440 356\n"
            )
        };
        for name in ["kubectl-rocketm", "a b", "a) Z 1 (b", ""] {
            for alive in ["R", "S", "D", "T", "t", "I"] {
                assert_eq!(state(&stat(name, alive)), Seen::Running { started: 760 }, "{name} {alive}");
            }
            for dead in ["Z", "X", "x"] {
                assert_eq!(state(&stat(name, dead)), Seen::Gone, "{name} {dead}");
            }
        }
        for odd in ["", "4711 (a) R 1", "4711 R", "4711 (a) R 1 1 1 0 -1 1 1 1 1 1 1 1 1 1 20 0 1 0 x"] {
            assert_eq!(state(odd), Seen::Unknown, "{odd}");
        }
        assert_eq!(inode("pid:[4026531836]"), Some(4_026_531_836));
        assert_eq!([inode("net:[4026531836]"), inode("pid:[]"), inode("")], [None; 3]);
    }

    #[test]
    fn a_proc_that_hides_processes_or_is_not_known_proves_nobody_dead() {
        let mount = |options: &str| {
            format!(
                "22 27 0:20 / /sys rw - sysfs sys rw\n22 27 0:21 / /proc rw,relatime shared:5 - proc proc {options}\n\
                 23 22 0:21 /sys /proc/sys ro - proc proc rw\n"
            )
        };
        let check =
            |mountinfo: &str, shows: bool| assert_eq!(shows_all_processes(mountinfo), shows, "{mountinfo}");
        check(&mount("rw"), true);
        check(&mount("rw,hidepid=0"), true);
        check(&mount("rw,hidepid=off"), true);
        for hides in ["hidepid=1", "hidepid=2", "hidepid=4", "hidepid=invisible", "gid=4,hidepid=ptraceable"]
        {
            check(&mount(&format!("rw,{hides}")), false);
        }
        check("", false);
        check("22 27 0:21 / /proc rw,relatime - fuse lxcfs rw\n", false);
        // What is mounted last is what is seen.
        check(&format!("{}24 22 0:22 / /proc rw - proc proc rw,hidepid=2\n", mount("rw")), false);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_its_own_holder_and_lives() {
        let ours = ours();
        assert_eq!(Process::parse(&ours), Process::of(std::process::id()));
        assert!(Process::parse(&ours).is_some(), "{ours}");
        assert!(!is_dead(&ours));
    }
}
