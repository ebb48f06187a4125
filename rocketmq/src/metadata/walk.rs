//! The bodies of a broker's answers, entry by entry: they may be as large as a frame, and as a whole in memory they
//! would be many times larger.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::metadata::{Entry, Subscription, Table};
use crate::model::data_version::DataVersion;
use crate::model::permission::Permission;
use crate::model::topic::{RegisteredTopics, TopicConfig};
use crate::model::version::Version;
use crate::remoting::json::{Cursor, JsonError, cursor};

/// Where an answer to code 21 has its topics.
const TOPICS: &str = "topicConfigTable";

/// Where it has the version of its table.
const VERSION: &str = "dataVersion";

/// Where it has the mappings of static topics (5.x).
const MAPPINGS: &str = "topicQueueMappingDetailMap";

/// A body that cannot be walked to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WalkError {
    /// It is not RocketMQ's JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// An entry is not what it should be.
    #[error("{entry} cannot be read: {reason}")]
    Entry {
        /// Which: what it is and its name.
        entry: String,
        /// Why not.
        reason: String,
    },
}

/// Why a walk ended: within itself, or by its visitor.
enum Stop<E> {
    Walk(WalkError),
    Visitor(E),
}

impl<E> From<JsonError> for Stop<E> {
    fn from(error: JsonError) -> Self {
        Self::Walk(error.into())
    }
}

impl<E> From<WalkError> for Stop<E> {
    fn from(error: WalkError) -> Self {
        Self::Walk(error)
    }
}

/// Goes through the fields of a body.
fn walk<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(String, Cursor<'_, '_>) -> Result<(), Stop<E>>,
) -> Result<(), E> {
    cursor(body, |body| body.fields(&mut each)).map_err(|stop| match stop {
        Stop::Walk(error) => error.into(),
        Stop::Visitor(error) => error,
    })
}

/// Goes through the fields of the object that stands in the field `name` of a body; no such field, no fields.
fn fields<E: From<WalkError>>(
    body: &[u8],
    name: &str,
    mut each: impl FnMut(String, Cursor<'_, '_>) -> Result<(), Stop<E>>,
) -> Result<(), E> {
    walk(body, |field, table| if field == name { table.fields(&mut each) } else { Ok(()) })
}

/// The same, each field's value read.
fn values<E: From<WalkError>>(
    body: &[u8],
    name: &str,
    mut each: impl FnMut(String, Value) -> Result<(), Stop<E>>,
) -> Result<(), E> {
    fields(body, name, |key, value| each(key, value.value()?))
}

fn object(what: &str, name: &str, value: Value) -> Result<Map<String, Value>, WalkError> {
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(unreadable(what, name, "an object is expected")),
    }
}

fn unreadable(what: &str, name: &str, reason: impl ToString) -> WalkError {
    WalkError::Entry { entry: format!("{what} `{name}`"), reason: reason.to_string() }
}

/// A topic of a table, under the name that the broker finds it by. One without a name, which 4.x may have and 5.x does not
/// survive, is none.
fn topic(key: String, value: Value) -> Result<Option<TopicConfig>, WalkError> {
    if value.get("topicName").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Ok(None);
    }
    let read = serde_json::from_value::<TopicConfig>(value);
    let mut topic = read.map_err(|error| unreadable("topic", &key, error))?;
    topic.topic_name = key;
    Ok(Some(topic))
}

/// The topics of an answer to code 21, but for those without a name.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn topics<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(TopicConfig) -> Result<(), E>,
) -> Result<(), E> {
    values(body, TOPICS, |key, value| match topic(key, value)? {
        Some(topic) => each(topic).map_err(Stop::Visitor),
        None => Ok(()),
    })
}

/// The version of a table of topics, from an answer to code 21.
///
/// # Errors
/// If the body cannot be read.
pub fn data_version(body: &[u8]) -> Result<DataVersion, WalkError> {
    let mut version = DataVersion::default();
    walk::<WalkError>(body, |field, value| {
        if field == VERSION {
            version = version_here(value)?;
        }
        Ok(())
    })?;
    Ok(version)
}

fn version_here(value: Cursor<'_, '_>) -> Result<DataVersion, WalkError> {
    serde_json::from_value(value.value()?).map_err(|error| unreadable("field", VERSION, error))
}

