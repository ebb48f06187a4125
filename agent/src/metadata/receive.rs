//! A bundle on its way in. Bytes are appended to one file on the agent's volume, so a transfer that breaks off goes on
//! where it ended, also in the agent's next life. What the file has counts as it is: each piece was verified before it
//! was written, and the whole is verified at the end, whatever a power cut has left.
//!
//! Everything here waits for the disk: it is run off the async threads.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;

use crate::atomic_file::{self, FileError, GrowingFile};
use crate::metadata::MetadataKeeper;
use crate::metadata::spool::{BUNDLE_MODE, BundleHash, Spool};

/// The largest bundle: four files as large as a frame of RocketMQ each, four times over.
pub const LARGEST_BUNDLE: u64 = 256 << 20;

/// Why a bundle is not received.
#[derive(Debug, thiserror::Error)]
pub enum ReceiveError {
    /// It is announced too large.
    #[error("the bundle has {0} bytes, more than the {LARGEST_BUNDLE} that an agent takes")]
    TooLarge(u64),
    /// The piece is not the next one.
    #[error("bytes from {offered} on came, but those from {expected} on are next")]
    OutOfPlace {
        /// Where it begins.
        offered: u64,
        /// Where it should.
        expected: u64,
    },
    /// The piece has more bytes than the bundle has left.
    #[error("{0} bytes came at once, more than the bundle has left")]
    TooMuch(usize),
    /// The whole is not what was announced. Its bytes are thrown away.
    #[error("the bundle was announced with SHA-256 {announced} but has {found}; its bytes are thrown away")]
    Bundle {
        /// What it should have.
        announced: BundleHash,
        /// What it has.
        found: BundleHash,
    },
    /// It could not be stored.
    #[error(transparent)]
    File(#[from] FileError),
}

/// A bundle that is being received, by one caller at a time.
#[derive(Debug)]
pub struct Receiving {
    _alone: Option<OwnedMutexGuard<()>>,
    path: PathBuf,
    hash: BundleHash,
    announced: u64,
    file: GrowingFile,
    verified: u64,
}

impl Receiving {
    /// Begins, or goes on. Another bundle that was received before is thrown away.
    pub fn begin(folder: &Path, hash: BundleHash, announced: u64) -> Result<Self, ReceiveError> {
        if announced > LARGEST_BUNDLE {
            return Err(ReceiveError::TooLarge(announced));
        }
        Spool::Incoming.keep_only(folder, Some(&hash))?;
        let path = Spool::Incoming.path(folder, &hash);
        let mut file = GrowingFile::open(&path, BUNDLE_MODE)?;
        if file.length()? > announced {
            atomic_file::remove(&path)?;
            file = GrowingFile::open(&path, BUNDLE_MODE)?;
        }
        let verified = file.length()?;
        Ok(Self { _alone: None, path, hash, announced, file, verified })
    }

    /// The same, once nobody else receives or uses what was received.
    pub async fn begin_alone(
        keeper: &MetadataKeeper,
        hash: BundleHash,
        announced: u64,
    ) -> Result<Self, ReceiveError> {
        let alone = Arc::clone(&keeper.incoming).lock_owned().await;
        let folder = keeper.config.paths.state_folder().to_owned();
        atomic_file::off_the_runtime(&folder.clone(), move || {
            Ok(Self { _alone: Some(alone), ..Self::begin(&folder, hash, announced)? })
        })
        .await
    }

    /// How many bytes are there, which is where the next piece begins.
    pub fn verified_bytes(&self) -> u64 {
        self.verified
    }

    /// Takes the next piece on a thread of its own.
    pub async fn take_off_the_runtime(mut self, offset: u64, bytes: Vec<u8>) -> Result<Self, ReceiveError> {
        let path = self.path.clone();
        atomic_file::off_the_runtime(&path, move || self.take(offset, &bytes).map(|()| self)).await
    }

    /// Takes the next piece. A volume that is full gets its room back.
    pub fn take(&mut self, offset: u64, bytes: &[u8]) -> Result<(), ReceiveError> {
        if offset != self.verified {
            return Err(ReceiveError::OutOfPlace { offered: offset, expected: self.verified });
        }
        if bytes.len() as u64 > self.announced - self.verified {
            return Err(ReceiveError::TooMuch(bytes.len()));
        }
        if let Err(error) = self.file.append(bytes) {
            if matches!(error.source.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
                atomic_file::remove(&self.path)?;
            }
            return Err(error.into());
        }
        self.verified += bytes.len() as u64;
        Ok(())
    }

