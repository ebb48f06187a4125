//! Topics as brokers store them, and what a broker's table becomes at a name server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::model::data_version::DataVersion;
use crate::model::name::name_type;
use crate::model::permission::Permission;
use crate::model::route::TopicRow;
use crate::model::version::Version;

name_type!(
    /// The name of a topic that users make (`TopicValidator.TOPIC_MAX_LENGTH`, 5.x). Topics that RocketMQ makes
    /// itself may be longer and are read as plain text.
    TopicName,
    "topic name",
    127
);

/// One topic of a broker, kept whole: fields that this version does not know stand in [`TopicConfig::rest`] and
/// are written back as they were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicConfig {
    /// Its name.
    pub topic_name: String,
    /// How many queues consumers read.
    #[serde(rename = "readQueueNums", default = "default_queues")]
    pub read_queues: u32,
    /// How many queues producers write.
    #[serde(rename = "writeQueueNums", default = "default_queues")]
    pub write_queues: u32,
    /// Its permission.
    #[serde(default = "default_permission")]
    pub perm: Permission,
    /// `topicFilterType`, `topicSysFlag`, `order`, 5.x's `attributes`, and whatever comes later.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// `TopicConfig.defaultReadQueueNums`, all tags.
fn default_queues() -> u32 {
    16
}

fn default_permission() -> Permission {
    Permission::READ_WRITE
}

impl TopicConfig {
    /// An unordered topic with as many read as write queues, readable and writable.
    #[must_use]
    pub fn new(topic: &TopicName, queues: u32) -> Self {
        Self {
            topic_name: topic.to_string(),
            read_queues: queues,
            write_queues: queues,
            perm: Permission::READ_WRITE,
            rest: Map::new(),
        }
    }

    /// A field of [`TopicConfig::rest`] as text.
    #[must_use]
    pub fn text(&self, field: &str) -> Option<String> {
        match self.rest.get(field)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// The topic as a broker of `version` registers it while it has the permission `broker`, see
    /// [`Permission::registered`].
    #[must_use]
    pub fn registered(self, broker: Permission, version: Version) -> Self {
        Self { perm: self.perm.registered(broker, version), ..self }
    }

    /// The row that a name server makes of it for a broker group.
    #[must_use]
    pub fn row(&self, broker_name: &str) -> TopicRow {
        TopicRow {
            topic: self.topic_name.clone(),
            broker_name: broker_name.to_owned(),
            read_queues: self.read_queues,
            write_queues: self.write_queues,
            permission: self.perm.bits(),
        }
    }
}

/// The topic table of a broker, as code 21 answers it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TopicTable {
    /// The topics by name.
    #[serde(rename = "topicConfigTable", default)]
    pub topics: BTreeMap<String, TopicConfig>,
    /// The version of the table.
    #[serde(default)]
    pub data_version: DataVersion,
    /// Mappings of static topics (5.x), in the form that brokers exchange.
    #[serde(rename = "topicQueueMappingDetailMap", default, skip_serializing_if = "Map::is_empty")]
    pub mappings: Map<String, Value>,
    /// Everything else of the answer, for example `mappingDataVersion`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl TopicTable {
    /// The table as a broker of `version` registers it while it has the permission `broker`.
    #[must_use]
    pub fn registered(self, broker: Permission, version: Version) -> Self {
        let topics = self.topics.into_iter().map(|(name, topic)| (name, topic.registered(broker, version)));
        Self { topics: topics.collect(), ..self }
    }

    /// The rows that a name server makes of this table for a broker group, in order.
    #[must_use]
    pub fn rows(&self, broker_name: &str) -> Vec<TopicRow> {
        let mut rows: Vec<_> = self.topics.values().map(|topic| topic.row(broker_name)).collect();
        rows.sort();
        rows
    }
}

/// The topics of a registration, as the text that is sent: as values, the largest table that a frame carries would be
/// ten times as large.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RegisteredTopics {
    /// The fields of the object of topics, without its braces.
    topics: Vec<u8>,
    mappings: Map<String, Value>,
}

impl RegisteredTopics {
    /// Adds a topic as it shall be registered, see [`TopicConfig::registered`].
    pub fn add(&mut self, topic: &TopicConfig) {
        if !self.topics.is_empty() {
            self.topics.push(b',');
        }
        // Neither strings nor maps of strings fail, and writing to memory does not either.
        let _ = serde_json::to_writer(&mut self.topics, &topic.topic_name);
        self.topics.push(b':');
        let _ = serde_json::to_writer(&mut self.topics, topic);
    }

    /// Adds the mapping of a static topic in the form that a registration carries: of each hosted queue only where it
    /// lies now (`TopicQueueMappingDetail.cloneAsMappingInfo`, `buildIdMap`, 5.0.0 to 5.3.3).
    pub fn add_mapping(&mut self, topic: String, detail: &Value) {
        self.mappings.insert(topic, mapping_info(detail));
    }

