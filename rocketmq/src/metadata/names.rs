//! Names that may stand in a bundle. RocketMQ believes what its files say: a topic's name becomes the name of a folder,
//! and `@` parts topic and group in the keys of offsets.

use crate::metadata::sanitise::{is_own_topic, keeps_group};
use crate::metadata::{Entry, Origin, RETRY_PREFIX};
use crate::model::name::{self, InvalidName};
use crate::text::printable;

/// The longest name of a group (`Validators.CHARACTER_MAX_LENGTH`, all tags). Topics of users end at 127 from 4.9 on,
/// older ones go up to this too.
const LONGEST_GROUP: usize = 255;

/// A group's topic for retries has its name in it.
const LONGEST_TOPIC: usize = RETRY_PREFIX.len() + LONGEST_GROUP;

/// The longest name in a bundle that is not sanitised: a topic for retries with the longest names of both kinds.
const LONGEST_RAW: usize = LONGEST_TOPIC + 1 + LONGEST_GROUP;

/// RocketMQ has no limit, and each queue is a folder of its own: more than this is no topic but an attack.
const MOST_QUEUES: u32 = 65_536;

/// An entry that no bundle may have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// A name that RocketMQ does not take.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// What a broker makes for itself, where none of that may be.
    #[error("{0} is one that a broker makes for itself")]
    Own(String),
    /// A name that cannot be shown.
    #[error("{} has a name that is empty, too long or has control characters", printable(.0))]
    Unprintable(String),
    /// A topic with more queues than any broker has.
    #[error("{0} has more than {MOST_QUEUES} queues")]
    Queues(String),
}

/// Checks an entry of a bundle; of a sanitised one with its origin.
pub(super) fn check(entry: &Entry, sanitised: Option<&Origin>) -> Result<(), InvalidEntry> {
    let (topic, group) = names(entry);
    let Some(origin) = sanitised else {
        let mut names = topic.into_iter().chain(group);
        return if names.any(is_unprintable) {
            Err(InvalidEntry::Unprintable(entry.title()))
        } else {
            Ok(())
        };
    };
    if let Some(topic) = topic {
        name::check("topic name", topic, LONGEST_TOPIC)?;
    }
    if let Some(group) = group {
        name::check("consumer group name", group, LONGEST_GROUP)?;
    }
    if let Entry::Topic(topic) = entry
        && topic.read_queues.max(topic.write_queues) > MOST_QUEUES
    {
        return Err(InvalidEntry::Queues(entry.title()));
    }
    let own = topic.is_some_and(|topic| is_own_topic(topic, origin))
        || group.is_some_and(|group| !keeps_group(group));
    if own { Err(InvalidEntry::Own(entry.title())) } else { Ok(()) }
}

/// A broker may have all sorts of names, but whoever shows them must be able to.
fn is_unprintable(name: &str) -> bool {
    name.is_empty() || name.len() > LONGEST_RAW || name.chars().any(char::is_control)
}

fn names(entry: &Entry) -> (Option<&str>, Option<&str>) {
    match entry {
        Entry::Topic(topic) => (Some(&topic.topic_name), None),
        Entry::Group(group, _) | Entry::Forbidden(group, _) => (None, Some(group)),
        Entry::RequestMode(subscription, _) | Entry::Offsets(subscription, _) => {
            (Some(&subscription.topic), Some(&subscription.group))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;
    use crate::metadata::Subscription;
    use crate::model::version::Version;

    fn origin() -> Origin {
        Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V5_3_3 }
    }

    fn topic(name: &str) -> Entry {
        Entry::Topic(serde_json::from_value(json!({ "topicName": name })).unwrap())
    }

    fn offsets(key: &str) -> Entry {
        Entry::Offsets(Subscription::from_key(key).unwrap(), BTreeMap::new())
    }

    #[test]
    fn what_rocketmq_takes_is_taken() {
        let long = format!("%RETRY%{}", "g".repeat(255));
        for entry in [
            topic("orders"),
            topic("%RETRY%billing"),
            topic("%RETRY%billing_orders"),
            topic(&long),
            Entry::Group("billing".to_owned(), Map::new()),
            offsets("%RETRY%billing@billing"),
        ] {
            assert_eq!(check(&entry, Some(&origin())), Ok(()), "{entry:?}");
        }
    }

    #[test]
    fn other_names_are_refused_with_their_reason() {
        let refusal = |entry: Entry| check(&entry, Some(&origin())).unwrap_err().to_string();
        let charset = "is not allowed, only letters, digits and _-%|";
        for (entry, expected) in [
            (topic("../x"), format!("`../x` is not a valid topic name: `.` {charset}")),
            (topic("a+b"), format!("`a+b` is not a valid topic name: `+` {charset}")),
            (topic("%RETRY%a+b"), format!("`%RETRY%a+b` is not a valid topic name: `+` {charset}")),
            (topic("größe"), format!("`größe` is not a valid topic name: `ö` {charset}")),
            (
                Entry::Group("a\nb".to_owned(), Map::new()),
                format!("`a\nb` is not a valid consumer group name: `\\n` {charset}"),
            ),
            (
                Entry::Forbidden("a b".to_owned(), json!({})),
                format!("`a b` is not a valid consumer group name: ` ` {charset}"),
            ),
            (topic("TBW102"), "topic `TBW102` is one that a broker makes for itself".to_owned()),
            (topic("demo-0"), "topic `demo-0` is one that a broker makes for itself".to_owned()),
            (
                Entry::Group("TOOLS_CONSUMER".to_owned(), Map::new()),
                "group `TOOLS_CONSUMER` is one that a broker makes for itself".to_owned(),
            ),
            (
                offsets("TBW102@billing"),
                "offsets of `TBW102@billing` is one that a broker makes for itself".to_owned(),
            ),
        ] {
            assert_eq!(refusal(entry), expected);
        }
        assert!(refusal(topic(&"x".repeat(263))).ends_with("it has 263 characters, 262 are allowed"));
    }
}
