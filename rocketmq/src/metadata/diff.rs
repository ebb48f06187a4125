//! What one broker's tables have that another's have not, or have otherwise.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::metadata::{Metadata, Subscription};

/// The name under which what a group must not read is compared, beside the group's own fields.
const FORBIDDEN: &str = "forbiddenTable";

/// How two brokers' tables differ. Offsets are not compared: they move.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Difference {
    /// Of the topics, in order.
    pub topics: Vec<EntryChange<String>>,
    /// Of the subscription groups, in order.
    pub groups: Vec<EntryChange<String>>,
    /// Of the request modes, in order.
    pub request_modes: Vec<EntryChange<Subscription>>,
}

/// One entry that is not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct EntryChange<N> {
    /// Its name.
    pub name: N,
    /// What is so.
    pub kind: ChangeKind,
}

/// How an entry is not the same.
#[derive(Debug, Clone, PartialEq)]
pub enum ChangeKind {
    /// Only the first has it.
    Missing,
    /// Both have it, with these fields otherwise.
    Differs(Vec<FieldChange>),
    /// Only the second has it.
    Extra,
}

/// A field that is not the same.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldChange {
    /// Its name, as RocketMQ's JSON has it.
    pub field: String,
    /// What the first says.
    pub from: Value,
    /// What the second says; `null` if nothing.
    pub to: Value,
}

/// What `to` lacks of `from` or has otherwise, and what it has besides.
///
/// A field of which `from` says nothing is not compared: RocketMQ adds fields with its releases, and tables of an older
/// one cannot tell how they should be. Absent, `null` and an empty object are the same to Java.
#[must_use]
pub fn difference(from: &Metadata, to: &Metadata) -> Difference {
    Difference {
        topics: changes(&topics(from), &topics(to)),
        groups: changes(&groups(from), &groups(to)),
        request_modes: changes(&from.request_modes, &to.request_modes),
    }
}

impl Difference {
    /// True if both are the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty() && self.groups.is_empty() && self.request_modes.is_empty()
    }

    /// True if the second lacks nothing and has nothing otherwise; it may have more.
    #[must_use]
    pub fn nothing_to_apply(&self) -> bool {
        !self.topics.iter().any(EntryChange::applies)
            && !self.groups.iter().any(EntryChange::applies)
            && !self.request_modes.iter().any(EntryChange::applies)
    }

    /// What brings the second to the first: the entries that it lacks or has otherwise, and the offsets of topics that
    /// it lacks. Its other offsets are its own; nothing is taken away.
    #[must_use]
    pub fn to_apply(&self, from: &Metadata) -> Metadata {
        let topics = applied(&self.topics, &from.topics);
        let groups = applied(&self.groups, &from.groups);
        let created: BTreeSet<&String> = self
            .topics
            .iter()
            .filter(|change| change.kind == ChangeKind::Missing)
            .map(|change| &change.name)
            .collect();
        Metadata {
            forbidden: from
                .forbidden
                .iter()
                .filter(|(group, _)| {
                    self.groups.iter().any(|change| change.name == **group && change.applies())
                })
                .map(|(group, topics)| (group.clone(), topics.clone()))
                .collect(),
            request_modes: applied(&self.request_modes, &from.request_modes),
            offsets: from
                .offsets
                .iter()
                .filter(|(subscription, _)| created.contains(&subscription.topic))
                .map(|(subscription, queues)| (subscription.clone(), queues.clone()))
                .collect(),
            topics,
            groups,
        }
    }
}

impl<N> EntryChange<N> {
    /// True if something has to be done about it.
    #[must_use]
    pub fn applies(&self) -> bool {
        self.kind != ChangeKind::Extra
    }
}

fn applied<N: Ord + Clone, V: Clone>(changes: &[EntryChange<N>], from: &BTreeMap<N, V>) -> BTreeMap<N, V> {
    changes
        .iter()
        .filter(|change| change.applies())
        .filter_map(|change| Some((change.name.clone(), from.get(&change.name)?.clone())))
        .collect()
}

fn topics(metadata: &Metadata) -> BTreeMap<String, Map<String, Value>> {
    let fields = |topic| match json!(topic) {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    metadata.topics.iter().map(|(name, topic)| (name.clone(), fields(topic))).collect()
}

/// The groups, each with what it must not read.
fn groups(metadata: &Metadata) -> BTreeMap<String, Map<String, Value>> {
    let with_forbidden = |(name, group): (&String, &Map<String, Value>)| {
        let mut fields = group.clone();
        if let Some(topics) = metadata.forbidden.get(name) {
            fields.insert(FORBIDDEN.to_owned(), topics.clone());
        }
        (name.clone(), fields)
    };
    metadata.groups.iter().map(with_forbidden).collect()
}

fn changes<N: Ord + Clone>(
    from: &BTreeMap<N, Map<String, Value>>,
    to: &BTreeMap<N, Map<String, Value>>,
) -> Vec<EntryChange<N>> {
    let names: BTreeSet<&N> = from.keys().chain(to.keys()).collect();
    let kind = |name: &N| match (from.get(name), to.get(name)) {
        (Some(from), Some(to)) => {
            let fields = field_changes(from, to);
            (!fields.is_empty()).then_some(ChangeKind::Differs(fields))
        }
        (Some(_), None) => Some(ChangeKind::Missing),
        (None, _) => Some(ChangeKind::Extra),
    };
    names.into_iter().filter_map(|name| Some(EntryChange { name: name.clone(), kind: kind(name)? })).collect()
}

fn field_changes(from: &Map<String, Value>, to: &Map<String, Value>) -> Vec<FieldChange> {
    let mut changes: Vec<_> = from
        .iter()
        .map(|(field, from)| (field, from, to.get(field).unwrap_or(&Value::Null)))
        .filter(|(_, from, to)| !same(from, to))
        .map(|(field, from, to)| FieldChange { field: field.clone(), from: from.clone(), to: to.clone() })
        .collect();
    changes.sort_by(|left, right| left.field.cmp(&right.field));
    changes
}

fn same(left: &Value, right: &Value) -> bool {
    left == right || (says_nothing(left) && says_nothing(right))
}

fn says_nothing(value: &Value) -> bool {
    value.is_null() || value.as_object().is_some_and(Map::is_empty)
}

#[cfg(test)]
mod tests;
