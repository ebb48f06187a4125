//! Metadata that have of everything what a version of RocketMQ can hold: made at masters, and looked for in the tables of
//! a new one.

use std::time::Duration;

use rocketmq::metadata::{Metadata, Subscription, difference};
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use serde_json::{Map, Value, json};

use crate::e2e::groups;
use crate::e2e::judge::{Judge, broker_address, masters};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// The topics that traffic may run on, of the 40. The others have what messages cannot have.
const SENT_TO: usize = 36;

/// The topic whose messages are ordered. Only 5.x keeps that when it is asked to make one
/// (`AdminBrokerProcessor.updateAndCreateTopic`).
const ORDERED: &str = "topic-38";

/// The group that nobody may read with, and that must not read one of the topics.
const CLOSED: &str = "group-18";

/// Until when masters hold what they were asked to make: up to 4.7.0 they answer first and do it then.
const MADE_WITHIN: Duration = Duration::from_secs(60);

/// 40 topics and 20 groups.
#[derive(Debug)]
pub struct FullMetadata {
    /// Queues even and odd in number, fewer to write than to read, read-only, write-only; on 5.x with attributes, and one
    /// whose messages are ordered.
    pub topics: Vec<TopicConfig>,
    /// None of them with RocketMQ's settings.
    pub groups: Vec<Map<String, Value>>,
    /// The topic that stays behind when a new group is made.
    pub ordered: Option<&'static str>,
    version: Version,
}

/// What a new master and an old one held at one moment.
#[derive(Debug)]
pub struct BothTables {
    /// The old one's.
    pub old: Metadata,
    /// The new one's.
    pub new: Metadata,
}

impl FullMetadata {
    /// What a version can hold.
    ///
    /// # Errors
    /// When it is no version.
    pub fn of(version: &str) -> Result<Self> {
        let version: Version = version.parse().context(|| format!("`{version}` is no version"))?;
        let ordered = version.is_5().then_some(ORDERED);
        let topics = (0..40).map(|number| topic(number, version)).collect::<Result<_>>()?;
        let groups = (0..20).map(|number| group(number, version)).collect();
        Ok(Self { topics, groups, ordered, version })
    }

    /// Makes them at every master, and waits until each holds them.
    ///
    /// # Errors
    /// When one refuses, or does not hold them.
    pub fn make(&self, kubectl: &Kubectl, judge: &Judge) -> Result<()> {
        let masters = masters(kubectl)?;
        for master in &masters {
            judge.make(master, &self.topics, &self.groups)?;
            if self.version.is_5() {
                let forbidden = Subscription { topic: topic_name(SENT_TO), group: CLOSED.to_owned() };
                judge.forbid(master, &forbidden)?;
            }
        }
        watch::until("every master to hold what was made", MADE_WITHIN, || {
            let hold = masters.iter().zip(0..).try_for_each(|(master, group)| {
                let tables = judge.tables(&groups::name(group), &broker_address(master))?;
                self.are_in(&tables).map_err(|error| LabError::new(master.name.as_str()).because(error))
            });
            match hold {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.report()),
            }
        })
    }

    /// Demands that a new broker's tables are an old one's, and hold everything that was made, as it was made.
    ///
    /// # Errors
    /// When something differs or is lost.
    pub fn are_in_both(&self, tables: &BothTables) -> Result<()> {
        let difference = difference(&tables.old, &tables.new);
        ensure(difference.is_empty(), || format!("the new group differs when it opens: {difference:?}"))?;
        self.are_in(&tables.new)
    }

    fn are_in(&self, tables: &Metadata) -> Result<()> {
        for topic in &self.topics {
            let held = tables.topics.get(&topic.topic_name);
            let as_made = held.is_some_and(|held| {
                let fields = |topic: &TopicConfig| (topic.read_queues, topic.write_queues, topic.perm);
                fields(held) == fields(topic) && holds(&held.rest, &topic.rest)
            });
            let wanted = self.ordered != Some(topic.topic_name.as_str());
            ensure(if wanted { as_made } else { held.is_none() }, || format!("{topic:?} became {held:?}"))?;
        }
        for group in &self.groups {
            let name = group["groupName"].as_str().unwrap_or_default();
            let held = tables.groups.get(name);
            ensure(held.is_some_and(|held| holds(held, group)), || format!("{group:?} became {held:?}"))?;
        }
        ensure(!self.version.is_5() || tables.forbidden.contains_key(CLOSED), || {
            format!("what {CLOSED} must not read is lost: {:?}", tables.forbidden)
        })
    }
}

