//! `cargo lab test`: every check, then the e2e suite on a real Kubernetes and real RocketMQ.
//! What the machine needs (programs, cluster, images) is made in the background while the checks run.

use std::path::Path;
use std::time::Duration;

use crate::cluster::Kubectl;
use crate::command::Run;
use crate::error::{LabError, Result};
use crate::home::Home;
use crate::lock::LabLock;
use crate::together::together;
use crate::{binaries, check, cli, demo, images, progress};

/// The variable that asks for the e2e suite.
pub(crate) const E2E: &str = "ROCKETMQ_E2E";
/// The variable that names the cluster's kubeconfig.
pub(crate) const KUBECONFIG: &str = "ROCKETMQ_LAB_KUBECONFIG";
/// The versions of RocketMQ that the suite runs on: the two ways in which a live list of name servers changes.
pub(crate) const VERSIONS: [&str; 2] = ["4.5.0", "5.3.3"];
/// Those of the exhaustive tests: also the last 4.x that was published, and a 5.x that can keep its configuration in
/// RocksDB in two ways.
const MORE_VERSIONS: [&str; 4] = ["4.5.0", "4.9.7", "5.3.3", "5.4.0"];

/// Which e2e tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tests {
    /// Those of the README's promises that do not take too long for every run.
    Promises,
    /// The others: every event of an operation's journal, or every step; faults; more versions of RocketMQ.
    Exhaustive,
}

impl Tests {
    fn binary(self) -> &'static str {
        match self {
            Self::Promises => "it",
            Self::Exhaustive => "exhaustive",
        }
    }

    fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Promises => &VERSIONS,
            Self::Exhaustive => &MORE_VERSIONS,
        }
    }

    fn deadline(self) -> Duration {
        match self {
            Self::Promises => Duration::from_secs(3 * 60 * 60),
            Self::Exhaustive => Duration::from_secs(8 * 60 * 60),
        }
    }
}

/// Runs the checks and the e2e tests whose name holds `filter`, on the lab's cluster or that of `kubeconfig`.
///
/// # Errors
/// When a check or a test fails, or no e2e test ran, or one was left out.
pub fn test(home: &Home, kubeconfig: Option<&Path>, tests: Tests, filter: Option<&str>) -> Result<()> {
    check::formatting()?;
    // The lock is kept to the end: nobody shall take the cluster from under the tests.
    let prepare = || match kubeconfig {
        Some(kubeconfig) => cli::existing_cluster(home, kubeconfig).map(|()| None),
        None => cluster_with_images(home, tests.versions()).map(Some),
    };
    let (lock, ()) = together(prepare, check::code)?;
    if let Some(lock) = &lock {
        images::agent(home, lock)?;
        demo::delete_a_former_demo(&Kubectl::of_lab(home))?;
    }
    check::build_cli()?;
    end_to_end(home, kubeconfig, tests, filter)
}

/// A cluster with the RocketMQ images of these versions.
pub(crate) fn cluster_with_images(home: &Home, versions: &[&str]) -> Result<LabLock> {
    let lock = cli::up(home)?;
    versions.iter().try_for_each(|version| images::rocketmq(home, version, &lock))?;
    Ok(lock)
}

fn end_to_end(home: &Home, kubeconfig: Option<&Path>, tests: Tests, filter: Option<&str>) -> Result<()> {
    progress::note("cargo: end-to-end tests");
    let kubeconfig = kubeconfig.map_or_else(|| home.kubeconfig(), Path::to_path_buf);
    let mut lines = Vec::new();
    let ended = Run::new(check::cargo())
        // All at once: the suite itself decides which of its tests run side by side.
        .args(["test", "--package", "lab", "--test", tests.binary(), "--", "--test-threads=64"])
        .args(filter)
        .in_folder(crate::home::repository())
        .env(E2E, "1")
        .env(KUBECONFIG, kubeconfig)
        .env("PATH", binaries::path_variable(home, &[])?)
        .deadline(tests.deadline())
        .echoed(|line| lines.push(line.to_owned()));
    let counts = lines.iter().rev().find_map(|line| Counts::parse(line));
    ended?;
    match counts {
        None => Err(LabError::new("the end-to-end tests said no result")),
        Some(Counts { ran: 0, .. }) => {
            Err(LabError::new("no end-to-end test ran").hint("is the filter right?"))
        }
        Some(Counts { ignored, .. }) if ignored > 0 => {
            Err(LabError::new(format!("{ignored} end-to-end tests were left out, and none may be")))
        }
        Some(Counts { ran, .. }) => {
            progress::note(format!("{ran} end-to-end tests passed"));
            Ok(())
        }
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
}
