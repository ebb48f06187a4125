//! Pieces of a bundle on their way. They are compressed: tables of JSON become a thirtieth, and the way leads through
//! the CLI's own line, twice.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use crate::pb::MetadataChunk;

/// The most bytes of a bundle in one piece. Compressed or not, a message with it stays below gRPC's 4 MiB.
pub const LARGEST_CHUNK: usize = 1 << 20;

/// Why a piece is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// It has changed on its way.
    #[error("the bytes from {0} on are not those of their digest")]
    Damaged(u64),
    /// It has more bytes than a piece may have.
    #[error("the bytes from {0} on are more than a piece may have")]
    TooLong(u64),
}

impl MetadataChunk {
    /// A piece of these bytes of a bundle, [`LARGEST_CHUNK`] at most, of which the first stands at `offset`.
    pub fn pack(offset: u64, bytes: &[u8]) -> Self {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        // Writing to memory does not fail; if it did, the digest would tell.
        let packed = gzip.write_all(bytes).and_then(|()| gzip.finish()).unwrap_or_default();
        Self { offset, gzip: packed, digest: Sha256::digest(bytes).to_vec() }
    }

    /// Its bytes.
    ///
    /// # Errors
    /// When they are not those that were packed, or too many, of which no more than that are unpacked.
    pub fn unpack(&self) -> Result<Vec<u8>, ChunkError> {
        let mut bytes = Vec::new();
        let read =
            GzDecoder::new(self.gzip.as_slice()).take(LARGEST_CHUNK as u64 + 1).read_to_end(&mut bytes);
        if bytes.len() > LARGEST_CHUNK {
            return Err(ChunkError::TooLong(self.offset));
        }
        match read {
            Ok(_) if Sha256::digest(&bytes)[..] == self.digest[..] => Ok(bytes),
            _ => Err(ChunkError::Damaged(self.offset)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_they_were() {
        for bytes in [&b""[..], b"a", &b"topics".repeat(10_000), &vec![0; LARGEST_CHUNK]] {
            let chunk = MetadataChunk::pack(7, bytes);
            assert_eq!((chunk.offset, chunk.unpack().as_deref()), (7, Ok(bytes)));
        }
    }

    #[test]
    fn what_has_changed_is_refused_wherever() {
        let chunk = MetadataChunk::pack(7, b"topics and groups");
        for at in 0..chunk.gzip.len() {
            let mut changed = chunk.clone();
            changed.gzip.truncate(at);
            assert_eq!(changed.unpack(), Err(ChunkError::Damaged(7)), "cut at {at}");
        }
        let other = MetadataChunk { digest: MetadataChunk::pack(0, b"other").digest, ..chunk.clone() };
        assert_eq!(other.unpack(), Err(ChunkError::Damaged(7)));
        assert_eq!(MetadataChunk { digest: Vec::new(), ..chunk }.unpack(), Err(ChunkError::Damaged(7)));
    }

    #[test]
    fn no_more_is_unpacked_than_a_piece_may_have() {
        let bomb = MetadataChunk::pack(7, &vec![0; 64 * LARGEST_CHUNK]);
        assert!(bomb.gzip.len() < LARGEST_CHUNK);
        assert_eq!(bomb.unpack(), Err(ChunkError::TooLong(7)));
    }
}
