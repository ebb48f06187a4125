//! The real world: Kubernetes, and agents over port-forward.

#![expect(clippy::disallowed_methods, reason = "the clock of the real world")]

use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agents::types::{
    Applied, Backlog, BrokerFacts, BrokerRows, BundleDescription, ClusterKey, Commit, Describe,
    ExportOptions, KvEntry, NameServerList, OnlineGroup, PreparedExport, RegisteredBroker, Role, RouteTable,
};
use agents::{Agent, AgentError, Agents, Member, Peer, Proof};
use k8s::client::Cluster;
use k8s::error::ApiErrorKind;
use k8s::names;
use k8s::objects::{Kind, Object};
use k8s::pods::Pod;
use k8s::record::Record;
use rocketmq::metadata::{Metadata, Origin, Subscription};
use rocketmq::model::permission::Permission;
use rocketmq::remoting::client::Client;
use saga::Permit;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::metadata::bundled;
use crate::progress::Told;
use crate::world::{Surroundings, World, WorldError};

/// How long a name server that may be reachable from here may take to answer.
const NAME_SERVER_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What becomes of answers that nothing proves to be the agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unproved {
    /// They are errors: for everything that changes something.
    Refused,
    /// They are given and marked ([`World::unproved`]): for looking.
    Marked,
}

/// One namespace of a Kubernetes cluster.
#[derive(Debug)]
pub struct LiveWorld {
    cluster: Cluster,
    agents: Agents<Cluster>,
    unproved: Unproved,
    /// Keys by RocketMQ cluster, kept in memory only.
    keys: tokio::sync::Mutex<HashMap<String, ClusterKey>>,
    /// Why agents are not proved, by pod UID.
    doubts: Mutex<HashMap<String, String>>,
    told: watch::Sender<Told>,
    start: Instant,
}

impl LiveWorld {
    /// The namespace of this connection.
    #[must_use]
    pub fn new(cluster: &Cluster, unproved: Unproved) -> Self {
        Self {
            agents: Agents::new(cluster.clone()),
            cluster: cluster.clone(),
            unproved,
            keys: tokio::sync::Mutex::default(),
            doubts: Mutex::default(),
            told: watch::Sender::default(),
            start: Instant::now(),
        }
    }

    /// What the running step waits for and how far its transfers are, whenever it changes.
    pub(crate) fn told(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    async fn key(&self, cluster: &str) -> Option<ClusterKey> {
        let mut keys = self.keys.lock().await;
        if let Some(key) = keys.get(cluster) {
            return Some(key.clone());
        }
        // Whoever may not read the key still sees answers, as unproved.
        let stored =
            self.cluster.agent_key(cluster).await.inspect_err(|error| tracing::debug!(%error)).ok()??;
        let key = ClusterKey::from_bytes(stored.bytes().to_vec()).ok()?;
        keys.insert(cluster.to_owned(), key.clone());
        Some(key)
    }

    /// The agent of a pod, and the key that it and we prove ourselves with.
    async fn member(&self, pod: &Pod) -> (Peer, Option<ClusterKey>) {
        let label = |key: &str| pod.labels.get(key).map(String::as_str).unwrap_or_default();
        let role = match label(names::LABEL_COMPONENT) {
            names::COMPONENT_NAME_SERVER => Role::NameServer,
            _ => Role::Broker,
        };
        let peer = Peer { pod: pod.name.clone(), uid: pod.uid.clone(), role };
        (peer, self.key(label(names::LABEL_INSTANCE)).await)
    }

    async fn ask<T, F, Fut>(&self, pod: &Pod, call: F) -> Result<T, WorldError>
    where
        F: Fn(Agent) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, AgentError>> + Send,
        T: Send,
    {
        let (peer, key) = self.member(pod).await;
        let answer = self.agents.ask(&peer, key.as_ref(), call).await.map_err(|error| world_error(&error))?;
        let mut doubts = self.doubts.lock().unwrap_or_else(PoisonError::into_inner);
        match answer.proof {
            Proof::Proved => {
                doubts.remove(&pod.uid);
            }
            Proof::Unproved(reason) => {
                if self.unproved == Unproved::Refused {
                    return Err(WorldError::new(format!(
                        "what answers for the agent of pod `{}` is not trusted: {reason}",
                        pod.name
                    )));
                }
                doubts.insert(pod.uid.clone(), reason);
            }
        }
        Ok(answer.value)
    }
}

fn world_error(error: &dyn std::error::Error) -> WorldError {
    WorldError::from_error(error)
}

impl World for LiveWorld {
    fn namespace(&self) -> &str {
        self.cluster.namespace()
    }

