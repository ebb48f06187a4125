//! What the broker is asked, at most so many requests at once on the one connection. An answer that does not come is
//! told as unknown, and the look goes on.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures::{StreamExt, stream};
use rocketmq::metadata::Subscription;
use rocketmq::metadata::walk;
use rocketmq::model::backlog::{Kind, QueueRange, Row, delay_level, delay_levels, is_sent_to};
use rocketmq::model::own::{
    BrokerNames, DEAD_LETTER_PREFIX, HALF_TOPIC, LIGHT_PREFIX, REVIVE_TOPIC_PREFIX, SCHEDULE_TOPIC,
    TIMER_TOPIC, is_own_group,
};
use rocketmq::model::subscription_group::RETRY_PREFIX;
use rocketmq::remoting::client::{Answer, Client};
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::requests::consumers::ConsumerConnections;

use crate::backlog::Unknown;
use crate::backlog::rows::Found;
use crate::metadata::TABLE_DEADLINE;
use crate::metadata::subscriptions::{TableError, off_the_runtime};

/// Requests on their way at once. A broker answers each of them within a millisecond, and there may be 86,400.
const ASKED_AT_ONCE: usize = 64;

/// Whoever reads a row cannot do more with a longer list.
const MOST_CLIENTS: usize = 20;

/// How many topics of the timer wheel are named.
const NAMED_TOPICS: usize = 3;

/// What the broker's tables say.
#[derive(Debug, Default)]
pub struct Tables {
    /// The answer to code 43, which may be as large as a frame and is gone through where it is needed.
    pub offsets: Bytes,
    /// How far each delay level is delivered; `None` if it is not known.
    pub delivered: Option<BTreeMap<u32, i64>>,
    /// How many queues each topic has, those that are only read or only written among them.
    pub topics: BTreeMap<String, u32>,
    /// Groups that are configured or have offsets.
    pub groups: BTreeSet<String>,
    /// Queues that somebody has offsets of, though their topic has not so many.
    pub further: BTreeMap<String, BTreeSet<u32>>,
    /// Light queues that somebody has offsets of.
    pub light: BTreeSet<String>,
}

/// A group of which somebody is connected to the broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Online {
    /// `id@address` of each member, in order.
    pub clients: Vec<String>,
    /// The topics that they subscribe to.
    pub topics: BTreeSet<String>,
    /// True if each member reads all messages and keeps its offsets itself.
    pub broadcasting: bool,
}

/// Who is connected, by group; `None` if it is not known. Groups that are not in it are offline.
pub type OnlineGroups = BTreeMap<String, Option<Online>>;

/// Where queues begin and end, of topics that ever had a message.
#[derive(Debug, Default)]
pub struct Ends {
    /// The queues of each topic.
    pub topics: BTreeMap<String, Vec<(u32, QueueRange)>>,
    /// Sum of the ends of all queues that clients send to.
    pub written: u64,
}

fn known<T>(what: &str, answer: Result<Answer<T>, RemotingError>, unknown: &mut Unknown) -> Option<T> {
    answer.map(|answer| answer.value).inspect_err(|error| unknown.add(what, error)).ok()
}

fn walked<T: Default>(what: &str, walked: Result<T, TableError>, unknown: &mut Unknown) -> T {
    walked.inspect_err(|error| unknown.add(what, error)).unwrap_or_default()
}

/// Asks for the tables, those with offsets first.
pub async fn tables(client: &Client, unknown: &mut Unknown) -> Tables {
    let patient = &client.with_deadline(TABLE_DEADLINE);
    let [of_offsets, of_topics, of_groups] =
        ["the offsets of groups", "the topics", "the subscription groups"];
    let offsets = known(of_offsets, patient.consumer_offsets_body().await, unknown);
    let delivered = known("the offsets of delay levels", client.delay_offsets().await, unknown);
    // One table is gone through before the next is asked for: each may be as large as a frame.
    let topics = known(of_topics, patient.all_topic_config_body().await, unknown);
    let topics =
        walked(of_topics, off_the_runtime(move || queues_of_topics(topics.as_deref())).await, unknown);
    let groups = known(of_groups, patient.subscription_groups_body().await, unknown);
    let groups =
        walked(of_groups, off_the_runtime(move || names_of_groups(groups.as_deref())).await, unknown);
    let offsets = offsets.unwrap_or_else(|| Bytes::from_static(b"{}"));
    let mut tables = Tables { offsets, delivered, topics, groups, ..Tables::default() };
    let gone_through = off_the_runtime(move || {
        // A table that cannot be gone through to its end still names some.
        let error = tables.add_what_has_offsets().err();
        Ok((tables, error))
    });
    let (tables, error) = walked(of_offsets, gone_through.await, unknown);
    if let Some(error) = error {
        unknown.add(of_offsets, &error);
    }
    tables
}

