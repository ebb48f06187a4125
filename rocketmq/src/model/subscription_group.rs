//! Subscription groups as brokers store them.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::data_version::DataVersion;
use crate::model::name::name_type;

name_type!(
    /// The name of a consumer group.
    GroupName,
    "consumer group name",
    255
);

/// All subscription groups of a broker. Each is kept whole, because RocketMQ adds fields with every release and
/// writing a group back without one resets it to its default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscriptionGroupTable {
    /// The groups by name.
    #[serde(rename = "subscriptionGroupTable", default)]
    pub groups: BTreeMap<String, Map<String, Value>>,
    /// The version of the table.
    #[serde(default)]
    pub data_version: DataVersion,
    /// Everything else of the answer, for example 5.x's `forbiddenTable`.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// The prefix of the topic that holds a group's messages for another try (`MixAll.RETRY_GROUP_TOPIC_PREFIX`, all
/// tags).
pub const RETRY_PREFIX: &str = "%RETRY%";

/// What pop consumers put between group and topic in the name of a topic for retries
/// (`KeyBuilder.POP_RETRY_SEPARATOR_V2`, 5.2.0+). No request takes such a name; brokers make the topic when it is first
/// needed, and its readers begin at its first message.
pub const POP_SEPARATOR: char = '+';

/// What they put there before (`KeyBuilder.POP_RETRY_SEPARATOR_V1`, 5.0.0+). Names of groups and topics have it too.
const OLDER_POP_SEPARATOR: char = '_';

/// A topic and a group that reads it: what RocketMQ keeps offsets and request modes by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic.
    pub topic: String,
    /// The group.
    pub group: String,
}

impl Subscription {
    /// A group's subscription to its own retries, which no table shows before the first of them.
    #[must_use]
    pub fn to_retries_of(group: &str) -> Self {
        Self { topic: format!("{RETRY_PREFIX}{group}"), group: group.to_owned() }
    }

    /// The group whose retries a topic holds, and the topic; `None` if the topic is for no retries, or of nothing
    /// that is a group. A pop consumer has one such topic for each topic that it reads.
    #[must_use]
    pub fn of_retries(topic: &str, is_group: impl Fn(&str) -> bool) -> Option<Self> {
        let name = topic.strip_prefix(RETRY_PREFIX)?;
        let by_pop = name.split_once(POP_SEPARATOR).map(|(group, _)| group);
        // The longest group wins, as it does when the whole name is one.
        let older = name.rmatch_indices(OLDER_POP_SEPARATOR).map(|(at, _)| &name[..at]);
        let group = std::iter::once(name).chain(by_pop).chain(older).find(|group| is_group(group))?;
        Some(Self { topic: topic.to_owned(), group: group.to_owned() })
    }

    /// Reads `topic@group`; `None` for what RocketMQ takes for no such key either
    /// (`ConsumerOffsetManager.whichGroupByTopic`, all tags).
    #[must_use]
    pub fn from_key(key: &str) -> Option<Self> {
        let (topic, group) = key.split_once('@')?;
        let whole = !topic.is_empty() && !group.is_empty() && !group.contains('@');
        whole.then(|| Self { topic: topic.to_owned(), group: group.to_owned() })
    }
}

impl fmt::Display for Subscription {
    /// Prints `topic@group`, the key of offset tables (`ConsumerOffsetManager.TOPIC_GROUP_SEPARATOR`, all tags).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.topic, self.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_name_a_topic_and_a_group_or_nothing() {
        for (topic, group) in [("orders", "billing"), ("%RETRY%billing", "billing")] {
            let subscription = Subscription { topic: topic.to_owned(), group: group.to_owned() };
            assert_eq!(Subscription::from_key(&format!("{topic}@{group}")), Some(subscription.clone()));
            assert_eq!(subscription.to_string(), format!("{topic}@{group}"));
        }
        for key in ["", "orders", "@billing", "orders@", "a@b@c", "@"] {
            assert_eq!(Subscription::from_key(key), None, "{key}");
        }
        assert_eq!(Subscription::to_retries_of("billing").to_string(), "%RETRY%billing@billing");
    }

    #[test]
    fn a_topic_for_retries_belongs_to_the_longest_group_of_its_name() {
        let is_group = |name: &str| ["billing", "billing_eu", "a"].contains(&name);
        let group = |topic| Subscription::of_retries(topic, is_group).map(|found| found.group);
        for (topic, expect) in [
            ("%RETRY%billing", Some("billing")),
            ("%RETRY%billing_eu", Some("billing_eu")),
            ("%RETRY%billing_orders", Some("billing")),
            ("%RETRY%billing_eu_orders_new", Some("billing_eu")),
            ("%RETRY%billing+orders", Some("billing")),
            ("%RETRY%billing_eu+a_b", Some("billing_eu")),
            ("%RETRY%a_billing", Some("a")),
            ("%RETRY%shipping", None),
            ("%RETRY%", None),
            ("billing", None),
        ] {
            assert_eq!(group(topic).as_deref(), expect, "{topic}");
        }
    }
}