    async fn surroundings(&self) -> Result<Surroundings, WorldError> {
        let kubernetes = match self.cluster.server_version().await {
            Ok(version) => Ok(version),
            Err(error) if error.kind == ApiErrorKind::TooOld => Err(error.message),
            Err(error) => return Err(world_error(&error)),
        };
        let namespace_exists = match self.cluster.namespace_exists().await {
            // Whoever works in one namespace only may not look at it; what is made there tells.
            Err(error) if error.kind == ApiErrorKind::Forbidden => true,
            exists => exists.map_err(|error| world_error(&error))?,
        };
        let schedulable_nodes = match self.cluster.schedulable_nodes().await {
            Ok(nodes) => Some(nodes),
            Err(error) if error.kind == ApiErrorKind::Forbidden => None,
            Err(error) => return Err(world_error(&error)),
        };
        Ok(Surroundings { kubernetes, namespace_exists, schedulable_nodes })
    }

    async fn check_on_server(&self, object: &Object) -> Result<(), WorldError> {
        let checked = match self.object(object.kind, &object.name).await? {
            Some(present) => self.cluster.dry_run_replace(&object.clone().at_version_of(&present)).await,
            None => self.cluster.dry_run_create(object).await,
        };
        checked.map_err(|error| world_error(&error))
    }

    async fn name_server_answers(&self, address: &str) -> Result<(), WorldError> {
        let client = Client::connect(address, NAME_SERVER_ANSWERS_WITHIN)
            .await
            .map_err(|error| world_error(&error))?;
        client.cluster_info().await.map(drop).map_err(|error| world_error(&error))
    }

    async fn object(&self, kind: Kind, name: &str) -> Result<Option<Object>, WorldError> {
        self.cluster.object(kind, name).await.map_err(|error| world_error(&error))
    }

    async fn create(&self, permit: &Permit, object: &Object) -> Result<(), WorldError> {
        self.cluster.create(permit, object).await.map_err(|error| world_error(&error))
    }

    async fn replace(&self, permit: &Permit, object: &Object) -> Result<(), WorldError> {
        self.cluster.replace(permit, object).await.map_err(|error| world_error(&error))
    }

    async fn delete(&self, permit: &Permit, object: &Object) -> Result<(), WorldError> {
        self.cluster.delete(permit, object).await.map_err(|error| world_error(&error))
    }

    async fn pod(&self, name: &str) -> Result<Option<Pod>, WorldError> {
        self.cluster.pod(name).await.map_err(|error| world_error(&error))
    }

    async fn pods(&self, stateful_set: &str) -> Result<Vec<Pod>, WorldError> {
        self.cluster.pods(stateful_set).await.map_err(|error| world_error(&error))
    }

    async fn trouble(&self, pod: &Pod) -> Option<String> {
        self.cluster.trouble(pod).await
    }

    async fn trouble_of_stateful_set(&self, name: &str) -> Option<String> {
        self.cluster.trouble_of_stateful_set(name).await
    }

    async fn endpoint_hostnames(&self, service: &str) -> Result<Vec<String>, WorldError> {
        self.cluster.endpoint_hostnames(service).await.map_err(|error| world_error(&error))
    }

    async fn records(&self) -> Result<Vec<Record>, WorldError> {
        self.cluster.records().await.map_err(|error| world_error(&error))
    }

    async fn record(&self, cluster: &str) -> Result<Option<Record>, WorldError> {
        self.cluster.record(cluster).await.map_err(|error| world_error(&error))
    }

    async fn write_record(&self, permit: &Permit, record: &Record) -> Result<(), WorldError> {
        self.cluster.write_record(permit, record).await.map_err(|error| world_error(&error))
    }

    async fn delete_record(&self, permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.cluster.delete_record(permit, cluster).await.map_err(|error| world_error(&error))
    }

    async fn create_key(&self, permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.cluster.create_key(permit, cluster).await.map_err(|error| world_error(&error))
    }

    async fn has_key(&self, cluster: &str) -> Result<bool, WorldError> {
        self.cluster.agent_key(cluster).await.map(|key| key.is_some()).map_err(|error| world_error(&error))
    }

    async fn delete_key(&self, permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.keys.lock().await.remove(cluster);
        self.cluster.delete_key(permit, cluster).await.map_err(|error| world_error(&error))
    }

    async fn describe(&self, pod: &Pod) -> Result<Describe, WorldError> {
        self.ask(pod, |agent| async move { agent.describe().await }).await
    }

    async fn set_name_servers(
        &self,
        permit: &Permit,
        pod: &Pod,
        list: &NameServerList,
    ) -> Result<(), WorldError> {
        self.ask(pod, |agent| async move { agent.set_name_servers(permit, list).await.map(drop) }).await
    }

    async fn routes(&self, pod: &Pod) -> Result<RouteTable, WorldError> {
        self.ask(pod, |agent| async move { agent.routes().await }).await
    }

