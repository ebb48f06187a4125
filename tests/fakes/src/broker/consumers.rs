//! The groups that are connected to a broker, and what their members say of themselves.

use std::collections::BTreeMap;

use rocketmq::model::route::MessageQueue;
use rocketmq::model::version::Version;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};

use super::State;
use crate::peer::{Received, Reply};

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
    /// so to whoever asked.
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
        let connections: Vec<_> = group
            .members
            .keys()
            .map(|client| {
                json!({
                    "clientAddr": "127.0.0.1:40000", "clientId": client, "language": "JAVA",
                    "version": Version::V5_3_3,
                })
            })
            .collect();
        let subscriptions: Map<String, Value> = group
            .subscriptions
            .iter()
            .map(|(topic, messages)| {
                let data = json!({
                    "classFilterMode": false, "codeSet": [], "expressionType": "TAG", "subString": messages,
                    "subVersion": 1, "tagsSet": [], "topic": topic,
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
            Some(Some(queues)) => Reply::with_body(running_info(queues)),
        }
    }
}

/// As fastjson writes it: the keys of the table are whole objects.
fn running_info(queues: &[MessageQueue]) -> String {
    let held: Vec<_> = queues
        .iter()
        .map(|queue| format!(r#"{}:{{"cachedMsgCount":0,"droped":false,"locked":false}}"#, json!(queue)))
        .collect();
    format!(
        r#"{{"mqTable":{{{}}},"properties":{{}},"statusTable":{{}},"subscriptionSet":[]}}"#,
        held.join(",")
    )
}
