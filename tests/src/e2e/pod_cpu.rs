//! CPU time of pods on this machine, from their cgroups. A pod that goes takes its cgroup with it, so a thread looks all the
//! time and keeps what it saw last.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, PoisonError};
use std::time::Duration;

/// How often is looked: a pod that goes takes at most so much of its time with it unseen.
const PERIOD: Duration = Duration::from_secs(2);

/// A folder for each pod, `<namespace>_<name>_<uid>`: the kubelet's.
const POD_LOGS: &str = "/var/log/pods";

/// Where the kubelet makes pods' cgroups: version 1 with one of two names of its hierarchy, and version 2.
const CGROUPS: [&str; 3] =
    ["/sys/fs/cgroup/cpuacct/kubepods", "/sys/fs/cgroup/cpu,cpuacct/kubepods", "/sys/fs/cgroup/kubepods"];

/// Folders of the classes of pods there; guaranteed ones have none.
const CLASSES: [&str; 3] = ["burstable", "besteffort", ""];

/// CPU time by namespace and uid.
static SEEN: Mutex<BTreeMap<(String, String), Duration>> = Mutex::new(BTreeMap::new());
static LOOKS: Once = Once::new();

/// Begins to look, unless somebody has.
pub(super) fn begin() {
    LOOKS.call_once(|| {
        let Some(cgroups) = CGROUPS.map(PathBuf::from).into_iter().find(|path| path.is_dir()) else { return };
        std::thread::spawn(move || {
            loop {
                look(Path::new(POD_LOGS), &cgroups);
                std::thread::park_timeout(PERIOD);
            }
        });
    });
}

/// CPU time that the pods of the namespaces with this prefix have used; unknown where no pod of them was seen.
pub(super) fn of_namespaces(prefix: &str) -> Option<Duration> {
    let seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    let times = seen.iter().filter(|((namespace, _), _)| namespace.starts_with(prefix)).map(|(_, cpu)| *cpu);
    times.fold(None, |sum, cpu| Some(sum.unwrap_or_default() + cpu))
}

fn look(pods: &Path, cgroups: &Path) {
    for entry in std::fs::read_dir(pods).into_iter().flatten().flatten() {
        let folder = entry.file_name().to_string_lossy().into_owned();
        let mut parts = folder.split('_');
        if let (Some(namespace), Some(_), Some(uid)) = (parts.next(), parts.next(), parts.next())
            && let Some(cpu) = used(cgroups, uid)
        {
            let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert((namespace.to_owned(), uid.to_owned()), cpu);
        }
    }
}

/// What a pod has used, while its cgroup is there.
fn used(cgroups: &Path, uid: &str) -> Option<Duration> {
    CLASSES.into_iter().find_map(|class| {
        let pod = cgroups.join(class).join(format!("pod{uid}"));
        let version_1 = std::fs::read_to_string(pod.join("cpuacct.usage"));
        let version_2 = || std::fs::read_to_string(pod.join("cpu.stat"));
        match version_1 {
            Ok(nanoseconds) => nanoseconds.trim().parse().ok().map(Duration::from_nanos),
            Err(_) => microseconds(&version_2().ok()?),
        }
    })
}

fn microseconds(stat: &str) -> Option<Duration> {
    let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    usage.trim().parse().ok().map(Duration::from_micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_summed_over_a_tests_namespaces_also_when_a_pod_has_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (pods, cgroups) = (folder.path().join("pods"), folder.path().join("kubepods"));
        for (pod, class, file, text) in [
            ("e2e-cpu-7_a_1", "burstable", "cpuacct.usage", "1500000000\n"),
            ("e2e-cpu-7-typed_b_2", "besteffort", "cpu.stat", "usage_usec 500000\nuser_usec 1\n"),
            ("e2e-other-7_c_3", "", "cpuacct.usage", "9000000000\n"),
        ] {
            let uid = pod.rsplit('_').next().unwrap();
            std::fs::create_dir_all(pods.join(pod)).unwrap();
            let cgroup = cgroups.join(class).join(format!("pod{uid}"));
            std::fs::create_dir_all(&cgroup).unwrap();
            std::fs::write(cgroup.join(file), text).unwrap();
        }
        look(&pods, &cgroups);
        std::fs::remove_dir_all(cgroups.join("burstable")).unwrap();
        look(&pods, &cgroups);
        assert_eq!(of_namespaces("e2e-cpu-7"), Some(Duration::from_secs(2)));
        assert_eq!(of_namespaces("e2e-none-7"), None);
    }
}
