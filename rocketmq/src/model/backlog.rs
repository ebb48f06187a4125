//! What somebody still wants of a broker: messages that are not consumed, of every kind. How they are counted; what
//! RocketMQ's own counts hide (codes 208 and 317 leave out topics that no member subscribes to, and queues above
//! those that are read) is in it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::own::{BrokerNames, DEAD_LETTER_PREFIX, LIGHT_PREFIX, is_own_group};
use crate::model::subscription_group::{RETRY_PREFIX, Subscription};

/// Why messages still lie at a broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Of a topic, not read by a group.
    Unread,
    /// Of the topic for a group's retries.
    Retry,
    /// Of a delay level, not delivered. The broker keeps their topic within each message.
    Delayed,
    /// On the timer wheel (5.x), not delivered.
    Timer,
    /// Of transactions without an end.
    Half,
    /// Taken by pop consumers (5.x) and not acknowledged.
    Pop,
    /// Of a light queue (`%LMQ%`), not read by a group.
    Lmq,
    /// Given up on. Nobody consumes them unless told to.
    DeadLetter,
    /// Of a group whose members keep their offsets themselves: what they have read cannot be known.
    Broadcast,
}

impl Kind {
    /// The word for it in tables.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Retry => "retry",
            Self::Delayed => "delayed",
            Self::Timer => "timer",
            Self::Half => "half",
            Self::Pop => "pop",
            Self::Lmq => "lmq",
            Self::DeadLetter => "dead-letter",
            Self::Broadcast => "broadcast",
        }
    }
}

/// Messages of one kind that one group has not consumed, or that the broker has not delivered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// Why they lie there.
    pub kind: Kind,
    /// Their topic.
    pub topic: String,
    /// Who is to consume them; empty if only their topic knows.
    pub group: String,
    /// How many; 0 of a broadcast group.
    pub messages: u64,
    /// True if nobody of the group is connected to the broker.
    pub offline: bool,
    /// `id@address` of each member of the group.
    pub clients: Vec<String>,
    /// What else is known, in words; mostly empty.
    pub detail: String,
}

/// Where a queue begins and ends: the offsets of its first message and of the one that comes next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueRange {
    /// Messages before it are gone.
    pub min: u64,
    /// The next message gets it.
    pub max: u64,
}

impl QueueRange {
    /// From offsets as brokers tell them; those of a queue without messages may be below 0.
    #[must_use]
    pub fn of(min: i64, max: i64) -> Self {
        Self { min: u64::try_from(min).unwrap_or_default(), max: u64::try_from(max).unwrap_or_default() }
    }

    /// How many messages are in it.
    #[must_use]
    pub const fn messages(self) -> u64 {
        self.max.saturating_sub(self.min)
    }

    /// How many messages a reader has left who has come to this offset; without one it stands at 0.
    #[must_use]
    pub fn unread(self, offset: Option<i64>) -> u64 {
        let offset = offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or_default();
        self.max.saturating_sub(offset.max(self.min))
    }
}

/// How many messages of a topic's queues a group has left.
#[must_use]
pub fn unread(queues: &[(u32, QueueRange)], offsets: &BTreeMap<u32, i64>) -> u64 {
    queues.iter().map(|(queue, range)| range.unread(offsets.get(queue).copied())).sum()
}

/// How many messages are in a topic's queues.
#[must_use]
pub fn stored(queues: &[(u32, QueueRange)]) -> u64 {
    queues.iter().map(|(_, range)| range.messages()).sum()
}

/// What a group's unread messages of a topic are; `None` if nobody waits for them, because the broker made the topic or
/// the group for itself.
#[must_use]
pub fn kind_of(subscription: &Subscription, names: BrokerNames<'_>) -> Option<Kind> {
    let topic = subscription.topic.as_str();
    if is_own_group(&subscription.group) || names.is_own_topic(topic) {
        None
    } else if topic.starts_with(RETRY_PREFIX) {
        Some(Kind::Retry)
    } else if topic.starts_with(LIGHT_PREFIX) {
        Some(Kind::Lmq)
    } else {
        Some(Kind::Unread)
    }
}

/// True if clients send to this topic. What goes to others the broker writes by itself.
#[must_use]
pub fn is_sent_to(topic: &str, names: BrokerNames<'_>) -> bool {
    let of_groups = topic.starts_with(RETRY_PREFIX) || topic.starts_with(DEAD_LETTER_PREFIX);
    !of_groups && !names.is_own_topic(topic)
}

/// How many delay levels brokers have unless told otherwise (`MessageStoreConfig.messageDelayLevel`, all tags).
const USUAL_DELAY_LEVELS: u32 = 18;

/// How many delay levels a broker has whose setting `messageDelayLevel` is this.
#[must_use]
pub fn delay_levels(setting: &str) -> u32 {
    u32::try_from(setting.split_whitespace().count()).unwrap_or(u32::MAX).max(USUAL_DELAY_LEVELS)
}

