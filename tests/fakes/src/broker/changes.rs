//! How a broker changes its tables by request.

use std::collections::BTreeMap;

use rocketmq::metadata::{Entry, Subscription};
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::TopicConfig;
use rocketmq::remoting::json;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};

use super::State;
use crate::peer::{Received, Reply};

/// `TopicValidator.TOPIC_MAX_LENGTH`, 5.3.3.
const LONGEST_TOPIC: usize = 127;

/// `MQVersion` of 5.1.0, from which on code 17 stores `order`.
const STORES_ORDER_FROM: u32 = 433;

/// The bit of reading in a forbidden table (`PermName.INDEX_PERM_READ`, 5.0.0+).
const READ_BIT: i64 = 1 << 2;

impl State {
    /// Code 17, `AdminBrokerProcessor.updateAndCreateTopic`.
    pub(super) fn create_topic(&mut self, request: &Received) -> Reply {
        let name = request.field("topic");
        let number = |field: &str| request.field(field).parse::<u32>().ok();
        let (Some(read_queues), Some(write_queues), Some(perm)) =
            (number("readQueueNums"), number("writeQueueNums"), number("perm"))
        else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "the header lacks a number");
        };
        if self.common.version.is_5()
            && let Some(refusal) = refused_name(name, ResponseCode::SYSTEM_ERROR)
        {
            return refusal;
        }
        let stores_order = self.common.version.ordinal() >= STORES_ORDER_FROM;
        let mut rest = Map::new();
        rest.insert("order".to_owned(), Value::Bool(stores_order && request.field("order") == "true"));
        rest.insert("topicFilterType".to_owned(), Value::from(request.field("topicFilterType")));
        rest.insert("topicSysFlag".to_owned(), Value::from(number("topicSysFlag").unwrap_or_default()));
        let changes = request.field("attributes").split(',').filter(|change| !change.is_empty());
        let changes = changes.map(|change| {
            let (key, value) = change.split_once('=').unwrap_or((change, ""));
            (key.to_owned(), Value::from(value))
        });
        let perm = Permission::from_bits(perm);
        let topic = TopicConfig { topic_name: name.to_owned(), read_queues, write_queues, perm, rest };
        match self.with_attributes(topic, changes.collect()) {
            Ok(topic) => {
                self.put(Entry::Topic(topic));
                Reply::success()
            }
            Err(refusal) => refusal,
        }
    }

    /// Code 18, `AdminBrokerProcessor.updateAndCreateTopicList` of 5.3.3: all names are looked at before anything is
    /// done, and a topic that is there already, without changes of attributes, ends it with success.
    pub(super) fn create_topics(&mut self, request: &Received) -> Reply {
        let Some(list) = list::<TopicConfig>(request, "topicConfigList") else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "the body is no list of topics");
        };
        for topic in &list {
            if let Some(refusal) = refused_name(&topic.topic_name, ResponseCode::INVALID_PARAMETER) {
                return refusal;
            }
            if self.topics.topics.get(&topic.topic_name) == Some(topic) {
                return Reply::success();
            }
        }
        for mut topic in list {
            let changes = topic.rest.remove("attributes").and_then(|changes| changes.as_object().cloned());
            match self.with_attributes(topic, changes.unwrap_or_default()) {
                Ok(topic) => self.put(Entry::Topic(topic)),
                Err(refusal) => return refusal,
            }
        }
        Reply::success()
    }

    /// Code 200, `AdminBrokerProcessor.updateAndCreateSubscriptionGroup`.
    pub(super) fn create_group(&mut self, request: &Received) -> Reply {
        match json::parse(&request.body) {
            Ok(Value::Object(group)) => self.put_group(group).err().unwrap_or_else(Reply::success),
            _ => Reply::refusal(ResponseCode::SYSTEM_ERROR, "the body is no group"),
        }
    }

    /// Code 225, `AdminBrokerProcessor.updateAndCreateSubscriptionGroupList`.
    pub(super) fn create_groups(&mut self, request: &Received) -> Reply {
        let Some(list) = list::<Map<String, Value>>(request, "groupConfigList") else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "the body is no list of groups");
        };
        list.into_iter().find_map(|group| self.put_group(group).err()).unwrap_or_else(Reply::success)
    }

    /// What is absent gets its default: the whole group is replaced.
    fn put_group(&mut self, mut group: Map<String, Value>) -> Result<(), Reply> {
        let name = group.get("groupName").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(Value::Object(changes)) = group.remove("attributes") {
            let current = self.groups.groups.get(&name).and_then(|group| group.get("attributes"));
            group.insert("attributes".to_owned(), altered(current, changes)?);
        }
        self.put(Entry::Group(name, group));
        Ok(())
    }

    /// A topic with the attributes that it has after these changes.
    fn with_attributes(
        &self,
        mut topic: TopicConfig,
        changes: Map<String, Value>,
    ) -> Result<TopicConfig, Reply> {
        let current =
            self.topics.topics.get(&topic.topic_name).and_then(|topic| topic.rest.get("attributes"));
        topic.rest.insert("attributes".to_owned(), altered(current, changes)?);
        Ok(topic)
    }

    /// Code 401, `QueryAssignmentProcessor.setMessageRequestMode`, 5.0.0+.
    pub(super) fn set_request_mode(&mut self, request: &Received) -> Reply {
        let Ok(Value::Object(mode)) = json::parse(&request.body) else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "the body is no request mode");
        };
        let text = |field: &str| mode.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let subscription = Subscription { topic: text("topic"), group: text("consumerGroup") };
        if subscription.topic.starts_with("%RETRY%") {
            return Reply::refusal(ResponseCode::NO_PERMISSION, "retry topic is not allowed to set mode");
        }
        self.put(Entry::RequestMode(subscription, mode));
        Reply::success()
    }

    /// Code 353, `AdminBrokerProcessor.updateAndGetGroupForbidden`, 5.0.0+.
    pub(super) fn forbid(&mut self, request: &Received) -> Reply {
        let (group, topic) = (request.field("group"), request.field("topic"));
        let bits =
            |topics: Option<&Value>| topics.and_then(|topics| topics.get(topic)).and_then(Value::as_i64);
        let mut now = bits(self.forbidden.get(group)).unwrap_or_default();
        match request.field("readable") {
            "true" => now &= !READ_BIT,
            "false" => now |= READ_BIT,
            _ => {}
        }
        if now == 0 {
            // Not the topic alone (`SubscriptionGroupManager.updateForbiddenValue`, 5.3.3).
            self.forbidden.remove(group);
        } else {
            self.forbidden.entry(group).or_insert_with(|| json!({}))[topic] = Value::from(now);
        }
        let readable = now & READ_BIT == 0;
        Reply::with_body(json!({ "group": group, "topic": topic, "readable": readable }).to_string())
    }

    /// Code 14, `ConsumerManageProcessor.queryConsumerOffset`. The queues of this broker are empty: 4.x answers 0 for
    /// them, 5.x says that it has nothing.
    pub(super) fn consumer_offset(&self, request: &Received) -> Reply {
        let (subscription, queue) = of_queue(request);
        let stored = self.offsets.get(&subscription).and_then(|queues| queues.get(&queue)).copied();
        match stored.or((!self.common.version.is_5()).then_some(0)) {
            Some(offset) => Reply::success().field("offset", offset),
            None => {
                let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";
                Reply::refusal(ResponseCode::QUERY_NOT_FOUND, remark)
            }
        }
    }

    /// Code 15, `ConsumerManageProcessor.updateConsumerOffset`; from 5.0.0 on group and topic have to be there.
    pub(super) fn update_offset(&mut self, request: &Received) -> Reply {
        let (subscription, queue) = of_queue(request);
        let Subscription { topic, group } = &subscription;
        if self.common.version.is_5() {
            if !self.groups.groups.contains_key(group) {
                let remark = format!("Group {group} not exist!");
                return Reply::refusal(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark);
            }
            if !self.topics.topics.contains_key(topic) {
                return Reply::refusal(ResponseCode::TOPIC_NOT_EXIST, format!("Topic {topic} not exist!"));
            }
        }
        let Ok(offset) = request.field("commitOffset").parse() else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "the header lacks a number");
        };
        self.put(Entry::Offsets(subscription, BTreeMap::from([(queue, offset)])));
        Reply::success()
    }
}

