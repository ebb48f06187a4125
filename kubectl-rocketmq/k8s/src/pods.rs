//! Pods as the operations see them, read from what the API shows. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as core;
use serde::{Deserialize, Serialize};

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Which pod of that name it is.
    pub uid: String,
    /// Its address; with hostNetwork the node's.
    pub ip: Option<String>,
    /// Its node.
    pub node: Option<String>,
    /// True when all its containers are ready.
    pub ready: bool,
    /// True when it has been told to go.
    pub deleting: bool,
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    pub phase: String,
    /// Why the scheduler has found no node for it.
    pub unschedulable: Option<String>,
    /// Its containers: init containers first, in their order.
    pub containers: Vec<Container>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// When it was made, RFC 3339.
    pub created: Option<String>,
}

/// A container of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its image, as the pod asks for it.
    pub image: String,
    /// True for an init container; the agent is one that stays.
    pub init: bool,
    /// How often it was restarted.
    pub restart_count: u32,
    /// The runtime's id of the present or last run.
    pub container_id: Option<String>,
    /// True when its readiness probe says so.
    pub ready: bool,
    /// True when its startup probe says so, or it has none.
    pub started: bool,
    /// What it does.
    pub state: ContainerState,
    /// How its run before this one ended.
    pub last_exit: Option<Exit>,
}

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ContainerState {
    /// It has not been started.
    Waiting {
        /// One word, for example `ErrImagePull`; empty before the kubelet has looked at it.
        reason: String,
        /// In words.
        message: String,
    },
    /// It runs.
    Running,
    /// It has ended.
    Ended(Exit),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// The exit code; 128 and the signal's number after a signal.
    pub code: i32,
    /// One word, for example `OOMKilled`.
    pub reason: String,
    /// The last lines, if the container left any.
    pub message: String,
}

impl Pod {
    /// The container of a name.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.name == name)
    }

    /// The number at the end of a StatefulSet's pod name.
    #[must_use]
    pub fn ordinal(&self) -> Option<u32> {
        self.name.rsplit_once('-')?.1.parse().ok()
    }

    pub(crate) fn from_api(pod: core::Pod) -> Self {
        let spec = pod.spec.unwrap_or_default();
        let status = pod.status.unwrap_or_default();
        let conditions = status.conditions.unwrap_or_default();
        let condition = |kind: &str| conditions.iter().find(|condition| condition.type_ == kind);
        let init = spec.init_containers.unwrap_or_default();
        let statuses = [status.init_container_statuses, status.container_statuses];
        let statuses: Vec<core::ContainerStatus> = statuses.into_iter().flatten().flatten().collect();
        let containers = init.into_iter().map(|container| (container, true));
        let containers = containers.chain(spec.containers.into_iter().map(|container| (container, false)));
        Self {
            name: pod.metadata.name.unwrap_or_default(),
            namespace: pod.metadata.namespace.unwrap_or_default(),
            uid: pod.metadata.uid.unwrap_or_default(),
            ip: status.pod_ip.filter(|ip| !ip.is_empty()),
            node: spec.node_name,
            ready: condition("Ready").is_some_and(|condition| condition.status == "True"),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            phase: status.phase.unwrap_or_default(),
            unschedulable: condition("PodScheduled")
                .filter(|condition| condition.status == "False")
                .map(|condition| condition.message.clone().unwrap_or_default()),
            containers: containers
                .map(|(container, init)| Container::from_api(container, init, &statuses))
                .collect(),
            labels: pod.metadata.labels.unwrap_or_default(),
            created: pod.metadata.creation_timestamp.map(|time| time.0.to_string()),
        }
    }
}

impl Container {
    fn from_api(container: core::Container, init: bool, statuses: &[core::ContainerStatus]) -> Self {
        let status = statuses.iter().find(|status| status.name == container.name);
        let state = status.and_then(|status| status.state.clone()).unwrap_or_default();
        let ended = status.and_then(|status| status.last_state.clone()?.terminated);
        Self {
            image: container.image.unwrap_or_default(),
            init,
            restart_count: status.map_or(0, |status| u32::try_from(status.restart_count).unwrap_or(0)),
            container_id: status.and_then(|status| status.container_id.clone()).filter(|id| !id.is_empty()),
            ready: status.is_some_and(|status| status.ready),
            started: status.is_some_and(|status| status.started.unwrap_or(false)),
            state: ContainerState::from_api(state),
            last_exit: ended.map(Exit::from_api),
            name: container.name,
        }
    }
}

impl ContainerState {
    fn from_api(state: core::ContainerState) -> Self {
        if let Some(ended) = state.terminated {
            return Self::Ended(Exit::from_api(ended));
        }
        if state.running.is_some() {
            return Self::Running;
        }
        let waiting = state.waiting.unwrap_or_default();
        Self::Waiting {
            reason: waiting.reason.unwrap_or_default(),
            message: waiting.message.unwrap_or_default(),
        }
    }
}

impl Exit {
    fn from_api(ended: core::ContainerStateTerminated) -> Self {
        Self {
            code: ended.exit_code,
            reason: ended.reason.unwrap_or_default(),
            message: ended.message.unwrap_or_default().trim().to_owned(),
        }
    }
}
