//! Metadata as they are stored in a journal: a bundle, compressed, as text.

use std::io::{self, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use rocketmq::metadata::{Metadata, Origin, bundle};
use serde::{Deserialize, Serialize};

use crate::metadata::bundled;

/// A journal takes 700 KiB of parameters (`k8s::journal`), and these are stored nearly alone in it. Some 40,000 topics.
pub(super) const LARGEST: usize = 640 << 10;

/// What is larger when it is unpacked was not packed here: RocketMQ's own frames bound each table at 16 MiB.
const LARGEST_UNPACKED: u64 = 128 << 20;

/// Metadata, packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(String);

impl Packed {
    /// Packs.
    ///
    /// # Errors
    /// When they cannot be written as a bundle.
    pub fn new(metadata: &Metadata, origin: &Origin) -> io::Result<Self> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bundled(metadata, origin)?)?;
        Ok(Self(STANDARD.encode(encoder.finish()?)))
    }

    /// How much room they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Unpacks.
    ///
    /// # Errors
    /// Why they cannot be read, in words.
    pub fn open(&self) -> Result<Metadata, String> {
        let packed = STANDARD.decode(&self.0).map_err(|error| error.to_string())?;
        let mut bytes = Vec::new();
        let mut decoder = GzDecoder::new(packed.as_slice()).take(LARGEST_UNPACKED);
        decoder.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let (_, metadata) = bundle::read(bytes.as_slice()).map_err(|error| error.to_string())?;
        Ok(metadata)
    }
}
