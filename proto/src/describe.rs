//! What an agent tells of itself and its neighbour, as plain values.

use std::collections::BTreeMap;

use rocketmq::metadata::TableDigest;
use rocketmq::model::backlog::Row;
use rocketmq::model::name_server::NameServerList;
use rocketmq::model::permission::Permission;

use crate::ProtocolRange;

/// What the agent stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A name server.
    NameServer,
    /// A broker.
    Broker,
}

/// What an agent is and holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Describe {
    /// What the agent stands beside.
    pub role: Role,
    /// Its pod.
    pub pod_name: String,
    /// The pod's UID; a pod made anew has another.
    pub pod_uid: String,
    /// The agent's own version.
    pub agent_version: String,
    /// What it speaks.
    pub protocol: ProtocolRange,
    /// The cluster it belongs to.
    pub cluster: String,
    /// The highest fence that it has seen.
    pub highest_fence: u64,
    /// False while the cluster's key is not mounted: it refuses changes then.
    pub has_key: bool,
    /// The list it obeys; `None` if it never saw one.
    pub desired: Option<NameServerList>,
    /// How its broker takes the list, and how far it has; `None` beside a name server.
    pub list: Option<BrokerList>,
    /// Whether RocketMQ may start.
    pub gate: Option<Gate>,
    /// RocketMQ beside it.
    pub process: Process,
    /// The volume that RocketMQ's data lie on; `None` if it could not be looked at.
    pub volume: Option<Volume>,
    /// How far the metadata of a new broker are; `None` beside a name server.
    pub metadata: Option<MetadataState>,
}

/// How far the metadata of a new broker are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetadataState {
    /// The token of the metadata that the pod was made to wait for; empty when it waits for none.
    pub awaited: String,
    /// The token that was committed last; empty when none was.
    pub committed: String,
    /// The store's folder, when it holds an earlier broker's data; else empty.
    pub earlier_store: String,
    /// SHA-256 of the bundle that is being received, or was; empty when none.
    pub receiving_sha256: String,
    /// How many of its bytes are verified.
    pub verified_bytes: u64,
}

/// What a bundle shall hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportOptions {
    /// Without system topics and groups, names of the broker itself, and what else does not fit another broker.
    pub sanitised: bool,
    /// With topics whose messages are ordered; only of a sanitised export.
    pub ordered: bool,
}

/// What a bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleDescription {
    /// SHA-256 of its bytes, hexadecimal.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Its topics.
    pub topics: TableDigest,
    /// Its subscription groups, and what they are forbidden.
    pub groups: TableDigest,
    /// Its request modes.
    pub request_modes: TableDigest,
    /// How many topic@group pairs have offsets.
    pub offsets: u64,
    /// The body of the registration of a broker with these topics, in bytes.
    pub registration_bytes: u64,
}

/// A bundle and the broker that it is of. Where only a summary of tables was asked for, no bundle is made, and it has
/// neither a digest nor a length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedExport {
    /// The bundle.
    pub bundle: BundleDescription,
    /// Topics that were left out because their messages are ordered.
    pub ordered_topics: Vec<String>,
    /// The broker's cluster, as RocketMQ names it.
    pub cluster: String,
    /// The broker's group.
    pub broker_name: String,
    /// `MQVersion` ordinal of the broker's answers.
    pub version: u32,
}

/// What becomes of data that lie in the store of a new broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldData {
    /// They are in the way.
    Refuse,
    /// The broker starts on them; no file of the bundle is written.
    Keep,
    /// They are renamed to `<folder>.<token>`.
    Aside,
}

/// What a new broker shall start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// [`MetadataState::awaited`].
    pub token: String,
    /// The received bundle.
    pub sha256: String,
    /// What becomes of earlier data.
    pub old_data: OldData,
    /// `brokerPermission` that the broker starts with.
    pub permission: Permission,
}

/// How much a running broker was given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Applied {
    /// Topics that were created or changed.
    pub topics: u64,
    /// Subscription groups that were created or changed.
    pub groups: u64,
    /// Request modes that were set.
    pub request_modes: u64,
    /// Topic@group pairs that got offsets.
    pub offsets: u64,
}

/// A group of which somebody is online at a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineGroup {
    /// Its name.
    pub group: String,
    /// The ids of its clients.
    pub clients: Vec<String>,
    /// Those that did not say what they hold, or may hold more than they said.
    pub silent_clients: Vec<String>,
    /// `topic:queue` of this broker, subscribed to but held by nobody.
    pub unheld_queues: Vec<String>,
    /// What each client holds that said it; an agent from before this was asked for tells of none.
    pub holdings: Vec<Holding>,
}

/// What one client holds right now, of all brokers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Its id.
    pub client: String,
    /// How many queues, by broker group; all queues of a topic that are held as one count as one.
    pub queues_by_broker: BTreeMap<String, u32>,
}

/// How a broker takes a new list while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListMode {
    /// `namesrvAddr` in the file and by code 25 (4.9.4+).
    NamesrvAddr,
    /// From the agent's HTTP address server (up to 4.9.3, and where the version is unknown).
    AddressServer,
}

