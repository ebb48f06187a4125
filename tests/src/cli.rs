//! The verbs of `cargo lab`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::cluster::Kubectl;
use crate::error::{LabError, Result};
use crate::home::Home;
use crate::lock::{self, LabLock};
use crate::together::together;
use crate::{bench, binaries, check, cluster, demo, images, packages, progress, suite, timings};

/// A real Kubernetes and real RocketMQ on one machine.
#[derive(Debug, Parser)]
#[command(name = "cargo lab", bin_name = "cargo lab", version, arg_required_else_help = true)]
struct Arguments {
    /// Use the cluster of this kubeconfig instead of one made on this machine.
    #[arg(long, global = true, value_name = "FILE", env = "ROCKETMQ_LAB_KUBECONFIG")]
    kubeconfig: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Start the cluster, or repair it; installs and builds what is missing.
    Up,
    /// Take the cluster down; programs and images stay in the cache.
    Down,
    /// Show what runs.
    Status,
    /// Build RocketMQ images from the published jars, and the agent's image from this tree.
    Images {
        /// Versions of RocketMQ, such as 5.3.3; without any, those of the tests.
        versions: Vec<String>,
    },
    /// Print the path of the kubeconfig.
    Kubeconfig,
    /// Create a RocketMQ cluster, look at it, scale its name servers; leaves it up and shows how to repeat it by hand.
    Demo,
    /// Formatting, unit tests, lints, documentation.
    Check,
    /// The checks, then the end-to-end tests on real Kubernetes and real RocketMQ.
    Test {
        /// Only the end-to-end tests whose name holds this.
        filter: Option<String>,
        /// Those needed only now and then as well: variations of what every run shows, and on programs as users have
        /// them.
        #[arg(long, conflicts_with = "exhaustive")]
        full: bool,
        /// In place of the end-to-end tests, what takes hours: the plugin killed at every step of an operation, faults
        /// of everything else, and more versions of RocketMQ. Each writes its section of docs/exhaustive.md.
        #[arg(long)]
        exhaustive: bool,
    },
    /// Measure on the lab's cluster what the tests do not: large brokers.
    Bench {
        #[command(subcommand)]
        measurement: Measurement,
    },
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// A broker's topics and subscription groups, brought to a new one; at full size, docs/bench.md gets the numbers.
    Metadata(bench::Size),
    /// The programs that users have, and what building the plugin costs them; docs/bench.md gets the numbers.
    Size,
}

/// Runs `cargo lab` with the arguments of this process.
pub fn run() -> ExitCode {
    progress::begin();
    match dispatch(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::error(error.report());
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: Arguments) -> Result<()> {
    let home = Home::from_environment()?;
    match (arguments.verb, arguments.kubeconfig) {
        (Verb::Check, _) => {
            check::formatting()?;
            check::code(check::Priority::Alone)
        }
        (Verb::Up, None) => up(&home, &[]).map(drop),
        (Verb::Down, None) => {
            packages::require_root()?;
            let _lock = lock::acquire()?;
            cluster::down(&home)?;
            progress::note("the lab is down");
            Ok(())
        }
        (Verb::Status, None) => cluster::status(&home),
        (Verb::Images { versions }, None) => {
            versions.iter().try_for_each(|version| images::require_version(version))?;
            let versions: Vec<&str> = versions.iter().map(String::as_str).collect();
            let versions = if versions.is_empty() { &suite::VERSIONS } else { versions.as_slice() };
            let prepare = || suite::cluster_with_images(&home, versions);
            let (lock, agent) = together(prepare, || images::compile_agent(images::Profile::Lab))?;
            images::publish_agent(&home, &agent, &lock)
        }
        (Verb::Kubeconfig, kubeconfig) => {
            progress::answer(kubeconfig.unwrap_or_else(|| home.kubeconfig()).display().to_string());
            Ok(())
        }
        (Verb::Demo, kubeconfig) => demo::demo(&home, kubeconfig.as_deref()),
        (Verb::Test { filter, full, exhaustive }, kubeconfig) => {
            let tests = match (full, exhaustive) {
                (_, true) => suite::Tests::Exhaustive,
                (true, false) => suite::Tests::Full,
                (false, false) => suite::Tests::Promises,
            };
            suite::test(&home, kubeconfig.as_deref(), tests, filter.as_deref())
        }
        (Verb::Bench { measurement: Measurement::Metadata(size) }, None) => bench::metadata(&home, &size),
        (Verb::Bench { measurement: Measurement::Size }, None) => bench::size(),
        (Verb::Bench { .. }, Some(_)) => {
            Err(LabError::new("a measurement looks at processes of pods, so their node must be this machine")
                .hint("without `--kubeconfig` it uses the lab's own cluster"))
        }
        (Verb::Up | Verb::Status, Some(kubeconfig)) => existing_cluster(&home, &kubeconfig),
        (Verb::Down, Some(_)) => {
            Err(LabError::new("this cluster was not made by the lab, so it is left as it is"))
        }
        (Verb::Images { .. }, Some(_)) => {
            Err(LabError::new("this cluster was not made by the lab, which cannot give it images")
                .hint("push apache/rocketmq and the agent's image where this cluster pulls from"))
        }
    }
}

/// Brings the lab up, from whatever this machine has, and prepares images of these versions of RocketMQ.
///
/// # Errors
/// When the user is not root, or something cannot be installed, built or started.
pub(crate) fn up(home: &Home, versions: &[&str]) -> Result<LabLock> {
    packages::require_root()?;
    let lock = lock::acquire()?;
    crate::home::make_folder(&home.logs())?;
    timings::step("Debian packages", || packages::ensure(home))?;
    let prepare =
        || versions.iter().try_for_each(|version| images::prepare_rocketmq(home, version).map(drop));
    together(prepare, || binaries::ensure(home))?;
    timings::step("cluster", || cluster::up(home, &lock))?;
    Ok(lock)
}

/// Checks that the cluster of `kubeconfig`, which the lab did not make, can be used.
///
/// # Errors
/// When it cannot be reached or has no ready node.
pub(crate) fn existing_cluster(home: &Home, kubeconfig: &Path) -> Result<()> {
    binaries::ensure_kubectl(home)?;
    Kubectl::of_cluster(home, kubeconfig.to_path_buf()).node_is_ready()?;
    progress::note(format!("the cluster of {} is ready", kubeconfig.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
        let words = ["lab", "bench", "metadata", "--topics", "100"];
        assert!(matches!(Arguments::parse_from(words).verb, Verb::Bench { .. }));
    }
}
