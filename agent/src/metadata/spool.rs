//! Bundles that lie on the agent's volume: the one that was exported last, and the one that comes in. Each is named
//! after its SHA-256, so an agent that starts anew knows what they are.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use data_encoding::HEXLOWER;
use rocketmq::metadata::digest::Summing;

use crate::atomic_file::{self, FileError};

/// Only the agent reads bundles.
pub const BUNDLE_MODE: u32 = 0o600;

/// The SHA-256 of a bundle, in hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BundleHash(String);

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256 of a bundle: it has {HASH_DIGITS} hexadecimal digits in lower case")]
pub struct InvalidHash(String);

const HASH_DIGITS: usize = 64;

impl FromStr for BundleHash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == HASH_DIGITS && text.bytes().all(digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidHash(text.to_owned()))
    }
}

impl BundleHash {
    /// Of a digest.
    pub fn of(sha256: &[u8; 32]) -> Self {
        Self(HEXLOWER.encode(sha256))
    }

    /// Of a bundle that is read to its end.
    pub fn of_rest(reader: impl io::Read) -> io::Result<Self> {
        Ok(Self::of(&sha256(reader)?))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BundleHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of everything that is left to read.
pub fn sha256(reader: impl io::Read) -> io::Result<[u8; 32]> {
    let mut summing = Summing::new(reader);
    io::copy(&mut summing, &mut io::sink())?;
    Ok(summing.finish().1.sha256)
}

/// Which way a bundle goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spool {
    /// From another broker.
    Incoming,
    /// To others.
    Export,
}

impl Spool {
    fn prefix(self) -> &'static str {
        match self {
            Self::Incoming => "incoming.",
            Self::Export => "export.",
        }
    }

    /// Where the bundle of this hash lies.
    pub fn path(self, folder: &Path, hash: &BundleHash) -> PathBuf {
        folder.join(format!("{}{hash}{SUFFIX}", self.prefix()))
    }

    /// The bundle that lies there; `None` if there is none.
    pub fn present(self, folder: &Path) -> Result<Option<BundleHash>, FileError> {
        let names = atomic_file::names_in(folder)?;
        Ok(names.iter().find_map(|name| self.hash_of(name.to_str()?)))
    }

    /// Removes every bundle but this one.
    pub fn keep_only(self, folder: &Path, kept: Option<&BundleHash>) -> Result<(), FileError> {
        for name in atomic_file::names_in(folder)? {
            let hash = name.to_str().and_then(|name| self.hash_of(name));
            if hash.is_some() && hash.as_ref() != kept {
                atomic_file::remove(&folder.join(&name))?;
            }
        }
        Ok(())
    }

    fn hash_of(self, name: &str) -> Option<BundleHash> {
        name.strip_prefix(self.prefix())?.strip_suffix(SUFFIX)?.parse().ok()
    }
}

const SUFFIX: &str = ".tar";

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn hash(digit: char) -> BundleHash {
        digit.to_string().repeat(64).parse().unwrap()
    }

    #[test]
    fn a_bundle_is_found_by_its_name_and_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert_eq!(Spool::Incoming.present(at).unwrap(), None);
        for (spool, digit) in [(Spool::Incoming, 'a'), (Spool::Incoming, 'b'), (Spool::Export, 'c')] {
            fs::write(spool.path(at, &hash(digit)), "").unwrap();
        }
        fs::write(at.join("state.json"), "").unwrap();
        fs::write(at.join("incoming.tar"), "").unwrap();
        Spool::Incoming.keep_only(at, Some(&hash('b'))).unwrap();
        assert_eq!(Spool::Incoming.present(at).unwrap(), Some(hash('b')));
        Spool::Incoming.keep_only(at, None).unwrap();
        assert_eq!(Spool::Incoming.present(at).unwrap(), None);
        assert_eq!(Spool::Export.present(at).unwrap(), Some(hash('c')));
        assert!(at.join("state.json").exists() && at.join("incoming.tar").exists());
    }

    #[test]
    fn a_hash_is_nothing_but_digits() {
        for text in ["", "ab", &"A".repeat(64), &"g".repeat(64), &format!("../{}", "a".repeat(61))] {
            assert!(text.parse::<BundleHash>().is_err(), "{text}");
        }
        let of_nothing = BundleHash::of_rest(io::empty()).unwrap();
        assert_eq!(of_nothing.as_str(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
