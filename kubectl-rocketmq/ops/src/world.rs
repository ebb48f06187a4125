//! What operations need of the world, in their own words. [`crate::live::LiveWorld`] is the real one, on
//! Kubernetes and agents; the operations' tests run on a fake compared by equality.
//!
//! Reads may be repeated at will. Every change takes the executor's [`Permit`], so a plan or a dry run cannot act.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use agents::types::{
    Applied, Backlog, BrokerFacts, BrokerRows, BundleDescription, Commit, Describe, ExportOptions, KvEntry,
    NameServerList, OnlineGroup, PreparedExport, RegisteredBroker, RouteTable,
};
use k8s::objects::{Kind, Object};
use k8s::pods::Pod;
use k8s::record::Record;
use rocketmq::metadata::{Metadata, Origin, Subscription};
use rocketmq::model::permission::Permission;
use rocketmq::text::error_chain;
use saga::{Permit, StepError};

/// An error of the world: what could not be done, and why. A change that ended in one may have happened all the
/// same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldError {
    /// What failed, on which object.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
}

impl WorldError {
    /// An error without further causes.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new() }
    }

    /// From an error and its causes.
    pub fn from_error(error: &dyn std::error::Error) -> Self {
        let mut texts = error_chain(error).into_iter();
        Self { message: texts.next().unwrap_or_default(), causes: texts.collect() }
    }
}

impl fmt::Display for WorldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for WorldError {}

impl From<WorldError> for StepError {
    fn from(error: WorldError) -> Self {
        StepError::new(error.message).with_causes(error.causes)
    }
}

/// What a plan must know of the Kubernetes cluster around the objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The API server's version, or why it will not do.
    pub kubernetes: Result<String, String>,
    /// True when the namespace exists.
    pub namespace_exists: bool,
    /// Nodes that take pods; `None` when they may not be listed.
    pub schedulable_nodes: Option<usize>,
}

/// What operations read and change. `Ok(None)` means that the object does not exist.
pub trait World: Send + Sync {
    /// The namespace that all of this is about.
    fn namespace(&self) -> &str;

    /// What surrounds the objects.
    fn surroundings(&self) -> impl Future<Output = Result<Surroundings, WorldError>> + Send;

    /// Lets the API server check an object as if it were written.
    fn check_on_server(&self, object: &Object) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Whether a name server answers at an address, asked from here.
    fn name_server_answers(&self, address: &str) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// An object of the namespace.
    fn object(
        &self,
        kind: Kind,
        name: &str,
    ) -> impl Future<Output = Result<Option<Object>, WorldError>> + Send;

