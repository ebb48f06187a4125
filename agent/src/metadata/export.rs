//! The metadata of the running broker as a bundle on the agent's volume.
//!
//! The agent's memory is that of one answer of the broker and [`BESIDE_AN_ANSWER_BYTES`], whatever the broker has: an
//! answer is gone through entry by entry while its file is written, and dropped before the next one is asked for.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use proto::chunk::LARGEST_CHUNK;
use proto::describe::{BundleDescription, ExportOptions, PreparedExport};
use rocketmq::metadata::bundle::BundleWriter;
use rocketmq::metadata::export::{ExportError, Exported, Options, Tables};
use rocketmq::metadata::{Origin, Subscription, Table};
use rocketmq::remoting::client::{Answer, Client};
use rocketmq::remoting::error::RemotingError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::atomic_file::{self, Draft, FileError};
use crate::clock::now_millis;
use crate::metadata::spool::{BUNDLE_MODE, BundleHash, Spool};
use crate::metadata::{MetadataKeeper, TABLE_DEADLINE, draft};
use crate::name_servers::bridge::{BridgeError, identity};

/// What an export takes of memory beside the largest answer, which RocketMQ's frame limit keeps below 16 MiB for every
/// broker that name servers list: the names of the exported topics above all. A test measures it at 86,000 topics and
/// 20,000 groups.
pub const BESIDE_AN_ANSWER_BYTES: u64 = 16 << 20;

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The broker does not tell its tables.
    #[error(transparent)]
    Broker(#[from] RemotingError),
    /// The broker does not tell who it is.
    #[error(transparent)]
    Identity(#[from] BridgeError),
    /// Its tables do not make one.
    #[error("the broker's metadata cannot be exported")]
    Tables(#[from] ExportError),
    /// Offsets were asked for beside the broker's own.
    #[error("an export that is not sanitised has the broker's own offsets and takes no others")]
    SeedsOfWhole,
    /// A pair came twice, or the pairs are not sorted: twice would not be seen.
    #[error("the pairs are not in order: `{0}` comes after one that is not before it")]
    Order(Subscription),
    /// The rest of the pairs did not come.
    #[error("the caller's pairs end in an error: {0}")]
    Seeds(String),
    /// It could not be written.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A piece of what the caller sends: pairs in order, or why there are no more.
pub type SeedPiece = Result<Vec<Subscription>, String>;

impl MetadataKeeper {
    /// Makes a bundle, in the place of the one before. `seeds` get offset 0 in a sanitised one.
    pub async fn prepare(
        &self,
        client: &Client,
        options: ExportOptions,
        seeds: mpsc::Receiver<SeedPiece>,
    ) -> Result<PreparedExport, PrepareError> {
        let alone = Arc::clone(&self.outgoing).lock_owned().await;
        let client = client.with_deadline(TABLE_DEADLINE);
        let settings = client.broker_config().await?;
        let broker = identity(&settings.value.settings)?;
        let origin =
            Origin { cluster: broker.cluster, broker_name: broker.broker_name, version: settings.version };
        let (config, runtime) = (Arc::clone(&self.config), Handle::current());
        atomic_file::off_the_runtime(&self.config.paths.volume, move || {
            let _alone = alone;
            let paths = &config.paths;
            let files = |name: &str| Draft::begin(&draft(paths, name), BUNDLE_MODE);
            let mut export = Export { client, runtime, files: &files, written: Vec::new() };
            let exported = export.tables(&origin, options, seeds)?;
            let (bundle, hash, bytes) = export.bundle(&exported)?;
            bundle.keep_as(&Spool::Export.path(paths.state_folder(), &hash))?;
            Spool::Export.keep_only(paths.state_folder(), Some(&hash))?;
            if !exported.static_topics.is_empty() {
                tracing::warn!(topics = ?exported.static_topics, "static topics are left out of the export");
            }
            tracing::info!(sha256 = %hash, bytes, topics = exported.digests.topics.entries, "metadata are exported");
            Ok(described(origin, exported, &hash, bytes))
        })
        .await
    }

    /// Opens a bundle that was prepared.
    pub fn prepared(&self, hash: &BundleHash) -> Result<Option<std::fs::File>, FileError> {
        atomic_file::open(&Spool::Export.path(self.config.paths.state_folder(), hash))
    }
}

/// A bundle in the making, on a thread of its own.
struct Export<'a, F> {
    client: Client,
    runtime: Handle,
    files: &'a F,
    written: Vec<(Table, Draft)>,
}

impl<F: Fn(&str) -> Result<Draft, FileError>> Export<'_, F> {
    fn tables(
        &mut self,
        origin: &Origin,
        options: ExportOptions,
        seeds: mpsc::Receiver<SeedPiece>,
    ) -> Result<Exported, PrepareError> {
        let ExportOptions { sanitised, ordered } = options;
        let mut tables = Tables::new(origin.clone(), Options { sanitised, ordered }, now_millis());
        let body = self.ask(Client::all_topic_config_body)?;
        self.file(Table::Topics, |out| Ok(tables.topics(&body, out)?))?;
        drop(body);
        let body = self.ask(Client::subscription_groups_body)?;
        self.file(Table::Groups, |out| Ok(tables.groups(&body, out)?))?;
        drop(body);
        if origin.version.has_request_modes() {
            let body = self.ask(Client::message_request_modes_body)?;
            self.file(Table::RequestModes, |out| Ok(tables.request_modes(&body, out)?))?;
        }
        let mut seeds = Seeds { pieces: seeds, piece: Vec::new().into_iter(), former: None, failed: None };
        if sanitised {
            self.file(Table::Offsets, |out| {
                let written = tables.seed_offsets(&mut seeds, out);
                seeds.failed.take().map_or(Ok(written?), Err)
            })?;
        } else {
            if seeds.next().is_some() {
                return Err(PrepareError::SeedsOfWhole);
            }
            let body = self.ask(Client::consumer_offsets_body)?;
            self.file(Table::Offsets, |out| Ok(tables.offsets(&body, out)?))?;
        }
        Ok(tables.finish())
    }

    fn ask(
        &self,
        request: impl AsyncFnOnce(&Client) -> Result<Answer<Bytes>, RemotingError>,
    ) -> Result<Bytes, RemotingError> {
        self.runtime.block_on(request(&self.client)).map(|answer| answer.value)
    }

    fn file(
        &mut self,
        table: Table,
        write: impl FnOnce(&mut Draft) -> Result<(), PrepareError>,
    ) -> Result<(), PrepareError> {
        let mut file = (self.files)(table.file_name())?;
        write(&mut file)?;
        self.written.push((table, file));
        Ok(())
    }

    /// Packs the files; a packed one is removed.
    fn bundle(&mut self, exported: &Exported) -> Result<(Draft, BundleHash, u64), PrepareError> {
        let failed = |error: io::Error| PrepareError::Tables(error.into());
        let file = io::BufWriter::new((self.files)("export.tar")?);
        let mut bundle = BundleWriter::new(file, &exported.manifest).map_err(failed)?;
        for (table, mut file) in self.written.drain(..) {
            bundle.file(table, file.read_again().map_err(failed)?).map_err(failed)?;
        }
        let (file, sum) = bundle.finish().map_err(failed)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        Ok((file, BundleHash::of(&sum.sha256), sum.bytes))
    }
}

fn described(origin: Origin, exported: Exported, hash: &BundleHash, bytes: u64) -> PreparedExport {
    let Exported { digests, registration_bytes, ordered_topics, .. } = exported;
    PreparedExport {
        bundle: BundleDescription {
            sha256: hash.to_string(),
            bytes,
            topics: digests.topics,
            groups: digests.groups,
            request_modes: digests.request_modes,
            offsets: digests.offsets,
            registration_bytes,
        },
        ordered_topics,
        cluster: origin.cluster,
        broker_name: origin.broker_name,
        version: origin.version.ordinal(),
    }
}

/// The caller's pairs, one after the other, as they come.
struct Seeds {
    pieces: mpsc::Receiver<SeedPiece>,
    piece: std::vec::IntoIter<Subscription>,
    former: Option<Subscription>,
    /// Why they ended before their end.
    failed: Option<PrepareError>,
}

impl Iterator for Seeds {
    type Item = Subscription;

    fn next(&mut self) -> Option<Subscription> {
        if self.failed.is_some() {
            return None;
        }
        let next = loop {
            match self.piece.next() {
                Some(next) => break next,
                None => match self.pieces.blocking_recv()? {
                    Ok(piece) => self.piece = piece.into_iter(),
                    Err(reason) => {
                        self.failed = Some(PrepareError::Seeds(reason));
                        return None;
                    }
                },
            }
        };
        if self.former.as_ref().is_some_and(|former| *former >= next) {
            self.failed = Some(PrepareError::Order(next));
            return None;
        }
        self.former = Some(next.clone());
        Some(next)
    }
}

/// The next piece of a bundle from a file that is read from `offset` on; empty at its end.
pub fn next_piece(file: &std::fs::File, offset: u64) -> io::Result<Vec<u8>> {
    use std::os::unix::fs::FileExt;

    let mut piece = vec![0; LARGEST_CHUNK];
    let mut filled = 0;
    while filled < piece.len() {
        match file.read_at(&mut piece[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    piece.truncate(filled);
    Ok(piece)
}
