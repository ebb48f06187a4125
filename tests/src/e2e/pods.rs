//! What Kubernetes says of pods: addresses, and which run of which container it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::error::{LabError, Result};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its address; empty before it has one.
    pub ip: String,
    /// Ready, and not being deleted.
    pub ready: bool,
    /// Each container by name.
    pub containers: BTreeMap<String, ContainerRun>,
}

/// One run of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerRun {
    /// The runtime's id; another one after a restart.
    pub id: String,
    /// How often Kubernetes restarted it.
    pub restarts: u64,
    /// The exit code of the run before, if there was one.
    pub last_exit_code: Option<i64>,
}

impl Pod {
    pub(super) fn from_json(pod: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let containers = statuses
            .into_iter()
            .flat_map(|list| pod["status"][list].as_array().into_iter().flatten())
            .map(|status| {
                let run = ContainerRun {
                    id: text(&status["containerID"]),
                    restarts: status["restartCount"].as_u64().unwrap_or_default(),
                    last_exit_code: status["lastState"]["terminated"]["exitCode"].as_i64(),
                };
                (text(&status["name"]), run)
            })
            .collect();
        let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
        let ready = conditions.clone().any(|c| c["type"] == "Ready" && c["status"] == "True");
        Self {
            name: text(&pod["metadata"]["name"]),
            uid: text(&pod["metadata"]["uid"]),
            ip: text(&pod["status"]["podIP"]),
            ready: ready && pod["metadata"]["deletionTimestamp"].is_null(),
            containers,
        }
    }

    /// One container's run.
    ///
    /// # Errors
    /// When the pod has no such container.
    pub fn container(&self, name: &str) -> Result<&ContainerRun> {
        self.containers
            .get(name)
            .ok_or_else(|| LabError::new(format!("pod `{}` has no container `{name}`", self.name)))
    }
}

/// The pods with this label, by name.
///
/// # Errors
/// When they cannot be listed.
pub fn pods(kubectl: &Kubectl, label: &str) -> Result<Vec<Pod>> {
    let list = kubectl.json(&["get", "pods", "-l", label])?;
    Ok(list["items"].as_array().into_iter().flatten().map(Pod::from_json).collect())
}

/// One pod.
///
/// # Errors
/// When it does not exist.
pub fn pod(kubectl: &Kubectl, name: &str) -> Result<Pod> {
    Ok(Pod::from_json(&kubectl.json(&["get", "pod", name])?))
}

/// The runs of one container of each of these pods.
///
/// # Errors
/// When a pod has no such container.
pub fn runs(pods: &[Pod], container: &str) -> Result<BTreeMap<String, ContainerRun>> {
    pods.iter().map(|pod| Ok((pod.name.clone(), pod.container(container)?.clone()))).collect()
}
