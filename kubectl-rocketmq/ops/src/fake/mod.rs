//! A world in memory: objects, records, keys, and what agents would say of the brokers and name servers that the
//! objects make. It is compared by [`FakeWorld::snapshot`], which leaves out what two runs may differ in:
//! resourceVersions and generations.

mod applied;
mod brokers;
mod consumers;
mod counted;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use agents::types::{KvEntry, NameServerEntry, NameServerList, RegisteredBroker, TopicRow};
use k8s::names;
use k8s::objects::{Kind, Object};
use k8s::pods::Pod;
use k8s::record::Record;
use rocketmq::metadata::Metadata;
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;

use crate::steps::objects::ObjectName;

pub(crate) use applied::{applied, apply_params, known};
pub(crate) use brokers::{Broker, topic};
pub(crate) use consumers::Consumer;
pub(crate) use counted::holds_whatever_happens;

/// The namespace of the fake.
pub(crate) const NAMESPACE: &str = "mq";

/// One name server and two broker groups without slaves.
pub(crate) const DEMO: &str = "\
apiVersion: rocketmq.apache.org/v1alpha1
kind: NameService
metadata:
  name: demo
spec:
  size: 1
  nameServiceImage: rocketmq:5.3.3
  storageMode: EmptyDir
---
apiVersion: rocketmq.apache.org/v1alpha1
kind: Broker
metadata:
  name: broker
spec:
  size: 2
  nameServers: \"\"
  replicationMode: ASYNC
  replicaPerGroup: 1
  brokerImage: rocketmq:5.3.3
  storageMode: HostPath
  hostPath: /data/rocketmq/broker
";

#[derive(Debug)]
pub(crate) struct FakeWorld {
    state: Mutex<State>,
}

/// What tests set up and what changes.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) objects: BTreeMap<ObjectName, Object>,
    pub(crate) records: BTreeMap<String, Record>,
    pub(crate) keys: BTreeSet<String>,
    /// KV configuration by name-server pod.
    pub(crate) kv: BTreeMap<String, Vec<KvEntry>>,
    /// Remote addresses by name-server pod.
    pub(crate) connections: BTreeMap<String, Vec<String>>,
    /// Lists that agents were given, with their pod or by `Control`, by pod.
    pub(crate) given: BTreeMap<String, NameServerList>,
    /// Who consumes of every master that can be read.
    pub(crate) consumers: Vec<Consumer>,
    /// Brokers that are not as [`Broker::usual`], by pod. One that waits for metadata is [`Broker::empty`] before.
    pub(crate) brokers: BTreeMap<String, Broker>,
    /// Folders with the data of an earlier broker, by the pod that would start on them.
    pub(crate) stores: BTreeMap<String, String>,
    /// Pods that do not come up, and why.
    pub(crate) troubles: BTreeMap<String, String>,
    /// Pods whose agents do not answer, and why.
    pub(crate) silent: BTreeMap<String, String>,
    /// Pods whose agents are not proved, and why.
    pub(crate) unproved: BTreeMap<String, String>,
    /// Name servers, by pod, that have lost a broker's rows, by pod.
    pub(crate) forgotten: BTreeSet<(String, String)>,
    /// Brokers, by pod, that are held at a name server by a bridge.
    pub(crate) bridged: BTreeSet<(String, String)>,
    /// Whether brokers that go are listed until they are unregistered.
    pub(crate) lingers: bool,
    /// Those that have gone since.
    pub(crate) lingering: Vec<RegisteredBroker>,
    /// Those of them that a name server, by pod, does not list any more.
    pub(crate) unlisted: Vec<(String, RegisteredBroker)>,
    /// The highest fence that an agent has seen, by pod.
    fences: BTreeMap<String, u64>,
    /// How often a pod has gone, by its name. One that comes back is another one.
    gone: BTreeMap<String, u64>,
    /// RocketMQ's version.
    pub(crate) version: Version,
    /// How often brokers read their list of name servers again; 0 = their agents do not tell.
    pub(crate) list_period_millis: u64,
    pub(crate) nodes: usize,
    pub(crate) namespace_exists: bool,
    pub(crate) kubernetes: Result<String, String>,
    /// Name servers of others that answer.
    pub(crate) answering: BTreeSet<String>,
    writes: u64,
    /// Time that has passed.
    now: Duration,
}

