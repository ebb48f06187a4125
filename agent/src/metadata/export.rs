//! The metadata of the running broker: as a bundle on the agent's volume for an operation, which may have to read it
//! again from any byte on; or piece by piece to whoever looks, of which nothing is written.
//!
//! The agent's memory is that of one answer of the broker and [`BESIDE_AN_ANSWER_BYTES`], whatever the broker has: an
//! answer is gone through entry by entry while its file is written, and dropped before the next one is asked for.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use proto::chunk::LARGEST_CHUNK;
use proto::describe::{BundleDescription, ExportOptions, PreparedExport};
use proto::pb;
use proto::pb::read_tables_response::Part;
use rocketmq::metadata::bundle::BundleWriter;
use rocketmq::metadata::export::{ExportError, Exported, Options, Tables};
use rocketmq::metadata::{Origin, Subscription, Table};
use rocketmq::remoting::client::{Answer, Client};
use rocketmq::remoting::error::RemotingError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::atomic_file::{self, Draft, FileError};
use crate::clock::now_millis;
use crate::metadata::spool::{BUNDLE_MODE, BundleHash, Spool};
use crate::metadata::{MetadataKeeper, SILENCE, TABLE_DEADLINE, draft};
use crate::name_servers::bridge::{BridgeError, identity};
use crate::paths::Paths;

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

/// A piece of what the caller gets, or why there are no more.
pub type TablesPiece = Result<Part, PrepareError>;

impl MetadataKeeper {
    /// Makes a bundle, in the place of the one before. `seeds` get offset 0 in a sanitised one.
    pub async fn prepare(
        &self,
        client: &Client,
        options: ExportOptions,
        seeds: mpsc::Receiver<SeedPiece>,
    ) -> Result<PreparedExport, PrepareError> {
        let alone = Arc::clone(&self.outgoing).lock_owned().await;
        let (client, origin) = asked(client).await?;
        let (config, runtime) = (Arc::clone(&self.config), Handle::current());
        atomic_file::off_the_runtime(&self.config.paths.volume, move || {
            let _alone = alone;
            let paths = &config.paths;
            let mut drafts = Drafts { paths, written: Vec::new() };
            let exported = Export { client, runtime }.tables(&origin, options, seeds, &mut drafts)?;
            let (bundle, hash, bytes) = drafts.bundle(&exported)?;
            bundle.keep_as(&Spool::Export.path(paths.state_folder(), &hash))?;
            Spool::Export.keep_only(paths.state_folder(), Some(&hash))?;
            tracing::info!(sha256 = %hash, bytes, topics = exported.digests.topics.entries, "metadata are exported");
            Ok(described(origin, exported, hash.to_string(), bytes))
        })
        .await
    }

    /// What a bundle would hold, but for its own digest and length; nothing is written. The bytes of its files go to
    /// `out`, if there is one.
    pub async fn read_tables(
        &self,
        client: &Client,
        options: ExportOptions,
        seeds: mpsc::Receiver<SeedPiece>,
        out: Option<mpsc::Sender<TablesPiece>>,
    ) -> Result<PreparedExport, PrepareError> {
        let alone = Arc::clone(&self.outgoing).lock_owned().await;
        let (client, origin) = asked(client).await?;
        let runtime = Handle::current();
        atomic_file::off_the_runtime(&self.config.paths.volume, move || {
            let _alone = alone;
            let mut files = OnTheWay { runtime: runtime.clone(), out };
            let exported = Export { client, runtime }.tables(&origin, options, seeds, &mut files)?;
            Ok(described(origin, exported, String::new(), 0))
        })
        .await
    }

    /// Opens a bundle that was prepared.
    pub fn prepared(&self, hash: &BundleHash) -> Result<Option<std::fs::File>, FileError> {
        atomic_file::open(&Spool::Export.path(self.config.paths.state_folder(), hash))
    }
}

/// A client with time for a whole table, and whose tables they are.
async fn asked(client: &Client) -> Result<(Client, Origin), PrepareError> {
    let client = client.with_deadline(TABLE_DEADLINE);
    let settings = client.broker_config().await?;
    let broker = identity(&settings.value.settings)?;
    let origin =
        Origin { cluster: broker.cluster, broker_name: broker.broker_name, version: settings.version };
    Ok((client, origin))
}

