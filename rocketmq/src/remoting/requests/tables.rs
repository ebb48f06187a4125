//! Requests for whole tables of brokers, and those that change many of their entries.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::model::subscription_group::Subscription;
use crate::model::topic::TopicConfig;
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::request_code::RequestCode;

impl Client {
    /// The body of [`Client::all_topic_config`] as it came, for tables that are too large to be held as values.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn all_topic_config_body(&self) -> Result<Answer<Bytes>, RemotingError> {
        self.body_of(RequestCode::GET_ALL_TOPIC_CONFIG).await
    }

    /// The body of [`Client::subscription_groups`] as it came.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn subscription_groups_body(&self) -> Result<Answer<Bytes>, RemotingError> {
        self.body_of(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG).await
    }

    /// The offsets of all groups in all topics, as they came.
    ///
    /// Source: `AdminBrokerProcessor.getAllConsumerOffset`, `ConsumerOffsetSerializeWrapper`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn consumer_offsets_body(&self) -> Result<Answer<Bytes>, RemotingError> {
        self.body_of(RequestCode::GET_ALL_CONSUMER_OFFSET).await
    }

    /// How all groups ask for messages, as it came. To be sent to brokers of 5.0.0 and later only: 4.x does not answer.
    ///
    /// Source: `AdminBrokerProcessor.getAllMessageRequestMode`, `MessageRequestModeManager.encode`, 5.0.0+.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn message_request_modes_body(&self) -> Result<Answer<Bytes>, RemotingError> {
        self.body_of(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE).await
    }

    async fn body_of(&self, code: RequestCode) -> Result<Answer<Bytes>, RemotingError> {
        let reply = self.ask(Request::new(code)).await?;
        Ok(reply.answer(reply.body()))
    }

    /// Creates topics or changes them, all in one request. To be sent to brokers of 5.3.0 and later, and only with topics
    /// that are new or changed: one that the broker has already, without attributes, ends the request with success and
    /// nothing is created.
    ///
    /// Source: `AdminBrokerProcessor.updateAndCreateTopicList`, `CreateTopicListRequestBody`, 5.3.0+.
    ///
    /// # Errors
    /// As [`Client::call`]; code 29 for the first name that the broker does not take, and then nothing is created.
    pub async fn create_topics<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a TopicConfig>,
    ) -> Result<Answer<()>, RemotingError> {
        let topics: Vec<_> = topics.into_iter().map(|topic| with_attribute_changes(json!(topic))).collect();
        self.change(RequestCode::UPDATE_AND_CREATE_TOPIC_LIST, json!({ "topicConfigList": topics })).await
    }

    /// Creates a subscription group or changes it. Fields that are absent get RocketMQ's defaults, so it should be whole.
    ///
    /// Source: `AdminBrokerProcessor.updateAndCreateSubscriptionGroup`, `SubscriptionGroupConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn create_subscription_group(
        &self,
        group: &Map<String, Value>,
    ) -> Result<Answer<()>, RemotingError> {
        let group = with_attribute_changes(Value::Object(group.clone()));
        self.change(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, group).await
    }

    /// The same for many in one request; to be sent to brokers of 5.3.1 and later only.
    ///
    /// Source: `AdminBrokerProcessor.updateAndCreateSubscriptionGroupList`, `SubscriptionGroupList`, 5.3.1+.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn create_subscription_groups<'a>(
        &self,
        groups: impl IntoIterator<Item = &'a Map<String, Value>>,
    ) -> Result<Answer<()>, RemotingError> {
        let groups: Vec<_> =
            groups.into_iter().map(|group| with_attribute_changes(Value::Object(group.clone()))).collect();
        let body = json!({ "groupConfigList": groups });
        self.change(RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, body).await
    }

    /// Sets how a group asks for a topic's messages: the whole entry, which names both.
    ///
    /// Source: `QueryAssignmentProcessor.setMessageRequestMode`, `SetMessageRequestModeRequestBody`, 5.0.0+.
    ///
    /// # Errors
    /// As [`Client::call`]; code 16 for a topic of retries.
    pub async fn set_message_request_mode(
        &self,
        mode: &Map<String, Value>,
    ) -> Result<Answer<()>, RemotingError> {
        self.change(RequestCode::SET_MESSAGE_REQUEST_MODE, Value::Object(mode.clone())).await
    }

    /// Lets a group read a topic, or forbids it. Whatever else is forbidden to the group is forgotten when a topic is
    /// allowed (`SubscriptionGroupManager.updateForbiddenValue`, 5.3.3), so what shall be forbidden is to be said last.
    ///
    /// Source: `UpdateGroupForbiddenRequestHeader`, `AdminBrokerProcessor.updateAndGetGroupForbidden`, 5.0.0+.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn set_group_readable(
        &self,
        subscription: &Subscription,
        readable: bool,
    ) -> Result<Answer<()>, RemotingError> {
        let request = Request::new(RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN)
            .field("group", &subscription.group)
            .field("topic", &subscription.topic)
            .field("readable", readable);
        Ok(self.ask(request).await?.answer(()))
    }

    async fn change(&self, code: RequestCode, body: Value) -> Result<Answer<()>, RemotingError> {
        Ok(self.ask(Request::new(code).body(body.to_string())).await?.answer(()))
    }
}

/// Attributes in a body are changes: `+key` sets one, and a key without a sign is refused
/// (`AttributeUtil.alterCurrentAttributes`, 5.0.0+).
fn with_attribute_changes(mut config: Value) -> Value {
    if let Some(attributes) = config.get_mut("attributes").and_then(Value::as_object_mut) {
        *attributes =
            std::mem::take(attributes).into_iter().map(|(key, value)| (format!("+{key}"), value)).collect();
    }
    config
}
