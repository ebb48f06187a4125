//! Requests to brokers about groups of consumers: who is there, what they hold, how far they have come.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::model::route::MessageQueue;
use crate::model::subscription_group::Subscription;
use crate::model::version::Version;
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// The members of a group that are connected to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerConnections {
    /// Each member.
    pub members: Vec<ConsumerConnection>,
    /// The topics that they read, that of their retries among them, and which messages of each: tags, `*` or SQL.
    pub subscriptions: BTreeMap<String, String>,
    /// True if each member reads all messages. Brokers keep no offsets then, but for a note of their own
    /// (`topic@group@broadcast`, 5.3.3 and 5.5.0).
    pub broadcasting: bool,
    /// True if the members pull by themselves, as `DefaultMQPullConsumer` and `DefaultLitePullConsumer` do.
    pub pulls: bool,
}

/// A member of a group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsumerConnection {
    /// What it calls itself.
    pub client_id: String,
    /// Where its connection comes from.
    pub client_addr: String,
    /// `LanguageCode`, for example `JAVA`.
    #[serde(default)]
    pub language: String,
    /// Its version, as it says.
    pub version: Version,
}

/// `ConsumerConnection`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConnectionBody {
    #[serde(default)]
    connection_set: Vec<ConsumerConnection>,
    #[serde(default)]
    subscription_table: BTreeMap<String, SubscriptionData>,
    #[serde(default)]
    message_model: Option<String>,
    #[serde(default)]
    consume_type: Option<String>,
}

/// `SubscriptionData`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SubscriptionData {
    #[serde(default)]
    sub_string: Option<String>,
}

/// `ConsumerRunningInfo`, all tags; `mqPopTable` from 5.0.0 on. The keys of both are queues.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunningInfo {
    #[serde(default)]
    mq_table: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    mq_pop_table: Option<BTreeMap<String, Value>>,
}

/// `GetConsumerStatusBody`, all tags: the offsets by client id, each by queue.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusBody {
    #[serde(default)]
    consumer_table: BTreeMap<String, BTreeMap<String, i64>>,
}

/// Blank for all topics (`RemoteBrokerOffsetStore.cloneOffsetTable`, all tags). Empty is blank too, but becomes null if a
/// broker sends it on in a binary header, and the client logs an error (`RocketMQSerializable.readStr`,
/// `RemotingCommand.decodeCommandCustomHeader`, 4.9.7, 5.x).
const ALL_TOPICS: &str = " ";

