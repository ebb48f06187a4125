//! Requests to brokers about their queues: where each begins and ends, and what the broker delivers later.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::backlog::QueueRange;
use crate::model::route::MessageQueue;
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// `TopicStatsTable`, all tags. The keys are queues.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicStats {
    #[serde(default)]
    offset_table: BTreeMap<String, TopicOffset>,
}

/// `TopicOffset`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicOffset {
    #[serde(default)]
    min_offset: i64,
    #[serde(default)]
    max_offset: i64,
}

/// `DelayOffsetSerializeWrapper`, all tags. The keys are levels.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DelayOffsets {
    #[serde(default)]
    offset_table: BTreeMap<String, i64>,
}

/// `TimerMetrics.TimerMetricsSerializeWrapper`, 5.0.0+.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimerMetrics {
    #[serde(default)]
    timing_count: BTreeMap<String, TimerMetric>,
}

/// `TimerMetrics.Metric`, 5.0.0+.
#[derive(Deserialize)]
struct TimerMetric {
    #[serde(default)]
    count: i64,
}

impl Client {
    /// Where the queues of a topic begin and end, in their order; `None` if the broker does not have the topic. 4.x
    /// brokers tell only those that producers write (4.5.0, 4.9.7), 5.x also those that consumers still read (5.3.3,
    /// 5.5.0). 4.5.0 has the topic of half messages only once it has looked through them for the first time.
    ///
    /// Source: `GetTopicStatsInfoRequestHeader`, `AdminBrokerProcessor.getTopicStatsInfo`, `TopicStatsTable`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn topic_stats(
        &self,
        topic: &str,
    ) -> Result<Answer<Option<Vec<(u32, QueueRange)>>>, RemotingError> {
        let request = Request::new(RequestCode::GET_TOPIC_STATS_INFO).field("topic", topic);
        let Answer { version, value } = self.ask_optional(request, ResponseCode::TOPIC_NOT_EXIST).await?;
        let Some(reply) = value else { return Ok(Answer { version, value: None }) };
        let stats: TopicStats = reply.json()?;
        let mut ranges = Vec::with_capacity(stats.offset_table.len());
        for (queue, offsets) in stats.offset_table {
            let queue: MessageQueue = serde_json::from_str(&queue).map_err(|error| reply.malformed(error))?;
            let id = u32::try_from(queue.queue_id).map_err(|error| reply.malformed(error))?;
            ranges.push((id, QueueRange::of(offsets.min_offset, offsets.max_offset)));
        }
        ranges.sort_unstable_by_key(|(id, _)| *id);
        Ok(Answer { version, value: Some(ranges) })
    }

    /// Where one queue begins and ends, by two requests; a queue that the broker does not have is empty.
    ///
    /// Source: `GetMinOffsetRequestHeader`, `GetMaxOffsetRequestHeader`, `AdminBrokerProcessor.getMinOffset`,
    /// `getMaxOffset`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn queue_range(&self, topic: &str, queue: u32) -> Result<Answer<QueueRange>, RemotingError> {
        // The end last: what comes in between is counted.
        let min = self.offset_of(RequestCode::GET_MIN_OFFSET, topic, queue).await?;
        let max = self.offset_of(RequestCode::GET_MAX_OFFSET, topic, queue).await?;
        Ok(max.map(|max| QueueRange::of(min.value, max)))
    }

    async fn offset_of(
        &self,
        code: RequestCode,
        topic: &str,
        queue: u32,
    ) -> Result<Answer<i64>, RemotingError> {
        let reply = self.ask(Request::new(code).field("topic", topic).field("queueId", queue)).await?;
        let offset = reply.field("offset").and_then(|text| text.parse().ok());
        Ok(reply.answer(offset.ok_or_else(|| reply.malformed("its field `offset` is no number"))?))
    }

    /// How far each delay level is delivered. A level that never delivered may not be among them (4.9.7), and then it is
    /// not in [`Client::runtime_info`] either.
    ///
    /// Source: `AdminBrokerProcessor.getAllDelayOffset`, `ScheduleMessageService.encode`,
    /// `DelayOffsetSerializeWrapper`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn delay_offsets(&self) -> Result<Answer<BTreeMap<u32, i64>>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_ALL_DELAY_OFFSET)).await?;
        let offsets: DelayOffsets = reply.json()?;
        let levels = offsets.offset_table.into_iter();
        Ok(reply.answer(levels.filter_map(|(level, offset)| Some((level.parse().ok()?, offset))).collect()))
    }

    /// How many messages of each topic are on the timer wheel. To be sent to brokers of 5.0.0 and later only, and the
    /// count may drift: `timerCongestNum` of [`Client::runtime_info`] is the other one.
    ///
    /// Source: `AdminBrokerProcessor.getTimerMetrics`, `TimerMetrics.encode`, 5.0.0+.
    ///
    /// # Errors
    /// As [`Client::call`]; code 1 if the broker has no timer wheel.
    pub async fn timer_counts(&self) -> Result<Answer<BTreeMap<String, u64>>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_TIMER_METRICS)).await?;
        let metrics: TimerMetrics = reply.json()?;
        let counts = metrics.timing_count.into_iter();
        let counts = counts.filter_map(|(topic, metric)| Some((topic, u64::try_from(metric.count).ok()?)));
        Ok(reply.answer(counts.filter(|(_, count)| *count > 0).collect()))
    }
}
