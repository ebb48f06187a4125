//! A received bundle into the running broker, by RocketMQ's requests: what it lacks is created, what it has otherwise is
//! changed, nothing is taken away. Each table is read back at the end, because brokers answer success before it is done
//! (up to 4.7.0) or although they left something out.
//!
//! Entries are compared in batches with the broker's answer, so memory is that of one answer and one batch. Everything is
//! on a thread of its own, requests too.

mod changes;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use proto::describe::Applied;
use rocketmq::metadata::bundle::{self, BundleError, Limits};
use rocketmq::metadata::files;
use rocketmq::metadata::walk::WalkError;
use rocketmq::metadata::{Entry, Metadata, Subscription, Table};
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::atomic_file::{self, FileError};
use crate::config::Pace;
use crate::metadata::receive::LARGEST_BUNDLE;
use crate::metadata::spool::{BundleHash, Spool};
use crate::metadata::{MetadataKeeper, TABLE_DEADLINE};
use changes::{Changes, Fields, MissingOffset};

/// Entries that are compared at once; each walk through an answer of 16 MiB takes a fraction of a second.
const BATCH: usize = 4_000;

/// Entries in one request of a list: 300 kB of usual topics.
const IN_A_REQUEST: usize = 1_000;

/// Requests at once where each has one entry, on the one connection.
const AT_ONCE: usize = 16;