impl Client {
    /// The members of a group that are connected to this broker; `None` if there are none.
    ///
    /// Source: `AdminBrokerProcessor.getConsumerConnectionList`, `ConsumerConnection`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn consumer_connections(
        &self,
        group: &str,
    ) -> Result<Answer<Option<ConsumerConnections>>, RemotingError> {
        let request = Request::new(RequestCode::GET_CONSUMER_CONNECTION_LIST).field("consumerGroup", group);
        let Answer { version, value } = self.ask_optional(request, ResponseCode::CONSUMER_NOT_ONLINE).await?;
        let connections = value.map(|reply| reply.json::<ConnectionBody>()).transpose()?.map(|body| {
            let topics = body.subscription_table.into_iter();
            ConsumerConnections {
                members: body.connection_set,
                subscriptions: topics
                    .map(|(topic, data)| (topic, data.sub_string.unwrap_or_default()))
                    .collect(),
                broadcasting: body.message_model.as_deref() == Some("BROADCASTING"),
                pulls: body.consume_type.as_deref() == Some("CONSUME_ACTIVELY"),
            }
        });
        Ok(Answer { version, value: connections })
    }

    /// The queues that a member of a group holds right now, in order; at all brokers, not only at this one. The broker
    /// asks the client and waits for it, up to 10 s. Members that pull by themselves tell of no queue, whatever they read
    /// (`DefaultMQPullConsumerImpl.consumerRunningInfo`, `DefaultLitePullConsumerImpl.consumerRunningInfo`, all tags).
    ///
    /// Source: `GetConsumerRunningInfoRequestHeader`, `AdminBrokerProcessor.callConsumer`, `ConsumerRunningInfo`, all
    /// tags.
    ///
    /// # Errors
    /// As [`Client::call`]; code 1 if no such member is connected or its client is older than 3.1.8, 207 if it does not
    /// answer the broker.
    pub async fn consumer_running_info(
        &self,
        group: &str,
        client_id: &str,
    ) -> Result<Answer<Vec<MessageQueue>>, RemotingError> {
        let request = Request::new(RequestCode::GET_CONSUMER_RUNNING_INFO)
            .field("consumerGroup", group)
            .field("clientId", client_id)
            .field("jstackEnable", false);
        let reply = self.ask(request).await?;
        let info: RunningInfo = reply.json()?;
        let held = [info.mq_table, info.mq_pop_table].into_iter().flatten().flat_map(BTreeMap::into_keys);
        let mut queues = held
            .map(|queue| serde_json::from_str(&queue).map_err(|error| reply.malformed(error)))
            .collect::<Result<Vec<MessageQueue>, _>>()?;
        queues.sort();
        queues.dedup();
        Ok(reply.answer(queues))
    }

    /// The offsets that a member of a group has in memory, by queue, of all its topics and at all brokers; `None` if the
    /// broker has no answer of it: no such member is connected to it, or the member is silent for 5 s or refuses. Unlike
    /// [`Client::consumer_running_info`], the client answers from its memory alone.
    ///
    /// Members tell of the queues that they hold, with exceptions. A queue of which the group has no offset yet is told
    /// once the first pull is answered, which waits up to 15 s for messages, or once the first messages are consumed
    /// (`RebalancePushImpl.computePullFromWhere`, `DefaultMQPushConsumerImpl.correctTagsOffset`). Queues taken by pop and
    /// all of a `DefaultLitePullConsumer` are never told (`MQClientInstance.getConsumerStatus`).
    ///
    /// Source: `GetConsumerStatusRequestHeader`, `AdminBrokerProcessor.getConsumerStatus`,
    /// `Broker2Client.getConsumeStatus`, `GetConsumerStatusBody`, `ClientRemotingProcessor.getConsumeStatus`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]; code 1 if nobody of the group is connected (as a `NullPointerException` of the broker, for it
    /// does not know the group then) or the client of a member, though not of this one, is older than 3.0.7.
    pub async fn consumer_status(
        &self,
        group: &str,
        client_id: &str,
    ) -> Result<Answer<Option<BTreeMap<MessageQueue, i64>>>, RemotingError> {
        let request = Request::new(RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS)
            .field("topic", ALL_TOPICS)
            .field("group", group)
            .field("clientAddr", client_id);
        let reply = self.ask(request).await?;
        let mut body: StatusBody = reply.json()?;
        let offsets = body.consumer_table.remove(client_id).map(|offsets| {
            let queues =
                offsets.into_iter().map(|(queue, offset)| Ok((serde_json::from_str(&queue)?, offset)));
            queues.collect::<Result<_, serde_json::Error>>().map_err(|error| reply.malformed(error))
        });
        let offsets = offsets.transpose()?;
        Ok(reply.answer(offsets))
    }

    /// How far a group has come in a queue; `None` if nothing is stored. A queue that nobody has read yet may be answered
    /// with 0 all the same: by 4.x if message 0 is in memory or there is none, by 5.x if message 0 is in memory.
    ///
    /// Source: `QueryConsumerOffsetRequestHeader`, `ConsumerManageProcessor.queryConsumerOffset`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]; code 17 or 26 of 5.x if there is no such topic or group.
    pub async fn consumer_offset(
        &self,
        subscription: &Subscription,
        queue: u32,
    ) -> Result<Answer<Option<i64>>, RemotingError> {
        let request = of_queue(RequestCode::QUERY_CONSUMER_OFFSET, subscription, queue);
        let Answer { version, value } = self.ask_optional(request, ResponseCode::QUERY_NOT_FOUND).await?;
        let offset = value.map(|reply| {
            let offset = reply.field("offset").and_then(|text| text.parse().ok());
            offset.ok_or_else(|| reply.malformed("its field `offset` is no number"))
        });
        Ok(Answer { version, value: offset.transpose()? })
    }

    /// Sets how far a group has come in a queue. A lower value than the stored one is taken too, and a member that holds
    /// the queue writes its own within 5 s.
    ///
    /// Source: `UpdateConsumerOffsetRequestHeader`, `ConsumerManageProcessor.updateConsumerOffset`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]; code 17 or 26 of 5.x if there is no such topic or group.
    pub async fn update_consumer_offset(
        &self,
        subscription: &Subscription,
        queue: u32,
        offset: i64,
    ) -> Result<Answer<()>, RemotingError> {
        let request =
            of_queue(RequestCode::UPDATE_CONSUMER_OFFSET, subscription, queue).field("commitOffset", offset);
        Ok(self.ask(request).await?.answer(()))
    }
}

