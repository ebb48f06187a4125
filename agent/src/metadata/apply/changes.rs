//! What a running broker lacks of a batch of entries, or has otherwise, by its own answer. Pure.

use std::collections::BTreeMap;

use rocketmq::metadata::walk::{self, WalkError};
use rocketmq::metadata::{ChangeKind, EntryChange, Metadata, RETRY_PREFIX, Subscription, Table, difference};
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::TopicConfig;
use serde_json::{Map, Value};

/// An entry as RocketMQ has it.
pub(super) type Fields = Map<String, Value>;

/// A queue for which no offset of a group is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MissingOffset {
    pub(super) subscription: Subscription,
    pub(super) queue: u32,
    pub(super) offset: i64,
}

impl MissingOffset {
    /// True for a group's retries. Their topic may not be there yet: the broker makes it for the group's first member.
    pub(super) fn is_of_retries(&self) -> bool {
        self.subscription.topic.starts_with(RETRY_PREFIX)
    }
}

/// What is to be changed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Changes {
    pub(super) topics: Vec<TopicConfig>,
    pub(super) groups: Vec<Fields>,
    /// Whether a group may read a topic.
    pub(super) readable: Vec<(Subscription, bool)>,
    pub(super) request_modes: Vec<(Subscription, Fields)>,
    pub(super) offsets: Vec<MissingOffset>,
    /// The first entry that is not as it should be, and what is so instead.
    first: Option<(String, String)>,
}

impl Changes {
    /// Between a batch of one table and the broker's answer with that table.
    pub(super) fn between(table: Table, batch: &Metadata, body: &[u8]) -> Result<Self, WalkError> {
        match table {
            Table::Topics => Self::of_topics(batch, body),
            Table::Groups => Self::of_groups(batch, body),
            Table::RequestModes => Self::of_request_modes(batch, body),
            Table::Offsets => Self::of_offsets(batch, body),
        }
    }

    /// The first entry that is not as it should be, and what is so instead, in words.
    pub(super) fn first(self) -> Option<(String, String)> {
        self.first
    }

    fn of_topics(batch: &Metadata, body: &[u8]) -> Result<Self, WalkError> {
        let mut there = Metadata::default();
        walk::topics(body, |topic| {
            if batch.topics.contains_key(&topic.topic_name) {
                there.topics.insert(topic.topic_name.clone(), topic);
            }
            Ok::<_, WalkError>(())
        })?;
        let difference = difference(batch, &there);
        Ok(Self {
            first: first_of("topic", &difference.topics),
            topics: difference.to_apply(batch).topics.into_values().collect(),
            ..Self::default()
        })
    }

    fn of_groups(batch: &Metadata, body: &[u8]) -> Result<Self, WalkError> {
        // What must not be read has a request of its own, so it is not compared as a part of the groups.
        let wanted = Metadata { groups: batch.groups.clone(), ..Metadata::default() };
        let mut there = Metadata::default();
        walk::groups(body, |name, group| {
            if wanted.groups.contains_key(&name) {
                there.groups.insert(name, group);
            }
            Ok::<_, WalkError>(())
        })?;
        let difference = difference(&wanted, &there);
        let mut changes = Self {
            first: first_of("group", &difference.groups),
            groups: difference.to_apply(&wanted).groups.into_values().collect(),
            ..Self::default()
        };
        if !batch.forbidden.is_empty() {
            changes.forbid(batch, body)?;
        }
        Ok(changes)
    }

    fn forbid(&mut self, batch: &Metadata, body: &[u8]) -> Result<(), WalkError> {
        let mut there = Map::new();
        walk::forbidden(body, |group, topics| {
            if batch.forbidden.contains_key(&group) {
                there.insert(group, topics);
            }
            Ok::<_, WalkError>(())
        })?;
        for (group, topics) in &batch.forbidden {
            for (topic, bits) in topics.as_object().into_iter().flatten() {
                let readable = is_readable(Some(bits));
                if readable != is_readable(there.get(group).and_then(|topics| topics.get(topic))) {
                    let subscription = Subscription { topic: topic.clone(), group: group.clone() };
                    let reason = if readable { "it must not read" } else { "it may read" };
                    self.first.get_or_insert((format!("group `{group}`"), format!("{reason} `{topic}`")));
                    self.readable.push((subscription, readable));
                }
            }
        }
        Ok(())
    }

    fn of_request_modes(batch: &Metadata, body: &[u8]) -> Result<Self, WalkError> {
        let mut there = Metadata::default();
        walk::request_modes(body, |subscription, mode| {
            if batch.request_modes.contains_key(&subscription) {
                there.request_modes.insert(subscription, mode);
            }
            Ok::<_, WalkError>(())
        })?;
        let difference = difference(batch, &there);
        Ok(Self {
            first: first_of("request mode of", &difference.request_modes),
            request_modes: difference.to_apply(batch).request_modes.into_iter().collect(),
            ..Self::default()
        })
    }

    /// By the stored offsets: what a broker answers for one queue is 0 in many cases in which nothing is stored.
    fn of_offsets(batch: &Metadata, body: &[u8]) -> Result<Self, WalkError> {
        let mut there = BTreeMap::new();
        walk::offsets(body, |subscription, queues| {
            if batch.offsets.contains_key(&subscription) {
                there.insert(subscription, queues);
            }
            Ok::<_, WalkError>(())
        })?;
        let mut changes = Self::default();
        for (subscription, queues) in &batch.offsets {
            let stored = there.get(subscription);
            let missing = queues.iter().filter(|(queue, _)| stored.is_none_or(|it| !it.contains_key(queue)));
            changes.offsets.extend(missing.map(|(queue, offset)| MissingOffset {
                subscription: subscription.clone(),
                queue: *queue,
                offset: *offset,
            }));
        }
        changes.first = changes.offsets.iter().find(|missing| !missing.is_of_retries()).map(|missing| {
            (format!("offsets of `{}`", missing.subscription), format!("queue {} has none", missing.queue))
        });
        Ok(changes)
    }
}

/// Bits of `forbiddenTable` say what is forbidden, where permissions say what is allowed
/// (`SubscriptionGroupManager.getForbidden`, 5.x). Requests set the one for reading.
fn is_readable(bits: Option<&Value>) -> bool {
    let bits = bits.and_then(Value::as_u64).and_then(|bits| u32::try_from(bits).ok()).unwrap_or_default();
    !Permission::from_bits(bits).is_readable()
}

fn first_of<N: std::fmt::Display>(what: &str, changes: &[EntryChange<N>]) -> Option<(String, String)> {
    changes.iter().find_map(|EntryChange { name, kind }| {
        let reason = match kind {
            ChangeKind::Missing => "it is missing".to_owned(),
            ChangeKind::Differs(fields) => {
                let field = fields.first()?;
                format!("its `{}` is {} instead of {}", field.field, field.to, field.from)
            }
            ChangeKind::Extra => return None,
        };
        Some((format!("{what} `{name}`"), reason))
    })
}
