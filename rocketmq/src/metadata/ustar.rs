//! Headers of ustar archives (POSIX.1-1988), for regular files with short names and nothing else: those of the `tar` crate,
//! held to stricter rules.
//!
//! Bundles are written by its `Builder`, but not read by its `Archive`. That passes over the bytes between two entries and
//! after the first block of zeros without a look, takes an end without any block of zeros for a good one, and has one kind
//! of error for a file that is no archive, a damaged header and a size that is none.

use std::io::{self, Write as _};

use tar::{EntryType, Header};

/// What headers and the contents of files are padded to.
pub(super) const BLOCK: usize = 512;

/// The bytes of a header.
pub(super) type Block = [u8; BLOCK];

/// The file that a header announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Announced {
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
///
/// # Errors
/// If the name does not fit.
pub(super) fn header(name: &str, length: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(length);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(EntryType::Regular);
    header.set_cksum();
    // `tar` programs write a checksum as six digits, NUL and blank, the crate as seven digits and NUL. Bundles have always
    // had the former, and their bytes stay as they are.
    let checksum = header.cksum()?;
    write!(&mut header.as_old_mut().cksum[..], "{checksum:06o}\0 ")?;
    Ok(header)
}

/// Reads a header. Mode, owner and time are nobody's business here.
pub(super) fn read(block: &Block) -> Result<Announced, HeaderError> {
    let header = Header::from_byte_slice(block);
    let ustar = header.as_ustar().ok_or(HeaderError::Magic)?;
    let checksum = number(&ustar.cksum, || header.cksum());
    if checksum.is_none() || checksum != right_checksum(header) {
        return Err(HeaderError::Checksum);
    }
    let name = text(&ustar.name).ok_or(HeaderError::Field("name"))?.to_owned();
    if let Some(kind) = other_kind(header.entry_type()) {
        return Err(HeaderError::Kind { name, kind });
    }
    for (field, bytes) in [("link name", &ustar.linkname[..]), ("prefix", &ustar.prefix[..])] {
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(HeaderError::Field(field));
        }
    }
    let length = number(&ustar.size, || header.entry_size()).ok_or(HeaderError::Field("size"))?;
    Ok(Announced { name, length })
}

/// How many bytes follow the contents up to the next header.
pub(super) const fn padding(length: u64) -> u64 {
    length.wrapping_neg() % BLOCK as u64
}

/// What the checksum of a header should be.
fn right_checksum(header: &Header) -> Option<u32> {
    let mut right = header.clone();
    right.set_cksum();
    right.cksum().ok()
}

/// The number of a field that has octal digits, and then NULs and blanks alone. The crate takes base 256, a sign, blanks
/// before the digits, and anything after a NUL too.
fn number<N>(field: &[u8], read: impl FnOnce() -> io::Result<N>) -> Option<N> {
    let mut rest = field.iter().skip_while(|byte| matches!(byte, b'0'..=b'7'));
    rest.all(|byte| matches!(byte, 0 | b' ')).then(|| read().ok())?
}

/// Text up to the first NUL, after which only such follow.
fn text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at(end);
    rest.iter().all(|byte| *byte == 0).then(|| std::str::from_utf8(text).ok())?
}

/// What an entry is if it is no regular file.
const fn other_kind(kind: EntryType) -> Option<&'static str> {
    Some(match kind {
        EntryType::Regular => return None,
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Directory => "a folder",
        EntryType::Fifo => "a pipe",
        EntryType::XHeader | EntryType::XGlobalHeader => "a PAX extension",
        EntryType::GNULongName | EntryType::GNULongLink => "a GNU extension for long names",
        EntryType::GNUSparse => "a sparse file",
        _ => "of an unknown kind",
    })
}
