//! Every name and label of the objects that the plugin makes, and the folders on a data volume.
//!
//! Names are those that apache/rocketmq-operator gave, so that scripts and HostPath data are found again. No other
//! module spells a name or a label (invariant I6).

use std::collections::BTreeMap;

/// Label: what the object belongs to, in Kubernetes' recommended vocabulary.
pub const LABEL_NAME: &str = "app.kubernetes.io/name";
/// Label: the cluster, which is the name of its NameService.
pub const LABEL_INSTANCE: &str = "app.kubernetes.io/instance";
/// Label: who made the object.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label: the object's part in the cluster, one of the `COMPONENT_` values.
pub const LABEL_COMPONENT: &str = "app.kubernetes.io/component";
/// Label: the Broker object that a broker's objects were made from.
pub const LABEL_BROKER: &str = "rocketmq.apache.org/broker";
/// Label: the broker group, which is RocketMQ's brokerName.
pub const LABEL_GROUP: &str = "rocketmq.apache.org/group";
/// Label: the StatefulSet of a pod; no two StatefulSets share a selector.
pub const LABEL_STATEFUL_SET: &str = "rocketmq.apache.org/stateful-set";

/// Value of [`LABEL_NAME`].
pub const APPLICATION: &str = "rocketmq";
/// Value of [`LABEL_MANAGED_BY`].
pub const MANAGER: &str = "kubectl-rocketmq";
/// Value of [`LABEL_COMPONENT`] for name servers.
pub const COMPONENT_NAME_SERVER: &str = "name-server";
/// Value of [`LABEL_COMPONENT`] for brokers.
pub const COMPONENT_BROKER: &str = "broker";
/// Value of [`LABEL_COMPONENT`] for ConfigMaps that users apply beside their kinds.
pub const COMPONENT_CONFIG: &str = "config";
/// Value of [`LABEL_COMPONENT`] for the cluster's record.
pub const COMPONENT_RECORD: &str = "record";
/// Value of [`LABEL_COMPONENT`] for the key between plugin and agents.
pub const COMPONENT_AGENT_KEY: &str = "agent-key";
/// Value of [`LABEL_COMPONENT`] for journals of operations.
pub const COMPONENT_JOURNAL: &str = "journal";
/// Value of [`LABEL_COMPONENT`] for the cluster's Lease.
pub const COMPONENT_LEASE: &str = "lease";

/// Container of the agent, an init container that stays.
pub const CONTAINER_AGENT: &str = "rocketmq-agent";
/// Container of a name server.
pub const CONTAINER_NAME_SERVER: &str = "name-server";
/// Container of a broker.
pub const CONTAINER_BROKER: &str = "broker";

/// Volume with a name server's or broker's data, where no claim template names it.
pub const VOLUME_DATA: &str = "rocketmq-data";
/// Volume with the configuration that the agent writes.
pub const VOLUME_CONFIG: &str = "rocketmq-config";
/// Volume with the cluster's record.
pub const VOLUME_RECORD: &str = "rocketmq-record";
/// Volume with the key between plugin and agent.
pub const VOLUME_AGENT_KEY: &str = "rocketmq-agent-key";

/// True if a volume of this name is one of ours, so that a user's cannot have it.
#[must_use]
pub fn is_own_volume(name: &str) -> bool {
    [VOLUME_DATA, VOLUME_CONFIG, VOLUME_RECORD, VOLUME_AGENT_KEY].contains(&name)
}

/// Key of the record that holds the desired list of name servers; also its file name in the agents.
pub const RECORD_NAME_SERVERS_KEY: &str = "name-servers";
/// Key of the Secret that holds the key; also its file name in the agents.
pub const SECRET_KEY: &str = "key";

/// Port of a name server.
pub const NAME_SERVER_PORT: u16 = 9876;
/// Port of a broker.
pub const BROKER_PORT: u16 = 10911;
/// Port of a broker for requests that shall not queue behind others.
pub const BROKER_FAST_PORT: u16 = 10909;
/// Port of a broker for its slaves.
pub const BROKER_HA_PORT: u16 = 10912;

/// A broker's place in its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BrokerMember {
    /// The master, broker id 0.
    Master,
    /// A slave; the number is its broker id, from 1 on.
    Replica(u32),
}

impl BrokerMember {
    /// The members of a group, master first.
    pub fn of_group(replica_per_group: u32) -> impl Iterator<Item = Self> {
        std::iter::once(Self::Master).chain((1..=replica_per_group).map(Self::Replica))
    }

    /// RocketMQ's brokerId.
    #[must_use]
    pub fn broker_id(self) -> u32 {
        match self {
            Self::Master => 0,
            Self::Replica(number) => number,
        }
    }
}

/// The StatefulSet of a cluster's name servers; also its headless Service and its PodDisruptionBudget.
#[must_use]
pub fn name_servers(name_service: &str) -> String {
    name_service.to_owned()
}

/// RocketMQ's brokerName of a group; also the group's PodDisruptionBudget.
#[must_use]
pub fn broker_group(broker: &str, group: u32) -> String {
    format!("{broker}-{group}")
}

/// The StatefulSet of one broker.
#[must_use]
pub fn broker_stateful_set(broker: &str, group: u32, member: BrokerMember) -> String {
    let group = broker_group(broker, group);
    match member {
        BrokerMember::Master => format!("{group}-master"),
        BrokerMember::Replica(number) => format!("{group}-replica-{number}"),
    }
}

