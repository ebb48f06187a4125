//! What a name server keeps of brokers and topics, by the rules of `RouteInfoManager`. Pure.

use std::collections::BTreeMap;

use rocketmq::model::broker::MASTER_ID;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::route::{RegisteredBroker, RouteTable, TopicRow};
use rocketmq::model::topic::TopicTable;
use rocketmq::model::version::Version;

use crate::peer::ConnectionId;

/// A registration that was accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct Registration {
    /// On which connection it came.
    pub connection: ConnectionId,
    /// Who registered.
    pub broker: RegisteredBroker,
    /// The version of the request.
    pub version: Version,
    /// `haServerAddr`.
    pub ha_server_addr: String,
    /// `enableActingMaster`; `None` if absent.
    pub enable_acting_master: Option<bool>,
    /// `heartbeatTimeoutMillis`; `None` if absent.
    pub heartbeat_timeout_millis: Option<u64>,
    /// `__ZONE_NAME`; `None` if absent.
    pub zone: Option<String>,
    /// The topics, with the registered version.
    pub topics: TopicTable,
}

/// A broker that is listed now.
#[derive(Debug, Clone, PartialEq)]
pub struct ListedBroker {
    /// Who it is.
    pub broker: RegisteredBroker,
    /// The stored version of its topic table.
    pub data_version: DataVersion,
    /// The connection that registered it last: when it closes, the broker goes.
    pub connection: ConnectionId,
    /// Where slaves replicate from.
    pub ha_server_addr: String,
    /// As the last registration said; absent is false.
    pub enable_acting_master: bool,
    /// As the last registration said.
    pub zone: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Routes {
    /// By address; 5.x has the cluster in the key too, which differs only for one address in two clusters.
    live: BTreeMap<String, ListedBroker>,
    /// Group to cluster and addresses by id; the key is the group's name alone, all tags.
    groups: BTreeMap<String, (String, BTreeMap<u64, String>)>,
    /// Whether slaves of a group may act as its master, as its last registrant said (5.x).
    acting_master: BTreeMap<String, bool>,
    /// Topic to rows by group.
    rows: BTreeMap<String, BTreeMap<String, TopicRow>>,
}

/// A first registration that 5.x refuses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused;

impl Routes {
    pub(crate) fn register(
        &mut self,
        registration: &Registration,
        name_server: Version,
    ) -> Result<(), Refused> {
        let Registration { broker, topics, .. } = registration;
        let known = self.groups.get(&broker.broker_name).and_then(|(_, ids)| ids.get(&broker.broker_id));
        let first = known.is_none();
        if first && name_server.is_5() && topics.topics.len() == 1 {
            return Err(Refused);
        }
        let stored = self.live.get(&broker.address).map(|listed| listed.data_version);
        let changed = stored != Some(topics.data_version);
        let group = self
            .groups
            .entry(broker.broker_name.clone())
            .or_insert_with(|| (broker.cluster.clone(), BTreeMap::new()));
        group.1.insert(broker.broker_id, broker.address.clone());
        let acting = registration.enable_acting_master.unwrap_or(false);
        self.acting_master.insert(broker.broker_name.clone(), acting);
        if broker.broker_id == MASTER_ID {
            for row in topics.rows(&broker.broker_name) {
                let rows = self.rows.entry(row.topic.clone()).or_default();
                // 4.x: all or nothing; 5.x looks at each topic.
                let absent = name_server.is_5() && !rows.contains_key(&row.broker_name);
                if changed || first || absent {
                    rows.insert(row.broker_name.clone(), row);
                }
            }
            self.rows.retain(|_, rows| !rows.is_empty());
        }
        self.live.insert(
            broker.address.clone(),
            ListedBroker {
                broker: broker.clone(),
                data_version: topics.data_version,
                connection: registration.connection,
                ha_server_addr: registration.ha_server_addr.clone(),
                enable_acting_master: registration.enable_acting_master.unwrap_or(false),
                zone: registration.zone.clone(),
            },
        );
        Ok(())
    }

    /// Removes by address, as 104 and closed channels do; the last address of a group takes its rows along.
    pub(crate) fn remove(&mut self, address: &str) {
        self.live.remove(address);
        for (_, ids) in self.groups.values_mut() {
            ids.retain(|_, listed| listed != address);
        }
        let gone: Vec<_> =
            self.groups.iter().filter(|(_, (_, ids))| ids.is_empty()).map(|(name, _)| name.clone()).collect();
        for name in gone {
            self.groups.remove(&name);
            for rows in self.rows.values_mut() {
                rows.remove(&name);
            }
        }
        self.rows.retain(|_, rows| !rows.is_empty());
    }

    pub(crate) fn registered_by(&self, connection: ConnectionId) -> Vec<String> {
        let own = |(address, listed): (&String, &ListedBroker)| {
            (listed.connection == connection).then(|| address.clone())
        };
        self.live.iter().filter_map(own).collect()
    }

    pub(crate) fn listed(&self) -> Vec<ListedBroker> {
        self.live.values().cloned().collect()
    }

    pub(crate) fn stored_version(&self, address: &str) -> Option<DataVersion> {
        self.live.get(address).map(|listed| listed.data_version)
    }

    /// What a slave learns of its master.
    pub(crate) fn master_of(&self, broker_name: &str) -> Option<&ListedBroker> {
        self.live.get(self.groups.get(broker_name)?.1.get(&MASTER_ID)?)
    }

    pub(crate) fn table(&self) -> RouteTable {
        let mut brokers: Vec<_> = self.groups.keys().flat_map(|name| self.brokers(name)).collect();
        brokers.sort();
        RouteTable { brokers, rows: self.rows.values().flat_map(BTreeMap::values).cloned().collect() }
    }

    /// The brokers of a group.
    pub(crate) fn has_acting_master(&self, broker_name: &str) -> bool {
        self.acting_master.get(broker_name).copied().unwrap_or(false)
    }

    pub(crate) fn brokers(&self, broker_name: &str) -> Vec<RegisteredBroker> {
        let Some((cluster, ids)) = self.groups.get(broker_name) else { return Vec::new() };
        let broker = |(id, address): (&u64, &String)| RegisteredBroker {
            cluster: cluster.clone(),
            broker_name: broker_name.to_owned(),
            broker_id: *id,
            address: address.clone(),
        };
        ids.iter().map(broker).collect()
    }

    pub(crate) fn rows(&self, topic: &str) -> Vec<TopicRow> {
        self.rows.get(topic).map(|rows| rows.values().cloned().collect()).unwrap_or_default()
    }
}
