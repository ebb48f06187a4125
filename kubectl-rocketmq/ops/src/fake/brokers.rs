//! What the fake's brokers hold, and what their agents do with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use agents::types::{
    Applied, Backlog, BundleDescription, Commit, ExportOptions, MetadataState, OldData, OnlineGroup,
    PreparedExport,
};
use k8s::names;
use k8s::objects::Kind;
use k8s::pods::Pod;
use rocketmq::metadata::{Kept, Metadata, Origin, Subscription, is_ordered, keeps_group, keeps_topic};
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::TopicConfig;
use saga::Permit;
use serde_json::{Map, Value};

use super::State;
use super::world::identity;
use crate::metadata::{bundled, sha256};
use crate::steps::objects::ObjectName;
use crate::world::WorldError;

/// When brokers were started, unless a test starts them anew.
const BOOTED: u64 = 1_700_000_000_000;

/// The variable by which an agent is told to wait for metadata.
const AWAITS: &str = "ROCKETMQ_AGENT_AWAIT_METADATA";

/// A broker, and what its agent keeps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Broker {
    /// Its tables.
    pub(crate) metadata: Metadata,
    /// `brokerPermission`.
    pub(crate) permission: Permission,
    /// Since when it may not be read.
    pub(super) unreadable_since: Option<Duration>,
    /// Who is online.
    pub(crate) online: Vec<OnlineGroup>,
    /// What somebody wants of it.
    pub(crate) backlog: Backlog,
    /// What the next looks find instead, each once; the last one stays. A permission other than 0 is the broker's by then.
    pub(crate) looks: VecDeque<Backlog>,
    /// The bundle that lies ready for others.
    pub(crate) export: Option<Bundle>,
    /// The bundle that was received.
    incoming: Option<Bundle>,
    /// The token that was committed.
    committed: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bundle {
    sha256: String,
    bytes: u64,
    pub(super) metadata: Metadata,
}

impl Bundle {
    fn new(metadata: Metadata, origin: &Origin) -> Self {
        let bytes = bundled(&metadata, origin).unwrap();
        Self { sha256: sha256(&bytes), bytes: u64::try_from(bytes.len()).unwrap(), metadata }
    }

    fn description(&self) -> BundleDescription {
        let digests = self.metadata.digests();
        BundleDescription {
            sha256: self.sha256.clone(),
            bytes: self.bytes,
            topics: digests.topics,
            groups: digests.groups,
            request_modes: digests.request_modes,
            offsets: u64::try_from(self.metadata.offsets.len()).unwrap(),
            registration_bytes: self.metadata.registration_bytes(),
        }
    }
}

impl Broker {
    /// A broker that nobody has used.
    pub(crate) fn empty() -> Self {
        Self {
            metadata: Metadata::default(),
            permission: Permission::READ_WRITE,
            unreadable_since: None,
            online: Vec::new(),
            backlog: Backlog { boot_timestamp_millis: BOOTED, ..Backlog::default() },
            looks: VecDeque::new(),
            export: None,
            incoming: None,
            committed: String::new(),
        }
    }

    /// A broker of a cluster in use: topic `orders` of 8 queues, which group `billing` reads.
    pub(crate) fn usual() -> Self {
        let mut broker = Self::empty();
        broker.metadata.topics.insert("orders".to_owned(), topic("orders", 8));
        let group = Map::from_iter([("groupName".to_owned(), Value::from("billing"))]);
        broker.metadata.groups.insert("billing".to_owned(), group);
        let subscription = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
        broker.metadata.offsets.insert(subscription, (0..8).map(|queue| (queue, 7)).collect());
        broker
    }
}

/// A topic that everybody reads and writes.
pub(crate) fn topic(name: &str, queues: u32) -> TopicConfig {
    TopicConfig::new(&name.parse().unwrap(), queues)
}

impl State {
    /// The broker of a pod, for tests to change.
    pub(crate) fn broker_mut(&mut self, pod: &str) -> &mut Broker {
        let usual = if self.awaited_by(pod).is_some() { Broker::empty() } else { Broker::usual() };
        self.brokers.entry(pod.to_owned()).or_insert(usual)
    }

    /// The broker of a pod.
    pub(super) fn broker(&self, pod: &str) -> Broker {
        let usual = || if self.awaited_by(pod).is_some() { Broker::empty() } else { Broker::usual() };
        self.brokers.get(pod).cloned().unwrap_or_else(usual)
    }

