//! One stream with everything that a broker hands to another: a ustar archive with the manifest first and then RocketMQ's
//! files. The same tables make the same bytes. Whatever is not exactly that is refused with its reason: whoever reads a
//! bundle writes files of a broker from it.

mod read;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};

pub use self::read::{BundleError, Limits, read, read_entries};

use crate::metadata::digest::{Sum, Summing};
use crate::metadata::files::TableWriter;
use crate::metadata::manifest::{MANIFEST_FILE, Manifest};
use crate::metadata::{Metadata, Origin, Table, ustar};

/// Writes a bundle from files whose lengths and digests are known.
pub struct BundleWriter<W: Write> {
    archive: tar::Builder<Summing<W>>,
    /// The files that are to come, the next one last.
    missing: Vec<(String, u64)>,
}

impl<W: Write> BundleWriter<W> {
    /// Begins a bundle of these files.
    ///
    /// # Errors
    /// If `out` fails.
    pub fn new(out: W, manifest: &Manifest) -> io::Result<Self> {
        let text = serde_json::to_vec(manifest)?;
        let missing = manifest.files.iter().rev().map(|file| (file.name.clone(), file.length)).collect();
        let mut writer = Self { archive: tar::Builder::new(Summing::new(out)), missing };
        writer.entry(MANIFEST_FILE, text.len() as u64, text.as_slice())?;
        Ok(writer)
    }

    /// Adds the next file of the manifest.
    ///
    /// # Errors
    /// If it is another one, `content` is not as long as the manifest says, or one of both fails.
    pub fn file(&mut self, table: Table, content: impl Read) -> io::Result<()> {
        match self.missing.pop() {
            Some((name, length)) if name == table.file_name() => self.entry(&name, length, content),
            _ => Err(unexpected(format!("{} is not the next file of the manifest", table.file_name()))),
        }
    }

    /// Ends the bundle.
    ///
    /// # Errors
    /// If files of the manifest are missing, or `out` fails.
    pub fn finish(mut self) -> io::Result<(W, Sum)> {
        if let Some((name, _)) = self.missing.pop() {
            return Err(unexpected(format!("{name} is missing")));
        }
        let mut out = self.archive.into_inner()?;
        out.flush()?;
        Ok(out.finish())
    }

    fn entry(&mut self, name: &str, length: u64, content: impl Read) -> io::Result<()> {
        // One byte more tells a file that is too long.
        let mut content = content.take(length + 1);
        self.archive.append(&ustar::header(name, length)?, &mut content)?;
        if content.limit() != 1 {
            return Err(unexpected(format!("{name} has not the {length} bytes that the manifest says")));
        }
        Ok(())
    }
}

impl<W: Write + fmt::Debug> fmt::Debug for BundleWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `tar::Builder` has no such form.
        f.debug_struct("BundleWriter")
            .field("out", self.archive.get_ref())
            .field("missing", &self.missing)
            .finish()
    }
}

fn unexpected(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, reason)
}

/// Writes tables that are held whole as a bundle. It says that it is sanitised if it is.
///
/// # Errors
/// If `out` fails, or a file would become too large, see [`crate::metadata::files::FILE_LIMIT`].
pub fn write(out: impl Write, metadata: &Metadata, origin: &Origin, now_millis: u64) -> io::Result<Sum> {
    let mut files = BTreeMap::new();
    for table in Table::ALL {
        let entries = metadata.entries(table);
        // 4.x has no such file.
        if table == Table::RequestModes && entries.is_empty() && !origin.version.has_request_modes() {
            continue;
        }
        let mut writer = TableWriter::new(table, Vec::new(), now_millis)?;
        entries.iter().try_for_each(|entry| writer.add(entry))?;
        files.insert(table, writer.finish()?.0);
    }
    pack(out, origin, metadata.is_sanitised(origin), &files)
}

/// Packs files that are held whole as a bundle.
///
/// # Errors
/// If `out` fails.
pub fn pack(
    out: impl Write,
    origin: &Origin,
    sanitised: bool,
    files: &BTreeMap<Table, Vec<u8>>,
) -> io::Result<Sum> {
    let sums: Vec<_> = files.iter().map(|(table, content)| (*table, Sum::of(content))).collect();
    let mut bundle = BundleWriter::new(out, &Manifest::new(origin, sanitised, &sums))?;
    files.iter().try_for_each(|(table, content)| bundle.file(*table, content.as_slice()))?;
    Ok(bundle.finish()?.1)
}

#[cfg(test)]
mod tests;
