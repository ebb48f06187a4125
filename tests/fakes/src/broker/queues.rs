//! Where the queues of a broker begin and end, and what it delivers later.

use std::collections::BTreeMap;

use rocketmq::model::backlog::QueueRange;
use rocketmq::model::route::MessageQueue;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};

use super::State;
use super::tables::never_changed;
use crate::peer::{Received, Reply};

/// What lies in the queues of a broker, as far as its answers show it.
#[derive(Debug, Clone, Default)]
pub(super) struct Queues {
    ranges: BTreeMap<(String, u32), QueueRange>,
    /// By level; one that never delivered has none.
    delivered: BTreeMap<u32, i64>,
    /// How many messages of each topic the timer wheel counts.
    timed: BTreeMap<String, u64>,
    /// `timerCongestNum`.
    congested: u64,
    /// `timerOffsetBehind`.
    behind: i64,
}

impl Queues {
    pub(super) fn set(&mut self, topic: &str, queue: u32, range: QueueRange) {
        self.ranges.insert((topic.to_owned(), queue), range);
    }

    pub(super) fn set_delivered(&mut self, level: u32, offset: i64) {
        self.delivered.insert(level, offset);
    }

    pub(super) fn set_timer(&mut self, timed: BTreeMap<String, u64>, congested: u64, behind: i64) {
        (self.timed, self.congested, self.behind) = (timed, congested, behind);
    }

    fn range(&self, topic: &str, queue: u32) -> QueueRange {
        self.ranges.get(&(topic.to_owned(), queue)).copied().unwrap_or_default()
    }

    /// What code 28 tells of the timer wheel.
    pub(super) fn timer_facts(&self) -> [(&'static str, String); 3] {
        [
            ("timerReadBehind", "0".to_owned()),
            ("timerOffsetBehind", self.behind.to_string()),
            ("timerCongestNum", self.congested.to_string()),
        ]
    }
}

impl State {
    /// Codes 30 and 31, `AdminBrokerProcessor.getMaxOffset` and `getMinOffset`: 0 for a queue that is not there.
    pub(super) fn offset_of_queue(&self, request: &Received) -> Reply {
        let range =
            self.queues.range(request.field("topic"), request.field("queueId").parse().unwrap_or_default());
        let offset = if request.code == RequestCode::GET_MAX_OFFSET { range.max } else { range.min };
        Reply::success().field("offset", offset)
    }

    /// Code 202, `AdminBrokerProcessor.getTopicStatsInfo`: up to 4.x the queues to write, from 5.0.0 on those to read too.
    pub(super) fn topic_stats(&self, request: &Received) -> Reply {
        let topic = request.field("topic");
        let Some(config) = self.topics.topics.get(topic) else {
            return Reply::refusal(ResponseCode::TOPIC_NOT_EXIST, format!("topic[{topic}] not exist"));
        };
        let queues = if self.common.version.is_5() {
            config.write_queues.max(config.read_queues)
        } else {
            config.write_queues
        };
        let entries: Vec<_> = (0..queues)
            .map(|queue| {
                let key = MessageQueue {
                    topic: topic.to_owned(),
                    broker_name: self.identity.broker_name.clone(),
                    queue_id: i32::try_from(queue).unwrap_or(i32::MAX),
                };
                let range = self.queues.range(topic, queue);
                let value = json!({
                    "lastUpdateTimestamp": 0, "maxOffset": range.max, "minOffset": range.min,
                });
                format!("{}:{value}", json!(key))
            })
            .collect();
        let rate = if self.common.version.is_5() { r#","topicPutTps":0.0"# } else { "" };
        Reply::with_body(format!(r#"{{"offsetTable":{{{}}}{rate}}}"#, entries.join(",")))
    }

    /// Code 45, `ScheduleMessageService.encode`, as fastjson writes it: levels are no strings.
    pub(super) fn delay_offsets(&self) -> Reply {
        let entries: Vec<_> =
            self.queues.delivered.iter().map(|(level, offset)| format!("{level}:{offset}")).collect();
        let mut version = String::new();
        if self.common.version.is_5() {
            version = format!(r#""dataVersion":{},"#, never_changed());
        }
        Reply::with_body(format!(r#"{{{version}"offsetTable":{{{}}}}}"#, entries.join(",")))
    }

    /// True if the broker has a timer wheel, 5.0.0+.
    pub(super) fn has_timer(&self) -> bool {
        self.common.version.is_5() && self.settings.get("timerWheelEnable") != Some("false")
    }

    /// Code 61, `AdminBrokerProcessor.getTimerMetrics`, 5.0.0+.
    pub(super) fn timer_metrics(&self) -> Reply {
        if !self.has_timer() {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "The timer message store is null");
        }
        let counts: Map<String, Value> = self
            .queues
            .timed
            .iter()
            .map(|(topic, count)| (topic.clone(), json!({ "count": count, "timeStamp": 0 })))
            .collect();
        let version = json!({ "counter": 1, "stateVersion": 0, "timestamp": 0 });
        Reply::with_body(json!({ "dataVersion": version, "timingCount": counts }).to_string())
    }
}