/// All that a broker of this permission and version registers of an answer to code 21, and the table's version.
///
/// # Errors
/// If the body cannot be read.
pub fn registration(
    body: &[u8],
    broker: Permission,
    version: Version,
) -> Result<(DataVersion, RegisteredTopics), WalkError> {
    let (mut of_table, mut registered) = (DataVersion::default(), RegisteredTopics::default());
    walk::<WalkError>(body, |field, value| match field.as_str() {
        VERSION => {
            of_table = version_here(value)?;
            Ok(())
        }
        TOPICS => value.fields(|key, value| {
            if let Some(topic) = topic(key, value.value()?)? {
                registered.add(&topic.registered(broker, version));
            }
            Ok(())
        }),
        MAPPINGS => value.fields(|topic, mapping| {
            registered.add_mapping(topic, &mapping.value()?);
            Ok(())
        }),
        _ => Ok(()),
    })?;
    Ok((of_table, registered))
}

/// The static topics of an answer to code 21 (5.x), each with its mapping: their queues are mapped to those of other
/// brokers.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn static_topics<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(String, Value) -> Result<(), E>,
) -> Result<(), E> {
    values(body, MAPPINGS, |key, mapping| each(key, mapping).map_err(Stop::Visitor))
}

/// The subscription groups of an answer to code 201, each whole and with its name.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn groups<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(String, Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    values(body, "subscriptionGroupTable", |key, value| {
        let mut group = object("group", &key, value)?;
        group.insert("groupName".to_owned(), Value::String(key.clone()));
        each(key, group).map_err(Stop::Visitor)
    })
}

/// What the groups of an answer to code 201 must not read (5.x): topic to bits for each.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn forbidden<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(String, Value) -> Result<(), E>,
) -> Result<(), E> {
    values(body, "forbiddenTable", |key, value| {
        let topics = object("forbidden topics of group", &key, value)?;
        each(key, Value::Object(topics)).map_err(Stop::Visitor)
    })
}

/// The request modes of an answer to code 402 (5.x), each whole and with its names.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn request_modes<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(Subscription, Map<String, Value>) -> Result<(), E>,
) -> Result<(), E> {
    fields(body, "messageRequestModeMap", |topic, groups| {
        groups.fields(|group, mode| {
            let subscription = Subscription { topic: topic.clone(), group };
            let mode = mode.value()?;
            let mut mode = object("request mode of", &subscription.to_string(), mode)?;
            mode.insert("topic".to_owned(), Value::String(subscription.topic.clone()));
            mode.insert("consumerGroup".to_owned(), Value::String(subscription.group.clone()));
            each(subscription, mode).map_err(Stop::Visitor)
        })
    })
}

/// The offsets of an answer to code 43. Keys that name no topic and group, and queues without a number, are passed
/// over, as RocketMQ does: clients may have written them.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn offsets<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(Subscription, BTreeMap<u32, i64>) -> Result<(), E>,
) -> Result<(), E> {
    values(body, "offsetTable", |key, value| {
        let Some(subscription) = Subscription::from_key(&key) else { return Ok(()) };
        let queues = object("offsets of", &key, value)?
            .into_iter()
            .filter_map(|(queue, offset)| Some((queue.parse().ok()?, offset.as_i64()?)))
            .collect();
        each(subscription, queues).map_err(Stop::Visitor)
    })
}

/// The offsets of light queues of an answer to code 43, of which each has one queue (`LmqConsumerOffsetManager`, 4.9.3+,
/// where the setting `enableLmq` is on). Groups that are no light ones have theirs among the [`offsets`].
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn light_offsets<E: From<WalkError>>(
    body: &[u8],
    mut each: impl FnMut(Subscription, i64) -> Result<(), E>,
) -> Result<(), E> {
    values(body, "lmqOffsetTable", |key, value| {
        let (Some(subscription), Some(offset)) = (Subscription::from_key(&key), value.as_i64()) else {
            return Ok(());
        };
        each(subscription, offset).map_err(Stop::Visitor)
    })
}

/// Every entry of a body that holds this table.
///
/// # Errors
/// If the body cannot be read, and whatever `each` says.
pub fn entries<E: From<WalkError>>(
    table: Table,
    body: &[u8],
    mut each: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    match table {
        Table::Topics => topics(body, |topic| each(Entry::Topic(topic))),
        Table::Groups => {
            groups(body, |name, group| each(Entry::Group(name, group)))?;
            forbidden(body, |group, topics| each(Entry::Forbidden(group, topics)))
        }
        Table::RequestModes => {
            request_modes(body, |subscription, mode| each(Entry::RequestMode(subscription, mode)))
        }
        Table::Offsets => offsets(body, |subscription, queues| each(Entry::Offsets(subscription, queues))),
    }
}

#[cfg(test)]
mod tests;
