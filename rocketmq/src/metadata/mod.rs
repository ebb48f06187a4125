//! What a broker hands to another: its topics, subscription groups, request modes and consumer offsets. How they are
//! walked entry by entry ([`walk`]), sanitised ([`sanitise`]), told apart ([`digest`], [`diff`]), measured ([`size`]),
//! written as the files that RocketMQ starts with ([`files`]), and carried as one bundle ([`bundle`], [`export`]).
//!
//! No I/O but through the readers and writers it is given, no clock.

pub mod bundle;
pub mod diff;
pub mod digest;
pub mod export;
pub mod files;
pub mod manifest;
mod names;
mod requests;
pub mod sanitise;
pub mod size;
mod ustar;
pub mod walk;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use self::diff::{ChangeKind, Difference, EntryChange, FieldChange, difference};
pub use self::digest::{Digests, TableDigest};
pub use self::names::InvalidEntry;
pub use self::sanitise::{Kept, is_ordered, keeps_group, keeps_topic};
pub use self::size::{REGISTRATION_LIMIT, registration_bytes};
pub use crate::model::subscription_group::{RETRY_PREFIX, Subscription};

use crate::model::topic::TopicConfig;
use crate::model::version::Version;

/// Where tables come from. It decides which of their topics are the broker's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// `brokerClusterName`.
    pub cluster: String,
    /// `brokerName`.
    pub broker_name: String,
    /// The broker's version.
    pub version: Version,
}

/// The tables of a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// The topics.
    Topics,
    /// The subscription groups, and which topics each of them must not read.
    Groups,
    /// How groups ask for the messages of topics, 5.x only.
    RequestModes,
    /// How far groups have come in topics.
    Offsets,
}

impl Table {
    /// All of them, in the order in which a bundle has them.
    pub const ALL: [Self; 4] = [Self::Topics, Self::Groups, Self::RequestModes, Self::Offsets];

    /// The file below `store/config` that RocketMQ keeps it in (`BrokerPathConfigHelper`, all tags).
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Topics => "topics.json",
            Self::Groups => "subscriptionGroup.json",
            Self::RequestModes => "messageRequestMode.json",
            Self::Offsets => "consumerOffset.json",
        }
    }

    /// The table that a file of this name holds.
    #[must_use]
    pub fn of_file(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.file_name() == name)
    }
}

/// One entry of a table.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A topic.
    Topic(TopicConfig),
    /// A subscription group, whole.
    Group(String, Map<String, Value>),
    /// The topics that a group must not read, with RocketMQ's bits for each (5.x).
    Forbidden(String, Value),
    /// How a group asks for a topic's messages, whole.
    RequestMode(Subscription, Map<String, Value>),
    /// How far a group has come in each queue of a topic.
    Offsets(Subscription, BTreeMap<u32, i64>),
}

/// Tables held whole, for whoever shows or compares them. Those who only pass them on use [`walk`] and [`export`].
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    /// The topics by name.
    pub topics: BTreeMap<String, TopicConfig>,
    /// The subscription groups by name, each whole.
    pub groups: BTreeMap<String, Map<String, Value>>,
    /// What groups must not read: group to topic to bits (`forbiddenTable`, 5.x).
    pub forbidden: Map<String, Value>,
    /// The request modes, each whole (5.x).
    pub request_modes: BTreeMap<Subscription, Map<String, Value>>,
    /// The offsets by queue.
    pub offsets: BTreeMap<Subscription, BTreeMap<u32, i64>>,
}

impl Metadata {
    /// Adds an entry, in the place of one of the same name.
    pub fn insert(&mut self, entry: Entry) {
        match entry {
            Entry::Topic(topic) => drop(self.topics.insert(topic.topic_name.clone(), topic)),
            Entry::Group(name, group) => drop(self.groups.insert(name, group)),
            Entry::Forbidden(group, topics) => drop(self.forbidden.insert(group, topics)),
            Entry::RequestMode(subscription, mode) => drop(self.request_modes.insert(subscription, mode)),
            Entry::Offsets(subscription, queues) => drop(self.offsets.insert(subscription, queues)),
        }
    }

