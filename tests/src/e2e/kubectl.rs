//! `kubectl` in one namespace of the lab's cluster.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::command::Run;
use crate::error::{Context, LabError, Result};
use crate::home::Home;

/// The variable that names the folder of the plugin as users have it.
const RELEASE_CLI: &str = "ROCKETMQ_E2E_RELEASE_CLI";

/// `kubectl` with the cluster and the namespace that a test works in.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    namespace: String,
    path: OsString,
}

impl Kubectl {
    /// The cluster of `ROCKETMQ_LAB_KUBECONFIG`, or the lab's own. The plugin that was built beside this test stands
    /// first on PATH, so that `kubectl rocketmq` is the one under test.
    ///
    /// # Errors
    /// When there is no kubeconfig, or the plugin was not built.
    pub fn of_the_lab(namespace: &str) -> Result<Self> {
        let home = Home::from_environment()?;
        let kubeconfig =
            std::env::var_os("ROCKETMQ_LAB_KUBECONFIG").map_or_else(|| home.kubeconfig(), PathBuf::from);
        if !kubeconfig.is_file() {
            return Err(LabError::new(format!("there is no kubeconfig at {}", kubeconfig.display()))
                .hint("run `cargo lab up`"));
        }
        let test = std::env::current_exe().context(|| "cannot find this test's own file")?;
        let built = test.parent().and_then(|folder| folder.parent()).unwrap_or(&test).to_path_buf();
        if !built.join("kubectl-rocketmq").is_file() {
            return Err(LabError::new(format!("`kubectl-rocketmq` was not built in {}", built.display()))
                .hint("run `cargo lab test`, which builds it first"));
        }
        Self::with_plugin(&home, kubeconfig, built, namespace)
    }

    /// The same cluster with the plugin as users have it, optimised and ending at a panic, where `ROCKETMQ_E2E_RELEASE_CLI`
    /// names the folder that holds it.
    ///
    /// # Errors
    /// When the folder holds none.
    pub fn as_users_have_it(&self) -> Result<Self> {
        let Some(folder) = std::env::var_os(RELEASE_CLI).map(PathBuf::from) else { return Ok(self.clone()) };
        if !folder.join("kubectl-rocketmq").is_file() {
            return Err(LabError::new(format!(
                "{RELEASE_CLI}: there is no `kubectl-rocketmq` in {}",
                folder.display()
            )));
        }
        Self::with_plugin(&Home::from_environment()?, self.kubeconfig.clone(), folder, &self.namespace)
    }

    /// The cluster of a kubeconfig, with the plugin that lies in the folder `plugin`.
    ///
    /// # Errors
    /// When a folder cannot be on PATH.
    pub fn with_plugin(home: &Home, kubeconfig: PathBuf, plugin: PathBuf, namespace: &str) -> Result<Self> {
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(plugin).chain(std::env::split_paths(&inherited)).chain([home.bin()]);
        let path = std::env::join_paths(folders).context(|| "PATH holds a folder that cannot be on it")?;
        Ok(Self { kubeconfig, namespace: namespace.to_owned(), path })
    }

    /// The same cluster by the way that another kubeconfig tells.
    #[must_use]
    pub fn through(&self, kubeconfig: PathBuf) -> Self {
        Self { kubeconfig, ..self.clone() }
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The namespace.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Environment variables that make a program talk to the same cluster with the same plugin.
    pub fn environment(&self) -> [(&'static str, OsString); 2] {
        [("KUBECONFIG", self.kubeconfig.clone().into_os_string()), ("PATH", self.path.clone())]
    }

    /// Runs `kubectl` and returns what it printed.
    ///
    /// # Errors
    /// When it fails, with its stderr.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.command(arguments).output()
    }

    /// Gets something as JSON.
    ///
    /// # Errors
    /// When it fails or prints no JSON.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.extend(["-o", "json"]);
        let text = self.run(&all)?;
        serde_json::from_str(&text).context(|| format!("`kubectl {}` printed no JSON", all.join(" ")))
    }

    /// Applies an object.
    ///
    /// # Errors
    /// When the API server refuses it.
    pub fn apply(&self, object: &Value) -> Result<()> {
        self.command(&["apply", "-f", "-"]).input(&object.to_string())?.output().map(drop)
    }

    /// Runs `script` by `sh` in a container.
    ///
    /// # Errors
    /// When it fails, with its stderr.
    pub fn sh(&self, pod: &str, container: &str, script: &str) -> Result<String> {
        self.run(&["exec", pod, "-c", container, "--", "sh", "-c", script])
    }

    /// The same in another namespace.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    fn command(&self, arguments: &[&str]) -> Run {
        // A broker's whole grace period and more.
        let mut run = Run::new(crate::command::find_on_path("kubectl").unwrap_or_else(|| self.bundled()))
            .args(["-n", &self.namespace])
            .args(arguments)
            .deadline(Duration::from_secs(300));
        for (name, value) in self.environment() {
            run = run.env(name, value);
        }
        run
    }

    /// The lab's own `kubectl`, on machines that have none.
    fn bundled(&self) -> PathBuf {
        std::env::split_paths(&self.path).last().unwrap_or_default().join("kubectl")
    }
}