    /// The token that the agent of a pod was made to wait for.
    fn awaited_by(&self, pod: &str) -> Option<String> {
        let (stateful_set, _) = pod.rsplit_once('-')?;
        let name = ObjectName { kind: Kind::StatefulSet, name: stateful_set.to_owned() };
        let containers =
            self.objects.get(&name)?.content.get("spec")?.pointer("/template/spec/initContainers")?;
        let agent =
            containers.as_array()?.iter().find(|container| container["name"] == names::CONTAINER_AGENT)?;
        let awaits = agent["env"].as_array()?.iter().find(|variable| variable["name"] == AWAITS)?;
        awaits["value"].as_str().map(str::to_owned)
    }

    /// The agent of a pod answers.
    pub(super) fn asked(&self, pod: &Pod) -> Result<(), WorldError> {
        match self.silent.get(&pod.name) {
            Some(reason) => {
                Err(WorldError::new(format!("agent of pod `{}` cannot be reached: {reason}", pod.name)))
            }
            None => Ok(()),
        }
    }

    /// The agent of a pod is told to change something. It obeys no fence below the highest that it has seen.
    pub(super) fn told(&mut self, permit: &Permit, pod: &Pod) -> Result<(), WorldError> {
        self.asked(pod)?;
        let (fence, highest) = (permit.fence(), self.fence_of(pod));
        assert!(fence >= highest, "`{}` has seen fence {highest} and is told to act for {fence}", pod.name);
        self.fences.insert(pod.name.clone(), fence);
        Ok(())
    }

    pub(super) fn fence_of(&self, pod: &Pod) -> u64 {
        self.fences.get(&pod.name).copied().unwrap_or_default()
    }

    /// What the gate of a pod waits for; `None` when it is open.
    pub(super) fn gate_waits_for(&self, pod: &str) -> Option<String> {
        let token = self.awaited_by(pod)?;
        let committed = self.brokers.get(pod).is_some_and(|broker| broker.committed == token);
        (!committed).then(|| format!("metadata: they have not been committed yet (token {token})"))
    }

    /// The broker of a pod answers only once its gate is open.
    pub(super) fn running(&self, pod: &Pod) -> Result<(), WorldError> {
        match self.gate_waits_for(&pod.name) {
            Some(_) => Err(WorldError::new(format!("the broker of pod `{}` does not run", pod.name))),
            None => Ok(()),
        }
    }

    pub(super) fn metadata_state(&self, pod: &str) -> MetadataState {
        let broker = self.broker(pod);
        let incoming = broker.incoming.map(|bundle| (bundle.sha256, bundle.bytes)).unwrap_or_default();
        MetadataState {
            awaited: self.awaited_by(pod).unwrap_or_default(),
            committed: broker.committed,
            earlier_store: self.stores.get(pod).cloned().unwrap_or_default(),
            receiving_sha256: incoming.0,
            verified_bytes: incoming.1,
        }
    }

    /// Whose tables those of a pod are.
    pub(super) fn origin(&self, pod: &Pod) -> Origin {
        let label = |key: &str| pod.labels.get(key).cloned().unwrap_or_default();
        Origin {
            cluster: label(names::LABEL_BROKER),
            broker_name: label(names::LABEL_GROUP),
            version: self.version,
        }
    }

    /// A pod goes for good. Data of a broker that took messages stay on its volume.
    pub(super) fn goes(&mut self, pod: &Pod) {
        *self.gone.entry(pod.name.clone()).or_default() += 1;
        self.is_let_go(pod);
        if self.lingers {
            self.lingering.push(identity(pod));
        }
        let taken = self.brokers.remove(&pod.name);
        if taken.is_some_and(|broker| !broker.committed.is_empty() && broker.permission.is_writable()) {
            self.stores.insert(pod.name.clone(), folder(&pod.name));
        }
    }

    /// One look at what somebody wants of the broker of a pod.
    pub(super) fn backlog(&mut self, pod: &Pod) -> Backlog {
        let broker = self.broker_mut(&pod.name);
        if let Some(next) = broker.looks.pop_front() {
            if next.permission != 0 {
                broker.permission = Permission::from_bits(next.permission);
            }
            broker.backlog = next;
        }
        Backlog { permission: broker.permission.bits(), ..broker.backlog.clone() }
    }

    pub(super) fn subscriptions_at(&self, pod: &Pod) -> BTreeSet<Subscription> {
        self.broker(&pod.name).metadata.offsets.into_keys().collect()
    }

