//! Bundles in memory: read from a file's bytes, written to be sent.

use std::io;

use data_encoding::HEXLOWER;
use rocketmq::metadata::{Metadata, Origin, bundle};
use sha2::{Digest, Sha256};

use crate::error::OpsError;

/// The `dataVersion` of files that are sent to a running broker: it makes its own by each request. One moment for
/// all of them keeps the bytes of equal metadata equal, so that a transfer goes on where it was cut off.
const SENT_AT_MILLIS: u64 = 0;

/// A bundle that was read whole.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    /// The file that it is from, or `standard input`.
    pub name: String,
    /// The broker that it is of.
    pub origin: Origin,
    /// False when it also holds what that broker made for itself.
    pub sanitised: bool,
    /// What it holds.
    pub metadata: Metadata,
}

impl Bundle {
    /// Reads one.
    ///
    /// # Errors
    /// `Usage` when the bytes are no bundle.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, OpsError> {
        let (manifest, metadata) = bundle::read(bytes).map_err(|error| {
            OpsError::usage(format!("`{name}` is no bundle of metadata"))
                .causes([error.to_string()])
                .hint("kubectl rocketmq metadata export POD --file FILE")
        })?;
        Ok(Self { name: name.to_owned(), origin: manifest.origin(), sanitised: manifest.sanitised, metadata })
    }
}

/// Metadata as the bytes of a bundle; equal ones have equal bytes.
pub(crate) fn bundled(metadata: &Metadata, origin: &Origin) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bundle::write(&mut bytes, metadata, origin, SENT_AT_MILLIS)?;
    Ok(bytes)
}

/// The SHA-256 of bytes, as descriptions of bundles have it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
