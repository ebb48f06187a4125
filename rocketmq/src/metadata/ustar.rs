//! Headers of ustar archives (POSIX.1-1988), for regular files with short names and nothing else.
//!
//! Own code, although the `tar` crate is there: it follows what GNU and PAX extensions say of names and sizes before its
//! caller sees an entry, takes sizes in base 256, and ends at the first block of zeros without a look at what follows. A
//! bundle has none of these, so whatever has is refused, and eighty lines say so.

use std::ops::Range;

/// What headers and the contents of files are padded to.
pub(super) const BLOCK: usize = 512;

/// One header.
pub(super) type Block = [u8; BLOCK];

const NAME: Range<usize> = 0..100;
const MODE: Range<usize> = 100..108;
const UID: Range<usize> = 108..116;
const GID: Range<usize> = 116..124;
const SIZE: Range<usize> = 124..136;
const MTIME: Range<usize> = 136..148;
const CHECKSUM: Range<usize> = 148..156;
const KIND: usize = 156;
const LINK_NAME: Range<usize> = 157..257;
const MAGIC_AND_VERSION: Range<usize> = 257..265;
const PREFIX: Range<usize> = 345..500;

/// What a header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) length: u64,
}

/// Why a block is no header of a regular file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// It is no header of ustar.
    Magic,
    /// Its checksum is wrong.
    Checksum,
    /// A field is malformed.
    Field(&'static str),
    /// It is of something else.
    Kind { name: String, kind: &'static str },
}

/// The header of a file: the same name and length make the same bytes.
pub(super) fn write(name: &str, length: u64) -> Block {
    let mut block = [0; BLOCK];
    put(&mut block, NAME, name);
    put(&mut block, MODE, "0000644");
    put(&mut block, UID, "0000000");
    put(&mut block, GID, "0000000");
    put(&mut block, SIZE, &format!("{length:011o}"));
    put(&mut block, MTIME, "00000000000");
    block[KIND] = b'0';
    put(&mut block, MAGIC_AND_VERSION, "ustar\x0000");
    let checksum = checksum(&block);
    put(&mut block, CHECKSUM, &format!("{checksum:06o}\0 "));
    block
}

/// Reads a header. Mode, owner and time are nobody's business here.
pub(super) fn read(block: &Block) -> Result<Header, HeaderError> {
    if &block[MAGIC_AND_VERSION] != b"ustar\x0000" {
        return Err(HeaderError::Magic);
    }
    if octal(&block[CHECKSUM]) != Some(checksum(block)) {
        return Err(HeaderError::Checksum);
    }
    let name = text(&block[NAME]).ok_or(HeaderError::Field("name"))?.to_owned();
    if let Some(kind) = other_kind(block[KIND]) {
        return Err(HeaderError::Kind { name, kind });
    }
    for (field, range) in [("link name", LINK_NAME), ("prefix", PREFIX)] {
        if block[range].iter().any(|byte| *byte != 0) {
            return Err(HeaderError::Field(field));
        }
    }
    let length = octal(&block[SIZE]).ok_or(HeaderError::Field("size"))?;
    Ok(Header { name, length })
}

/// How many bytes follow the contents up to the next header.
pub(super) const fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}

fn put(block: &mut Block, field: Range<usize>, text: &str) {
    // What does not fit is cut; names and sizes of bundles fit by far.
    block[field].iter_mut().zip(text.bytes()).for_each(|(byte, letter)| *byte = letter);
}

/// The sum of all bytes, those of the sum itself taken for blanks.
fn checksum(block: &Block) -> u64 {
    let blanks = CHECKSUM.len() as u64 * u64::from(b' ');
    let rest = block.iter().enumerate().filter(|(at, _)| !CHECKSUM.contains(at));
    blanks + rest.map(|(_, byte)| u64::from(*byte)).sum::<u64>()
}

/// Octal digits up to the first NUL or blank, after which only such follow.
fn octal(field: &[u8]) -> Option<u64> {
    let is_end = |byte: &u8| matches!(byte, 0 | b' ');
    let digits = field.iter().position(is_end).unwrap_or(field.len());
    let (digits, rest) = field.split_at(digits);
    if digits.is_empty() || !rest.iter().all(is_end) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?, 8).ok()
}

/// Text up to the first NUL, after which only such follow.
fn text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at(end);
    rest.iter().all(|byte| *byte == 0).then(|| std::str::from_utf8(text).ok())?
}

/// What an entry is if it is no regular file.
const fn other_kind(kind: u8) -> Option<&'static str> {
    Some(match kind {
        b'0' | 0 => return None,
        b'1' => "a hard link",
        b'2' => "a symbolic link",
        b'3' | b'4' => "a device",
        b'5' => "a folder",
        b'6' => "a pipe",
        b'x' | b'g' => "a PAX extension",
        b'L' | b'K' => "a GNU extension for long names",
        b'S' => "a sparse file",
        _ => "of an unknown kind",
    })
}
