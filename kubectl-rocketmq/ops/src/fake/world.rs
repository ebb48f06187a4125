//! The fake as a [`World`].

use std::collections::BTreeSet;
use std::time::Duration;

use agents::types::{
    Applied, Backlog, BrokerFacts, BrokerList, BrokerRows, BundleDescription, Commit, Describe,
    ExportOptions, Gate, KvEntry, ListMode, NameServerList, OnlineGroup, Owner, PROTOCOL, PreparedExport,
    Process, RegisteredBroker, Registration, Role, RouteTable,
};
use k8s::names;
use k8s::objects::{Kind, Object};
use k8s::pods::Pod;
use k8s::record::Record;
use rocketmq::metadata::{Metadata, Origin, Subscription};
use rocketmq::model::permission::Permission;
use saga::Permit;

use super::{FakeWorld, NAMESPACE, State};
use crate::metadata::bundled;
use crate::steps::objects::ObjectName;
use crate::world::{Surroundings, World, WorldError};

impl World for FakeWorld {
    fn namespace(&self) -> &str {
        NAMESPACE
    }

    async fn surroundings(&self) -> Result<Surroundings, WorldError> {
        let state = self.state();
        Ok(Surroundings {
            kubernetes: state.kubernetes.clone(),
            namespace_exists: state.namespace_exists,
            schedulable_nodes: Some(state.nodes),
        })
    }

    async fn check_on_server(&self, _object: &Object) -> Result<(), WorldError> {
        Ok(())
    }

    async fn name_server_answers(&self, address: &str) -> Result<(), WorldError> {
        if self.state().answering.contains(address) {
            Ok(())
        } else {
            Err(WorldError::new("connection refused"))
        }
    }

    async fn object(&self, kind: Kind, name: &str) -> Result<Option<Object>, WorldError> {
        Ok(self.state().objects.get(&ObjectName { kind, name: name.to_owned() }).cloned())
    }

    async fn create(&self, _permit: &Permit, object: &Object) -> Result<(), WorldError> {
        let mut state = self.state();
        let name = ObjectName { kind: object.kind, name: object.name.clone() };
        if state.objects.contains_key(&name) {
            return Err(WorldError::new(format!("{name} exists already")));
        }
        let mut object = object.clone();
        object.resource_version = Some(state.next_version());
        object.uid = Some(format!("uid-{name}"));
        let stateful_set = object.name.clone();
        state.objects.insert(name, object);
        state.start(&stateful_set);
        Ok(())
    }

    async fn replace(&self, _permit: &Permit, object: &Object) -> Result<(), WorldError> {
        let mut state = self.state();
        let name = ObjectName { kind: object.kind, name: object.name.clone() };
        let present = state.objects.get(&name).cloned();
        if present.as_ref().and_then(|present| present.resource_version.clone()) != object.resource_version {
            return Err(WorldError::new(format!("{name} has been modified")));
        }
        let before = state.pods(&object.name);
        let mut object = object.clone();
        object.resource_version = Some(state.next_version());
        state.objects.insert(name, object.clone());
        let stay = state.pods(&object.name);
        let stays = |pod: &Pod| stay.iter().any(|staying| staying.name == pod.name);
        for pod in before.into_iter().filter(|pod| !stays(pod)) {
            state.kv.remove(&pod.name);
            state.goes(&pod);
            state.stopped(&pod)?;
        }
        Ok(())
    }

    async fn delete(&self, _permit: &Permit, object: &Object) -> Result<(), WorldError> {
        let mut state = self.state();
        for pod in state.pods(&object.name) {
            state.given.remove(&pod.name);
            state.kv.remove(&pod.name);
            state.goes(&pod);
        }
        state.objects.remove(&ObjectName { kind: object.kind, name: object.name.clone() });
        Ok(())
    }

    async fn pod(&self, name: &str) -> Result<Option<Pod>, WorldError> {
        let state = self.state();
        let stateful_set = name.rsplit_once('-').map_or(name, |(stateful_set, _)| stateful_set);
        Ok(state.pods(stateful_set).into_iter().find(|pod| pod.name == name))
    }

    async fn pods(&self, stateful_set: &str) -> Result<Vec<Pod>, WorldError> {
        Ok(self.state().pods(stateful_set))
    }

    async fn trouble(&self, pod: &Pod) -> Option<String> {
        self.state().troubles.get(&pod.name).cloned()
    }