fn queues_of_topics(body: Option<&[u8]>) -> Result<BTreeMap<String, u32>, TableError> {
    let mut topics = BTreeMap::new();
    walk::topics(body.unwrap_or(b"{}"), |topic| {
        topics.insert(topic.topic_name, topic.read_queues.max(topic.write_queues));
        Ok::<_, TableError>(())
    })?;
    Ok(topics)
}

fn names_of_groups(body: Option<&[u8]>) -> Result<BTreeSet<String>, TableError> {
    let mut groups = BTreeSet::new();
    walk::groups(body.unwrap_or(b"{}"), |name, _| {
        groups.insert(name);
        Ok::<_, TableError>(())
    })?;
    Ok(groups)
}

impl Tables {
    fn add_what_has_offsets(&mut self) -> Result<(), TableError> {
        let Self { offsets, topics, groups, further, light, .. } = self;
        walk::offsets(offsets, |Subscription { topic, group }, queues| {
            if !groups.contains(&group) {
                groups.insert(group);
            }
            if topic.starts_with(LIGHT_PREFIX) {
                light.insert(topic);
            } else if let Some(count) = topics.get(&topic) {
                let beyond: Vec<u32> = queues.into_keys().filter(|queue| queue >= count).collect();
                if !beyond.is_empty() {
                    further.entry(topic).or_default().extend(beyond);
                }
            }
            Ok::<_, TableError>(())
        })?;
        walk::light_offsets(offsets, |Subscription { topic, group }, _| {
            groups.insert(group);
            light.insert(topic);
            Ok::<_, TableError>(())
        })
    }
}