/// Where each value of a broker's list stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerList {
    /// How it takes a new one.
    pub mode: ListMode,
    /// In broker.conf; with the address server: what would be served.
    pub file: Vec<String>,
    /// What the broker uses (code 26); with the address server: what was served last.
    pub live: Vec<String>,
    /// When the agent first saw the live list, or last served it; 0 = never.
    pub live_since_millis: u64,
    /// Who holds the broker's entry at each name server of the desired list.
    pub registrations: Vec<Registration>,
}

/// Who holds the broker's entry at one name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// The name server's address.
    pub name_server: String,
    /// Who.
    pub owner: Owner,
    /// Why nobody, or why it is not known, in words; else empty.
    pub reason: String,
    /// Since when, by the agent's clock.
    pub since_millis: u64,
}

/// Who holds an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// The broker, by its own registration.
    Broker,
    /// The agent's bridge.
    Bridge,
    /// Nobody: the broker is not listed there.
    Nobody,
    /// The name server does not answer.
    Unreachable,
}

/// Whether RocketMQ may start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// True once it may.
    pub open: bool,
    /// What is missing, in words; empty when open.
    pub waiting_for: String,
}

/// The process of RocketMQ beside the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// True while it answers requests.
    pub answers: bool,
    /// Why not, in words; else empty.
    pub problem: String,
    /// `MQVersion` ordinal of its answers; 0 = it never answered.
    pub version: u32,
    /// When it started; 0 = unknown, and always beside a name server.
    pub boot_timestamp_millis: u64,
    /// How often a broker reads its list of name servers again; 0 = unknown, always beside a name server and where the
    /// period is no setting.
    pub list_period_millis: u64,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Where the agent has it mounted.
    pub path: String,
    /// Its size.
    pub total_bytes: u64,
    /// What is left for others than root.
    pub free_bytes: u64,
}

/// Facts of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerFacts {
    /// Its cluster, as RocketMQ names it.
    pub cluster: String,
    /// Its group.
    pub broker_name: String,
    /// Its id in the group.
    pub broker_id: u64,
    /// The address that it registers.
    pub address: String,
    /// Its version, as RocketMQ names it.
    pub version: String,
    /// When it started.
    pub boot_timestamp_millis: u64,
    /// `brokerPermission`: 4 read, 2 write.
    pub permission: u32,
    /// Messages stored a second, over the last 10 s.
    pub put_tps: f64,
    /// Messages given out a second, over the last 10 s.
    pub get_tps: f64,
    /// How full the disk of the commit log is, 0 to 1; negative if its path is missing.
    pub commit_log_disk_ratio: f64,
    /// How many topics it has.
    pub topics: u64,
    /// How many subscription groups it has.
    pub subscription_groups: u64,
    /// Where its commit log ends, in bytes.
    pub commit_log_max_offset: u64,
    /// The body of its registration as it would be sent now, in bytes; 0 of a slave.
    pub registration_bytes: u64,
}

/// What somebody still wants of a broker, as one look found it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// What is not empty, in order.
    pub rows: Vec<Row>,
    /// What could not be looked at, in words. With one of these nothing is proved empty.
    pub unknown: Vec<String>,
    /// When the process was started that all of it was asked from.
    pub boot_timestamp_millis: u64,
    /// `brokerPermission`: 4 read, 2 write.
    pub permission: u32,
    /// Sum of the ends of all queues that clients send to. Equal sums mean that nobody sent in between.
    pub written: u64,
}

impl Describe {
    /// Why the broker cannot be found at every name server of `list` yet; `None` if it can.
    pub fn unregistered_at(&self, list: &NameServerList) -> Option<String> {
        if let Some(reason) = self.follows_other_than(list) {
            return Some(reason);
        }
        let Some(state) = &self.list else { return Some("it stands beside no broker".to_owned()) };
        list.name_servers.iter().find_map(|entry| {
            let name_server = &entry.address;
            match state.registrations.iter().find(|registration| registration.name_server == *name_server) {
                None => Some(format!("it has not looked at `{name_server}` yet")),
                Some(Registration { owner: Owner::Broker | Owner::Bridge, .. }) => None,
                Some(Registration { owner: Owner::Nobody, reason, .. }) => {
                    Some(format!("its broker is not registered at `{name_server}`: {reason}"))
                }
                Some(Registration { owner: Owner::Unreachable, reason, .. }) => {
                    Some(format!("`{name_server}` does not answer it: {reason}"))
                }
            }
        })
    }

    /// Why the broker may still use a name server that is not in `list`; `None` if neither its file nor its live
    /// list has any other. What a broker reads again later is the caller's to wait for.
    pub fn holds_other_than(&self, list: &NameServerList) -> Option<String> {
        if let Some(reason) = self.follows_other_than(list) {
            return Some(reason);
        }
        let Some(state) = &self.list else { return Some("it stands beside no broker".to_owned()) };
        let stranger = |addresses: &[String]| {
            let listed = |address: &String| list.name_servers.iter().any(|entry| entry.address == *address);
            addresses.iter().find(|address| !listed(address)).cloned()
        };
        if let Some(address) = stranger(&state.file) {
            return Some(format!("broker.conf still lists `{address}`"));
        }
        if state.live.is_empty() {
            return Some(match state.mode {
                ListMode::NamesrvAddr => "the broker's live list is not known yet".to_owned(),
                ListMode::AddressServer => {
                    "the broker has not fetched its list since the agent started".to_owned()
                }
            });
        }
        stranger(&state.live).map(|address| match state.mode {
            ListMode::NamesrvAddr => format!("the broker's live list still has `{address}`"),
            ListMode::AddressServer => format!("the broker has not fetched the list without `{address}` yet"),
        })
    }