    async fn trouble_of_stateful_set(&self, name: &str) -> Option<String> {
        self.state().troubles.get(name).cloned()
    }

    async fn endpoint_hostnames(&self, service: &str) -> Result<Vec<String>, WorldError> {
        Ok(self.state().pods(service).into_iter().map(|pod| pod.name).collect())
    }

    async fn records(&self) -> Result<Vec<Record>, WorldError> {
        Ok(self.state().records.values().cloned().collect())
    }

    async fn record(&self, cluster: &str) -> Result<Option<Record>, WorldError> {
        Ok(self.state().records.get(cluster).cloned())
    }

    async fn write_record(&self, _permit: &Permit, record: &Record) -> Result<(), WorldError> {
        let mut state = self.state();
        let present = state.records.get(&record.cluster).and_then(|present| present.resource_version.clone());
        if present != record.resource_version {
            return Err(WorldError::new("the record has been modified"));
        }
        let record = Record { resource_version: Some(state.next_version()), ..record.clone() };
        state.records.insert(record.cluster.clone(), record);
        Ok(())
    }

    async fn delete_record(&self, _permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.state().records.remove(cluster);
        Ok(())
    }

    async fn create_key(&self, _permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.state().keys.insert(cluster.to_owned());
        Ok(())
    }

    async fn has_key(&self, cluster: &str) -> Result<bool, WorldError> {
        Ok(self.state().keys.contains(cluster))
    }

    async fn delete_key(&self, _permit: &Permit, cluster: &str) -> Result<(), WorldError> {
        self.state().keys.remove(cluster);
        Ok(())
    }