/// The pod of a StatefulSet.
#[must_use]
pub fn pod(stateful_set: &str, ordinal: u32) -> String {
    format!("{stateful_set}-{ordinal}")
}

/// The claim that a StatefulSet makes for a pod from a template.
#[must_use]
pub fn claim(template: &str, pod: &str) -> String {
    format!("{template}-{pod}")
}

/// The stable host name of a name server.
#[must_use]
pub fn name_server_host(name_service: &str, ordinal: u32, namespace: &str) -> String {
    format!("{}.{}.{namespace}.svc", pod(&name_servers(name_service), ordinal), name_servers(name_service))
}

/// The stable address of a name server, as brokers and clients list it.
#[must_use]
pub fn name_server_address(name_service: &str, ordinal: u32, namespace: &str) -> String {
    format!("{}:{NAME_SERVER_PORT}", name_server_host(name_service, ordinal, namespace))
}

/// The record ConfigMap of a cluster.
#[must_use]
pub fn record(cluster: &str) -> String {
    format!("rocketmq-{cluster}")
}

/// The Secret with the key between the plugin and a cluster's agents.
#[must_use]
pub fn key_secret(cluster: &str) -> String {
    format!("rocketmq-{cluster}-agent-key")
}

/// The Lease of a cluster.
#[must_use]
pub fn lease(cluster: &str) -> String {
    format!("rocketmq-{cluster}")
}

/// The ConfigMap with an operation's journal.
#[must_use]
pub fn journal(operation: &str) -> String {
    operation.to_owned()
}

/// A further ConfigMap of a journal that outgrew the first, from 1 on.
#[must_use]
pub fn journal_part(operation: &str, number: u32) -> String {
    format!("{operation}-{number}")
}

/// Labels of every object of a cluster.
#[must_use]
pub fn labels(cluster: &str, component: &str) -> BTreeMap<String, String> {
    of(&[
        (LABEL_NAME, APPLICATION),
        (LABEL_INSTANCE, cluster),
        (LABEL_MANAGED_BY, MANAGER),
        (LABEL_COMPONENT, component),
    ])
}

/// Labels of a cluster's name servers and of the objects around them.
#[must_use]
pub fn name_server_labels(cluster: &str) -> BTreeMap<String, String> {
    labels(cluster, COMPONENT_NAME_SERVER)
}

/// Labels of a broker group's objects.
#[must_use]
pub fn broker_group_labels(cluster: &str, broker: &str, group: u32) -> BTreeMap<String, String> {
    let mut labels = labels(cluster, COMPONENT_BROKER);
    labels.append(&mut of(&[(LABEL_BROKER, broker), (LABEL_GROUP, &broker_group(broker, group))]));
    labels
}

/// What selects the pods of one StatefulSet and of no other; it can never be changed.
#[must_use]
pub fn stateful_set_selector(stateful_set: &str) -> BTreeMap<String, String> {
    of(&[(LABEL_NAME, APPLICATION), (LABEL_STATEFUL_SET, stateful_set)])
}

/// What selects the pods of one broker group.
#[must_use]
pub fn broker_group_selector(broker: &str, group: u32) -> BTreeMap<String, String> {
    of(&[(LABEL_NAME, APPLICATION), (LABEL_GROUP, &broker_group(broker, group))])
}

/// A label selector, as the API's `labelSelector` parameter takes it, for all objects of a cluster.
#[must_use]
pub fn cluster_selector(cluster: &str) -> String {
    format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_INSTANCE}={cluster}")
}

/// A label selector, as the API's `labelSelector` parameter takes it, for the records of all clusters.
#[must_use]
pub fn record_selector() -> String {
    format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_COMPONENT}={COMPONENT_RECORD}")
}

/// A label selector for the objects of one component, of one cluster or of all.
#[must_use]
pub fn component_selector(component: &str, cluster: Option<&str>) -> String {
    let all = format!("{LABEL_MANAGED_BY}={MANAGER},{LABEL_COMPONENT}={component}");
    cluster.map_or_else(|| all.clone(), |cluster| format!("{all},{LABEL_INSTANCE}={cluster}"))
}

fn of(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// The folder, below a data volume, of a broker's logs (`owner` is its StatefulSet) or of a name server's (its pod).
#[must_use]
pub fn logs_folder(owner: &str) -> String {
    format!("logs/{owner}")
}

/// The folder, below a data volume, of a broker's store (`owner` is its StatefulSet) or of a name server's (its pod).
#[must_use]
pub fn store_folder(owner: &str) -> String {
    format!("store/{owner}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_operator() {
        assert_eq!(name_servers("name-service"), "name-service");
        let members: Vec<_> =
            BrokerMember::of_group(2).map(|member| broker_stateful_set("broker", 1, member)).collect();
        assert_eq!(members, ["broker-1-master", "broker-1-replica-1", "broker-1-replica-2"]);
        assert_eq!(pod("broker-0-master", 0), "broker-0-master-0");
        assert_eq!(claim("broker-storage", "broker-0-master-0"), "broker-storage-broker-0-master-0");
        assert_eq!(name_server_address("demo", 2, "mq"), "demo-2.demo.mq.svc:9876");
    }

    #[test]
    fn no_two_stateful_sets_of_a_group_share_a_selector() {
        let selectors: std::collections::BTreeSet<_> = BrokerMember::of_group(3)
            .map(|member| stateful_set_selector(&broker_stateful_set("broker", 0, member)))
            .collect();
        assert_eq!(selectors.len(), 4);
    }
}