    /// A bundle of a pod's broker, and what it is.
    pub(super) fn export(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> (Bundle, PreparedExport) {
        let origin = self.origin(pod);
        let whole = self.broker(&pod.name).metadata;
        let ordered: Vec<String> = match options {
            ExportOptions { sanitised: true, ordered: false } => whole
                .topics
                .values()
                .filter(|topic| is_ordered(topic))
                .map(|topic| topic.topic_name.clone())
                .collect(),
            _ => Vec::new(),
        };
        let kept = if options.sanitised { sanitised(whole, &origin, options.ordered, seeds) } else { whole };
        let bundle = Bundle::new(kept, &origin);
        let prepared = PreparedExport {
            bundle: bundle.description(),
            ordered_topics: ordered,
            cluster: origin.cluster,
            broker_name: origin.broker_name,
            version: origin.version.ordinal(),
        };
        (bundle, prepared)
    }

    pub(super) fn exported(&self, pod: &Pod, bundle: &BundleDescription) -> Result<Metadata, WorldError> {
        match self.broker(&pod.name).export {
            Some(export) if export.sha256 == bundle.sha256 => Ok(export.metadata),
            _ => Err(WorldError::new(format!("pod `{}` has no bundle {}", pod.name, bundle.sha256))),
        }
    }

    pub(super) fn receive(&mut self, pod: &Pod, metadata: Metadata, origin: &Origin) -> String {
        let bundle = Bundle::new(metadata, origin);
        let sha256 = bundle.sha256.clone();
        self.broker_mut(&pod.name).incoming = Some(bundle);
        sha256
    }

    fn received(&self, pod: &Pod, sha256: &str) -> Result<Metadata, WorldError> {
        match self.broker(&pod.name).incoming {
            Some(bundle) if bundle.sha256 == sha256 => Ok(bundle.metadata),
            _ => Err(WorldError::new(format!("pod `{}` has not received bundle {sha256}", pod.name))),
        }
    }

    pub(super) fn commit(&mut self, pod: &Pod, commit: &Commit) -> Result<Option<String>, WorldError> {
        let token = self.awaited_by(&pod.name);
        if token.as_deref() != Some(commit.token.as_str()) {
            return Err(WorldError::new(format!(
                "pod `{}` does not wait for token {}",
                pod.name, commit.token
            )));
        }
        if self.broker(&pod.name).committed == commit.token {
            return Ok(None);
        }
        let mut metadata = self.received(pod, &commit.sha256)?;
        let mut moved = None;
        if let Some(folder) = self.stores.get(&pod.name).cloned() {
            match commit.old_data {
                OldData::Refuse => {
                    return Err(WorldError::new(format!("{folder} holds an earlier broker's data")));
                }
                OldData::Keep => metadata = Metadata::default(),
                OldData::Aside => moved = Some(format!("{folder}.{}", commit.token)),
            }
            self.stores.remove(&pod.name);
        }
        let broker = self.broker_mut(&pod.name);
        (broker.metadata, broker.permission) = (metadata, commit.permission);
        broker.committed.clone_from(&commit.token);
        Ok(moved)
    }

    pub(super) fn apply(&mut self, pod: &Pod, sha256: &str) -> Result<Applied, WorldError> {
        self.running(pod)?;
        let bundle = self.received(pod, sha256)?;
        let count = |length: usize| u64::try_from(length).unwrap();
        let applied = Applied {
            topics: count(bundle.topics.len()),
            groups: count(bundle.groups.len()),
            request_modes: count(bundle.request_modes.len()),
            offsets: count(bundle.offsets.len()),
        };
        let present = &mut self.broker_mut(&pod.name).metadata;
        present.topics.extend(bundle.topics);
        present.groups.extend(bundle.groups);
        present.forbidden.extend(bundle.forbidden);
        present.request_modes.extend(bundle.request_modes);
        for (subscription, queues) in bundle.offsets {
            present.offsets.entry(subscription).or_insert(queues);
        }
        Ok(applied)
    }
}

fn sanitised(
    mut metadata: Metadata,
    origin: &Origin,
    ordered: bool,
    seeds: &BTreeSet<Subscription>,
) -> Metadata {
    metadata.topics.retain(|_, topic| match keeps_topic(topic, origin) {
        Kept::Yes => true,
        Kept::Ordered => ordered,
        Kept::No => false,
    });
    metadata.groups.retain(|name, _| keeps_group(name));
    metadata.offsets = BTreeMap::new();
    for seed in seeds {
        if let Some(topic) = metadata.topics.get(&seed.topic) {
            let queues = (0..topic.read_queues).map(|queue| (queue, 0)).collect();
            metadata.offsets.insert(seed.clone(), queues);
        }
    }
    metadata
}

fn folder(pod: &str) -> String {
    names::store_folder(pod.rsplit_once('-').map_or(pod, |(stateful_set, _)| stateful_set))
}