    async fn broker_facts(&self, pod: &Pod) -> Result<BrokerFacts, WorldError> {
        self.ask(pod, |agent| async move { agent.broker_facts().await }).await
    }

    async fn broker_rows(&self, pod: &Pod) -> Result<BrokerRows, WorldError> {
        self.ask(pod, |agent| async move { agent.broker_topics().await }).await
    }

    async fn kv_config(&self, pod: &Pod) -> Result<Vec<KvEntry>, WorldError> {
        self.ask(pod, |agent| async move { agent.kv_config().await }).await
    }

    async fn put_kv_config(&self, permit: &Permit, pod: &Pod, entries: &[KvEntry]) -> Result<(), WorldError> {
        self.ask(pod, |agent| async move { agent.put_kv_config(permit, entries).await }).await
    }

    async fn connections(&self, pod: &Pod) -> Result<Vec<String>, WorldError> {
        self.ask(pod, |agent| async move { agent.connections().await }).await
    }

    async fn subscriptions(&self, pod: &Pod) -> Result<BTreeSet<Subscription>, WorldError> {
        self.ask(pod, |agent| async move { agent.subscriptions().await }).await
    }

    async fn tables_summary(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, WorldError> {
        self.ask(pod, |agent| async move { agent.tables_summary(options, seeds).await }).await
    }

    async fn read_tables(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<(Vec<u8>, PreparedExport), WorldError> {
        self.ask(pod, |agent| async move { agent.read_tables(options, seeds).await }).await
    }

    async fn prepare_export(
        &self,
        permit: &Permit,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, WorldError> {
        self.ask(pod, |agent| async move { agent.prepare_export(permit, options, seeds).await }).await
    }

    async fn relay_metadata(
        &self,
        permit: &Permit,
        source: &Pod,
        target: &Pod,
        bundle: &BundleDescription,
    ) -> Result<(), WorldError> {
        let (from, from_key) = self.member(source).await;
        let (to, to_key) = self.member(target).await;
        let from = Member { peer: &from, key: from_key.as_ref() };
        let to = Member { peer: &to, key: to_key.as_ref() };
        let moved = |bytes| self.moved(&target.name, bytes, bundle.bytes);
        self.agents.relay(permit, from, to, bundle, &moved).await.map_err(|error| world_error(&error))
    }

    async fn send_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        metadata: &Metadata,
        origin: &Origin,
    ) -> Result<String, WorldError> {
        let bytes = bundled(metadata, origin).map_err(|error| world_error(&error))?;
        let (peer, key) = self.member(pod).await;
        let target = Member { peer: &peer, key: key.as_ref() };
        let moved = |sent| self.moved(&pod.name, sent, bytes.len() as u64);
        self.agents.send(permit, target, &bytes, &moved).await.map_err(|error| world_error(&error))
    }

    async fn commit_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        commit: &Commit,
    ) -> Result<Option<String>, WorldError> {
        self.ask(pod, |agent| async move { agent.commit_metadata(permit, commit).await }).await
    }

    async fn apply_metadata(&self, permit: &Permit, pod: &Pod, sha256: &str) -> Result<Applied, WorldError> {
        self.ask(pod, |agent| async move { agent.apply_metadata(permit, sha256).await }).await
    }

    async fn set_broker_permission(
        &self,
        permit: &Permit,
        pod: &Pod,
        permission: Permission,
    ) -> Result<(), WorldError> {
        self.ask(pod, |agent| async move { agent.set_broker_permission(permit, permission).await }).await
    }

    async fn consumers(&self, pod: &Pod) -> Result<Vec<OnlineGroup>, WorldError> {
        self.ask(pod, |agent| async move { agent.consumers().await }).await
    }

    async fn online_groups(&self, pod: &Pod) -> Result<BTreeSet<String>, WorldError> {
        self.ask(pod, |agent| async move { agent.online_groups().await }).await
    }

    async fn backlog(&self, pod: &Pod) -> Result<Backlog, WorldError> {
        self.ask(pod, |agent| async move { agent.backlog().await }).await
    }

    async fn unregister_brokers(
        &self,
        permit: &Permit,
        name_server: &Pod,
        brokers: &[RegisteredBroker],
    ) -> Result<(), WorldError> {
        self.ask(name_server, |agent| async move { agent.unregister_brokers(permit, brokers).await }).await
    }

    fn unproved(&self, pod: &Pod) -> Option<String> {
        self.doubts.lock().unwrap_or_else(PoisonError::into_inner).get(&pod.uid).cloned()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn waiting_for_each(&self, what: &str, rows: Vec<String>) {
        self.told.send_modify(|told| {
            what.clone_into(&mut told.waiting);
            told.rows = rows;
        });
    }

    fn moved(&self, what: &str, bytes: u64, of: u64) {
        self.told.send_modify(|told| {
            told.moved.insert(what.to_owned(), (bytes, of));
        });
    }
}
