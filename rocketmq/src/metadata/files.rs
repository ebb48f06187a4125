//! The files of `store/config` that a broker starts with, in RocketMQ's own formats but strict JSON: written entry by
//! entry, read entry by entry. A broker loads them before its first registration and never looks at them again.

mod read;

use std::io::{self, BufWriter, Write};

use serde_json::{Value, json};

pub use self::read::{FileError, read};

use crate::metadata::digest::{Sum, Summing};
use crate::metadata::{Entry, Table};

/// The largest file that is written or read: several times what a broker below RocketMQ's frame limit has.
pub const FILE_LIMIT: u64 = 64 << 20;

/// The most entries of a table that are written or read. 86,000 topics fill a frame; 800,000 offsets were too many for
/// a broker with 256 MB.
pub const ENTRY_LIMIT: usize = 1_000_000;

/// The longest entry that is written or read, in bytes. A group's retry policy has a few hundred.
const ENTRY_BYTES: u64 = 1 << 20;

/// The fields of a file that hold entries, in the order in which they are written.
const fn sections(table: Table) -> &'static [&'static str] {
    match table {
        Table::Topics => &["topicConfigTable"],
        Table::Groups => &["subscriptionGroupTable", "forbiddenTable"],
        Table::RequestModes => &["messageRequestModeMap"],
        Table::Offsets => &["offsetTable"],
    }
}

/// The number of an entry's section among those of its table.
const fn section_of(entry: &Entry) -> usize {
    match entry {
        Entry::Forbidden(..) => 1,
        _ => 0,
    }
}

/// Writes a file from entries as they come, each of them once: those of one section together, and request modes of one
/// topic together.
#[derive(Debug)]
pub struct TableWriter<W: Write> {
    table: Table,
    out: Summing<BufWriter<W>>,
    section: usize,
    entries_of_section: usize,
    entries: usize,
    /// The topic whose request modes are being written.
    topic: Option<String>,
}

impl<W: Write> TableWriter<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn new(table: Table, out: W, now_millis: u64) -> io::Result<Self> {
        let mut out = Summing::new(BufWriter::new(out));
        // Brokers with RocksDB take over only files whose counter is above their own 0 (`RocksDBTopicConfigManager.merge`
        // and its like, 5.3.1+). Request modes have no version.
        match table {
            Table::RequestModes => write!(out, "{{")?,
            _ => write!(out, "{{\"dataVersion\":{},", json!({ "counter": 1, "timestamp": now_millis }))?,
        }
        write!(out, "{}:{{", json!(sections(table)[0]))?;
        Ok(Self { table, out, section: 0, entries_of_section: 0, entries: 0, topic: None })
    }

    /// Which table it holds.
    #[must_use]
    pub const fn table(&self) -> Table {
        self.table
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// If `out` fails, the file would become larger than [`FILE_LIMIT`] or [`ENTRY_LIMIT`] allow, or the entry does not
    /// belong here.
    pub fn add(&mut self, entry: &Entry) -> io::Result<()> {
        let section = section_of(entry);
        if entry.table() != self.table || section < self.section {
            return Err(misplaced(entry, self.table));
        }
        while self.section < section {
            self.next_section()?;
        }
        let before = self.out.bytes();
        match entry {
            Entry::Topic(topic) => self.field(&topic.topic_name, &json!(topic))?,
            Entry::Group(name, group) => self.field(name, &json!(group))?,
            Entry::Forbidden(group, topics) => self.field(group, topics)?,
            Entry::RequestMode(subscription, mode) => {
                if self.topic.as_ref() != Some(&subscription.topic) {
                    self.end_topic()?;
                    self.comma()?;
                    write!(self.out, "{}:{{", json!(subscription.topic))?;
                    self.topic = Some(subscription.topic.clone());
                    self.entries_of_section = 0;
                }
                self.field(&subscription.group, &json!(mode))?;
            }
            Entry::Offsets(subscription, queues) => self.field(&subscription.to_string(), &json!(queues))?,
        }
        self.entries += 1;
        let limits_hold = self.out.bytes() <= FILE_LIMIT
            && self.out.bytes() - before < ENTRY_BYTES
            && self.entries <= ENTRY_LIMIT;
        if limits_hold { Ok(()) } else { Err(too_large(entry)) }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn finish(mut self) -> io::Result<(W, Sum)> {
        while self.section + 1 < sections(self.table).len() {
            self.next_section()?;
        }
        self.end_topic()?;
        write!(self.out, "}}}}")?;
        let (out, sum) = self.out.finish();
        Ok((out.into_inner().map_err(io::IntoInnerError::into_error)?, sum))
    }

    fn field(&mut self, name: &str, value: &Value) -> io::Result<()> {
        self.comma()?;
        write!(self.out, "{}:{value}", json!(name))
    }

    fn comma(&mut self) -> io::Result<()> {
        self.entries_of_section += 1;
        if self.entries_of_section > 1 { write!(self.out, ",") } else { Ok(()) }
    }

    fn next_section(&mut self) -> io::Result<()> {
        self.section += 1;
        self.entries_of_section = 0;
        write!(self.out, "}},{}:{{", json!(sections(self.table)[self.section]))
    }

    /// Ends the request modes of a topic; further topics are further fields.
    fn end_topic(&mut self) -> io::Result<()> {
        if self.topic.take().is_some() {
            self.entries_of_section = 1;
            write!(self.out, "}}")?;
        }
        Ok(())
    }
}

fn misplaced(entry: &Entry, table: Table) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{} does not belong at this place of {}", entry.title(), table.file_name()),
    )
}

fn too_large(entry: &Entry) -> io::Error {
    io::Error::new(
        io::ErrorKind::FileTooLarge,
        format!(
            "{} is too much for {}: it may have {} MiB, {ENTRY_LIMIT} entries, {} KiB each",
            entry.title(),
            entry.table().file_name(),
            FILE_LIMIT >> 20,
            ENTRY_BYTES >> 10
        ),
    )
}

#[cfg(test)]
mod tests;