/// Why a bundle is not applied. What was done by then stays, and the call may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The bundle is not here.
    #[error("no bundle of SHA-256 {0} was received")]
    NoBundle(BundleHash),
    /// The bundle is not all here, or has changed on the volume.
    #[error("the received bundle has SHA-256 {found}, not {announced}; its bytes are thrown away")]
    OtherBundle {
        /// What it should have.
        announced: BundleHash,
        /// What it has.
        found: BundleHash,
    },
    /// The bundle is none.
    #[error("the received bundle cannot be used")]
    Bundle(#[from] BundleError),
    /// A file of it is none of RocketMQ's.
    #[error("the received bundle cannot be used")]
    Table(#[from] files::FileError),
    /// The broker does not tell its tables.
    #[error("the broker's {table} cannot be read")]
    Broker {
        /// The file that RocketMQ keeps the table in.
        table: &'static str,
        /// Why not.
        source: RemotingError,
    },
    /// A table of the broker cannot be read.
    #[error("a table of the broker cannot be read")]
    Walk(#[from] WalkError),
    /// The broker does not take an entry.
    #[error("the broker does not take {entry}")]
    Refused {
        /// Which, or the first of which.
        entry: String,
        /// Why not, with the code.
        source: RemotingError,
    },
    /// The broker's version has no such table.
    #[error("version {version} of the broker does not know all that the bundle's {table} has")]
    NoSuchTable {
        /// The broker's version.
        version: Version,
        /// The file that RocketMQ keeps the table in.
        table: &'static str,
    },
    /// The broker said yes and did not.
    #[error("the broker took {entry} but does not have it so: {reason}")]
    NotTaken {
        /// Which.
        entry: String,
        /// What is so instead.
        reason: String,
    },
    /// Another operation has taken over.
    #[error("another operation came meanwhile")]
    Superseded,
    /// It could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

impl MetadataKeeper {
    /// Applies the received bundle for an operation with this fence.
    pub async fn apply(&self, client: &Client, hash: BundleHash, fence: u64) -> Result<Applied, ApplyError> {
        let alone = Arc::clone(&self.incoming).lock_owned().await;
        let client = client.with_deadline(TABLE_DEADLINE);
        let (config, state, runtime) = (Arc::clone(&self.config), Arc::clone(&self.state), Handle::current());
        atomic_file::off_the_runtime(&self.config.paths.volume, move || {
            let _alone = alone;
            let folder = config.paths.state_folder();
            let mut bundle = Received::open(Spool::Incoming.path(folder, &hash), hash)?;
            let version = runtime.block_on(client.broker_config()).map_err(silent("settings"))?.version;
            let is_current = || state.highest_fence() <= fence;
            let broker = Running { client, runtime, version, pace: config.pace, is_current: &is_current };
            let mut applied = Applied::default();
            for table in Table::ALL {
                broker.bring(table, &mut bundle, &mut applied)?;
                broker.confirm(table, &mut bundle)?;
            }
            tracing::info!(?applied, "metadata are applied");
            Ok(applied)
        })
        .await
    }
}

/// A bundle that was received.
struct Received {
    path: PathBuf,
    file: File,
}

impl Received {
    /// Opens it, if all of it is what it should be.
    fn open(path: PathBuf, announced: BundleHash) -> Result<Self, ApplyError> {
        let Some(file) = atomic_file::open(&path)? else { return Err(ApplyError::NoBundle(announced)) };
        let found = BundleHash::of_rest(&file).map_err(|source| FileError::new("read", &path, source))?;
        if found != announced {
            // It is to be sent again from its first byte on.
            atomic_file::remove(&path)?;
            return Err(ApplyError::OtherBundle { announced, found });
        }
        let mut bundle = Self { path, file };
        for table in Table::ALL {
            bundle.each(table, |_| Ok(()))?;
        }
        Ok(bundle)
    }

    /// Gives the entries of a table in batches.
    fn each_batch(
        &mut self,
        table: Table,
        mut each: impl FnMut(&Metadata) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        let (mut batch, mut entries) = (Metadata::default(), 0);
        self.each(table, |entry| {
            batch.insert(entry);
            entries += 1;
            if entries < BATCH {
                return Ok(());
            }
            entries = 0;
            each(&std::mem::take(&mut batch))
        })?;
        if entries > 0 { each(&batch) } else { Ok(()) }
    }

    fn each(
        &mut self,
        wanted: Table,
        mut each: impl FnMut(Entry) -> Result<(), ApplyError>,
    ) -> Result<(), ApplyError> {
        self.file.rewind().map_err(|source| FileError::new("read", &self.path, source))?;
        let limits = Limits { total_bytes: LARGEST_BUNDLE, ..Limits::default() };
        bundle::read_entries(BufReader::new(&self.file), &limits, |manifest, table, content| {
            if table == wanted { files::read(table, manifest, content, &mut each) } else { Ok(()) }
        })
        .map(drop)
    }
}

/// The broker that gets a bundle.
struct Running<'a> {
    client: Client,
    runtime: Handle,
    version: Version,
    pace: Pace,
    is_current: &'a dyn Fn() -> bool,
}

impl Running<'_> {
    /// Gives the broker what it lacks of a table. One that has nothing to give is not asked for.
    fn bring(&self, table: Table, bundle: &mut Received, applied: &mut Applied) -> Result<(), ApplyError> {
        let mut answer = None;
        bundle.each_batch(table, |batch| {
            if !(self.is_current)() {
                return Err(ApplyError::Superseded);
            }
            let is_of_5 = table == Table::RequestModes || !batch.forbidden.is_empty();
            if is_of_5 && !self.version.has_request_modes() {
                // 4.x does not even answer.
                return Err(ApplyError::NoSuchTable { version: self.version, table: table.file_name() });
            }
            let body = match &answer {
                Some(body) => body,
                None => answer.insert(self.ask(table)?),
            };
            self.send(&Changes::between(table, batch, body)?, applied)
        })
    }

    /// Reads the table back, again for a while: up to 4.7.0 a topic is there only after the answer.
    fn confirm(&self, table: Table, bundle: &mut Received) -> Result<(), ApplyError> {
        let deadline = Instant::now() + self.pace.answer;
        loop {
            match self.compare(table, bundle) {
                Err(ApplyError::NotTaken { .. }) if Instant::now() < deadline => {}
                ended => return ended,
            }
            self.runtime.block_on(tokio::time::sleep(self.pace.look));
        }
    }

    fn compare(&self, table: Table, bundle: &mut Received) -> Result<(), ApplyError> {
        let mut answer = None;
        bundle.each_batch(table, |batch| {
            let body = match &answer {
                Some(body) => body,
                None => answer.insert(self.ask(table)?),
            };
            match Changes::between(table, batch, body)?.first() {
                Some((entry, reason)) => Err(ApplyError::NotTaken { entry, reason }),
                None => Ok(()),
            }
        })
    }

    fn ask(&self, table: Table) -> Result<Bytes, ApplyError> {
        let client = &self.client;
        let answer = match table {
            Table::Topics => self.runtime.block_on(client.all_topic_config_body()),
            Table::Groups => self.runtime.block_on(client.subscription_groups_body()),
            Table::RequestModes => self.runtime.block_on(client.message_request_modes_body()),
            Table::Offsets => self.runtime.block_on(client.consumer_offsets_body()),
        };
        Ok(answer.map_err(silent(table.file_name()))?.value)
    }

    fn send(&self, changes: &Changes, applied: &mut Applied) -> Result<(), ApplyError> {
        let client = &self.client;
        if self.version.creates_topic_lists() {
            self.in_lists(&changes.topics, topic_title, async |topics: &[TopicConfig]| {
                client.create_topics(topics).await.map(drop)
            })?;
        } else {
            self.one_by_one(&changes.topics, topic_title, async |topic: &TopicConfig| {
                client.create_topic(topic).await.map(drop)
            })?;
        }
        if self.version.creates_group_lists() {
            self.in_lists(&changes.groups, group_title, async |groups: &[Fields]| {
                client.create_subscription_groups(groups).await.map(drop)
            })?;
        } else {
            self.one_by_one(&changes.groups, group_title, async |group: &Fields| {
                client.create_subscription_group(group).await.map(drop)
            })?;
        }
        self.one_by_one(&changes.readable, readable_title, async |(subscription, readable)| {
            client.set_group_readable(subscription, *readable).await.map(drop)
        })?;
        self.one_by_one(&changes.request_modes, mode_title, async |(_, mode)| {
            client.set_message_request_mode(mode).await.map(drop)
        })?;
        self.one_by_one(&changes.offsets, offset_title, async |offset: &MissingOffset| {
            let MissingOffset { subscription, queue, offset: value } = offset;
            match client.update_consumer_offset(subscription, *queue, *value).await {
                // 4.x takes it all the same.
                Err(error) if offset.is_of_retries() && is_absent_topic(&error) => Ok(()),
                set => set.map(drop),
            }
        })?;
        applied.topics += changes.topics.len() as u64;
        applied.groups += changes.groups.len() as u64;
        applied.request_modes += changes.request_modes.len() as u64;
        let seeded: BTreeSet<_> = changes.offsets.iter().map(|offset| &offset.subscription).collect();
        applied.offsets += seeded.len() as u64;
        Ok(())
    }

    fn in_lists<T>(
        &self,
        entries: &[T],
        title: impl Fn(&T) -> String,
        request: impl AsyncFn(&[T]) -> Result<(), RemotingError>,
    ) -> Result<(), ApplyError> {
        for list in entries.chunks(IN_A_REQUEST) {
            let refused = |source| {
                let first = list.first().map(&title).unwrap_or_default();
                let entry = match list.len() - 1 {
                    0 => first,
                    others => format!("{first} and {others} others in one request"),
                };
                ApplyError::Refused { entry, source }
            };
            self.runtime.block_on(request(list)).map_err(refused)?;
        }
        Ok(())
    }

    fn one_by_one<T>(
        &self,
        entries: &[T],
        title: impl Fn(&T) -> String,
        request: impl AsyncFn(&T) -> Result<(), RemotingError>,
    ) -> Result<(), ApplyError> {
        let refused = |entry, source| ApplyError::Refused { entry: title(entry), source };
        let requests = stream::iter(entries)
            .map(|entry| async { request(entry).await.map_err(|source| refused(entry, source)) })
            .buffer_unordered(AT_ONCE)
            .try_collect();
        self.runtime.block_on(requests)
    }
}

fn is_absent_topic(error: &RemotingError) -> bool {
    error.response_code() == Some(ResponseCode::TOPIC_NOT_EXIST)
}

fn silent(table: &'static str) -> impl FnOnce(RemotingError) -> ApplyError {
    move |source| ApplyError::Broker { table, source }
}

fn topic_title(topic: &TopicConfig) -> String {
    format!("topic `{}`", topic.topic_name)
}

fn group_title(group: &Fields) -> String {
    format!("group `{}`", group.get("groupName").and_then(Value::as_str).unwrap_or_default())
}

fn readable_title((subscription, _): &(Subscription, bool)) -> String {
    format!("what group `{}` must not read", subscription.group)
}

fn mode_title((subscription, _): &(Subscription, Fields)) -> String {
    format!("request mode of `{subscription}`")
}

fn offset_title(offset: &MissingOffset) -> String {
    format!("offset of `{}` in queue {}", offset.subscription, offset.queue)
}