    /// Creates an object.
    fn create(&self, permit: &Permit, object: &Object)
    -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Replaces an object; its `resource_version` must still be the stored one.
    fn replace(
        &self,
        permit: &Permit,
        object: &Object,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Deletes exactly this object (uid and resourceVersion are preconditions).
    fn delete(&self, permit: &Permit, object: &Object)
    -> impl Future<Output = Result<(), WorldError>> + Send;

    /// A pod of the namespace, whoever made it.
    fn pod(&self, name: &str) -> impl Future<Output = Result<Option<Pod>, WorldError>> + Send;

    /// The pods of a StatefulSet, in the order of their ordinals.
    fn pods(&self, stateful_set: &str) -> impl Future<Output = Result<Vec<Pod>, WorldError>> + Send;

    /// Why a pod does not come up, in words; `None` while nothing is wrong with it.
    fn trouble(&self, pod: &Pod) -> impl Future<Output = Option<String>> + Send;

    /// Why a StatefulSet makes no pods, in words; `None` while nothing is known to be wrong with it.
    fn trouble_of_stateful_set(&self, name: &str) -> impl Future<Output = Option<String>> + Send;

    /// Host names that a headless Service's EndpointSlices publish, ready or not.
    fn endpoint_hostnames(
        &self,
        service: &str,
    ) -> impl Future<Output = Result<Vec<String>, WorldError>> + Send;

    /// The records of all clusters of the namespace, in the order of their names.
    fn records(&self) -> impl Future<Output = Result<Vec<Record>, WorldError>> + Send;

    /// The cluster's record.
    fn record(&self, cluster: &str) -> impl Future<Output = Result<Option<Record>, WorldError>> + Send;

    /// Creates or replaces the record; its resourceVersion must still be the one that was read.
    fn write_record(
        &self,
        permit: &Permit,
        record: &Record,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Deletes the record, if there is one.
    fn delete_record(
        &self,
        permit: &Permit,
        cluster: &str,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Creates the cluster's key if it has none.
    fn create_key(
        &self,
        permit: &Permit,
        cluster: &str,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// True when the cluster has a key.
    fn has_key(&self, cluster: &str) -> impl Future<Output = Result<bool, WorldError>> + Send;

    /// Deletes the cluster's key, if there is one.
    fn delete_key(
        &self,
        permit: &Permit,
        cluster: &str,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// What an agent is and holds.
    fn describe(&self, pod: &Pod) -> impl Future<Output = Result<Describe, WorldError>> + Send;

    /// Makes a list the desired one at an agent, in its file and live, and starts its bridges.
    fn set_name_servers(
        &self,
        permit: &Permit,
        pod: &Pod,
        list: &NameServerList,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// What the name server of a pod knows.
    fn routes(&self, pod: &Pod) -> impl Future<Output = Result<RouteTable, WorldError>> + Send;

    /// Who the broker of a pod is and how it fares.
    fn broker_facts(&self, pod: &Pod) -> impl Future<Output = Result<BrokerFacts, WorldError>> + Send;

    /// Who the broker of a pod is, and the rows that it registers.
    fn broker_rows(&self, pod: &Pod) -> impl Future<Output = Result<BrokerRows, WorldError>> + Send;

    /// The KV entries of the name server of a pod.
    fn kv_config(&self, pod: &Pod) -> impl Future<Output = Result<Vec<KvEntry>, WorldError>> + Send;

    /// Puts KV entries into the name server of a pod, each read back.
    fn put_kv_config(
        &self,
        permit: &Permit,
        pod: &Pod,
        entries: &[KvEntry],
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Remote addresses connected to the name server of a pod.
    fn connections(&self, pod: &Pod) -> impl Future<Output = Result<Vec<String>, WorldError>> + Send;

    /// Every topic and group that belong together at the broker of a pod: stored offsets, and what online groups
    /// subscribe to.
    fn subscriptions(
        &self,
        pod: &Pod,
    ) -> impl Future<Output = Result<BTreeSet<Subscription>, WorldError>> + Send;

    /// What the metadata of the broker of a pod are: the description of a bundle that is not made, so without its digest
    /// and length. Each of `seeds` gets offset 0 in every queue of its topic.
    fn tables_summary(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> impl Future<Output = Result<PreparedExport, WorldError>> + Send;

    /// The metadata of the broker of a pod as the bytes of a bundle, and what it is. Nothing is written where they are
    /// read.
    fn read_tables(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> impl Future<Output = Result<(Vec<u8>, PreparedExport), WorldError>> + Send;

    /// Lets the agent of a pod write its broker's metadata as one bundle, which takes the place of the one before, to be
    /// brought to others.
    fn prepare_export(
        &self,
        permit: &Permit,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> impl Future<Output = Result<PreparedExport, WorldError>> + Send;

    /// Brings a prepared bundle of one agent to another, from the last byte on that the other has verified.
    fn relay_metadata(
        &self,
        permit: &Permit,
        source: &Pod,
        target: &Pod,
        bundle: &BundleDescription,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Brings metadata as a bundle to an agent; gives the bundle's SHA-256.
    fn send_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        metadata: &Metadata,
        origin: &Origin,
    ) -> impl Future<Output = Result<String, WorldError>> + Send;

    /// Behind a closed gate: makes the bundle that an agent has received what its broker starts with. Gives the
    /// folder that earlier data were moved to, if there were any.
    fn commit_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        commit: &Commit,
    ) -> impl Future<Output = Result<Option<String>, WorldError>> + Send;

    /// Beside a running broker: creates and changes what the received bundle holds, each read back.
    fn apply_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        sha256: &str,
    ) -> impl Future<Output = Result<Applied, WorldError>> + Send;

    /// Sets what clients may do with the broker of a pod, live and in its file, and over its restarts.
    fn set_broker_permission(
        &self,
        permit: &Permit,
        pod: &Pod,
        permission: Permission,
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// The groups of which somebody is online at the broker of a pod, and which of its queues nobody holds.
    fn consumers(&self, pod: &Pod) -> impl Future<Output = Result<Vec<OnlineGroup>, WorldError>> + Send;

    /// The groups of which somebody is online at the broker of a pod. No client is asked anything.
    fn online_groups(&self, pod: &Pod) -> impl Future<Output = Result<BTreeSet<String>, WorldError>> + Send;

    /// What somebody still wants of the broker of a pod, which must be a master: one look, all of it from the same
    /// process.
    fn backlog(&self, pod: &Pod) -> impl Future<Output = Result<Backlog, WorldError>> + Send;

    /// Takes brokers out of the table of the name server of a pod, and reads the table back. Those that are not listed
    /// exactly so are passed over.
    fn unregister_brokers(
        &self,
        permit: &Permit,
        name_server: &Pod,
        brokers: &[RegisteredBroker],
    ) -> impl Future<Output = Result<(), WorldError>> + Send;

    /// Why the answers of a pod's agent are not proved to be the agent's; `None` when they are, or when it was
    /// never asked. A world that operations run on gives errors instead of unproved answers.
    fn unproved(&self, pod: &Pod) -> Option<String>;

    /// Time since some fixed moment, for deadlines. Never decides an order.
    fn elapsed(&self) -> Duration;

    /// Lets time pass between two looks.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Tells whoever watches what is being waited for.
    fn waiting_for(&self, what: &str) {
        self.waiting_for_each(what, Vec::new());
    }

    /// The same, and one by one as lines of a table with a head.
    fn waiting_for_each(&self, what: &str, rows: Vec<String>);

    /// Tells whoever watches how many of a thing's bytes are where they shall be.
    fn moved(&self, what: &str, bytes: u64, of: u64);
}
