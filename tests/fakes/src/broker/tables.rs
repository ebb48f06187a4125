//! The tables of a broker: what each entry becomes in them, how they are answered, and how they are loaded from files at
//! the start.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rocketmq::metadata::walk::{self, WalkError};
use rocketmq::metadata::{Entry, Subscription, Table};
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::json;
use serde_json::{Map, Value, json};

use super::{State, TABLE_MADE_AT};
use crate::peer::Reply;

/// `MQVersion` of 5.5.0.
const V5_5_0: u32 = 513;

/// The version of a table of 5.x that is as it was at the start.
pub(super) fn never_changed() -> Value {
    json!({ "counter": 0, "stateVersion": 0, "timestamp": TABLE_MADE_AT })
}

impl State {
    /// Puts an entry, in the place of one of the same name; the version of its table changes.
    pub(super) fn put(&mut self, entry: Entry) {
        match entry {
            Entry::Topic(topic) => {
                let topic = whole_topic(topic, self.common.version);
                self.topics.topics.insert(topic.topic_name.clone(), topic);
                self.topics.data_version.counter += 1;
            }
            Entry::Group(name, group) => {
                let group = whole_group(&name, group, self.common.version);
                self.groups.groups.insert(name, group);
                self.groups.data_version.counter += 1;
            }
            Entry::Forbidden(group, topics) => drop(self.forbidden.insert(group, topics)),
            Entry::RequestMode(subscription, mode) => drop(self.request_modes.insert(subscription, mode)),
            Entry::Offsets(subscription, queues) => {
                self.offsets.entry(subscription).or_default().extend(queues);
            }
        }
    }

    /// Loads the files of `store/config`, as a broker does before it listens. Entries of files take the place of
    /// RocketMQ's own of the same name. A file that is missing, empty or broken is replaced by its `.bak`; without one
    /// the table stays as it is (`ConfigManager.load`, all tags).
    pub(super) fn load(&mut self, config: &Path) {
        for table in Table::ALL {
            if table == Table::RequestModes && !self.common.version.has_request_modes() {
                continue;
            }
            let main = config.join(table.file_name());
            let backup = config.join(format!("{}.bak", table.file_name()));
            if !self.load_file(table, &main) {
                self.load_file(table, &backup);
            }
        }
    }

    fn load_file(&mut self, table: Table, path: &Path) -> bool {
        let Some(text) = fs::read(path).ok().filter(|text| !text.is_empty()) else { return false };
        let Ok(file) = json::parse(&text) else { return false };
        let mut entries = Vec::new();
        let walked: Result<(), WalkError> = walk::entries(table, &text, |entry| {
            entries.push(entry);
            Ok(())
        });
        if walked.is_err() {
            return false;
        }
        entries.into_iter().for_each(|entry| self.put(entry));
        let version =
            file.get("dataVersion").cloned().and_then(|version| serde_json::from_value(version).ok());
        match (table, version) {
            (Table::Topics, Some(version)) => self.topics.data_version = version,
            (Table::Groups, Some(version)) => self.groups.data_version = version,
            _ => {}
        }
        true
    }

    /// `TopicConfigSerializeWrapper`, 5.x's `TopicConfigAndMappingSerializeWrapper`.
    pub(super) fn topic_table(&self) -> Reply {
        let version = self.common.version;
        let mut body = json!(self.topics);
        body["dataVersion"] = Reply::data_version(self.topics.data_version, version);
        if version.is_5() {
            body["mappingDataVersion"] = never_changed();
            for maps in ["topicQueueMappingDetailMap", "topicQueueMappingInfoMap"] {
                if body.get(maps).is_none() {
                    body[maps] = json!({});
                }
            }
        }
        self.whole_table(body, "totalTopicNum", self.topics.topics.len())
    }

