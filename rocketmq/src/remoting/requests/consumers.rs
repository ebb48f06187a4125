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
