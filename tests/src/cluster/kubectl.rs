//! The few questions that the lab itself asks Kubernetes, by kubectl.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::binaries;
use crate::command::Run;
use crate::error::{LabError, Result};
use crate::home::Home;
use crate::wait::{self, Look};

const DEADLINE: Duration = Duration::from_secs(30);

/// kubectl on one cluster.
#[derive(Clone, Debug)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// kubectl on the lab's own cluster.
    pub fn of_lab(home: &Home) -> Self {
        Self::of_cluster(home, home.kubeconfig())
    }

    /// kubectl on the cluster of `kubeconfig`.
    pub fn of_cluster(home: &Home, kubeconfig: PathBuf) -> Self {
        Self { program: binaries::kubectl(home), kubeconfig }
    }

    /// The file that says which cluster it is.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs kubectl with `arguments` and returns what it prints.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.command(arguments).output()
    }

    /// Creates or changes the objects of a YAML or JSON text.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn apply(&self, manifests: &str) -> Result<()> {
        self.command(&["apply", "--server-side", "--force-conflicts", "-f", "-"])
            .input(manifests)?
            .output()
            .map(drop)
    }

    /// Says why the API server does not yet take requests.
    ///
    /// # Errors
    /// While it does not.
    pub fn api_is_ready(&self) -> Result<()> {
        self.run(&["get", "--raw", "/readyz"]).map(drop)
    }

    /// Says why no node is ready.
    ///
    /// # Errors
    /// While none is.
    pub fn node_is_ready(&self) -> Result<()> {
        let path = "jsonpath={range .items[*]}{.status.conditions[?(@.type==\"Ready\")]['status','message']}{\"\\n\"}{end}";
        let nodes = self.run(&["get", "nodes", "-o", path])?;
        if nodes.lines().any(|line| line.starts_with("True")) {
            return Ok(());
        }
        let reason = nodes.lines().next().unwrap_or("no node yet").to_owned();
        Err(LabError::new(format!("no node is ready: {reason}")))
    }

    /// Whether there is a namespace of this name.
    ///
    /// # Errors
    /// When kubectl fails.
    pub fn has_namespace(&self, name: &str) -> Result<bool> {
        Ok(!self.run(&["get", "namespace", name, "--ignore-not-found", "-o", "name"])?.is_empty())
    }

    /// Waits until a namespace that is being deleted is gone.
    ///
    /// # Errors
    /// When it is not gone after five minutes.
    pub fn await_no_namespace(&self, name: &str) -> Result<()> {
        const GONE_WITHIN: Duration = Duration::from_secs(300);
        wait::until(&format!("the end of namespace {name}"), GONE_WITHIN, || match self.has_namespace(name) {
            Ok(false) => Look::Ready(()),
            Ok(true) => Look::NotYet("its pods are still being deleted".to_owned()),
            Err(error) => Look::NotYet(error.to_string()),
        })
    }

    fn command(&self, arguments: &[&str]) -> Run {
        Run::new(&self.program)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(["--request-timeout", "20s"])
            .args(arguments)
            .deadline(DEADLINE)
    }
}