    /// `SubscriptionGroupManager.encode`; `forbiddenTable` from 5.0.0 on.
    pub(super) fn group_table(&self) -> Reply {
        let version = self.common.version;
        let mut body = json!(self.groups);
        body["dataVersion"] = Reply::data_version(self.groups.data_version, version);
        if version.is_5() {
            body["forbiddenTable"] = Value::Object(self.forbidden.clone());
        }
        self.whole_table(body, "totalGroupNum", self.groups.groups.len())
    }

    /// 5.5.0 tells how long a table is, for those who ask for parts of it; who does not gets it whole.
    fn whole_table(&self, body: Value, total: &str, count: usize) -> Reply {
        let reply = Reply::with_body(body.to_string());
        if self.common.version.ordinal() >= V5_5_0 { reply.field(total, count) } else { reply }
    }

    /// `MessageRequestModeManager.encode`, 5.0.0+.
    pub(super) fn request_modes_body(&self) -> String {
        let mut topics: BTreeMap<&str, BTreeMap<&str, &Map<String, Value>>> = BTreeMap::new();
        for (subscription, mode) in &self.request_modes {
            topics.entry(&subscription.topic).or_default().insert(&subscription.group, mode);
        }
        json!({ "messageRequestModeMap": topics }).to_string()
    }

    /// `ConsumerOffsetManager.encode`, as fastjson writes it: the numbers of queues are no strings. 5.5.0 tells how far
    /// members that are online have pulled, too.
    pub(super) fn offsets_body(&self) -> String {
        let written = |offsets: &dyn Fn(&Subscription) -> bool| {
            let entries: Vec<_> = self
                .offsets
                .iter()
                .filter(|(subscription, _)| offsets(subscription))
                .map(|(subscription, queues)| {
                    let queues: Vec<_> =
                        queues.iter().map(|(queue, offset)| format!("{queue}:{offset}")).collect();
                    format!("{}:{{{}}}", json!(subscription.to_string()), queues.join(","))
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        };
        let mut further = String::new();
        if self.common.version.is_5() {
            let mut topics: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for Subscription { topic, group } in self.offsets.keys() {
                topics.entry(group).or_default().push(topic);
            }
            further = format!(r#","dataVersion":{},"groupTopicMap":{}"#, never_changed(), json!(topics));
        }
        if self.common.version.ordinal() >= V5_5_0 {
            let online = |subscription: &Subscription| self.online.contains_key(&subscription.group);
            further += &format!(r#","pullOffsetTable":{}"#, written(&online));
        }
        format!(r#"{{"offsetTable":{}{further}}}"#, written(&|_| true))
    }
}

/// A topic with every field that a broker of this version keeps (`TopicConfig`).
fn whole_topic(mut topic: TopicConfig, version: Version) -> TopicConfig {
    let mut fields = fields(json!({ "order": false, "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0 }));
    if version.is_5() {
        fields.insert("attributes".to_owned(), json!({}));
    } else {
        topic.rest.remove("attributes");
    }
    fill(&mut topic.rest, fields);
    topic
}

/// A group with every field that a broker of this version keeps (`SubscriptionGroupConfig`).
fn whole_group(name: &str, mut group: Map<String, Value>, version: Version) -> Map<String, Value> {
    let mut defaults = fields(json!({
        "brokerId": 0, "consumeBroadcastEnable": true, "consumeEnable": true, "consumeFromMinEnable": true,
        "groupName": name, "notifyConsumerIdsChangedEnable": true, "retryMaxTimes": 16, "retryQueueNums": 1,
        "whichBrokerWhenConsumeSlowly": 1,
    }));
    let of_5 = fields(json!({
        "attributes": {}, "consumeMessageOrderly": false, "consumeTimeoutMinute": 15,
        "groupRetryPolicy": { "type": "CUSTOMIZED" }, "groupSysFlag": 0,
    }));
    if version.is_5() {
        defaults.extend(of_5);
    } else {
        group.retain(|field, _| !of_5.contains_key(field));
    }
    fill(&mut group, defaults);
    group
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn fill(entry: &mut Map<String, Value>, defaults: Map<String, Value>) {
    for (field, value) in defaults {
        entry.entry(field).or_insert(value);
    }
}