/// What two runs of one operation must agree in.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    objects: BTreeMap<String, Object>,
    records: BTreeMap<String, Record>,
    keys: BTreeSet<String>,
    kv: BTreeMap<String, Vec<KvEntry>>,
    followed: BTreeMap<String, Vec<NameServerEntry>>,
    /// Tables and permission; and which pod of its name it is, for no operation restarts one that stays.
    brokers: BTreeMap<String, (Metadata, Permission, String)>,
    stores: BTreeMap<String, String>,
    lingering: BTreeMap<String, Vec<RegisteredBroker>>,
}

impl Snapshot {
    /// Without keys, which a kill between the journal's end and their deletion leaves behind.
    pub(crate) fn without_keys(mut self) -> Self {
        self.keys.clear();
        self
    }
}

impl Default for FakeWorld {
    fn default() -> Self {
        let state = State {
            objects: BTreeMap::new(),
            records: BTreeMap::new(),
            keys: BTreeSet::new(),
            kv: BTreeMap::new(),
            connections: BTreeMap::new(),
            given: BTreeMap::new(),
            consumers: Vec::new(),
            brokers: BTreeMap::new(),
            stores: BTreeMap::new(),
            troubles: BTreeMap::new(),
            silent: BTreeMap::new(),
            unproved: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            bridged: BTreeSet::new(),
            lingers: false,
            lingering: Vec::new(),
            unlisted: Vec::new(),
            fences: BTreeMap::new(),
            gone: BTreeMap::new(),
            version: Version::V5_3_3,
            list_period_millis: 5_000,
            nodes: 1,
            namespace_exists: true,
            kubernetes: Ok("v1.34.4".to_owned()),
            answering: BTreeSet::new(),
            writes: 0,
            now: Duration::ZERO,
        };
        Self { state: Mutex::new(state) }
    }
}

impl Clone for FakeWorld {
    fn clone(&self) -> Self {
        Self { state: Mutex::new(self.state().clone()) }
    }
}

impl FakeWorld {
    /// The state, for tests to change.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// With another state.
    pub(crate) fn with(self, change: impl FnOnce(&mut State)) -> Self {
        change(&mut self.state());
        self
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let objects = state.objects.values().map(|object| {
            let object = object.clone().without_identity();
            (object.reference(), object)
        });
        let records = state.records.iter().map(|(cluster, record)| {
            let mut record = Record { resource_version: None, ..record.clone() };
            if let Some(list) = &mut record.name_servers {
                list.generation = 0;
            }
            (cluster.clone(), record)
        });
        let brokers: Vec<Pod> = state.pods_of(names::COMPONENT_BROKER);
        let followed = brokers.iter().map(|pod| {
            let list = state.followed(pod).map(|list| list.name_servers);
            (pod.name.clone(), list.unwrap_or_default())
        });
        let holds = brokers.iter().map(|pod| {
            let broker = state.broker(&pod.name);
            (pod.name.clone(), (broker.metadata, broker.permission, pod.uid.clone()))
        });
        let name_servers = state.pods_of(names::COMPONENT_NAME_SERVER);
        let kv = name_servers.iter().map(|pod| {
            let mut entries = state.kv.get(&pod.name).cloned().unwrap_or_default();
            entries.sort();
            (pod.name.clone(), entries)
        });
        let lingering = name_servers.iter().map(|pod| (pod.name.clone(), state.lingering_at(pod)));
        Snapshot {
            objects: objects.collect(),
            records: records.collect(),
            keys: state.keys.clone(),
            kv: kv.collect(),
            followed: followed.collect(),
            brokers: holds.collect(),
            stores: state.stores.clone(),
            lingering: lingering.collect(),
        }
    }
}

