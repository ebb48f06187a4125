//! Requests to brokers.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::data_version::DataVersion;
use crate::model::subscription_group::SubscriptionGroupTable;
use crate::model::topic::{TopicConfig, TopicTable};
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::properties::Properties;
use crate::remoting::request_code::RequestCode;

/// What a broker says of its present work: names and texts as RocketMQ has them, they differ by version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct RuntimeInfo {
    /// All of them.
    #[serde(default)]
    pub table: BTreeMap<String, String>,
}

impl RuntimeInfo {
    /// When the broker was started, in milliseconds of its clock.
    #[must_use]
    pub fn boot_timestamp_millis(&self) -> Option<u64> {
        self.number("bootTimestamp")
    }

    /// A value that is one number.
    #[must_use]
    pub fn number<N: std::str::FromStr>(&self, key: &str) -> Option<N> {
        self.table.get(key)?.trim().parse().ok()
    }

    /// A rate, which RocketMQ gives for the last 10 s, minute and ten minutes: the first of them.
    #[must_use]
    pub fn rate_of_10_seconds(&self, key: &str) -> Option<f64> {
        self.table.get(key)?.split_whitespace().next()?.parse().ok()
    }
}

/// The live settings of a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerConfig {
    /// Every setting with its effective value.
    pub settings: Properties,
    /// The version of the settings; absent in some answers.
    pub data_version: Option<DataVersion>,
}

impl Client {
    /// What a broker does right now. In its first second a broker may answer code 1.
    ///
    /// Source: `AdminBrokerProcessor.getBrokerRuntimeInfo`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn runtime_info(&self) -> Result<Answer<RuntimeInfo>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_BROKER_RUNTIME_INFO)).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// The live settings of a broker. After a change of `namesrvAddr` they show it before it is applied.
    ///
    /// Source: `AdminBrokerProcessor.getBrokerConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn broker_config(&self) -> Result<Answer<BrokerConfig>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_BROKER_CONFIG)).await?;
        let data_version = reply.field("version").map(|text| reply.read(text.as_bytes())).transpose()?;
        Ok(reply.answer(BrokerConfig { settings: Properties::from_answer(reply.text()?), data_version }))
    }

    /// Changes settings of a broker, live and in its file. It answers success too if the file could not be
    /// written, and ignores unknown keys without a word.
    ///
    /// Source: `AdminBrokerProcessor.updateBrokerConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]; code 16 for keys of the black list (4.9.8, 5.2.0+).
    pub async fn update_broker_config(&self, settings: &Properties) -> Result<Answer<()>, RemotingError> {
        let request = Request::new(RequestCode::UPDATE_BROKER_CONFIG).body(settings.to_string());
        Ok(self.ask(request).await?.answer(()))
    }

    /// Every topic of a broker, each kept whole.
    ///
    /// Source: `AdminBrokerProcessor.getAllTopicConfig`, `TopicConfigSerializeWrapper`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]. A table above the frame limit closes the connection.
    pub async fn all_topic_config(&self) -> Result<Answer<TopicTable>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_ALL_TOPIC_CONFIG)).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Every subscription group of a broker, each kept whole.
    ///
    /// Source: `AdminBrokerProcessor.getAllSubscriptionGroup`, `SubscriptionGroupWrapper`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn subscription_groups(&self) -> Result<Answer<SubscriptionGroupTable>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG)).await?;
        Ok(reply.answer(reply.json()?))
    }

    /// Creates a topic or changes it. Up to 4.7.0 the answer comes before it is done: read it back.
    ///
    /// Source: `CreateTopicRequestHeader`, all tags; `order` is stored from 5.1.0 on, attributes from 5.0.0 on.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn create_topic(&self, topic: &TopicConfig) -> Result<Answer<()>, RemotingError> {
        let text = |field: &str, absent: &str| topic.text(field).unwrap_or_else(|| absent.to_owned());
        let request = Request::new(RequestCode::UPDATE_AND_CREATE_TOPIC)
            .field("topic", &topic.topic_name)
            // Required by the header, used for nothing: `TopicConfig` has no such field.
            .field("defaultTopic", "TBW102")
            .field("readQueueNums", topic.read_queues)
            .field("writeQueueNums", topic.write_queues)
            .field("perm", topic.perm.bits())
            .field("topicFilterType", text("topicFilterType", "SINGLE_TAG"))
            .field("topicSysFlag", text("topicSysFlag", "0"))
            .field("order", text("order", "false"))
            .optional_field("attributes", attributes(topic));
        Ok(self.ask(request).await?.answer(()))
    }
}

/// Attributes as the header wants them: `+key=value` for each (`AttributeParser`, 5.0.0+).
fn attributes(topic: &TopicConfig) -> Option<String> {
    let attributes = topic.rest.get("attributes")?.as_object()?;
    let changes: Vec<_> =
        attributes.iter().filter_map(|(key, value)| Some(format!("+{key}={}", value.as_str()?))).collect();
    (!changes.is_empty()).then(|| changes.join(","))
}