fn of_queue(request: &Received) -> (Subscription, u32) {
    let text = |field: &str| request.field(field).to_owned();
    let subscription = Subscription { topic: text("topic"), group: text("consumerGroup") };
    (subscription, request.field("queueId").parse().unwrap_or_default())
}

fn list<T: serde::de::DeserializeOwned>(request: &Received, field: &str) -> Option<Vec<T>> {
    let body = json::parse(&request.body).ok()?;
    serde_json::from_value(body.get(field)?.clone()).ok()
}

/// `TopicValidator.validateTopic` and `isSystemTopic`, 5.3.3.
fn refused_name(name: &str, code: ResponseCode) -> Option<Reply> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-%|".contains(c);
    let remark = if name.is_empty() || !name.chars().all(is_allowed) {
        format!("The specified topic[{name}] contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$")
    } else if name.len() > LONGEST_TOPIC {
        format!("The specified topic is longer than topic max length {LONGEST_TOPIC}.")
    } else if name.starts_with("rmq_sys_") || SYSTEM_TOPICS.contains(&name) {
        format!("The topic[{name}] is conflict with system topic.")
    } else {
        return None;
    };
    Some(Reply::refusal(code, remark))
}

const SYSTEM_TOPICS: [&str; 4] = ["TBW102", "SCHEDULE_TOPIC_XXXX", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"];

/// `AttributeUtil.alterCurrentAttributes`, 5.0.0+: `+key` sets, `-key` takes away what is there, all else is refused.
fn altered(current: Option<&Value>, changes: Map<String, Value>) -> Result<Value, Reply> {
    let mut attributes = current.and_then(Value::as_object).cloned().unwrap_or_default();
    for (change, value) in changes {
        let refused = || Reply::refusal(ResponseCode::SYSTEM_ERROR, format!("wrong format key: {change}"));
        match change.split_at_checked(1) {
            Some(("+", key)) => drop(attributes.insert(key.to_owned(), value)),
            Some(("-", key)) => drop(attributes.remove(key).ok_or_else(refused)?),
            _ => return Err(refused()),
        }
    }
    Ok(Value::Object(attributes))
}
