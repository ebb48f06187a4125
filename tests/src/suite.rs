//! `cargo lab test`: the e2e suite on a real Kubernetes and real RocketMQ, and every check beside it.
//!
//! What the suite needs is made first, all at once: tests and CLI, the agent, programs, cluster and images. The checks run
//! while clients wait for clusters, at a low priority. A check that fails ends the run.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::cluster::{Kubectl, storage};
use crate::command::Run;
use crate::error::{LabError, Result};
use crate::home::{self, Home};
use crate::lock::LabLock;
use crate::together::together;
use crate::wait::within;
use crate::{binaries, check, cli, demo, images, progress, sections, third_party, timings};

/// The variable that asks for the e2e suite.
pub(crate) const E2E: &str = "ROCKETMQ_E2E";
/// The variable that names the cluster's kubeconfig.
pub(crate) const KUBECONFIG: &str = "ROCKETMQ_LAB_KUBECONFIG";
/// The variable that names the folder of a CLI as users have it.
const RELEASE_CLI: &str = "ROCKETMQ_E2E_RELEASE_CLI";
/// The versions of RocketMQ that the suite runs on: the two ways in which a live list of name servers changes.
pub(crate) const VERSIONS: [&str; 2] = ["4.5.0", "5.3.3"];
/// Those of the exhaustive tests: also the last 4.x that was published, and a 5.x that can keep its configuration in
/// RocksDB in two ways.
const MORE_VERSIONS: [&str; 4] = ["4.5.0", "4.9.7", "5.3.3", "5.4.0"];

/// Where whole runs are told.
const PAGE: &str = "docs/ci.md";
const ABOUT: &str = "# Where a run's time goes

Written by `cargo lab test` and `cargo lab demo` when all of them has passed, on a machine of two cores. Steps and rows run side \
by side. A row waits for its place among the others. CPU is that of a step's programs, or of a row's commands and pods. \
From empty caches: nothing was built or fetched before but Debian packages.
";

/// Which e2e tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Those of the README's promises that do not take too long for every run.
    Promises,
    /// These, and variations of them; programs are built as users have them.
    Full,
    /// Others: every event of an operation's journal, or every step; faults; more versions of RocketMQ.
    Exhaustive,
}

impl Tests {
    fn binaries(self) -> &'static [&'static str] {
        match self {
            Self::Promises => &["it"],
            Self::Full => &["it", "full"],
            Self::Exhaustive => &["exhaustive"],
        }
    }

    fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Promises | Self::Full => &VERSIONS,
            Self::Exhaustive => &MORE_VERSIONS,
        }
    }

    fn agent(self) -> images::Profile {
        match self {
            Self::Promises => images::Profile::Lab,
            Self::Full | Self::Exhaustive => images::Profile::Release,
        }
    }

    /// How long the whole run may take.
    fn deadline(self) -> Duration {
        let minutes = match self {
            Self::Promises => 80,
            Self::Full => 3 * 60,
            Self::Exhaustive => 8 * 60,
        };
        Duration::from_secs(minutes * 60)
    }
}

/// Runs the e2e tests whose name holds `filter`, on the lab's cluster or that of `kubeconfig`, and the checks.
///
/// # Errors
/// When a check or a test fails, no e2e test ran, one was left out, or the run takes too long.
pub fn test(home: &Home, kubeconfig: Option<&Path>, tests: Tests, filter: Option<&str>) -> Result<()> {
    let (begin, start, is_first) = (Timestamp::now(), Instant::now(), !home.bin().exists());
    let folder = home::repository().join("target/e2e");
    home::make_folder(&folder)?;
    let rows = folder.join("rows.jsonl");
    home::write_file(&rows, "")?;
    let ended = within(
        tests.deadline(),
        || format!("under way: {}", timings::under_way(&rows).join(", ")),
        || run(home, kubeconfig, tests, filter, &rows),
    );
    progress::note(format!("where the time went:\n{}", timings::table(begin, &rows)));
    ended?;
    third_party::keep(home)?;
    match (tests, filter, kubeconfig) {
        (Tests::Promises, None, None) => told("cargo lab test", is_first, begin, start, &rows),
        _ => Ok(()),
    }
}

/// Writes a whole run's section of docs/ci.md.
pub(crate) fn told(
    command: &str,
    is_first: bool,
    begin: Timestamp,
    start: Instant,
    rows: &Path,
) -> Result<()> {
    let title = if is_first { format!("{command}, from empty caches") } else { command.to_owned() };
    let passed = sections::passed(&sections::commit(PAGE)?, begin, start.elapsed());
    sections::write(PAGE, ABOUT, &title, &format!("{passed}\n{}", timings::table(begin, rows)))
}

fn run(
    home: &Home,
    kubeconfig: Option<&Path>,
    tests: Tests,
    filter: Option<&str>,
    rows: &Path,
) -> Result<()> {
    check::formatting()?;
    third_party::restore(home)?;
    // The lock is kept to the end: nobody shall take the cluster from under the tests.
    let prepare = || match kubeconfig {
        Some(kubeconfig) => cli::existing_cluster(home, kubeconfig).map(|()| None),
        None => quiet_cluster_with_images(home, tests.versions()).map(Some),
    };
    let compile = || match kubeconfig {
        Some(_) => Ok(None),
        None => images::compile_agent(tests.agent()).map(Some),
    };
    let (lock, (agent, built)) = together(prepare, || together(compile, check::build_tests))?;
    if let (Some(lock), Some(agent)) = (&lock, &agent) {
        images::publish_agent(home, agent, lock)?;
    }
    let release_cli = match tests {
        Tests::Full => Some(check::build_release_cli()?),
        Tests::Promises | Tests::Exhaustive => None,
    };
    let suite = || {
        let mut ran = 0;
        for binary in tests.binaries() {
            let program = built.test(binary)?;
            ran += end_to_end(home, kubeconfig, program, filter, release_cli.as_deref(), rows)?;
        }
        if ran == 0 {
            return Err(LabError::new("no end-to-end test ran").hint("is the filter right?"));
        }
        progress::note(format!("{ran} end-to-end tests passed"));
        Ok(())
    };
    together(|| check::code(check::Priority::Beside), suite).map(drop)
}

