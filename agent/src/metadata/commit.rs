//! Makes a received bundle the files that a new broker starts with. Everything is verified before anything is moved; each
//! step is durable before the next; and a commit that was broken off anywhere can be repeated.
//!
//! 1. The bundle becomes a folder of files beside the agent's state, on the volume of the store.
//! 2. An earlier broker's data are renamed, if so wished. They are never removed.
//! 3. State: from here on the store holds nothing but what is imported.
//! 4. What an earlier import left goes, and the folder becomes `store/config`.
//! 5. State: committed. The gate opens.

use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proto::describe::{Commit, OldData};
use proto::proof::ClusterKey;
use rocketmq::metadata::bundle::{self, BundleError, Limits};
use rocketmq::metadata::digest::Summing;
use rocketmq::metadata::files;
use rocketmq::text::error_line;

use crate::atomic_file::{self, DraftFolder, FileError};
use crate::config::{InvalidToken, Token};
use crate::gate::{DATA_FILE_MODE, DATA_MODE};
use crate::metadata::receive::LARGEST_BUNDLE;
use crate::metadata::spool::{BundleHash, InvalidHash, Spool};
use crate::metadata::{MetadataKeeper, draft};
use crate::paths::Paths;
use crate::state::{MetadataRecord, StateError};
use crate::volume;

/// What shall stay free beside twice the bundle, which the broker writes again with each change.
const MARGIN_BYTES: u64 = 64 << 20;

const MIB: u64 = 1 << 20;

/// Why metadata are not committed.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The pod was not made to wait.
    #[error("the broker awaits no metadata: it starts, or was started, without them")]
    NotAwaited,
    /// The pod was made to wait for others.
    #[error("the broker awaits the metadata of token {awaited}, not of {offered}")]
    OtherToken {
        /// What the pod waits for.
        awaited: Token,
        /// What came.
        offered: Token,
    },
    /// The token is none.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// The hash is none.
    #[error(transparent)]
    Hash(#[from] InvalidHash),
    /// There are data that the caller did not decide about.
    #[error(
        "the store `{}` holds an earlier broker's data: `--old-data=keep` starts the broker on them, \
         `--old-data=aside` moves them out of its way",
        .0.display()
    )]
    EarlierData(PathBuf),
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
    /// The bundle is not one for another broker.
    #[error("the bundle is not sanitised: it has what belongs to the broker `{0}` alone")]
    NotSanitised(String),
    /// The bundle is none.
    #[error("the received bundle cannot be used")]
    Bundle(#[from] BundleError),
    /// There is not enough room.
    #[error(
        "the data volume `{volume}` has {} MiB free, but a bundle of {} MiB needs {} MiB: twice its size, and {} MiB",
        free / MIB, bundle.div_ceil(MIB), needed.div_ceil(MIB), MARGIN_BYTES / MIB
    )]
    NoRoom {
        /// Where the volume is mounted.
        volume: String,
        /// What is left of it.
        free: u64,
        /// What is needed.
        needed: u64,
        /// The size of the bundle.
        bundle: u64,
    },
    /// A file of it is none that a broker may start with.
    #[error("the received bundle cannot be used")]
    Table(#[from] files::FileError),
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not remembered.
    #[error(transparent)]
    State(#[from] StateError),
}

impl MetadataKeeper {
    /// Commits, and gives where earlier data went. A commit that is done already is fine. It goes on to its end when the
    /// caller goes away.
    pub async fn commit(
        self: &Arc<Self>,
        key: ClusterKey,
        commit: Commit,
    ) -> Result<Option<PathBuf>, CommitError> {
        let keeper = Arc::clone(self);
        let committing = tokio::spawn(async move {
            let _alone = keeper.incoming.lock().await;
            let ended = keeper.try_to_commit(&key, &commit).await;
            let failure = ended.as_ref().err().map(|error| error_line(error)).unwrap_or_default();
            keeper.failure.send_replace(failure);
            ended
        });
        committing
            .await
            .map_err(|error| FileError::new("work on", &self.config.paths.store, io::Error::other(error)))?
    }

    async fn try_to_commit(&self, key: &ClusterKey, commit: &Commit) -> Result<Option<PathBuf>, CommitError> {
        let offered: Token = commit.token.parse()?;
        let awaited = self.config.awaited_metadata.clone().ok_or(CommitError::NotAwaited)?;
        if offered != awaited {
            return Err(CommitError::OtherToken { awaited, offered });
        }
        let paths = self.config.paths.clone();
        let aside = aside(&paths, &awaited);
        if self.state.metadata().committed == awaited.as_str() {
            return Ok(aside.symlink_metadata().is_ok().then_some(aside));
        }
        let committed = MetadataRecord {
            committed: awaited.to_string(),
            importing: String::new(),
            opened: commit.permission.is_writable(),
            permission: Some(commit.permission),
        };
        let earlier = self.earlier_store()?;
        match (&earlier, commit.old_data) {
            (Some(folder), OldData::Refuse) => return Err(CommitError::EarlierData(folder.clone())),
            (Some(folder), OldData::Keep) => {
                tracing::info!(folder = %folder.display(), "the broker starts on an earlier broker's data");
                let kept = MetadataRecord { opened: true, ..committed };
                self.state.record_metadata(Some(key), |record| *record = kept).await?;
                return Ok(None);
            }
            (_, OldData::Aside) | (None, _) => {}
        }

        let hash: BundleHash = commit.sha256.parse()?;
        let files = {
            let (paths, token) = (paths.clone(), awaited.clone());
            atomic_file::off_the_runtime(&self.config.paths.store, move || unpack(&paths, &token, hash))
                .await?
        };
        if earlier.is_some() {
            tracing::info!(to = %aside.display(), "an earlier broker's data are moved");
            let (store, aside) = (paths.store.clone(), aside.clone());
            atomic_file::off_the_runtime(&paths.store, move || {
                atomic_file::move_to_free_name(&store, &aside)
            })
            .await?;
        }
        let importing =
            MetadataRecord { importing: awaited.to_string(), opened: false, ..self.state.metadata() };
        self.state.record_metadata(Some(key), |record| *record = importing).await?;
        {
            let paths = paths.clone();
            atomic_file::off_the_runtime(&self.config.paths.store, move || fill(&paths, files)).await?;
        }
        self.state.record_metadata(Some(key), |record| *record = committed).await?;
        tracing::info!(token = %awaited, "the broker's metadata are committed");
        if let Err(error) = Spool::Incoming.keep_only(paths.state_folder(), None) {
            tracing::warn!(error = error_line(&error), "the bundle, which is used up, is not removed");
        }
        Ok(aside.symlink_metadata().is_ok().then_some(aside))
    }
}

/// Where an earlier broker's data go.
fn aside(paths: &Paths, token: &Token) -> PathBuf {
    let name = paths.store.file_name().unwrap_or_default().to_string_lossy();
    paths.store.with_file_name(format!("{name}.{token}"))
}

/// The bundle's files, all verified, in a folder that is not yet anybody's.
fn unpack(paths: &Paths, token: &Token, announced: BundleHash) -> Result<DraftFolder, CommitError> {
    let path = Spool::Incoming.path(paths.state_folder(), &announced);
    let Some(file) = atomic_file::open(&path)? else { return Err(CommitError::NoBundle(announced)) };
    let unreadable = |source: io::Error| FileError::new("read", &path, source);
    let bytes = file.metadata().map_err(unreadable)?.len();
    leaves_room(&paths.volume, bytes)?;

    let folder = DraftFolder::begin(&draft(paths, &format!("config.{token}")), DATA_MODE)?;
    let mut bundle = Summing::new(BufReader::new(file));
    let limits = Limits { total_bytes: LARGEST_BUNDLE, ..Limits::default() };
    let read = bundle::read_entries(&mut bundle, &limits, |manifest, table, content| {
        let name = table.file_name();
        folder.add(name, DATA_FILE_MODE, |out| {
            let mut copying = Copying { content, out, failed: None };
            let read = files::read(table, manifest, &mut copying, |_| Ok::<_, CommitError>(()));
            copying.failed.map_or(read, |error| Err(folder.write_error(name, error).into()))
        })
    });
    // A bundle that is not the announced one explains every other error.
    io::copy(&mut bundle, &mut io::sink()).map_err(unreadable)?;
    let found = BundleHash::of(&bundle.finish().1.sha256);
    if found != announced {
        // It is to be sent again from its first byte on.
        atomic_file::remove(&path)?;
        return Err(CommitError::OtherBundle { announced, found });
    }
    let manifest = read?;
    if !manifest.sanitised {
        return Err(CommitError::NotSanitised(manifest.broker_name));
    }
    Ok(folder)
}

/// Writes down what is read through it. Whether it can be written is not the reader's concern, but ends the reading.
struct Copying<'a> {
    content: &'a mut dyn Read,
    out: &'a mut dyn Write,
    failed: Option<io::Error>,
}