impl State {
    fn next_version(&mut self) -> String {
        self.writes += 1;
        self.writes.to_string()
    }

    /// The pods that the StatefulSets make, by part of the cluster.
    fn pods_of(&self, component: &str) -> Vec<Pod> {
        let sets = self.objects.values().filter(|object| {
            object.kind == Kind::StatefulSet
                && object.labels.get(names::LABEL_COMPONENT).is_some_and(|c| c == component)
        });
        sets.flat_map(|set| self.pods(&set.name)).collect()
    }

    fn pods(&self, stateful_set: &str) -> Vec<Pod> {
        let name = ObjectName { kind: Kind::StatefulSet, name: stateful_set.to_owned() };
        let Some(set) = self.objects.get(&name) else { return Vec::new() };
        (0..set.replicas().unwrap_or(0))
            .map(|ordinal| {
                let name = names::pod(stateful_set, ordinal);
                Pod {
                    namespace: NAMESPACE.to_owned(),
                    uid: format!("uid-{name}-{}", self.gone.get(&name).copied().unwrap_or_default()),
                    ip: Some(ip(&name)),
                    node: Some("node-1".to_owned()),
                    ready: !self.troubles.contains_key(&name) && self.gate_waits_for(&name).is_none(),
                    deleting: false,
                    phase: "Running".to_owned(),
                    unschedulable: None,
                    containers: Vec::new(),
                    labels: set
                        .labels
                        .clone()
                        .into_iter()
                        .chain(names::stateful_set_selector(stateful_set))
                        .collect(),
                    created: None,
                    name,
                }
            })
            .collect()
    }

    /// The list in the record of a pod's cluster.
    fn recorded(&self, pod: &Pod) -> Option<NameServerList> {
        let cluster = pod.labels.get(names::LABEL_INSTANCE)?;
        self.records.get(cluster)?.name_servers.clone()
    }

    /// The pods of a StatefulSet start, with the list that the record has now: it is mounted into them. What the record
    /// has later comes to them a minute late, so here they hear of it only from whoever tells them.
    pub(crate) fn start(&mut self, stateful_set: &str) {
        for pod in self.pods(stateful_set) {
            if let Some(list) = self.recorded(&pod) {
                self.given.insert(pod.name, list);
            }
        }
    }

    /// The list that the agent of a broker follows: the one it was given last.
    fn followed(&self, pod: &Pod) -> Option<NameServerList> {
        self.given.get(&pod.name).cloned().or_else(|| self.recorded(pod))
    }

    /// The rows that a broker registers.
    fn rows(&self, pod: &Pod) -> Vec<TopicRow> {
        let broker_name = pod.labels.get(names::LABEL_GROUP).cloned().unwrap_or_default();
        let Broker { metadata, permission, .. } = self.broker(&pod.name);
        let topics = std::iter::once(topic("TBW102", 8)).chain(metadata.topics.into_values());
        topics
            .map(|topic| TopicRow {
                topic: topic.topic_name,
                broker_name: broker_name.clone(),
                read_queues: topic.read_queues,
                write_queues: topic.write_queues,
                permission: topic.perm.registered(permission, self.version).bits(),
            })
            .collect()
    }

    /// The pod of a name server's address, if there is one.
    fn name_server_at(&self, address: &str) -> Option<Pod> {
        let (host, _) = address.rsplit_once(':')?;
        self.pods_of(names::COMPONENT_NAME_SERVER)
            .into_iter()
            .find(|pod| pod.ip.as_deref() == Some(host) || host.split('.').next() == Some(&pod.name))
    }
}

/// An address that hangs on the pod's name alone.
fn ip(pod: &str) -> String {
    let number = pod.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("10.0.{}.{}", number >> 8 & 0xff, number & 0xff)
}