/// The name of one of the topics.
pub fn topic_name(number: usize) -> String {
    format!("topic-{number:02}")
}

/// The topics that traffic may run on.
pub fn sent_to() -> Vec<String> {
    (0..SENT_TO).map(topic_name).collect()
}

/// The last of them, whose messages may be delayed.
pub fn delayed_topic() -> String {
    topic_name(SENT_TO - 1)
}

fn topic(number: usize, version: Version) -> Result<TopicConfig> {
    let name = topic_name(number);
    let name = name.parse().context(|| format!("`{name}` is no topic name"))?;
    let mut topic = TopicConfig::new(&name, [4, 3, 1, 5][number % 4]);
    match number {
        36 => topic.write_queues = 2,
        37 => topic.perm = Permission::READ,
        39 => topic.perm = Permission::from_bits(2),
        _ => {}
    }
    let mut set = |field: &str, value: Value| topic.rest.insert(field.to_owned(), value);
    match number {
        35 if version.is_5() => {
            set("attributes", json!({"message.type": "DELAY"}));
        }
        38 if version.is_5() => {
            set("order", json!(true));
            set("attributes", json!({"message.type": "FIFO"}));
        }
        _ => {}
    }
    Ok(topic)
}

fn group(number: u64, version: Version) -> Map<String, Value> {
    let mut fields = json!({
        "groupName": format!("group-{number:02}"),
        "consumeEnable": number != 18,
        "consumeFromMinEnable": number.is_multiple_of(2),
        "consumeBroadcastEnable": number.is_multiple_of(3),
        "retryQueueNums": 1 + number % 3,
        "retryMaxTimes": 3 + number,
        "notifyConsumerIdsChangedEnable": true,
    });
    if version.is_5() {
        fields["consumeTimeoutMinute"] = json!(20 + number);
        let next = [1000 + number, 60000];
        fields["groupRetryPolicy"] = json!({"type": "CUSTOMIZED", "customizedRetryPolicy": {"next": next}});
    }
    fields.as_object().cloned().unwrap_or_default()
}

/// Whether `held` has each field of `wanted`.
fn holds(held: &Map<String, Value>, wanted: &Map<String, Value>) -> bool {
    wanted.iter().all(|(field, value)| match (held.get(field), value) {
        (Some(Value::Object(held)), Value::Object(value)) => holds(held, value),
        (held, value) => held == Some(value),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_is_asked_for_what_it_can_hold() {
        for (version, ordered) in [("4.5.0", None), ("4.9.7", None), ("5.3.3", Some(ORDERED))] {
            let made = FullMetadata::of(version).unwrap();
            assert_eq!((made.topics.len(), made.groups.len(), made.ordered), (40, 20, ordered));
            let rest = made.topics.iter().any(|topic| !topic.rest.is_empty());
            let policy = made.groups.iter().any(|group| group.contains_key("groupRetryPolicy"));
            assert_eq!((rest, policy), (ordered.is_some(), ordered.is_some()), "{version}");
        }
        assert!(FullMetadata::of("five").is_err());
    }

    #[test]
    fn a_field_may_hold_more_than_was_made() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let wanted = object(json!({"policy": {"next": [1]}}));
        assert!(holds(&object(json!({"policy": {"next": [1], "more": 2}, "other": 3})), &wanted));
        assert!(!holds(&object(json!({"policy": {"next": [2]}})), &wanted));
        assert!(!holds(&Map::new(), &wanted));
    }
}