impl Read for Copying<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer)?;
        if let Err(error) = self.out.write_all(&buffer[..read]) {
            self.failed = Some(error);
            return Err(io::Error::other("what is read cannot be written"));
        }
        Ok(read)
    }
}

/// Makes the folder the one that the broker reads. Whoever calls it knows that nothing else of worth lies in the store.
fn fill(paths: &Paths, files: DraftFolder) -> Result<(), CommitError> {
    // The kubelet would make a missing folder root's, and the broker mounts it by its name.
    atomic_file::ensure_folder(&paths.store, DATA_MODE)?;
    for name in atomic_file::names_in(&paths.store)? {
        atomic_file::remove_tree(&paths.store.join(name))?;
    }
    Ok(files.keep_as(&paths.store_configuration())?)
}

fn leaves_room(folder: &Path, bundle: u64) -> Result<(), CommitError> {
    let volume =
        volume::look(folder).map_err(|source| FileError::new("look at the room of", folder, source))?;
    let needed = bundle.saturating_mul(2).saturating_add(MARGIN_BYTES);
    if volume.free_bytes >= needed {
        return Ok(());
    }
    Err(CommitError::NoRoom { volume: volume.path, free: volume.free_bytes, needed, bundle })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A volume that is full.
    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_volume_that_fills_up_ends_the_reading_and_is_the_reason() {
        let mut copying = Copying { content: &mut &b"{}"[..], out: &mut Full, failed: None };
        copying.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(copying.failed.unwrap().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_volume_without_room_is_told_with_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        leaves_room(folder.path(), 1).unwrap();
        let refused = leaves_room(folder.path(), 1 << 60).unwrap_err();
        assert!(
            matches!(&refused, CommitError::NoRoom { needed, .. } if *needed == (2 << 60) + MARGIN_BYTES)
        );

        let refused = CommitError::NoRoom {
            volume: "/var/rocketmq/volume".into(),
            free: 100 * MIB - 1,
            needed: 2 * 40 * MIB + MARGIN_BYTES,
            bundle: 40 * MIB,
        };
        assert_eq!(
            refused.to_string(),
            "the data volume `/var/rocketmq/volume` has 99 MiB free, but a bundle of 40 MiB needs 144 MiB: twice its \
             size, and 64 MiB"
        );
    }
}