    /// Ends on a thread of its own, see [`Receiving::finish`].
    pub async fn finish_off_the_runtime(self) -> Result<u64, ReceiveError> {
        let path = self.path.clone();
        atomic_file::off_the_runtime(&path, move || self.finish()).await
    }

    /// Makes what is there durable and, if it is all, verifies the whole. Gives how many bytes are there.
    pub fn finish(self) -> Result<u64, ReceiveError> {
        self.file.sync()?;
        if self.verified == self.announced {
            let unreadable = |source| FileError::new("read", &self.path, source);
            let file = atomic_file::open(&self.path)?;
            let file = file.ok_or_else(|| unreadable(ErrorKind::NotFound.into()))?;
            let found = BundleHash::of_rest(file).map_err(unreadable)?;
            if found != self.hash {
                atomic_file::remove(&self.path)?;
                return Err(ReceiveError::Bundle { announced: self.hash, found });
            }
        }
        Ok(self.verified)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::metadata::spool::sha256;

    fn digest(bytes: &[u8]) -> [u8; 32] {
        sha256(bytes).unwrap()
    }

    const BUNDLE: &[u8] = b"all of a bundle";

    fn begin(folder: &Path) -> Receiving {
        Receiving::begin(folder, BundleHash::of(&digest(BUNDLE)), BUNDLE.len() as u64).unwrap()
    }

    #[test]
    fn a_transfer_goes_on_where_it_ended_and_is_verified_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = begin(folder.path());
        first.take(0, &BUNDLE[..4]).unwrap();
        assert_eq!(first.finish().unwrap(), 4);
        let mut broken_off = begin(folder.path());
        broken_off.take(4, &BUNDLE[4..6]).unwrap();
        drop(broken_off);
        let mut last = begin(folder.path());
        assert_eq!(last.verified_bytes(), 6);
        last.take(6, &BUNDLE[6..]).unwrap();
        assert_eq!(last.finish().unwrap(), 15);
        assert_eq!(begin(folder.path()).finish().unwrap(), 15, "once more, with nothing left to send");
    }

    #[test]
    fn wrong_pieces_are_refused_and_harm_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut receiving = begin(folder.path());
        receiving.take(0, &BUNDLE[..4]).unwrap();
        let mut check = |offset: u64, bytes: &[u8], expect: &str| {
            let refused = receiving.take(offset, bytes).unwrap_err().to_string();
            assert!(refused.contains(expect), "{refused}");
        };
        check(0, &BUNDLE[..4], "bytes from 0 on came, but those from 4 on are next");
        check(8, &BUNDLE[8..], "bytes from 8 on came, but those from 4 on are next");
        check(4, b"longer than what is left", "24 bytes came at once");
        receiving.take(4, &BUNDLE[4..]).unwrap();
        assert_eq!(receiving.finish().unwrap(), 15);
    }

    #[test]
    fn what_is_too_large_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let hash = BundleHash::of(&digest(BUNDLE));
        let refused = Receiving::begin(folder.path(), hash, LARGEST_BUNDLE + 1).unwrap_err();
        assert!(matches!(refused, ReceiveError::TooLarge(_)), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn bytes_that_a_power_cut_left_wrong_are_thrown_away_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(Spool::Incoming.path(folder.path(), &BundleHash::of(&digest(BUNDLE))), [0; 6]).unwrap();
        let mut receiving = begin(folder.path());
        receiving.take(6, &BUNDLE[6..]).unwrap();
        let refused = receiving.finish().unwrap_err();
        assert!(matches!(refused, ReceiveError::Bundle { .. }), "{refused}");
        assert_eq!(begin(folder.path()).verified_bytes(), 0);
    }

    #[test]
    fn another_bundle_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        begin(folder.path()).take(0, BUNDLE).unwrap();
        let other = BundleHash::of(&digest(b"other"));
        let receiving = Receiving::begin(folder.path(), other.clone(), 5).unwrap();
        assert_eq!(receiving.verified_bytes(), 0);
        assert_eq!(Spool::Incoming.present(folder.path()).unwrap(), Some(other));
    }
}