    fn follows_other_than(&self, list: &NameServerList) -> Option<String> {
        match &self.desired {
            Some(desired) if desired.name_servers == list.name_servers => None,
            Some(desired) => {
                Some(format!("its agent follows list {} instead of {}", desired.generation, list.generation))
            }
            None => Some("its agent has no list yet".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::name_server::NameServerEntry;

    use super::*;

    fn list(generation: u64, addresses: &[&str]) -> NameServerList {
        let entry = |address: &&str| NameServerEntry { address: (*address).into(), pod_ip: String::new() };
        NameServerList { generation, name_servers: addresses.iter().map(entry).collect() }
    }

    fn described(mode: ListMode, file: &[&str], live: &[&str], owners: &[(&str, Owner, &str)]) -> Describe {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Describe {
            role: Role::Broker,
            pod_name: "demo-0-master-0".into(),
            pod_uid: "uid".into(),
            agent_version: "0.1.0".into(),
            protocol: crate::PROTOCOL,
            cluster: "demo".into(),
            highest_fence: 1,
            has_key: true,
            desired: Some(list(2, &["a:1", "b:1"])),
            list: Some(BrokerList {
                mode,
                file: texts(file),
                live: texts(live),
                live_since_millis: 1,
                registrations: owners
                    .iter()
                    .map(|(name_server, owner, reason)| Registration {
                        name_server: (*name_server).into(),
                        owner: *owner,
                        reason: (*reason).into(),
                        since_millis: 1,
                    })
                    .collect(),
            }),
            gate: Some(Gate { open: true, waiting_for: String::new() }),
            process: Process {
                answers: true,
                problem: String::new(),
                version: 479,
                boot_timestamp_millis: 1,
                list_period_millis: 0,
            },
            volume: None,
            metadata: None,
        }
    }

    #[test]
    fn a_broker_is_registered_by_itself_or_by_a_bridge() {
        let check = |owners: &[(&str, Owner, &str)], expect: Option<&str>| {
            let described = described(ListMode::NamesrvAddr, &[], &[], owners);
            assert_eq!(described.unregistered_at(&list(2, &["a:1", "b:1"])).as_deref(), expect);
        };
        check(&[("a:1", Owner::Broker, ""), ("b:1", Owner::Bridge, "")], None);
        check(&[("a:1", Owner::Broker, "")], Some("it has not looked at `b:1` yet"));
        check(
            &[("a:1", Owner::Nobody, "no bridge yet"), ("b:1", Owner::Bridge, "")],
            Some("its broker is not registered at `a:1`: no bridge yet"),
        );
        check(
            &[("a:1", Owner::Broker, ""), ("b:1", Owner::Unreachable, "connection refused")],
            Some("`b:1` does not answer it: connection refused"),
        );
    }

    #[test]
    fn an_agent_on_another_list_is_not_done() {
        let described = described(ListMode::NamesrvAddr, &["a:1"], &["a:1"], &[("a:1", Owner::Broker, "")]);
        let expect = Some("its agent follows list 2 instead of 3".to_owned());
        assert_eq!(described.unregistered_at(&list(3, &["a:1"])), expect);
        assert_eq!(described.holds_other_than(&list(3, &["a:1"])), expect);
        let none = Describe { desired: None, ..described };
        assert_eq!(none.unregistered_at(&list(3, &["a:1"])), Some("its agent has no list yet".to_owned()));
    }

    #[test]
    fn a_name_server_is_free_when_neither_file_nor_live_list_has_it() {
        let check = |mode, file: &[&str], live: &[&str], expect: Option<&str>| {
            let described = described(mode, file, live, &[]);
            assert_eq!(described.holds_other_than(&list(2, &["a:1", "b:1"])).as_deref(), expect);
        };
        use ListMode::{AddressServer, NamesrvAddr};
        check(NamesrvAddr, &["a:1", "b:1"], &["a:1"], None);
        check(NamesrvAddr, &["a:1", "c:1"], &["a:1"], Some("broker.conf still lists `c:1`"));
        check(NamesrvAddr, &["a:1"], &["c:1"], Some("the broker's live list still has `c:1`"));
        check(NamesrvAddr, &["a:1"], &[], Some("the broker's live list is not known yet"));
        check(
            AddressServer,
            &["a:1"],
            &["a:1", "c:1"],
            Some("the broker has not fetched the list without `c:1` yet"),
        );
        check(
            AddressServer,
            &["a:1"],
            &[],
            Some("the broker has not fetched its list since the agent started"),
        );
    }
}
