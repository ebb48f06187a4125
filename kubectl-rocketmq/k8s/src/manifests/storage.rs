//! Volumes: the data, the configuration between agent and RocketMQ, and what only the agent mounts.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMapVolumeSource, EmptyDirVolumeSource, HostPathVolumeSource, PersistentVolumeClaim,
    SecretVolumeSource, Volume, VolumeMount,
};

use super::contract::{self, Role};
use crate::kinds::Storage;
use crate::names;

impl Storage {
    /// The name of the data volume in the pod.
    fn volume_name(&self) -> &str {
        match self {
            Self::EmptyDir | Self::HostPath { .. } => names::VOLUME_DATA,
            Self::Claim(template) => template.metadata.name.as_deref().unwrap_or(names::VOLUME_DATA),
        }
    }

    /// True if the kubelet can give the volume to a group. It never does so with a folder of the node, which has to be
    /// prepared instead.
    pub(super) fn takes_fs_group(&self) -> bool {
        !matches!(self, Self::HostPath { .. })
    }

    /// The claim template of the StatefulSet, if data lies on claims.
    pub(super) fn claim_templates(
        &self,
        labels: &BTreeMap<String, String>,
    ) -> Option<Vec<PersistentVolumeClaim>> {
        let Self::Claim(template) = self else { return None };
        let mut template = (**template).clone();
        template.metadata.labels.get_or_insert_default().extend(labels.clone());
        Some(vec![template])
    }

    fn volume(&self) -> Option<Volume> {
        let data = Volume { name: self.volume_name().to_owned(), ..Volume::default() };
        match self {
            Self::EmptyDir => Some(Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..data }),
            // No type: the kubelet would refuse the pod without a word to the agent, which names the prepare script.
            Self::HostPath { path } => Some(Volume {
                host_path: Some(HostPathVolumeSource { path: path.clone(), type_: None }),
                ..data
            }),
            Self::Claim(_) => None,
        }
    }
}

/// The volumes of a pod. Record and key may be absent: a pod starts without them.
pub(super) fn volumes(storage: &Storage, cluster: &str, user: &[Volume]) -> Vec<Volume> {
    let config = Volume {
        name: names::VOLUME_CONFIG.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let record = Volume {
        name: names::VOLUME_RECORD.to_owned(),
        config_map: Some(ConfigMapVolumeSource {
            name: names::record(cluster),
            optional: Some(true),
            ..ConfigMapVolumeSource::default()
        }),
        ..Volume::default()
    };
    let key = Volume {
        name: names::VOLUME_AGENT_KEY.to_owned(),
        secret: Some(SecretVolumeSource {
            secret_name: Some(names::key_secret(cluster)),
            optional: Some(true),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    };
    storage.volume().into_iter().chain([config, record, key]).chain(user.iter().cloned()).collect()
}

/// What RocketMQ's container mounts. Its folders are made by the agent, so they are looked up only when its gate has
/// opened; the kubelet never makes them.
pub(super) fn rocketmq_mounts(storage: &Storage, role: Role, stateful_set: &str) -> Vec<VolumeMount> {
    let data = |path: &str, folder: fn(&str) -> String| {
        let mount = VolumeMount {
            name: storage.volume_name().to_owned(),
            mount_path: path.to_owned(),
            ..VolumeMount::default()
        };
        match role {
            Role::Broker => VolumeMount { sub_path: Some(folder(stateful_set)), ..mount },
            // Name servers of one StatefulSet may share a node and so a HostPath.
            Role::NameServer => VolumeMount {
                sub_path_expr: Some(folder(&format!("$({})", contract::env::POD_NAME))),
                ..mount
            },
        }
    };
    vec![
        mount(names::VOLUME_CONFIG, contract::CONFIG),
        data(contract::LOGS, names::logs_folder),
        data(contract::STORE, names::store_folder),
    ]
}

/// What the agent mounts; `user_config` is the volume with the user's broker-common.conf.
pub(super) fn agent_mounts(storage: &Storage, user_config: Option<&Volume>) -> Vec<VolumeMount> {
    let read_only = |name: &str, path: &str| VolumeMount { read_only: Some(true), ..mount(name, path) };
    let mut mounts = vec![
        mount(storage.volume_name(), contract::AGENT_VOLUME),
        mount(names::VOLUME_CONFIG, contract::AGENT_CONFIG),
        read_only(names::VOLUME_RECORD, contract::AGENT_RECORD),
        read_only(names::VOLUME_AGENT_KEY, contract::AGENT_KEY),
    ];
    mounts.extend(user_config.map(|volume| read_only(&volume.name, contract::AGENT_USER_CONFIG)));
    mounts
}

fn mount(name: &str, path: &str) -> VolumeMount {
    VolumeMount { name: name.to_owned(), mount_path: path.to_owned(), ..VolumeMount::default() }
}
