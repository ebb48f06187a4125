//! Reading a file of a bundle: strict JSON, every entry checked, never more than one entry in memory.

use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};

use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use super::{ENTRY_BYTES, ENTRY_LIMIT, sections};
use crate::metadata::manifest::Manifest;
use crate::metadata::names;
use crate::metadata::{Entry, InvalidEntry, Subscription, Table};
use crate::model::topic::TopicConfig;

/// A file that is no table of RocketMQ, or that no broker shall start with.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Its bytes cannot be had.
    #[error("{file} cannot be read")]
    Read {
        /// Which file.
        file: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// It is not strict JSON of the file's format.
    #[error("{file} is not what RocketMQ writes: {reason}")]
    Malformed {
        /// Which file.
        file: &'static str,
        /// Why not.
        reason: String,
    },
    /// It has an entry that a bundle must not have.
    #[error("{file} has an entry that is not allowed")]
    Invalid {
        /// Which file.
        file: &'static str,
        /// The entry and why not.
        source: InvalidEntry,
    },
    /// Two of its entries have one name.
    #[error("{file} has an entry twice")]
    Twice {
        /// Which file.
        file: &'static str,
    },
    /// It has more entries than [`super::ENTRY_LIMIT`].
    #[error("{file} has more than {ENTRY_LIMIT} entries")]
    TooManyEntries {
        /// Which file.
        file: &'static str,
    },
    /// One of its entries is longer than any of RocketMQ's.
    #[error("{file} has an entry of more than {} KiB", ENTRY_BYTES >> 10)]
    EntryTooLong {
        /// Which file.
        file: &'static str,
    },
}

/// Reads a file of a bundle and gives its entries to `each`. Those of a sanitised bundle are held to what such a one may
/// have, see [`InvalidEntry`]. That no entry was there twice is known at the end only.
///
/// # Errors
/// If the file is not what it should be, and whatever `each` says.
pub fn read<E: From<FileError>>(
    table: Table,
    manifest: &Manifest,
    reader: impl Read,
    mut each: impl FnMut(Entry) -> Result<(), E>,
) -> Result<(), E> {
    let file = table.file_name();
    let origin = manifest.sanitised.then(|| manifest.origin());
    let since_entry = Cell::new(0);
    let paced = Paced { inner: BufReader::new(reader), since_entry: &since_entry };
    let mut stopped = None;
    let mut seen = Seen::default();
    let mut visit = |section: usize, key: Key, value: Value| {
        since_entry.set(0);
        let visited = seen.note(file, section, &key).map_err(E::from).and_then(|()| {
            let entry = entry(table, section, key, value)
                .map_err(|reason| E::from(FileError::Malformed { file, reason }))?;
            names::check(&entry, origin.as_ref())
                .map_err(|source| E::from(FileError::Invalid { file, source }))?;
            each(entry)
        });
        visited.map_err(|error| stopped = Some(error)).is_ok()
    };
    let mut json = serde_json::Deserializer::from_reader(paced);
    let read = Document { table, visit: &mut visit }.deserialize(&mut json).and_then(|()| json.end());
    if let Some(error) = stopped {
        return Err(error);
    }
    read.map_err(|error| {
        if since_entry.get() > ENTRY_BYTES {
            FileError::EntryTooLong { file }
        } else if error.is_io() {
            FileError::Read { file, source: error.into() }
        } else {
            FileError::Malformed { file, reason: error.to_string() }
        }
    })?;
    seen.finish(file)?;
    Ok(())
}

/// The name of an entry as the file has it: request modes stand under topic and group.
struct Key {
    outer: String,
    inner: Option<String>,
}

fn entry(table: Table, section: usize, key: Key, value: Value) -> Result<Entry, String> {
    let Key { outer, inner } = key;
    let title = inner.as_ref().map_or_else(|| outer.clone(), |inner| format!("{outer}@{inner}"));
    let other_name = || format!("`{title}` has another name within itself");
    if table == Table::Topics {
        let topic: TopicConfig =
            serde_json::from_value(value).map_err(|error| format!("topic `{title}`: {error}"))?;
        return if topic.topic_name == outer { Ok(Entry::Topic(topic)) } else { Err(other_name()) };
    }
    let Value::Object(fields) = value else { return Err(format!("`{title}` is no object")) };
    let has = |field: &str, expected: &str| fields.get(field).and_then(Value::as_str) == Some(expected);
    match (table, inner) {
        (Table::RequestModes, Some(group)) => {
            if !has("topic", &outer) || !has("consumerGroup", &group) {
                return Err(other_name());
            }
            Ok(Entry::RequestMode(Subscription { topic: outer, group }, fields))
        }
        (Table::Offsets, _) => {
            let subscription =
                Subscription::from_key(&outer).ok_or_else(|| format!("`{outer}` is no topic@group"))?;
            let queue = |(queue, offset): (String, Value)| Some((queue.parse().ok()?, offset.as_i64()?));
            let queues = fields.into_iter().map(queue).collect::<Option<_>>();
            let queues =
                queues.ok_or_else(|| format!("`{outer}` has a queue or an offset that is no number"))?;
            Ok(Entry::Offsets(subscription, queues))
        }
        _ if section > 0 => forbidden(outer, fields),
        _ if has("groupName", &outer) => Ok(Entry::Group(outer, fields)),
        _ => Err(other_name()),
    }
}

