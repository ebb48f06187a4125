//! What name servers know: which brokers there are, and where each topic's queues lie.

use serde::{Deserialize, Serialize};

/// A broker as a name server lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RegisteredBroker {
    /// Its cluster.
    pub cluster: String,
    /// The name of its group.
    pub broker_name: String,
    /// Its id within the group; 0 is the master.
    pub broker_id: u64,
    /// `host:port` that clients connect to.
    pub address: String,
}

/// The queues of one topic at one broker group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicRow {
    /// The topic.
    pub topic: String,
    /// The broker group.
    pub broker_name: String,
    /// How many queues consumers read.
    pub read_queues: u32,
    /// How many queues producers write.
    pub write_queues: u32,
    /// The permission bits, see [`crate::model::permission::Permission`].
    pub permission: u32,
}

/// One queue, as clients hold it. A pop consumer that takes from every queue of a topic holds number -1 (5.x).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageQueue {
    /// The topic.
    pub topic: String,
    /// The broker group.
    pub broker_name: String,
    /// Its number at that group.
    pub queue_id: i32,
}

/// Everything that one name server knows of brokers and topics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouteTable {
    /// Every broker, in order.
    pub brokers: Vec<RegisteredBroker>,
    /// Every topic's row at every broker group, in order.
    pub rows: Vec<TopicRow>,
}

/// A broker and the topic rows that it registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerRows {
    /// Who it is.
    pub identity: RegisteredBroker,
    /// Its rows; empty for slaves, whose tables name servers ignore.
    pub rows: Vec<TopicRow>,
}

/// The route of one topic, as clients get it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TopicRoute {
    /// Its rows, in the order of the broker groups.
    pub rows: Vec<TopicRow>,
    /// The brokers of those groups.
    pub brokers: Vec<RegisteredBroker>,
    /// The queues of an ordered topic, from the KV configuration.
    pub order_topic_conf: Option<String>,
}