/// A cluster with the RocketMQ images of these versions.
pub(crate) fn cluster_with_images(home: &Home, versions: &[&str]) -> Result<LabLock> {
    let lock = cli::up(home, versions)?;
    for version in versions {
        timings::step(&format!("image of RocketMQ {version}"), || images::rocketmq(home, version, &lock))?;
    }
    Ok(lock)
}

/// The same, on which nothing runs that an earlier run has left, be it cut off or a demo that stays up.
pub(crate) fn quiet_cluster_with_images(home: &Home, versions: &[&str]) -> Result<LabLock> {
    let lock = cluster_with_images(home, versions)?;
    timings::step("leftovers", || delete_leftovers(home))?;
    Ok(lock)
}

/// Deletes namespaces of earlier runs. A broker of 5.x with default settings takes a third of a core doing nothing
/// (`TimerMessageStore` writes its whole wheel each second).
fn delete_leftovers(home: &Home) -> Result<()> {
    let kubectl = Kubectl::of_lab(home);
    let all = kubectl.run(&["get", "namespaces", "-o", "name"])?;
    let left: Vec<&str> =
        all.lines().filter_map(|line| line.strip_prefix("namespace/")).filter(|name| is_ours(name)).collect();
    if left.is_empty() {
        return Ok(());
    }
    progress::note(format!("deleting what an earlier run left: {}", left.join(", ")));
    for namespace in &left {
        // It may be on its way already, and gone in this moment.
        kubectl.run(&["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"])?;
        kubectl.run(&["delete", "pods", "--all", "-n", namespace, "--grace-period=1", "--wait=false"])?;
    }
    left.iter().try_for_each(|namespace| kubectl.await_no_namespace(namespace))?;
    storage::ensure(home)
}

/// Whether a namespace is of a test, a measurement or the demo.
fn is_ours(namespace: &str) -> bool {
    namespace == demo::NAMESPACE || ["e2e-", "bench-"].iter().any(|prefix| namespace.starts_with(prefix))
}

/// Runs one program of e2e tests; returns how many tests ran.
fn end_to_end(
    home: &Home,
    kubeconfig: Option<&Path>,
    program: &Path,
    filter: Option<&str>,
    release_cli: Option<&Path>,
    rows: &Path,
) -> Result<u32> {
    progress::note("end-to-end tests");
    let kubeconfig = kubeconfig.map_or_else(|| home.kubeconfig(), Path::to_path_buf);
    let mut lines = Vec::new();
    let mut suite = Run::new(program)
        // All at once: the suite itself decides which of its tests run side by side.
        .args(["--include-ignored", "--test-threads=64"])
        .args(filter)
        .in_folder(home::repository().join("tests"))
        .env(E2E, "1")
        .env(KUBECONFIG, kubeconfig)
        .env(timings::ROWS, rows)
        .env("PATH", binaries::path_variable(home, &[])?)
        .deadline(Duration::MAX);
    if let Some(folder) = release_cli {
        suite = suite.env(RELEASE_CLI, folder);
    }
    let ended = timings::step("end-to-end tests", || suite.echoed(|line| lines.push(line.to_owned())));
    let counts = lines.iter().rev().find_map(|line| Counts::parse(line));
    ended?;
    match counts {
        None => Err(LabError::new("the end-to-end tests said no result")),
        Some(Counts { ignored, .. }) if ignored > 0 => {
            Err(LabError::new(format!("{ignored} end-to-end tests were left out, and none may be")))
        }
        Some(Counts { ran, .. }) => Ok(ran),
    }
}

/// What a `test result:` line counts.
#[derive(Debug, PartialEq, Eq)]
struct Counts {
    ran: u32,
    ignored: u32,
}

impl Counts {
    fn parse(line: &str) -> Option<Self> {
        let counts = line.strip_prefix("test result: ")?;
        let count = |what: &str| {
            counts
                .split(['.', ';'])
                .find_map(|part| part.trim().strip_suffix(what)?.trim().parse::<u32>().ok())
        };
        Some(Self { ran: count("passed")? + count("failed")?, ignored: count("ignored")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_line_is_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 512.10s";
        assert_eq!(Counts::parse(line), Some(Counts { ran: 12, ignored: 1 }));
        let line = "test result: FAILED. 0 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        assert_eq!(Counts::parse(line), Some(Counts { ran: 2, ignored: 0 }));
        assert_eq!(Counts::parse("running 12 tests"), None);
    }

    #[test]
    fn leftovers_are_namespaces_of_runs() {
        let ours = ["e2e-drain-17", "bench-metadata-4", "rocketmq-demo"];
        let others = ["default", "kube-system", "my-e2e-tests", "rocketmq-demo-2"];
        assert!(ours.iter().all(|name| is_ours(name)) && !others.iter().any(|name| is_ours(name)));
    }
}