/// Where the files of a bundle go.
trait Files {
    /// Takes the next one.
    fn file(
        &mut self,
        table: Table,
        write: impl FnOnce(&mut dyn Write) -> Result<(), PrepareError>,
    ) -> Result<(), PrepareError>;
}

/// An export in the making, on a thread of its own.
struct Export {
    client: Client,
    runtime: Handle,
}

impl Export {
    fn tables(
        &self,
        origin: &Origin,
        options: ExportOptions,
        seeds: mpsc::Receiver<SeedPiece>,
        files: &mut impl Files,
    ) -> Result<Exported, PrepareError> {
        let ExportOptions { sanitised, ordered } = options;
        let mut tables = Tables::new(origin.clone(), Options { sanitised, ordered }, now_millis());
        let body = self.ask(Client::all_topic_config_body)?;
        files.file(Table::Topics, |out| Ok(tables.topics(&body, out)?))?;
        drop(body);
        let body = self.ask(Client::subscription_groups_body)?;
        files.file(Table::Groups, |out| Ok(tables.groups(&body, out)?))?;
        drop(body);
        if origin.version.has_request_modes() {
            let body = self.ask(Client::message_request_modes_body)?;
            files.file(Table::RequestModes, |out| Ok(tables.request_modes(&body, out)?))?;
        }
        let mut seeds = Seeds { pieces: seeds, piece: Vec::new().into_iter(), former: None, failed: None };
        if sanitised {
            files.file(Table::Offsets, |out| {
                let written = tables.seed_offsets(&mut seeds, out);
                seeds.failed.take().map_or(Ok(written?), Err)
            })?;
        } else {
            if seeds.next().is_some() {
                return Err(PrepareError::SeedsOfWhole);
            }
            let body = self.ask(Client::consumer_offsets_body)?;
            files.file(Table::Offsets, |out| Ok(tables.offsets(&body, out)?))?;
        }
        let exported = tables.finish();
        if !exported.static_topics.is_empty() {
            tracing::warn!(topics = ?exported.static_topics, "static topics are left out of the export");
        }
        Ok(exported)
    }

    fn ask(
        &self,
        request: impl AsyncFnOnce(&Client) -> Result<Answer<Bytes>, RemotingError>,
    ) -> Result<Bytes, RemotingError> {
        self.runtime.block_on(request(&self.client)).map(|answer| answer.value)
    }
}

/// Files on the volume.
struct Drafts<'a> {
    paths: &'a Paths,
    written: Vec<(Table, Draft)>,
}

impl Files for Drafts<'_> {
    fn file(
        &mut self,
        table: Table,
        write: impl FnOnce(&mut dyn Write) -> Result<(), PrepareError>,
    ) -> Result<(), PrepareError> {
        let mut file = self.begin(table.file_name())?;
        write(&mut file)?;
        self.written.push((table, file));
        Ok(())
    }
}

impl Drafts<'_> {
    fn begin(&self, name: &str) -> Result<Draft, FileError> {
        Draft::begin(&draft(self.paths, name), BUNDLE_MODE)
    }

    /// Packs the files; a packed one is removed.
    fn bundle(&mut self, exported: &Exported) -> Result<(Draft, BundleHash, u64), PrepareError> {
        let failed = |error: io::Error| PrepareError::Tables(error.into());
        let file = io::BufWriter::new(self.begin("export.tar")?);
        let mut bundle = BundleWriter::new(file, &exported.manifest).map_err(failed)?;
        for (table, mut file) in self.written.drain(..) {
            bundle.file(table, file.read_again().map_err(failed)?).map_err(failed)?;
        }
        let (file, sum) = bundle.finish().map_err(failed)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        Ok((file, BundleHash::of(&sum.sha256), sum.bytes))
    }
}

/// Files that are not kept: they go to a caller piece by piece, or nowhere.
struct OnTheWay {
    runtime: Handle,
    out: Option<mpsc::Sender<TablesPiece>>,
}

