//! From the answers of a running broker to the files of a bundle, one answer after the other: of each only what another
//! broker shall have, and never more than one entry of it in memory besides the answer itself.

use std::io::{self, Write};

use crate::metadata::digest::{Digests, Sum};
use crate::metadata::files::TableWriter;
use crate::metadata::manifest::Manifest;
use crate::metadata::names;
use crate::metadata::sanitise::is_own_topic;
use crate::metadata::size::RegistrationSize;
use crate::metadata::walk::{self, WalkError};
use crate::metadata::{
    Entry, InvalidEntry, Kept, Origin, RETRY_PREFIX, Subscription, Table, keeps_group, keeps_topic,
};

/// What goes into an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Without what the broker makes for itself, and with offset 0 for the subscriptions that are given instead of its
    /// own offsets, which are worthless elsewhere.
    pub sanitised: bool,
    /// With topics whose messages are ordered; of a sanitised export only.
    pub ordered: bool,
}

/// An export that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// An answer of the broker cannot be read.
    #[error(transparent)]
    Walk(#[from] WalkError),
    /// The broker has an entry that no other broker would take.
    #[error(transparent)]
    Invalid(#[from] InvalidEntry),
    /// A file cannot be written, or would become too large.
    #[error("export cannot be written")]
    Write(#[from] io::Error),
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The manifest of a bundle of the files that were written, in this order.
    pub manifest: Manifest,
    /// What the tables are.
    pub digests: Digests,
    /// The body of the registration of a broker with these topics, in bytes.
    pub registration_bytes: u64,
    /// Topics that were left out because their messages are ordered.
    pub ordered_topics: Vec<String>,
    /// Topics that were left out because their queues are mapped to those of certain brokers (static topics, 5.x).
    pub static_topics: Vec<String>,
}

/// An export in the making. Topics come first: what else is kept depends on them.
#[derive(Debug)]
pub struct Tables {
    origin: Origin,
    options: Options,
    now_millis: u64,
    files: Vec<(Table, Sum)>,
    /// The topics that are exported, with their queues; in order once all are there.
    topics: Vec<(Box<str>, u32)>,
    digests: Digests,
    registration: RegistrationSize,
    ordered_topics: Vec<String>,
    static_topics: Vec<String>,
}

impl Tables {
    /// An export of nothing so far.
    #[must_use]
    pub fn new(origin: Origin, options: Options, now_millis: u64) -> Self {
        Self {
            origin,
            options,
            now_millis,
            files: Vec::new(),
            topics: Vec::new(),
            digests: Digests::default(),
            registration: RegistrationSize::default(),
            ordered_topics: Vec::new(),
            static_topics: Vec::new(),
        }
    }

    /// Writes the topics of an answer to code 21.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn topics(&mut self, body: &[u8], out: impl Write) -> Result<(), ExportError> {
        let mut static_topics = Vec::new();
        walk::static_topics(body, |topic, _| {
            static_topics.push(topic);
            Ok::<_, ExportError>(())
        })?;
        static_topics.sort();
        let mut writer = self.writer(Table::Topics, out)?;
        walk::topics(body, |topic| {
            if self.options.sanitised {
                match keeps_topic(&topic, &self.origin) {
                    Kept::No => return Ok(()),
                    _ if static_topics.binary_search(&topic.topic_name).is_ok() => {
                        self.static_topics.push(topic.topic_name);
                        return Ok(());
                    }
                    Kept::Ordered if !self.options.ordered => {
                        self.ordered_topics.push(topic.topic_name);
                        return Ok(());
                    }
                    Kept::Ordered | Kept::Yes => {}
                }
            }
            // Offsets beyond the read queues do not harm, and somebody may raise these later.
            let queues = topic.read_queues.max(topic.write_queues);
            self.topics.push((topic.topic_name.as_str().into(), queues));
            self.registration.add(&topic);
            self.write(&mut writer, &Entry::Topic(topic))
        })?;
        self.topics.sort();
        self.finish_file(writer)
    }

    /// Writes the subscription groups of an answer to code 201, and what they must not read.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn groups(&mut self, body: &[u8], out: impl Write) -> Result<(), ExportError> {
        self.table(Table::Groups, body, out)
    }

    /// Writes the request modes of an answer to code 402.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn request_modes(&mut self, body: &[u8], out: impl Write) -> Result<(), ExportError> {
        self.table(Table::RequestModes, body, out)
    }

    /// Writes the offsets of an answer to code 43 as they are; of an export that is not sanitised.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn offsets(&mut self, body: &[u8], out: impl Write) -> Result<(), ExportError> {
        self.table(Table::Offsets, body, out)
    }

    /// Writes offset 0 for every queue of these subscriptions whose topic is exported, or holds retries: without it a
    /// group that is new to a queue begins behind its first messages. Each of them is to be given once.
    ///
    /// # Errors
    /// See [`ExportError`].
    pub fn seed_offsets(
        &mut self,
        subscriptions: impl IntoIterator<Item = Subscription>,
        out: impl Write,
    ) -> Result<(), ExportError> {
        let mut writer = self.writer(Table::Offsets, out)?;
        for subscription in subscriptions {
            if let Some(queues) = self.queues_of(&subscription) {
                let offsets = (0..queues).map(|queue| (queue, 0)).collect();
                self.write(&mut writer, &Entry::Offsets(subscription, offsets))?;
            }
        }
        self.finish_file(writer)
    }

    /// Ends the export.
    #[must_use]
    pub fn finish(self) -> Exported {
        let Self {
            origin, options, files, digests, registration, mut ordered_topics, mut static_topics, ..
        } = self;
        ordered_topics.sort();
        static_topics.sort();
        Exported {
            manifest: Manifest::new(&origin, options.sanitised, &files),
            digests,
            registration_bytes: registration.bytes(),
            ordered_topics,
            static_topics,
        }
    }

    fn table(&mut self, table: Table, body: &[u8], out: impl Write) -> Result<(), ExportError> {
        let mut writer = self.writer(table, out)?;
        walk::entries(table, body, |entry| {
            if self.keeps(&entry) { self.write(&mut writer, &entry) } else { Ok(()) }
        })?;
        self.finish_file(writer)
    }

    fn keeps(&self, entry: &Entry) -> bool {
        !self.options.sanitised
            || match entry {
                Entry::Topic(_) => true,
                Entry::Group(group, _) | Entry::Forbidden(group, _) => keeps_group(group),
                Entry::RequestMode(subscription, _) | Entry::Offsets(subscription, _) => {
                    self.queues_of(subscription).is_some()
                }
            }
    }

    /// How many queues of a subscription the other broker will have; `None` if it gets none of them.
    fn queues_of(&self, subscription: &Subscription) -> Option<u32> {
        let Subscription { topic, group } = subscription;
        if self.options.sanitised && !keeps_group(group) {
            return None;
        }
        match self.topics.binary_search_by(|(name, _)| (**name).cmp(topic)) {
            Ok(at) => Some(self.topics[at].1),
            // Brokers make it with one queue when the group first shows up (`SubscriptionGroupConfig.retryQueueNums`).
            Err(_) => (topic.starts_with(RETRY_PREFIX) && !is_own_topic(topic, &self.origin)).then_some(1),
        }
    }

    fn writer<W: Write>(&self, table: Table, out: W) -> Result<TableWriter<W>, ExportError> {
        Ok(TableWriter::new(table, out, self.now_millis)?)
    }

    fn write<W: Write>(&mut self, writer: &mut TableWriter<W>, entry: &Entry) -> Result<(), ExportError> {
        names::check(entry, self.options.sanitised.then_some(&self.origin))?;
        self.digests.add(entry);
        Ok(writer.add(entry)?)
    }

    fn finish_file<W: Write>(&mut self, writer: TableWriter<W>) -> Result<(), ExportError> {
        let table = writer.table();
        let (_, sum) = writer.finish()?;
        self.files.push((table, sum));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