fn forbidden(group: String, topics: Map<String, Value>) -> Result<Entry, String> {
    if topics.values().all(Value::is_i64) {
        Ok(Entry::Forbidden(group, Value::Object(topics)))
    } else {
        Err(format!("what `{group}` must not read has bits that are no number"))
    }
}

/// Which names there were, by a hash of each whose keys nobody knows: a set of the names themselves would be as large as
/// the file.
#[derive(Default)]
struct Seen {
    hashes: Vec<u64>,
    hasher: RandomState,
}

impl Seen {
    fn note(&mut self, file: &'static str, section: usize, key: &Key) -> Result<(), FileError> {
        if self.hashes.len() == ENTRY_LIMIT {
            return Err(FileError::TooManyEntries { file });
        }
        self.hashes.push(self.hasher.hash_one((section, &key.outer, &key.inner)));
        Ok(())
    }

    fn finish(mut self, file: &'static str) -> Result<(), FileError> {
        self.hashes.sort_unstable();
        let twice = self.hashes.windows(2).any(|pair| pair[0] == pair[1]);
        if twice { Err(FileError::Twice { file }) } else { Ok(()) }
    }
}

/// Ends an entry that does not end, before it fills the memory.
struct Paced<'a, R> {
    inner: BufReader<R>,
    since_entry: &'a Cell<u64>,
}

impl<R: Read> Read for Paced<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // JSON is read byte by byte, and for one byte the usual way costs more than all the rest.
        let read = match (self.inner.buffer().first(), &mut *buffer) {
            (Some(next), [byte]) => {
                *byte = *next;
                self.inner.consume(1);
                1
            }
            _ => self.inner.read(buffer)?,
        };
        self.since_entry.set(self.since_entry.get() + read as u64);
        if self.since_entry.get() > ENTRY_BYTES {
            return Err(io::Error::other("an entry does not end"));
        }
        Ok(read)
    }
}

/// The whole file. `visit` says whether to go on.
struct Document<'a, V> {
    table: Table,
    visit: &'a mut V,
}

/// The entries of one section, or the request modes of one topic.
struct Section<'a, V> {
    table: Table,
    number: usize,
    topic: Option<String>,
    visit: &'a mut V,
}

impl<'de, V: FnMut(usize, Key, Value) -> bool> DeserializeSeed<'de> for Document<'_, V> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, V: FnMut(usize, Key, Value) -> bool> Visitor<'de> for Document<'_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { table, visit } = self;
        let mut seen = Vec::new();
        while let Some(field) = map.next_key::<String>()? {
            let section = sections(table).iter().position(|section| *section == field);
            match section {
                _ if seen.contains(&field) => return Err(A::Error::custom(format!("field `{field}` twice"))),
                Some(number) => {
                    map.next_value_seed(Section { table, number, topic: None, visit: &mut *visit })?
                }
                None if field == "dataVersion" => drop(map.next_value::<IgnoredAny>()?),
                None => return Err(A::Error::custom(format!("unknown field `{field}`"))),
            }
            seen.push(field);
        }
        let absent = sections(table).iter().find(|section| !seen.iter().any(|field| field == *section));
        absent.map_or(Ok(()), |section| Err(A::Error::custom(format!("field `{section}` is missing"))))
    }
}

impl<'de, V: FnMut(usize, Key, Value) -> bool> DeserializeSeed<'de> for Section<'_, V> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, V: FnMut(usize, Key, Value) -> bool> Visitor<'de> for Section<'_, V> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { table, number, topic, visit } = self;
        while let Some(name) = map.next_key::<String>()? {
            if table == Table::RequestModes && topic.is_none() {
                map.next_value_seed(Section { table, number, topic: Some(name), visit: &mut *visit })?;
                continue;
            }
            let value = map.next_value()?;
            let key = match &topic {
                Some(topic) => Key { outer: topic.clone(), inner: Some(name) },
                None => Key { outer: name, inner: None },
            };
            if !visit(number, key, value) {
                return Err(A::Error::custom("ended by its reader"));
            }
        }
        Ok(())
    }
}