impl Files for OnTheWay {
    fn file(
        &mut self,
        table: Table,
        write: impl FnOnce(&mut dyn Write) -> Result<(), PrepareError>,
    ) -> Result<(), PrepareError> {
        let Some(out) = &self.out else { return write(&mut io::sink()) };
        let mut file = Piecewise { runtime: &self.runtime, out, table, offset: 0, piece: Vec::new() };
        write(&mut file)?;
        Ok(file.send().map_err(ExportError::from)?)
    }
}

/// A file in pieces.
struct Piecewise<'a> {
    runtime: &'a Handle,
    out: &'a mpsc::Sender<TablesPiece>,
    table: Table,
    offset: u64,
    piece: Vec<u8>,
}

impl Piecewise<'_> {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let chunk = pb::MetadataChunk::pack(self.offset, &self.piece);
        self.offset += self.piece.len() as u64;
        self.piece.clear();
        let piece = pb::TablePiece { file: self.table.file_name().to_owned(), chunk: Some(chunk) };
        let sent = async { timeout(SILENCE, self.out.send(Ok(Part::Piece(piece)))).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::other("the caller is gone")),
            Err(_) => Err(io::Error::other(format!("the caller took nothing for {} s", SILENCE.as_secs()))),
        }
    }
}

impl Write for Piecewise<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(LARGEST_CHUNK - self.piece.len());
        self.piece.extend_from_slice(&bytes[..taken]);
        if self.piece.len() == LARGEST_CHUNK {
            self.send()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn described(origin: Origin, exported: Exported, sha256: String, bytes: u64) -> PreparedExport {
    let Exported { digests, registration_bytes, ordered_topics, .. } = exported;
    PreparedExport {
        bundle: BundleDescription {
            sha256,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes files as an export does, on a thread of its own; gives what came of the last.
    async fn write(out: mpsc::Sender<TablesPiece>, files: Vec<(Table, Vec<u8>)>) -> Result<(), String> {
        let mut place = OnTheWay { runtime: Handle::current(), out: Some(out) };
        let (end, ended) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let written = files.iter().try_for_each(|(table, content)| {
                place.file(*table, |out| Ok(out.write_all(content).map_err(ExportError::from)?))
            });
            end.send(written.map_err(|error| rocketmq::text::error_line(&error))).unwrap();
        });
        ended.await.unwrap()
    }

    #[tokio::test]
    async fn files_come_in_pieces_none_larger_than_one_may_be() {
        let topics: Vec<u8> = (0..2 * LARGEST_CHUNK + 7).map(|at| (at % 251) as u8).collect();
        let files = vec![(Table::Topics, topics.clone()), (Table::Groups, b"{}".to_vec())];
        let (out, mut pieces) = mpsc::channel(1);
        let come = async {
            let mut come = Vec::new();
            while let Some(Ok(Part::Piece(pb::TablePiece { file, chunk }))) = pieces.recv().await {
                let chunk = chunk.unwrap();
                come.push((file, chunk.offset, chunk.unpack().unwrap()));
            }
            come
        };
        let (written, come) = tokio::join!(write(out, files), come);
        written.unwrap();
        let at = |offset: usize, end: usize| {
            ("topics.json".to_owned(), offset as u64, topics[offset..end].to_vec())
        };
        let (one, two) = (LARGEST_CHUNK, 2 * LARGEST_CHUNK);
        let groups = ("subscriptionGroup.json".to_owned(), 0, b"{}".to_vec());
        assert!(come == [at(0, one), at(one, two), at(two, topics.len()), groups]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_takes_no_pieces_keeps_nobody_waiting() {
        let files = [Table::Topics, Table::Groups].map(|table| (table, b"{}".to_vec())).to_vec();
        let (out, pieces) = mpsc::channel(1);
        let error = write(out, files.clone()).await.unwrap_err();
        assert!(error.ends_with("the caller took nothing for 30 s"), "{error}");
        drop(pieces);
        let (out, pieces) = mpsc::channel(1);
        drop(pieces);
        let error = write(out, files).await.unwrap_err();
        assert!(error.ends_with("the caller is gone"), "{error}");
    }
}
