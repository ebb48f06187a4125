//! What the broker's answers mean: who has how many messages left.

use std::collections::{BTreeMap, BTreeSet};

use rocketmq::metadata::{Subscription, walk};
use rocketmq::model::backlog::{Kind, Row, kind_of, stored, unread};
use rocketmq::model::own::{
    BrokerNames, DEAD_LETTER_PREFIX, HALF_GROUP, HALF_TOPIC, REVIVE_GROUP, REVIVE_TOPIC_PREFIX,
};

use crate::backlog::Unknown;
use crate::backlog::gather::{Ends, Online, OnlineGroups, Tables, of_broker};
use crate::metadata::subscriptions::TableError;

/// More rows are of no use to anybody, and a broker with a million pairs of topic and group must not cost the agent its
/// memory.
const MOST_ROWS: usize = 10_000;

/// Rows as they are found.
#[derive(Debug, Default)]
pub struct Found {
    rows: Vec<Row>,
    more_rows: u64,
    more_messages: u64,
}

impl Found {
    /// Takes a row if there is anything in it.
    pub fn add(&mut self, row: Row) {
        if row.messages == 0 && row.kind != Kind::Broadcast {
            return;
        }
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else {
            self.more_rows += 1;
            self.more_messages += row.messages;
        }
    }

    /// In order. Rows that were too many are unknown.
    pub fn into_rows(mut self, unknown: &mut Unknown) -> Vec<Row> {
        if self.more_rows > 0 {
            unknown.say(format!(
                "{} more rows with {} messages: only {MOST_ROWS} are told",
                self.more_rows, self.more_messages
            ));
        }
        self.rows.sort();
        self.rows
    }
}

/// What is needed for each pair of topic and group.
struct Readers<'a> {
    online: &'a OnlineGroups,
    ends: &'a Ends,
    names: BrokerNames<'a>,
}

/// Everything that groups have left to read. A pair counts if its offsets are stored, if the group is online and
/// subscribes to the topic, or if the topic's name has the group in it; without an offset nothing is read.
pub fn of_readers(
    tables: &Tables,
    online: &OnlineGroups,
    ends: &Ends,
    names: BrokerNames<'_>,
    found: &mut Found,
) -> Result<(), TableError> {
    let readers = Readers { online, ends, names };
    let mut expected = readers.expected(tables);
    // What brokers read of their own topics.
    let mut own = BTreeMap::new();
    walk::offsets(&tables.offsets, |pair, offsets| {
        expected.remove(&pair);
        if pair.group == HALF_GROUP || pair.group == REVIVE_GROUP {
            own.insert(pair.topic, offsets);
        } else if let Some(row) = readers.row(pair, &offsets) {
            found.add(row);
        }
        Ok::<_, TableError>(())
    })?;
    walk::light_offsets(&tables.offsets, |pair, offset| {
        expected.remove(&pair);
        if let Some(row) = readers.row(pair, &BTreeMap::from([(0, offset)])) {
            found.add(row);
        }
        Ok::<_, TableError>(())
    })?;
    let none = BTreeMap::new();
    expected.into_iter().filter_map(|pair| readers.row(pair, &none)).for_each(|row| found.add(row));
    readers.broadcasts().for_each(|row| found.add(row));
    for (topic, queues) in &ends.topics {
        let left = || unread(queues, own.get(topic).unwrap_or(&none));
        if topic == HALF_TOPIC {
            let row = of_broker(Kind::Half, topic, left(), "transactions without an end".to_owned());
            found.add(Row { group: HALF_GROUP.to_owned(), ..row });
        } else if topic.starts_with(REVIVE_TOPIC_PREFIX) {
            let row = of_broker(Kind::Pop, topic, left(), "not acknowledged, or not settled yet".to_owned());
            found.add(Row { group: REVIVE_GROUP.to_owned(), ..row });
        } else if let Some(group) = topic.strip_prefix(DEAD_LETTER_PREFIX) {
            let row = of_broker(Kind::DeadLetter, topic, stored(queues), String::new());
            found.add(Row { group: group.to_owned(), ..row });
        }
    }
    Ok(())
}

impl Readers<'_> {
    fn online(&self) -> impl Iterator<Item = (&String, &Online)> {
        self.online.iter().filter_map(|(group, online)| Some((group, online.as_ref()?)))
    }

    /// Pairs that may have messages though nobody has stored an offset: topics of retries belong to their groups, and
    /// whoever is online reads what it subscribes to.
    fn expected(&self, tables: &Tables) -> BTreeSet<Subscription> {
        let is_group = |group: &str| tables.groups.contains(group);
        let of_retries = self.ends.topics.keys().filter_map(|it| Subscription::of_retries(it, is_group));
        let subscribed = self.online().flat_map(|(group, online)| {
            let topics = online.topics.iter().filter(|topic| self.ends.topics.contains_key(*topic));
            topics.map(|topic| Subscription { topic: topic.clone(), group: group.clone() })
        });
        of_retries.chain(subscribed).collect()
    }

    /// The row of a pair; `None` if nobody waits for anything.
    fn row(&self, pair: Subscription, offsets: &BTreeMap<u32, i64>) -> Option<Row> {
        let kind = kind_of(&pair, self.names)?;
        let messages = unread(self.ends.topics.get(&pair.topic)?, offsets);
        let online = self.online.get(&pair.group);
        let members = online.and_then(Option::as_ref);
        // Its stored offsets, if there are any, are of another time: brokers keep none of it.
        if messages == 0 || members.is_some_and(|members| members.broadcasting) {
            return None;
        }
        let unwanted =
            kind == Kind::Unread && members.is_some_and(|members| !members.topics.contains(&pair.topic));
        Some(Row {
            kind,
            topic: pair.topic,
            group: pair.group,
            messages,
            offline: online.is_none(),
            clients: members.map(|members| members.clients.clone()).unwrap_or_default(),
            detail: if unwanted { "no member subscribes to it" } else { "" }.to_owned(),
        })
    }

    fn broadcasts(&self) -> impl Iterator<Item = Row> {
        self.online().filter(|(_, online)| online.broadcasting).flat_map(move |(group, online)| {
            let Online { clients, topics, .. } = online;
            topics.iter().filter_map(move |topic| {
                let pair = Subscription { topic: topic.clone(), group: group.clone() };
                let messages = stored(self.ends.topics.get(topic)?);
                (messages > 0 && kind_of(&pair, self.names) == Some(Kind::Unread)).then(|| Row {
                    kind: Kind::Broadcast,
                    topic: pair.topic,
                    group: pair.group,
                    messages: 0,
                    offline: false,
                    clients: clients.clone(),
                    detail: "its members keep their offsets themselves".to_owned(),
                })
            })
        })
    }
}