/// Asks who of each group is connected.
pub async fn online(client: &Client, tables: &Tables, unknown: &mut Unknown) -> OnlineGroups {
    let groups: Vec<String> = tables.groups.iter().filter(|group| !is_own_group(group)).cloned().collect();
    let asked = stream::iter(groups)
        .map(|group| async move {
            let answer = client.consumer_connections(&group).await;
            (group, answer)
        })
        .buffer_unordered(ASKED_AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    let mut online = OnlineGroups::new();
    while let Some((group, answer)) = asked.next().await {
        let connections = match answer {
            Ok(Answer { value: None, .. }) => continue,
            Ok(Answer { value: Some(connections), .. }) => Some(connections.into()),
            Err(error) => {
                unknown.add(format_args!("group `{group}`"), &error);
                None
            }
        };
        online.insert(group, connections);
    }
    online
}

impl From<ConsumerConnections> for Online {
    fn from(connections: ConsumerConnections) -> Self {
        let members = connections.members.iter();
        let clients: BTreeSet<String> =
            members.map(|member| format!("{}@{}", member.client_id, member.client_addr)).collect();
        let more = clients.len().saturating_sub(MOST_CLIENTS);
        let mut clients: Vec<String> = clients.into_iter().take(MOST_CLIENTS).collect();
        if more > 0 {
            clients.push(format!("and {more} more"));
        }
        Self {
            clients,
            topics: connections.subscriptions.into_keys().collect(),
            broadcasting: connections.broadcasting,
        }
    }
}

/// Asks what is on the timer wheel, if the broker has one (5.0.0+).
pub async fn timer(client: &Client, found: &mut Found, unknown: &mut Unknown) {
    let what = "the timer wheel";
    let Some(runtime) = known(what, client.runtime_info().await, unknown) else { return };
    // Absent below 5.0.0 and where `timerWheelEnable` is off (`AdminBrokerProcessor.prepareRuntimeInfo`).
    let Some(congested) = runtime.number::<i64>("timerCongestNum") else { return };
    // Written to the wheel's topic but not on the wheel yet.
    let behind = runtime.number::<i64>("timerOffsetBehind").unwrap_or_default();
    let Some(counts) = known(what, client.timer_counts().await, unknown) else { return };
    let told = congested.max(0).saturating_add(behind.max(0)).unsigned_abs();
    let messages = counts.values().sum::<u64>().max(told);
    let mut largest: Vec<_> = counts.into_iter().collect();
    largest.sort_by(|(one, few), (other, many)| many.cmp(few).then_with(|| one.cmp(other)));
    let named: Vec<_> =
        largest.iter().take(NAMED_TOPICS).map(|(topic, count)| format!("{topic} {count}")).collect();
    found.add(of_broker(Kind::Timer, TIMER_TOPIC, messages, named.join(", ")));
}

/// Asks how many messages of each delay level are not delivered.
pub async fn delayed(
    client: &Client,
    tables: &Tables,
    setting: &str,
    found: &mut Found,
    unknown: &mut Unknown,
) {
    // That they are not known is told already.
    let Some(delivered) = &tables.delivered else { return };
    let last = delivered.keys().last().copied().unwrap_or_default();
    let levels = 1..=delay_levels(setting).max(last);
    let asked = stream::iter(levels)
        .map(|level| async move { (level, client.queue_range(SCHEDULE_TOPIC, level - 1).await) })
        .buffered(ASKED_AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    while let Some((level, answer)) = asked.next().await {
        let name = delay_level(level, setting);
        let Some(range) = known(&format!("delay {name}"), answer, unknown) else { continue };
        let messages = range.unread(delivered.get(&level).copied());
        found.add(of_broker(Kind::Delayed, SCHEDULE_TOPIC, messages, name));
    }
}

/// A row that no group waits for.
pub(super) fn of_broker(kind: Kind, topic: &str, messages: u64, detail: String) -> Row {
    Row {
        kind,
        topic: topic.to_owned(),
        group: String::new(),
        messages,
        offline: false,
        clients: Vec::new(),
        detail,
    }
}

/// A topic that is asked about.
struct Asked {
    topic: String,
    /// How many queues it has by its table; `None` if it may stand in no table and has its messages in queue 0.
    count: Option<u32>,
    /// Which queues beyond them have offsets.
    further: Vec<u32>,
}

impl Asked {
    const fn queue_0(topic: String) -> Self {
        Self { topic, count: None, further: Vec::new() }
    }

    async fn ask(&self, client: &Client) -> Result<Vec<(u32, QueueRange)>, RemotingError> {
        let Some(count) = self.count else {
            return Ok(vec![(0, client.queue_range(&self.topic, 0).await?.value)]);
        };
        let Some(mut ranges) = client.topic_stats(&self.topic).await?.value else { return Ok(Vec::new()) };
        let told: BTreeSet<u32> = ranges.iter().map(|(queue, _)| *queue).collect();
        let further = self.further.iter().copied();
        for queue in (0..count).chain(further).filter(|queue| !told.contains(queue)) {
            ranges.push((queue, client.queue_range(&self.topic, queue).await?.value));
        }
        Ok(ranges)
    }
}

/// Topics that somebody may wait for.
fn wanted(tables: &Tables, names: BrokerNames<'_>) -> Vec<Asked> {
    let is_wanted = |topic: &str| {
        let prefixes = [RETRY_PREFIX, DEAD_LETTER_PREFIX, REVIVE_TOPIC_PREFIX];
        prefixes.iter().any(|prefix| topic.starts_with(prefix)) || is_sent_to(topic, names)
    };
    let half = std::iter::once(HALF_TOPIC.to_owned());
    let mut wanted: Vec<_> = half.chain(tables.light.iter().cloned()).map(Asked::queue_0).collect();
    let of_table = tables.topics.iter().filter(|(topic, _)| is_wanted(topic));
    wanted.extend(of_table.map(|(topic, count)| Asked {
        topic: topic.clone(),
        count: Some(*count),
        further: tables.further.get(topic).into_iter().flatten().copied().collect(),
    }));
    wanted
}

/// Asks where the queues end of every topic that somebody may wait for.
pub async fn ends(client: &Client, tables: &Tables, names: BrokerNames<'_>, unknown: &mut Unknown) -> Ends {
    let asked = stream::iter(wanted(tables, names))
        .map(|asked| async move {
            let answer = asked.ask(client).await;
            (asked.topic, answer)
        })
        .buffer_unordered(ASKED_AT_ONCE);
    let mut asked = std::pin::pin!(asked);
    let mut ends = Ends::default();
    while let Some((topic, answer)) = asked.next().await {
        let ranges = match answer {
            Ok(ranges) => ranges,
            Err(error) => {
                unknown.add(format_args!("topic `{topic}`"), &error);
                continue;
            }
        };
        let sum: u64 = ranges.iter().map(|(_, range)| range.max).sum();
        if is_sent_to(&topic, names) && !topic.starts_with(LIGHT_PREFIX) {
            ends.written += sum;
        }
        if sum > 0 {
            ends.topics.insert(topic, ranges);
        }
    }
    ends
}