fn of_queue(code: RequestCode, subscription: &Subscription, queue: u32) -> Request {
    Request::new(code)
        .field("consumerGroup", &subscription.group)
        .field("topic", &subscription.topic)
        .field("queueId", queue)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::{Bytes, BytesMut};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;
    use crate::remoting::frame::Frame;
    use crate::remoting::header::{Header, Serialization};

    /// What is read of the body of an answer about the member `ours` of the group `billing`.
    async fn status(body: &'static str) -> Result<Option<BTreeMap<MessageQueue, i64>>, RemotingError> {
        let (here, mut there) = duplex(64 * 1024);
        let client = Client::on_stream(here, "broker:10911", Duration::from_secs(10));
        let asking = tokio::spawn(async move { client.consumer_status("billing", "ours").await });
        let mut buffer = BytesMut::new();
        let request = loop {
            if let Some(request) = Frame::decode(&mut buffer).unwrap() {
                break request;
            }
            assert_ne!(there.read_buf(&mut buffer).await.unwrap(), 0);
        };
        let fields = [("topic", " "), ("group", "billing"), ("clientAddr", "ours")];
        let fields: BTreeMap<_, _> = fields.map(|(field, value)| (field.to_owned(), value.to_owned())).into();
        assert_eq!((request.header.code, request.header.ext_fields.clone()), (223, fields));
        let header = Header::response(&request.header, ResponseCode::SUCCESS, Version::V5_3_3);
        let answer =
            Frame { serialization: Serialization::Json, header, body: Bytes::from_static(body.as_bytes()) };
        there.write_all(&answer.encode().unwrap()).await.unwrap();
        asking.await.unwrap().map(|answer| answer.value)
    }

    #[tokio::test]
    async fn offsets_of_a_member_are_those_below_its_client_id() {
        let of_two = r#"{"consumerTable":{"ours":{{"brokerName":"a","queueId":1,"topic":"orders"}:7},
            "other":{{"brokerName":"a","queueId":0,"topic":"orders"}:3}},"messageQueueTable":{}}"#;
        let queue = MessageQueue { topic: "orders".to_owned(), broker_name: "a".to_owned(), queue_id: 1 };
        assert_eq!(status(of_two).await.unwrap(), Some(BTreeMap::from([(queue, 7)])));
        // It tells of none, or did not answer.
        let none = r#"{"consumerTable":{"ours":{}},"messageQueueTable":{}}"#;
        assert_eq!(status(none).await.unwrap(), Some(BTreeMap::new()));
        let silent = r#"{"consumerTable":{"other":{}},"messageQueueTable":{}}"#;
        assert_eq!(status(silent).await.unwrap(), None);
        let malformed = status(r#"{"consumerTable":{"ours":{"orders":7}}}"#).await.unwrap_err();
        assert!(matches!(malformed, RemotingError::Malformed { .. }), "{malformed:?}");
    }
}