    /// The entries of one table, in order.
    pub fn entries(&self, table: Table) -> Vec<Entry> {
        match table {
            Table::Topics => self.topics.values().cloned().map(Entry::Topic).collect(),
            Table::Groups => {
                let groups =
                    self.groups.iter().map(|(name, group)| Entry::Group(name.clone(), group.clone()));
                let forbidden = self.forbidden.iter();
                groups
                    .chain(forbidden.map(|(group, topics)| Entry::Forbidden(group.clone(), topics.clone())))
                    .collect()
            }
            Table::RequestModes => self
                .request_modes
                .iter()
                .map(|(subscription, mode)| Entry::RequestMode(subscription.clone(), mode.clone()))
                .collect(),
            Table::Offsets => self
                .offsets
                .iter()
                .map(|(subscription, queues)| Entry::Offsets(subscription.clone(), queues.clone()))
                .collect(),
        }
    }

    /// The digests of the tables.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let mut digests = Digests::default();
        for table in Table::ALL {
            self.entries(table).iter().for_each(|entry| digests.add(entry));
        }
        digests
    }

    /// True if nothing is in it that a sanitised bundle must not have.
    #[must_use]
    pub fn is_sanitised(&self, origin: &Origin) -> bool {
        Table::ALL
            .into_iter()
            .flat_map(|table| self.entries(table))
            .all(|entry| names::check(&entry, Some(origin)).is_ok())
    }

    /// What another broker shall have of these tables: without what `origin` makes for itself, and without ordered
    /// topics unless they are asked for. The latter's names come beside it.
    #[must_use]
    pub fn sanitised(mut self, origin: &Origin, ordered: bool) -> (Self, Vec<String>) {
        let mut left_out = Vec::new();
        self.topics.retain(|name, topic| match keeps_topic(topic, origin) {
            Kept::Yes => true,
            Kept::Ordered if ordered => true,
            Kept::Ordered => {
                left_out.push(name.clone());
                false
            }
            Kept::No => false,
        });
        let Self { topics, groups, forbidden, request_modes, offsets } = &mut self;
        let keeps = |subscription: &Subscription| {
            let is_there =
                topics.contains_key(&subscription.topic) || subscription.topic.starts_with(RETRY_PREFIX);
            is_there && keeps_group(&subscription.group)
        };
        groups.retain(|name, _| keeps_group(name));
        forbidden.retain(|name, _| keeps_group(name));
        request_modes.retain(|subscription, _| keeps(subscription));
        offsets.retain(|subscription, _| keeps(subscription));
        (self, left_out)
    }

    /// The body of the registration of a broker with these topics, in bytes.
    #[must_use]
    pub fn registration_bytes(&self) -> u64 {
        registration_bytes(self.topics.values())
    }
}

impl Entry {
    /// The table it belongs to.
    #[must_use]
    pub const fn table(&self) -> Table {
        match self {
            Self::Topic(_) => Table::Topics,
            Self::Group(..) | Self::Forbidden(..) => Table::Groups,
            Self::RequestMode(..) => Table::RequestModes,
            Self::Offsets(..) => Table::Offsets,
        }
    }

    /// What it is, with its name, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        match self {
            Self::Topic(topic) => format!("topic `{}`", topic.topic_name),
            Self::Group(name, _) => format!("group `{name}`"),
            Self::Forbidden(group, _) => format!("forbidden topics of group `{group}`"),
            Self::RequestMode(subscription, _) => format!("request mode of `{subscription}`"),
            Self::Offsets(subscription, _) => format!("offsets of `{subscription}`"),
        }
    }

    /// The entry as JSON, with its name.
    fn to_value(&self) -> Value {
        match self {
            Self::Topic(topic) => json!(topic),
            Self::Group(name, group) => json!({ "group": name, "config": group }),
            Self::Forbidden(group, topics) => json!({ "group": group, "forbidden": topics }),
            Self::RequestMode(subscription, mode) => {
                json!({ "topic": subscription.topic, "group": subscription.group, "mode": mode })
            }
            Self::Offsets(subscription, queues) => {
                json!({ "key": subscription.to_string(), "queues": queues })
            }
        }
    }
}