/// A delay level for people, for example `level 17 (1h)`.
#[must_use]
pub fn delay_level(level: u32, setting: &str) -> String {
    let index = level.checked_sub(1).and_then(|index| usize::try_from(index).ok());
    match index.and_then(|index| setting.split_whitespace().nth(index)) {
        Some(delay) => format!("level {level} ({delay})"),
        None => format!("level {level}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `MessageStoreConfig.messageDelayLevel`, all tags.
    const DELAYS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

    fn ranges(ranges: &[(i64, i64)]) -> Vec<(u32, QueueRange)> {
        (0..).zip(ranges).map(|(queue, (min, max))| (queue, QueueRange::of(*min, *max))).collect()
    }

    #[test]
    fn what_is_unread_lies_between_offset_and_end() {
        let check = |queues: &[(i64, i64)], offsets: &[(u32, i64)], expect| {
            let offsets = offsets.iter().copied().collect();
            assert_eq!(unread(&ranges(queues), &offsets), expect, "{queues:?} {offsets:?}");
        };
        check(&[], &[], 0);
        check(&[(0, 0), (0, 0)], &[], 0);
        check(&[(0, 300), (0, 301)], &[(0, 300), (1, 301)], 0);
        check(&[(0, 300), (0, 301)], &[(0, 290), (1, 301)], 10);
        // Seen after a delivery to an offline group: no offset is the offset 0.
        check(&[(0, 1)], &[], 1);
        check(&[(0, 4), (0, 5)], &[(1, 5)], 4);
        // 4 queues to write, 2 to read: the messages of the others count too.
        check(&[(0, 1), (0, 1), (0, 1), (0, 1)], &[(0, 1), (1, 1)], 2);
        // What was cleaned away nobody can read any more.
        check(&[(100, 300)], &[], 200);
        check(&[(100, 300)], &[(0, 50)], 200);
        check(&[(100, 300)], &[(0, 150)], 150);
        // An offset of another life of the topic, and what brokers say of queues that they do not have.
        check(&[(0, 3)], &[(0, 9)], 0);
        check(&[(0, 3)], &[(0, -1)], 3);
        check(&[(-1, 0), (-1, -1)], &[], 0);
    }

    #[test]
    fn what_is_stored_lies_between_begin_and_end() {
        assert_eq!(stored(&ranges(&[(0, 3), (2, 7), (9, 4)])), 8);
        assert_eq!(stored(&[]), 0);
    }

    #[test]
    fn each_pair_is_of_one_kind_or_of_none() {
        let names = BrokerNames { cluster: "demo", broker: "demo-1" };
        let kind = |key: &str| kind_of(&Subscription::from_key(key).unwrap(), names);
        for (key, expect) in [
            ("orders@billing", Some(Kind::Unread)),
            ("%RETRY%billing@billing", Some(Kind::Retry)),
            ("%RETRY%billing_orders@billing", Some(Kind::Retry)),
            ("%RETRY%billing+orders@billing", Some(Kind::Retry)),
            ("%LMQ%device-1@mqtt", Some(Kind::Lmq)),
            ("%LMQ%device-1@%LMQ%device-1", Some(Kind::Lmq)),
            // Somebody who reads dead letters waits for them as for any others.
            ("%DLQ%billing@repair", Some(Kind::Unread)),
            ("orders@CID_ONS-HTTP-PROXY", Some(Kind::Unread)),
            ("orders@TOOLS_CONSUMER", None),
            ("RMQ_SYS_TRANS_HALF_TOPIC@CID_RMQ_SYS_TRANS", None),
            ("RMQ_SYS_TRANS_OP_HALF_TOPIC@CID_RMQ_SYS_TRANS", None),
            ("rmq_sys_REVIVE_LOG_demo@CID_RMQ_SYS_REVIVE_GROUP", None),
            ("rmq_sys_wheel_timer@billing", None),
            ("RMQ_SYS_TRACE_TOPIC@billing", None),
            ("TRANS_CHECK_MAX_TIME_TOPIC@billing", None),
            ("SELF_TEST_TOPIC@billing", None),
            ("OFFSET_MOVED_EVENT@billing", None),
            ("BenchmarkTest@billing", None),
            ("demo@billing", None),
            ("demo-1@billing", None),
            ("demo_REPLY_TOPIC@billing", None),
            ("demo-2@billing", Some(Kind::Unread)),
        ] {
            assert_eq!(kind(key), expect, "{key}");
        }
    }

    #[test]
    fn clients_send_to_topics_of_users_alone() {
        let names = BrokerNames { cluster: "demo", broker: "demo-1" };
        for (topic, expect) in [
            ("orders", true),
            ("%RETRY%billing", false),
            ("%DLQ%billing", false),
            ("SCHEDULE_TOPIC_XXXX", false),
            ("RMQ_SYS_TRANS_HALF_TOPIC", false),
            ("rmq_sys_wheel_timer", false),
            ("rmq_sys_REVIVE_LOG_demo", false),
            ("RMQ_SYS_TRACE_TOPIC", false),
            ("demo", false),
        ] {
            assert_eq!(is_sent_to(topic, names), expect, "{topic}");
        }
    }

    #[test]
    fn delay_levels_are_counted_from_1() {
        assert_eq!((delay_levels(DELAYS), delay_levels(""), delay_levels("1s 5s")), (18, 18, 18));
        assert_eq!(delay_levels(&format!("{DELAYS} 4h 8h")), 20);
        assert_eq!(delay_level(1, DELAYS), "level 1 (1s)");
        assert_eq!(delay_level(17, DELAYS), "level 17 (1h)");
        assert_eq!(delay_level(19, DELAYS), "level 19");
        assert_eq!(delay_level(0, DELAYS), "level 0");
    }

    #[test]
    fn the_word_of_a_kind_is_what_documents_say() {
        for kind in [
            Kind::Unread,
            Kind::Retry,
            Kind::Delayed,
            Kind::Timer,
            Kind::Half,
            Kind::Pop,
            Kind::Lmq,
            Kind::DeadLetter,
            Kind::Broadcast,
        ] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }
}
