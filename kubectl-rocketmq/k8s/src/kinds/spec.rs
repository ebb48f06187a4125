//! The operator's kinds as checked values. What they do not hold is decided: a field that has no effect is not here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, PersistentVolumeClaim, PodSecurityContext, ResourceRequirements,
    SecurityContext, Toleration, Volume,
};

use crate::objects::{Kind, Object};

/// A NameService: the name servers of a cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct NameService {
    /// Who it is.
    pub metadata: Metadata,
    /// How many name servers.
    pub size: u32,
    /// RocketMQ's image.
    pub image: String,
    /// Where their data lies.
    pub storage: Storage,
    /// How their pods are to be.
    pub pod: PodOptions,
}

/// A Broker: broker groups, all alike.
#[derive(Debug, Clone, PartialEq)]
pub struct Broker {
    /// Who it is.
    pub metadata: Metadata,
    /// How many groups.
    pub size: u32,
    /// How many slaves each master has.
    pub replica_per_group: u32,
    /// Where the groups register.
    pub name_servers: NameServersOf,
    /// How masters replicate; `None` leaves it to the user's broker-common.conf.
    pub replication: Option<Replication>,
    /// RocketMQ's image.
    pub image: String,
    /// Where their data lies.
    pub storage: Storage,
    /// How their pods are to be.
    pub pod: PodOptions,
    /// The pod that a scale-out takes metadata from.
    pub scale_pod_name: Option<String>,
    /// Volumes of the pods; the first one holds broker-common.conf.
    pub(crate) volumes: Vec<Volume>,
}

impl Broker {
    /// How many pods all groups have together.
    #[must_use]
    pub fn pods(&self) -> u32 {
        self.size.saturating_mul(self.replica_per_group.saturating_add(1))
    }

    /// How masters replicate: as the Broker says, else as the user's broker-common.conf says, else without waiting.
    #[must_use]
    pub fn replication_with(&self, user_config: Option<&str>) -> Replication {
        self.replication.or_else(|| Replication::in_config(user_config?)).unwrap_or(Replication::Async)
    }

    /// Where the user's broker-common.conf stands, if the first volume is a ConfigMap.
    #[must_use]
    pub fn user_config(&self) -> Option<UserConfig<'_>> {
        let config_map = self.volumes.first()?.config_map.as_ref()?;
        let key = match &config_map.items {
            None => USER_CONFIG_FILE,
            Some(items) => &items.iter().find(|item| item.path == USER_CONFIG_FILE)?.key,
        };
        Some(UserConfig { config_map: &config_map.name, key })
    }
}

/// The file with the user's settings for brokers, as the operator names it.
const USER_CONFIG_FILE: &str = "broker-common.conf";

/// Where a user's settings for brokers stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserConfig<'a> {
    /// The ConfigMap.
    pub config_map: &'a str,
    /// Its key.
    pub key: &'a str,
}

impl UserConfig<'_> {
    /// The settings in this ConfigMap; `None` if it is another one, or has no such key.
    #[must_use]
    pub fn text_in<'o>(&self, object: &'o Object) -> Option<&'o str> {
        let is_it = object.kind == Kind::ConfigMap && object.name == self.config_map;
        object.content.get("data").filter(|_| is_it)?.get(self.key)?.as_str()
    }
}

/// Name, namespace and what the user hung on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The object's name.
    pub name: String,
    /// Its namespace, where the document names one.
    pub namespace: Option<String>,
    /// Labels, which the objects made from it carry too.
    pub labels: BTreeMap<String, String>,
    /// Annotations, which the objects made from it carry too.
    pub annotations: BTreeMap<String, String>,
}

/// The name servers that a Broker's groups register at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameServersOf {
    /// Those of the one NameService of the namespace.
    TheNamespace,
    /// Those at these addresses, host and port each.
    Addresses(Vec<String>),
}

/// How a master replicates to its slaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Replication {
    /// Without waiting for them.
    #[serde(rename = "ASYNC")]
    Async,
    /// A message is stored when a slave has it.
    #[serde(rename = "SYNC")]
    Sync,
}

impl Replication {
    /// What the last `brokerRole` of a broker's configuration says of a master.
    fn in_config(text: &str) -> Option<Self> {
        let mut roles = text.lines().filter_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == "brokerRole").then(|| value.trim())
        });
        match roles.next_back()? {
            "ASYNC_MASTER" => Some(Self::Async),
            "SYNC_MASTER" => Some(Self::Sync),
            _ => None,
        }
    }
}

/// Where data lies.
#[derive(Debug, Clone, PartialEq)]
pub enum Storage {
    /// In the pod, and gone with it.
    EmptyDir,
    /// In a folder of the node.
    HostPath {
        /// The folder.
        path: String,
    },
    /// On a claim for each pod (modes StorageClass and NFS).
    Claim(Box<PersistentVolumeClaim>),
}

/// Fields that both kinds have, all about pods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PodOptions {
    /// The pods share the node's network.
    pub host_network: bool,
    pub(crate) dns_policy: Option<String>,
    pub(crate) image_pull_policy: Option<String>,
    pub(crate) image_pull_secrets: Vec<LocalObjectReference>,
    pub(crate) resources: Option<ResourceRequirements>,
    pub(crate) env: Vec<EnvVar>,
    pub(crate) security_context: Option<PodSecurityContext>,
    pub(crate) container_security_context: Option<SecurityContext>,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) affinity: Option<Affinity>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) node_selector: BTreeMap<String, String>,
    pub(crate) priority_class_name: Option<String>,
    pub(crate) service_account_name: Option<String>,
}