    async fn describe(&self, pod: &Pod) -> Result<Describe, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        let is_broker =
            pod.labels.get(names::LABEL_COMPONENT).is_some_and(|part| part == names::COMPONENT_BROKER);
        let waits_for = state.gate_waits_for(&pod.name);
        Ok(Describe {
            role: if is_broker { Role::Broker } else { Role::NameServer },
            pod_name: pod.name.clone(),
            pod_uid: pod.uid.clone(),
            agent_version: "0.1.0".to_owned(),
            protocol: PROTOCOL,
            cluster: pod.labels.get(names::LABEL_INSTANCE).cloned().unwrap_or_default(),
            highest_fence: state.fence_of(pod),
            has_key: true,
            desired: state.followed(pod),
            list: is_broker.then(|| state.broker_list(pod)),
            gate: Some(Gate {
                open: waits_for.is_none(),
                waiting_for: waits_for.clone().unwrap_or_default(),
            }),
            process: Process {
                answers: waits_for.is_none(),
                problem: waits_for.map(|_| "it does not run".to_owned()).unwrap_or_default(),
                version: state.version.ordinal(),
                boot_timestamp_millis: 1_700_000_000_000,
                list_period_millis: if is_broker { state.list_period_millis } else { 0 },
            },
            volume: None,
            metadata: is_broker.then(|| state.metadata_state(&pod.name)),
        })
    }

    async fn set_name_servers(
        &self,
        permit: &Permit,
        pod: &Pod,
        list: &NameServerList,
    ) -> Result<(), WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        if state.followed(pod).is_some_and(|followed| followed.generation > list.generation) {
            return Err(WorldError::new(format!("pod `{}` follows a newer list", pod.name)));
        }
        state.given.insert(pod.name.clone(), list.clone());
        Ok(())
    }

    async fn routes(&self, pod: &Pod) -> Result<RouteTable, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        let mut routes = RouteTable { brokers: state.lingering_at(pod), ..RouteTable::default() };
        for broker in state.pods_of(names::COMPONENT_BROKER) {
            let lists = state.followed(&broker).is_some_and(|list| {
                let at =
                    |address: &str| state.name_server_at(address).is_some_and(|found| found.name == pod.name);
                list.name_servers.iter().any(|entry| at(&entry.address))
            });
            let registers = lists && state.running(&broker).is_ok();
            if registers && !state.forgotten.contains(&(pod.name.clone(), broker.name.clone())) {
                let identity = identity(&broker);
                if identity.broker_id == 0 {
                    routes.rows.extend(state.rows(&broker));
                }
                routes.brokers.push(identity);
            }
        }
        Ok(routes)
    }

    async fn broker_facts(&self, pod: &Pod) -> Result<BrokerFacts, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        let RegisteredBroker { cluster, broker_name, broker_id, address } = identity(pod);
        let broker = state.broker(&pod.name);
        Ok(BrokerFacts {
            cluster,
            broker_name,
            broker_id,
            address,
            version: state.version.to_string(),
            boot_timestamp_millis: broker.backlog.boot_timestamp_millis,
            permission: broker.permission.bits(),
            put_tps: 120.0,
            get_tps: 118.5,
            commit_log_disk_ratio: 0.41,
            topics: state.rows(pod).len() as u64,
            subscription_groups: broker.metadata.groups.len() as u64,
            commit_log_max_offset: 0,
            registration_bytes: broker.metadata.registration_bytes(),
        })
    }

    async fn broker_rows(&self, pod: &Pod) -> Result<BrokerRows, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        let identity = identity(pod);
        let rows = if identity.broker_id == 0 { state.rows(pod) } else { Vec::new() };
        Ok(BrokerRows { identity, rows })
    }

    async fn kv_config(&self, pod: &Pod) -> Result<Vec<KvEntry>, WorldError> {
        Ok(self.state().kv.get(&pod.name).cloned().unwrap_or_default())
    }

    async fn put_kv_config(&self, permit: &Permit, pod: &Pod, entries: &[KvEntry]) -> Result<(), WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        let stored = state.kv.entry(pod.name.clone()).or_default();
        for entry in entries {
            stored.retain(|present| (&present.namespace, &present.key) != (&entry.namespace, &entry.key));
            stored.push(entry.clone());
        }
        Ok(())
    }

    async fn connections(&self, pod: &Pod) -> Result<Vec<String>, WorldError> {
        Ok(self.state().connections.get(&pod.name).cloned().unwrap_or_default())
    }

    async fn subscriptions(&self, pod: &Pod) -> Result<BTreeSet<Subscription>, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        Ok(state.subscriptions_at(pod))
    }

    async fn tables_summary(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, WorldError> {
        let (_, mut summary) = self.read_tables(pod, options, seeds).await?;
        (summary.bundle.sha256, summary.bundle.bytes) = (String::new(), 0);
        Ok(summary)
    }

    async fn read_tables(
        &self,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<(Vec<u8>, PreparedExport), WorldError> {
        let state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        let (bundle, exported) = state.export(pod, options, seeds);
        Ok((bundled(&bundle.metadata, &state.origin(pod)).unwrap(), exported))
    }

    async fn prepare_export(
        &self,
        permit: &Permit,
        pod: &Pod,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        state.running(pod)?;
        let (bundle, prepared) = state.export(pod, options, seeds);
        state.broker_mut(&pod.name).export = Some(bundle);
        Ok(prepared)
    }

    async fn relay_metadata(
        &self,
        permit: &Permit,
        source: &Pod,
        target: &Pod,
        bundle: &BundleDescription,
    ) -> Result<(), WorldError> {
        let mut state = self.state();
        state.asked(source)?;
        state.told(permit, target)?;
        let metadata = state.exported(source, bundle)?;
        let origin = state.origin(source);
        state.receive(target, metadata, &origin);
        Ok(())
    }

    async fn send_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        metadata: &Metadata,
        origin: &Origin,
    ) -> Result<String, WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        Ok(state.receive(pod, metadata.clone(), origin))
    }

    async fn commit_metadata(
        &self,
        permit: &Permit,
        pod: &Pod,
        commit: &Commit,
    ) -> Result<Option<String>, WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        state.commit(pod, commit)
    }

    async fn apply_metadata(&self, permit: &Permit, pod: &Pod, sha256: &str) -> Result<Applied, WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        state.apply(pod, sha256)
    }

    async fn set_broker_permission(
        &self,
        permit: &Permit,
        pod: &Pod,
        permission: Permission,
    ) -> Result<(), WorldError> {
        let mut state = self.state();
        state.told(permit, pod)?;
        state.running(pod)?;
        state.permit(pod, permission);
        Ok(())
    }

    async fn consumers(&self, pod: &Pod) -> Result<Vec<OnlineGroup>, WorldError> {
        let state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        Ok(state.online(pod))
    }

    async fn online_groups(&self, pod: &Pod) -> Result<BTreeSet<String>, WorldError> {
        Ok(self.consumers(pod).await?.into_iter().map(|group| group.group).collect())
    }

    async fn backlog(&self, pod: &Pod) -> Result<Backlog, WorldError> {
        let mut state = self.state();
        state.asked(pod)?;
        state.running(pod)?;
        assert_eq!(identity(pod).broker_id, 0, "`{}` is a slave", pod.name);
        Ok(state.backlog(pod))
    }

    async fn unregister_brokers(
        &self,
        permit: &Permit,
        name_server: &Pod,
        brokers: &[RegisteredBroker],
    ) -> Result<(), WorldError> {
        let mut state = self.state();
        state.told(permit, name_server)?;
        let lives = state.pods_of(names::COMPONENT_BROKER).iter().any(|pod| brokers.contains(&identity(pod)));
        assert!(!lives, "a broker that lives registers again: {brokers:?}");
        let unlisted = brokers.iter().map(|broker| (name_server.name.clone(), broker.clone()));
        state.unlisted.extend(unlisted);
        Ok(())
    }

    fn unproved(&self, pod: &Pod) -> Option<String> {
        self.state().unproved.get(&pod.name).cloned()
    }

    fn elapsed(&self) -> Duration {
        self.state().now
    }

    async fn pause(&self, duration: Duration) {
        self.state().now += duration;
        // A run that is killed or interrupted is left here.
        tokio::task::yield_now().await;
    }

    fn waiting_for_each(&self, _what: &str, _rows: Vec<String>) {}

    fn moved(&self, _what: &str, _bytes: u64, _of: u64) {}
}

