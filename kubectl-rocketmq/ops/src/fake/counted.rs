//! The fake with its calls counted: one of them may die or err.

use std::collections::BTreeSet;
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
use saga::check::{self, Access, Calls, CountsCalls, Scenario};
use saga::{OperationKind, Permit};

use super::{FakeWorld, Snapshot};
use crate::world::{Surroundings, World, WorldError};

/// A fake whose calls are counted.
#[derive(Debug)]
pub(crate) struct Counted {
    world: FakeWorld,
    calls: Calls,
}

impl CountsCalls for Counted {
    fn calls(&self) -> &Calls {
        &self.calls
    }
}

/// What holds of every operation, on a fake world: an operation of a kind, the world it begins in, and what counts of a
/// world.
pub(crate) async fn holds_whatever_happens<K>(
    params: K::Params,
    world: FakeWorld,
    snapshot: impl Fn(&FakeWorld) -> Snapshot + Send + Sync,
) where
    K: OperationKind<Counted>,
    K::Params: Send + Sync,
{
    let counted = || Counted { world: world.clone(), calls: Calls::default() };
    let scenario = Scenario::new::<K>(params, counted, |counted| snapshot(&counted.world));
    check::unwinds_at_every_step(&scenario).await.unwrap();
    check::every_step_twice(&scenario).await.unwrap();
    check::killed_after_every_event_then_resumed(&scenario).await.unwrap();
    check::killed_then_undone(&scenario).await.unwrap();
    check::faults_at_every_call(&scenario).await.unwrap();
}

macro_rules! counted {
    ($($access:ident: fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)*) => {$(
        async fn $name(&self, $($argument: $kind),*) -> Result<$answer, WorldError> {
            let act = self.world.$name($($argument),*);
            self.calls.call(stringify!($name), Access::$access, WorldError::new, act).await
        }
    )*};
}

impl World for Counted {
    fn namespace(&self) -> &str {
        self.world.namespace()
    }

    counted! {
        Reads: fn surroundings() -> Surroundings;
        Reads: fn check_on_server(object: &Object) -> ();
        Reads: fn name_server_answers(address: &str) -> ();
        Reads: fn object(kind: Kind, name: &str) -> Option<Object>;
        Writes: fn create(permit: &Permit, object: &Object) -> ();
        Writes: fn replace(permit: &Permit, object: &Object) -> ();
        Writes: fn delete(permit: &Permit, object: &Object) -> ();
        Reads: fn pod(name: &str) -> Option<Pod>;
        Reads: fn pods(stateful_set: &str) -> Vec<Pod>;
        Reads: fn endpoint_hostnames(service: &str) -> Vec<String>;
        Reads: fn records() -> Vec<Record>;
        Reads: fn record(cluster: &str) -> Option<Record>;
        Writes: fn write_record(permit: &Permit, record: &Record) -> ();
        Writes: fn delete_record(permit: &Permit, cluster: &str) -> ();
        Writes: fn create_key(permit: &Permit, cluster: &str) -> ();
        Reads: fn has_key(cluster: &str) -> bool;
        Writes: fn delete_key(permit: &Permit, cluster: &str) -> ();
        Reads: fn describe(pod: &Pod) -> Describe;
        Writes: fn set_name_servers(permit: &Permit, pod: &Pod, list: &NameServerList) -> ();
        Reads: fn routes(pod: &Pod) -> RouteTable;
        Reads: fn broker_facts(pod: &Pod) -> BrokerFacts;
        Reads: fn broker_rows(pod: &Pod) -> BrokerRows;
        Reads: fn kv_config(pod: &Pod) -> Vec<KvEntry>;
        Writes: fn put_kv_config(permit: &Permit, pod: &Pod, entries: &[KvEntry]) -> ();
        Reads: fn connections(pod: &Pod) -> Vec<String>;
        Reads: fn subscriptions(pod: &Pod) -> BTreeSet<Subscription>;
        Reads: fn tables_summary(
            pod: &Pod,
            options: ExportOptions,
            seeds: &BTreeSet<Subscription>
        ) -> PreparedExport;
        Reads: fn read_tables(
            pod: &Pod,
            options: ExportOptions,
            seeds: &BTreeSet<Subscription>
        ) -> (Vec<u8>, PreparedExport);
        Writes: fn prepare_export(
            permit: &Permit,
            pod: &Pod,
            options: ExportOptions,
            seeds: &BTreeSet<Subscription>
        ) -> PreparedExport;
        Writes: fn relay_metadata(permit: &Permit, source: &Pod, target: &Pod, bundle: &BundleDescription) -> ();
        Writes: fn send_metadata(permit: &Permit, pod: &Pod, metadata: &Metadata, origin: &Origin) -> String;
        Writes: fn commit_metadata(permit: &Permit, pod: &Pod, commit: &Commit) -> Option<String>;
        Writes: fn apply_metadata(permit: &Permit, pod: &Pod, sha256: &str) -> Applied;
        Writes: fn set_broker_permission(permit: &Permit, pod: &Pod, permission: Permission) -> ();
        Reads: fn consumers(pod: &Pod) -> Vec<OnlineGroup>;
        Reads: fn online_groups(pod: &Pod) -> BTreeSet<String>;
        // A look of the fake's takes the next of those that a test has laid out; a real one changes nothing.
        Reads: fn backlog(pod: &Pod) -> Backlog;
        Writes: fn unregister_brokers(permit: &Permit, name_server: &Pod, brokers: &[RegisteredBroker]) -> ();
    }

    async fn trouble(&self, pod: &Pod) -> Option<String> {
        let act = async { Ok(self.world.trouble(pod).await) };
        self.calls.call("trouble", Access::Reads, |_| (), act).await.ok()?
    }

    async fn trouble_of_stateful_set(&self, name: &str) -> Option<String> {
        let act = async { Ok(self.world.trouble_of_stateful_set(name).await) };
        self.calls.call("trouble_of_stateful_set", Access::Reads, |_| (), act).await.ok()?
    }

    fn unproved(&self, pod: &Pod) -> Option<String> {
        self.world.unproved(pod)
    }

    fn elapsed(&self) -> Duration {
        self.world.elapsed()
    }

    async fn pause(&self, duration: Duration) {
        self.world.pause(duration).await;
    }

    fn waiting_for_each(&self, what: &str, rows: Vec<String>) {
        self.world.waiting_for_each(what, rows);
    }

    fn moved(&self, what: &str, bytes: u64, of: u64) {
        self.world.moved(what, bytes, of);
    }
}
