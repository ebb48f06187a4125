//! The groups that are connected to a broker, and what their members say of themselves.

use std::collections::BTreeMap;

use rocketmq::model::route::MessageQueue;
use rocketmq::model::version::Version;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};

use super::State;
use crate::peer::{Received, Reply};

/// What a pop consumer holds that takes from every queue of a topic.
const EVERY_QUEUE: i32 = -1;

/// A group of which somebody is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnlineGroup {
    /// The topics that it reads, and which messages of each: tags, or `*`.
    pub subscriptions: BTreeMap<String, String>,
    /// True if each member reads all messages.
    pub broadcasting: bool,
    /// True if its members pull by themselves.
    pub pulls: bool,
    /// The members by client id. What each holds, at any broker; `None` if it never answers the broker, which then says
    /// so to whoever asked (307), or leaves it out (223).
    pub members: BTreeMap<String, Option<Vec<MessageQueue>>>,
}

impl State {
    /// `AdminBrokerProcessor.getConsumerConnectionList`, all tags.
    pub(super) fn consumer_connections(&self, request: &Received) -> Reply {
        let name = request.field("consumerGroup");
        let Some(group) = self.online.get(name) else {
            let remark = format!("the consumer group[{name}] not online");
            return Reply::refusal(ResponseCode::CONSUMER_NOT_ONLINE, remark);
        };
        let connections: Vec<_> = (40_000..)
            .zip(group.members.keys())
            .map(|(port, client)| {
                json!({
                    "clientAddr": format!("127.0.0.1:{port}"), "clientId": client, "language": "JAVA",
                    "version": self.common.version,
                })
            })
            .collect();
        let subscriptions: Map<String, Value> = group
            .subscriptions
            .iter()
            .map(|(topic, messages)| {
                let tags: Vec<_> = messages.split("||").map(str::trim).filter(|tag| *tag != "*").collect();
                let codes: Vec<_> = tags.iter().map(|tag| hash_code(tag)).collect();
                let data = json!({
                    "classFilterMode": false, "codeSet": codes, "expressionType": "TAG", "subString": messages,
                    "subVersion": 1, "tagsSet": tags, "topic": topic,
                });
                (topic.clone(), data)
            })
            .collect();
        let body = json!({
            "connectionSet": connections,
            "consumeFromWhere": "CONSUME_FROM_LAST_OFFSET",
            "consumeType": if group.pulls { "CONSUME_ACTIVELY" } else { "CONSUME_PASSIVELY" },
            "messageModel": if group.broadcasting { "BROADCASTING" } else { "CLUSTERING" },
            "subscriptionTable": subscriptions,
        });
        Reply::with_body(body.to_string())
    }

    /// `AdminBrokerProcessor.callConsumer`, all tags. A real one waits 10 s for a silent member before it says so.
    pub(super) fn consumer_running_info(&self, request: &Received) -> Reply {
        let (group, client) = (request.field("consumerGroup"), request.field("clientId"));
        match self.online.get(group).and_then(|group| group.members.get(client)) {
            None => {
                let remark = format!("The Consumer <{group}> <{client}> not online");
                Reply::refusal(ResponseCode::SYSTEM_ERROR, remark)
            }
            Some(None) => {
                let remark = format!("consumer <{group}> <{client}> Timeout: RemotingTimeoutException");
                Reply::refusal(ResponseCode::CONSUME_MSG_TIMEOUT, remark)
            }
            Some(Some(queues)) => Reply::with_body(running_info(queues, self.common.version)),
        }
    }

    /// `Broker2Client.getConsumeStatus`, all tags; `RemoteBrokerOffsetStore.cloneOffsetTable` of each member: that it has
    /// come nowhere yet. A real one waits 5 s for a silent member.
    pub(super) fn consumer_status(&self, request: &Received) -> Reply {
        let (topic, client) = (request.field("topic").trim(), request.field("clientAddr").trim());
        let Some(group) = self.online.get(request.field("group")) else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "java.lang.NullPointerException");
        };
        let asked = group.members.iter().filter(|(id, _)| client.is_empty() || *id == client);
        let table: Vec<_> = asked
            .filter_map(|(id, queues)| {
                let known = queues.as_ref()?.iter().filter(|queue| queue.queue_id != EVERY_QUEUE);
                let known = known.filter(|queue| topic.is_empty() || queue.topic == topic);
                let offsets: Vec<_> = known.map(|queue| format!("{}:0", json!(queue))).collect();
                Some(format!("{}:{{{}}}", json!(id), offsets.join(",")))
            })
            .collect();
        let body = format!(r#"{{"consumerTable":{{{}}},"messageQueueTable":{{}}}}"#, table.join(","));
        Reply { remark: Some("not set any response code".to_owned()), ..Reply::with_body(body) }
    }
}

/// `String.hashCode` of Java.
fn hash_code(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// As fastjson writes it: the keys of the tables are whole objects. What is taken by pop stands in a table of its own
/// (5.x).
fn running_info(queues: &[MessageQueue], version: Version) -> String {
    let (by_pop, held): (Vec<_>, Vec<_>) =
        queues.iter().partition(|queue| version.is_5() && queue.queue_id == EVERY_QUEUE);
    let held: Vec<_> = held
        .iter()
        .map(|queue| format!(r#"{}:{{"cachedMsgCount":0,"droped":false,"locked":false}}"#, json!(queue)))
        .collect();
    let by_pop: Vec<_> = by_pop
        .iter()
        .map(|queue| format!(r#"{}:{{"droped":false,"lastPopTimestamp":0,"waitAckCount":0}}"#, json!(queue)))
        .collect();
    let by_pop =
        if version.is_5() { format!(r#""mqPopTable":{{{}}},"#, by_pop.join(",")) } else { String::new() };
    format!(
        r#"{{{by_pop}"mqTable":{{{}}},"properties":{{}},"statusTable":{{}},"subscriptionSet":[]}}"#,
        held.join(",")
    )
}