impl State {
    /// No broker may list a name server that is stopped: that is what the operations promise.
    fn stopped(&self, pod: &Pod) -> Result<(), WorldError> {
        for broker in self.pods_of(names::COMPONENT_BROKER) {
            let list = self.followed(&broker).unwrap_or_default();
            let lists =
                list.name_servers.iter().any(|entry| entry.pod_ip == pod.ip.clone().unwrap_or_default());
            assert!(!lists, "`{}` is stopped while `{}` lists it", pod.name, broker.name);
        }
        Ok(())
    }

    /// What a name server still lists of brokers that are gone.
    pub(super) fn lingering_at(&self, name_server: &Pod) -> Vec<RegisteredBroker> {
        let unlisted = |broker: &&RegisteredBroker| {
            self.unlisted.iter().any(|(name, gone)| (name, gone) == (&name_server.name, *broker))
        };
        self.lingering.iter().filter(|broker| !unlisted(broker)).cloned().collect()
    }

    fn broker_list(&self, pod: &Pod) -> BrokerList {
        let list = self.followed(pod).unwrap_or_default();
        let addresses: Vec<String> = list.name_servers.into_iter().map(|entry| entry.address).collect();
        let registrations = addresses.iter().map(|address| {
            let name_server = self.name_server_at(address);
            let (owner, reason) = match name_server {
                None if self.answering.contains(address) => (Owner::Broker, ""),
                None => (Owner::Unreachable, "connection refused"),
                Some(_) if self.running(pod).is_err() => (Owner::Nobody, "its broker does not run"),
                Some(found) if self.forgotten.contains(&(found.name.clone(), pod.name.clone())) => {
                    (Owner::Nobody, "no bridge yet")
                }
                Some(found) if self.bridged.contains(&(found.name.clone(), pod.name.clone())) => {
                    (Owner::Bridge, "")
                }
                Some(_) => (Owner::Broker, ""),
            };
            Registration { name_server: address.clone(), owner, reason: reason.to_owned(), since_millis: 1 }
        });
        let registrations = registrations.collect();
        let mode =
            if self.version.takes_live_list() { ListMode::NamesrvAddr } else { ListMode::AddressServer };
        BrokerList { mode, file: addresses.clone(), live: addresses, live_since_millis: 1, registrations }
    }
}

pub(super) fn identity(pod: &Pod) -> RegisteredBroker {
    let label = |key: &str| pod.labels.get(key).cloned().unwrap_or_default();
    let slave = pod.name.rsplit_once("-replica-").and_then(|(_, rest)| rest.split('-').next()?.parse().ok());
    RegisteredBroker {
        cluster: label(names::LABEL_BROKER),
        broker_name: label(names::LABEL_GROUP),
        broker_id: slave.unwrap_or(0),
        address: format!("{}:{}", pod.ip.clone().unwrap_or_default(), names::BROKER_PORT),
    }
}
