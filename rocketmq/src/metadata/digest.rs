//! Digests: of tables, whatever the order of their entries, so that they can be compared between brokers while they
//! stream by; and of bytes that are written or read.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::metadata::Entry;
use crate::remoting::json;

/// How many entries a table has, and the sum modulo 2^256 of the SHA-256 of each one's canonical JSON. Equal tables
/// have equal ones. Who may choose many entries can forge a sum: it tells tables of honest brokers apart, while the
/// files of a bundle have digests of their own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TableDigest {
    /// The entries.
    pub entries: u64,
    /// The sum, its highest byte first.
    pub digest: [u8; 32],
}

impl TableDigest {
    /// Adds an entry.
    pub fn add(&mut self, entry: &Value) {
        self.entries += 1;
        self.mix(entry);
    }

    /// Adds what belongs to an entry and is none itself.
    fn mix(&mut self, value: &Value) {
        let hash = Sha256::digest(json::canonical(value));
        let mut carry = 0;
        for (byte, added) in self.digest.iter_mut().zip(hash).rev() {
            let sum = u16::from(*byte) + u16::from(added) + carry;
            [_, *byte] = sum.to_be_bytes();
            carry = sum >> 8;
        }
    }
}

/// What tables are, in short.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Digests {
    /// The topics.
    pub topics: TableDigest,
    /// The subscription groups; what they must not read counts in the digest alone.
    pub groups: TableDigest,
    /// The request modes.
    pub request_modes: TableDigest,
    /// How many topic@group pairs have offsets.
    pub offsets: u64,
}

impl Digests {
    /// Adds an entry of any table.
    pub fn add(&mut self, entry: &Entry) {
        match entry {
            Entry::Topic(_) => self.topics.add(&entry.to_value()),
            Entry::Group(..) => self.groups.add(&entry.to_value()),
            Entry::Forbidden(..) => self.groups.mix(&entry.to_value()),
            Entry::RequestMode(..) => self.request_modes.add(&entry.to_value()),
            Entry::Offsets(..) => self.offsets += 1,
        }
    }
}

/// How many bytes there are and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sum {
    /// Their number.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

impl Sum {
    /// Of bytes that are held whole.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }
}

/// Passes bytes through and sums them up.
#[derive(Debug)]
pub struct Summing<S> {
    inner: S,
    bytes: u64,
    hash: Sha256,
}

impl<S> Summing<S> {
    /// Sums up what goes through `inner` from here on.
    pub fn new(inner: S) -> Self {
        Self { inner, bytes: 0, hash: Sha256::new() }
    }

    /// How many bytes went through so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The end of it.
    #[must_use]
    pub fn finish(self) -> (S, Sum) {
        (self.inner, Sum { bytes: self.bytes, sha256: self.hash.finalize().into() })
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
    }
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.passed(&buffer[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.passed(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::HEXLOWER;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn digest(entries: &[Value]) -> TableDigest {
        let mut digest = TableDigest::default();
        entries.iter().for_each(|entry| digest.add(entry));
        digest
    }

    #[test]
    fn one_entry_has_the_hash_of_its_canonical_text() {
        let expected: [u8; 32] = Sha256::digest(r#"{"a":1,"b":[2]}"#).into();
        assert_eq!(digest(&[json!({"b":[2],"a":1})]), TableDigest { entries: 1, digest: expected });
    }

    #[test]
    fn the_sum_carries_and_wraps() {
        let mut sum = TableDigest { entries: 0, digest: [0xff; 32] };
        sum.add(&json!(1));
        let hash: [u8; 32] = Sha256::digest("1").into();
        let mut one_less = hash;
        assert_ne!(hash[31], 0);
        one_less[31] -= 1;
        assert_eq!(sum.digest, one_less);
    }

    #[test]
    fn bytes_are_summed_on_their_way() {
        let mut out = Summing::new(Vec::new());
        out.write_all(b"ab").unwrap();
        out.write_all(b"c").unwrap();
        assert_eq!(out.bytes(), 3);
        let (bytes, sum) = out.finish();
        assert_eq!(bytes, b"abc");
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            HEXLOWER.encode(&sum.sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let mut reading = Summing::new(&b"abc"[..]);
        io::copy(&mut reading, &mut io::sink()).unwrap();
        assert_eq!(reading.finish().1, sum);
    }

    proptest! {
        #[test]
        fn the_order_of_entries_does_not_count_and_each_entry_does(
            entries in vec(any::<u32>(), 1..20),
            turn: usize,
        ) {
            let entries: Vec<_> = entries.into_iter().map(Value::from).collect();
            let mut turned = entries.clone();
            turned.rotate_left(turn % entries.len());
            prop_assert_eq!(digest(&turned), digest(&entries));
            let fewer = digest(&entries[1..]);
            prop_assert_ne!(fewer.digest, digest(&entries).digest);
            let mut other = entries.clone();
            other[0] = json!("another");
            prop_assert_ne!(digest(&other).digest, digest(&entries).digest);
        }
    }
}