    /// The wrapper of a registration's body (`TopicConfigSerializeWrapper`, all tags;
    /// `TopicConfigAndMappingSerializeWrapper`, 5.0.0+), with this version of the table.
    pub(crate) fn wrapper(&self, version: DataVersion) -> Vec<u8> {
        let rest = if self.mappings.is_empty() {
            json!({"dataVersion": version})
        } else {
            json!({"dataVersion": version, "topicQueueMappingInfoMap": self.mappings})
        };
        let rest = rest.to_string();
        [b"{\"topicConfigTable\":{", self.topics.as_slice(), b"},", rest.trim_start_matches('{').as_bytes()]
            .concat()
    }
}

impl From<&TopicTable> for RegisteredTopics {
    fn from(table: &TopicTable) -> Self {
        let mut topics = Self::default();
        table.topics.values().for_each(|topic| topics.add(topic));
        table.mappings.iter().for_each(|(topic, detail)| topics.add_mapping(topic.clone(), detail));
        topics
    }
}

fn mapping_info(detail: &Value) -> Value {
    let broker_name = detail.get("bname");
    let mut current = Map::new();
    for (global, items) in detail.get("hostedQueues").and_then(Value::as_object).into_iter().flatten() {
        let Some(last) = items.as_array().and_then(|items| items.last()) else { continue };
        if let (true, Some(queue)) = (last.get("bname") == broker_name, last.get("queueId")) {
            current.insert(global.clone(), queue.clone());
        }
    }
    let mut info = json!({ "currIdMap": current });
    for field in ["topic", "scope", "totalQueues", "bname", "epoch", "dirty"] {
        if let Some(value) = detail.get(field) {
            info[field] = value.clone();
        }
    }
    info
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn any_topic() -> impl Strategy<Value = TopicConfig> {
        ("[a-z]{1,8}", any::<u32>(), any::<u32>(), 0_u32..8, btree_map("x[a-z]{1,6}", any::<i64>(), 0..4))
            .prop_map(|(topic_name, read_queues, write_queues, perm, rest)| TopicConfig {
                topic_name,
                read_queues,
                write_queues,
                perm: Permission::from_bits(perm),
                rest: rest.into_iter().map(|(key, value)| (key, Value::from(value))).collect(),
            })
    }

    proptest! {
        #[test]
        fn tables_are_written_and_read_back(
            topics in btree_map("[a-z]{1,8}", any_topic(), 0..5),
            timestamp: i64,
            counter: i64,
            state_version: i64,
        ) {
            let data_version = DataVersion { state_version, timestamp, counter };
            let table = TopicTable { topics, data_version, ..TopicTable::default() };
            let written = serde_json::to_vec(&table).unwrap();
            let read: TopicTable = serde_json::from_slice(&written).unwrap();
            prop_assert_eq!(table, read);
        }
    }

    fn table(text: &str) -> TopicTable {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_table_is_kept_whole() {
        let text = r#"{"topicConfigTable":{"orders":{"topicName":"orders","readQueueNums":4,"writeQueueNums":8,"perm":6,"attributes":{"message.type":"FIFO"},"order":true,"topicFilterType":"SINGLE_TAG","topicSysFlag":0,"ofAnotherDay":[1]}},"dataVersion":{"stateVersion":2,"timestamp":7,"counter":9},"mappingDataVersion":{"counter":1}}"#;
        let read = table(text);
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(read.topics["orders"].text("order").as_deref(), Some("true"));
    }

    #[test]
    fn absent_fields_have_rocketmqs_defaults() {
        let read = table(r#"{"topicConfigTable":{"a":{"topicName":"a"}}}"#);
        assert_eq!(read.topics["a"], TopicConfig::new(&"a".parse().unwrap(), 16));
        assert_eq!(read.data_version, DataVersion::default());
    }

    #[test]
    fn rows_have_the_permission_that_the_broker_registers() {
        let read = table(
            r#"{"topicConfigTable":{"b":{"topicName":"b","readQueueNums":1,"writeQueueNums":2,"perm":2},"a":{"topicName":"a","perm":6}}}"#,
        );
        let rows = |version| {
            read.clone()
                .registered(Permission::READ, version)
                .rows("g")
                .into_iter()
                .map(|row| (row.topic, row.read_queues, row.write_queues, row.permission))
                .collect::<Vec<_>>()
        };
        assert_eq!(rows(Version::V4_5_0), [("a".to_owned(), 16, 16, 4), ("b".to_owned(), 1, 2, 4)]);
        assert_eq!(rows(Version::V5_3_3), [("a".to_owned(), 16, 16, 4), ("b".to_owned(), 1, 2, 0)]);
    }

    #[test]
    fn a_mapping_tells_only_the_queues_that_lie_here_now() {
        let read = table(
            r#"{"topicQueueMappingDetailMap":{"s":{"topic":"s","bname":"g1","epoch":5,"totalQueues":3,"dirty":false,"hostedQueues":{
                "0":[{"bname":"g1","queueId":7}],
                "1":[{"bname":"g1","queueId":1},{"bname":"g2","queueId":4}],
                "2":[{"bname":"g2","queueId":1},{"bname":"g1","queueId":2}]}}}}"#,
        );
        assert_eq!(
            Value::Object(RegisteredTopics::from(&read).mappings),
            json!({"s":{"currIdMap":{"0":7,"2":2},"topic":"s","totalQueues":3,"bname":"g1","epoch":5,"dirty":false}})
        );
    }
}
