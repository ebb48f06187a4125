//! Names of what brokers make for themselves.

/// Topics that brokers make for themselves (`TopicValidator.SYSTEM_TOPIC_SET`, 5.3.3; `TopicConfigManager`, 4.5.0).
/// All others of theirs begin with one of [`TOPIC_PREFIXES`].
const TOPICS: [&str; 7] = [
    "TBW102",
    "SELF_TEST_TOPIC",
    "BenchmarkTest",
    "OFFSET_MOVED_EVENT",
    SCHEDULE_TOPIC,
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "CHECKPOINT_TOPIC",
];

/// `TopicValidator.SYSTEM_TOPIC_PREFIX` (5.x) and the topics of traces and transactions (all tags, some by RocksDB from
/// 5.4.0 on).
const TOPIC_PREFIXES: [&str; 2] = ["rmq_sys_", "RMQ_SYS_"];

/// `MixAll.TOOLS_CONSUMER_GROUP`, `FILTERSRV_CONSUMER_GROUP`, `SELF_TEST_CONSUMER_GROUP` (all tags).
const GROUPS: [&str; 3] = ["TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP"];

/// `MixAll.CID_RMQ_SYS_PREFIX` (all tags).
const GROUP_PREFIX: &str = "CID_RMQ_SYS_";

/// Where messages of the delay levels wait, each level in a queue of its own (`TopicValidator.RMQ_SYS_SCHEDULE_TOPIC`;
/// `ScheduleMessageService.SCHEDULE_TOPIC`, 4.5.0).
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// Where messages wait until the timer wheel takes them (`TimerMessageStore.TIMER_TOPIC`, 5.0.0+).
pub const TIMER_TOPIC: &str = "rmq_sys_wheel_timer";

/// Where messages of transactions wait for the end, in queue 0 (`TransactionalMessageUtil.buildHalfTopic`, all tags).
pub const HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";

/// Whose offset tells which of them were looked at (`MixAll.CID_SYS_RMQ_TRANS`, all tags).
pub const HALF_GROUP: &str = "CID_RMQ_SYS_TRANS";

/// What pop consumers took and acknowledged, of a cluster whose name follows (`PopAckConstants.REVIVE_TOPIC`, 5.0.0+).
pub const REVIVE_TOPIC_PREFIX: &str = "rmq_sys_REVIVE_LOG_";

/// Whose offset tells what of that is settled (`PopAckConstants.REVIVE_GROUP`, 5.0.0+).
pub const REVIVE_GROUP: &str = "CID_RMQ_SYS_REVIVE_GROUP";

/// The prefix of the topic that holds what a group has given up on (`MixAll.DLQ_GROUP_TOPIC_PREFIX`, all tags).
pub const DEAD_LETTER_PREFIX: &str = "%DLQ%";

/// The prefix of light queues, which stand in no topic table (`MixAll.LMQ_PREFIX`, 4.9.3+).
pub const LIGHT_PREFIX: &str = "%LMQ%";

/// Who a broker is: some of its topics are named after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokerNames<'a> {
    /// `brokerClusterName`.
    pub cluster: &'a str,
    /// `brokerName`.
    pub broker: &'a str,
}

impl BrokerNames<'_> {
    /// True if the broker makes this topic for itself. Those for retries and dead letters belong to groups.
    #[must_use]
    pub fn is_own_topic(self, name: &str) -> bool {
        TOPICS.contains(&name)
            || TOPIC_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name == self.broker
            || name.strip_prefix(self.cluster).is_some_and(|rest| matches!(rest, "" | "_REPLY_TOPIC"))
    }
}

/// True if brokers make this group for themselves and for RocketMQ's tools.
#[must_use]
pub fn is_own_group(name: &str) -> bool {
    GROUPS.contains(&name) || name.starts_with(GROUP_PREFIX)
}
