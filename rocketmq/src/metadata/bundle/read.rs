//! Reading a bundle, from whoever made it.

use std::collections::BTreeSet;
use std::io::{self, Read};

use data_encoding::HEXLOWER;

use crate::metadata::digest::Summing;
use crate::metadata::files::{self, FILE_LIMIT, FileError};
use crate::metadata::manifest::{FORMAT, MANIFEST_FILE, Manifest, ManifestFile};
use crate::metadata::ustar::{self, Announced, BLOCK, Block, HeaderError};
use crate::metadata::{Metadata, Table};
use crate::text::printable;

/// The largest manifest: it names four files at most.
const MANIFEST_LIMIT: u64 = 64 << 10;

/// How many bytes of zeros may follow the end: `tar` fills up to its blocking factor.
const TRAILING_LIMIT: u64 = 1 << 20;

/// How large a bundle may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Each file, in bytes.
    pub file_bytes: u64,
    /// All of it, headers and padding too, in bytes.
    pub total_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: FILE_LIMIT, total_bytes: 4 * FILE_LIMIT }
    }
}

/// Why a bundle is refused.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Its bytes cannot be had.
    #[error("bundle cannot be read")]
    Read(#[from] io::Error),
    /// It ends too early.
    #[error("bundle is cut off: it ends in the middle")]
    Truncated,
    /// Where a header should be is none of ustar.
    #[error(
        "it is no bundle of metadata, or was packed again by another program: no ustar header where one should be"
    )]
    NotUstar,
    /// A header is damaged.
    #[error("bundle is damaged: the checksum of a header is wrong")]
    Checksum,
    /// A header says what it must not.
    #[error("bundle has a header with a malformed {0}")]
    Header(&'static str),
    /// An entry is no regular file.
    #[error("bundle has `{}`, which is {kind}; only regular files are taken", printable(name))]
    Kind {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// An entry has a name that no file of a bundle has.
    #[error("bundle has `{}`, which is no file of a bundle", printable(.0))]
    Name(String),
    /// An entry is there twice.
    #[error("bundle has {0} twice")]
    Twice(String),
    /// The manifest is not where it must be.
    #[error("bundle begins with `{}` instead of {MANIFEST_FILE}", printable(.0))]
    ManifestNotFirst(String),
    /// A file is too large.
    #[error("{name} in the bundle has {bytes} bytes, {limit} are allowed")]
    FileTooLarge {
        /// Which.
        name: String,
        /// What its header says.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The bundle is too large.
    #[error("bundle has more than the {0} bytes that are allowed")]
    TooLarge(u64),
    /// Between files or after the end is something.
    #[error("bundle has hidden bytes {0}")]
    Hidden(&'static str),
    /// The manifest cannot be read.
    #[error("{MANIFEST_FILE} of the bundle cannot be read: {0}")]
    Manifest(String),
    /// The bundle is of another version of this program.
    #[error("bundle has format {0}; this version reads format {FORMAT}")]
    Format(u32),
    /// The manifest does not name a file.
    #[error("bundle has {0}, which its manifest does not name")]
    Unlisted(String),
    /// A file is not there.
    #[error("bundle has no {0}")]
    Missing(String),
    /// A file is not as long as the manifest says.
    #[error("{name} in the bundle has {bytes} bytes, its manifest says {expected}")]
    Length {
        /// Which.
        name: String,
        /// What its header says.
        bytes: u64,
        /// What the manifest says.
        expected: u64,
    },
    /// A file is not what the manifest says.
    #[error("bundle is damaged: {0} has another SHA-256 than its manifest says")]
    Digest(String),
    /// A file is no table of RocketMQ, or has what it must not have.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<HeaderError> for BundleError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::Magic => Self::NotUstar,
            HeaderError::Checksum => Self::Checksum,
            HeaderError::Field(field) => Self::Header(field),
            HeaderError::Kind { name, kind } => Self::Kind { name, kind },
        }
    }
}

/// Reads a bundle and gives each file of it to `each`, with the manifest. What a file holds is proved only when all of
/// this has come to its end: until then `each` must not let it take effect.
///
/// # Errors
/// If the bundle is not exactly what it should be, and whatever `each` says.
pub fn read_entries<E: From<BundleError>>(
    reader: impl Read,
    limits: &Limits,
    mut each: impl FnMut(&Manifest, Table, &mut dyn Read) -> Result<(), E>,
) -> Result<Manifest, E> {
    let mut archive = Archive { reader, limit: limits.total_bytes, used: 0 };
    let manifest = manifest(&mut archive, limits)?;
    let mut seen = BTreeSet::new();
    while let Some(header) = archive.header()? {
        let (table, file) = expected(&header, &manifest, limits, &mut seen)?;
        let mut content = Summing::new(archive.content(header.length)?);
        let visited = each(&manifest, table, &mut content);
        // What fails here has failed in `content`, which tells.
        let _ = io::copy(&mut content, &mut io::sink());
        let (content, sum) = content.finish();
        // Whatever `each` made of a file that is cut off or damaged: that it is so is the reason.
        if let Some(failure) = content.failure {
            return Err(failure.into());
        }
        if HEXLOWER.encode(&sum.sha256) != file.sha256 {
            return Err(BundleError::Digest(header.name).into());
        }
        visited?;
        archive.padding(header.length)?;
    }
    let absent = manifest.files.iter().find(|file| !seen.contains(file.name.as_str()));
    if let Some(file) = absent {
        return Err(BundleError::Missing(file.name.clone()).into());
    }
    Ok(manifest)
}

/// Reads a bundle whole, every entry checked.
///
/// # Errors
/// If it is not exactly what it should be.
pub fn read(reader: impl Read) -> Result<(Manifest, Metadata), BundleError> {
    let mut metadata = Metadata::default();
    let manifest = read_entries(reader, &Limits::default(), |manifest, table, content| {
        files::read(table, manifest, content, |entry| {
            metadata.insert(entry);
            Ok::<_, BundleError>(())
        })
    })?;
    Ok((manifest, metadata))
}

fn manifest<R: Read>(archive: &mut Archive<R>, limits: &Limits) -> Result<Manifest, BundleError> {
    let Some(header) = archive.header()? else { return Err(BundleError::Missing(MANIFEST_FILE.to_owned())) };
    if header.name != MANIFEST_FILE {
        return Err(BundleError::ManifestNotFirst(header.name));
    }
    within(&header, MANIFEST_LIMIT)?;
    let mut text = Vec::new();
    let mut content = archive.content(header.length)?;
    let _ = content.read_to_end(&mut text);
    if let Some(failure) = content.failure {
        return Err(failure);
    }
    archive.padding(header.length)?;
    Manifest::read(&text, limits.file_bytes)
}

/// The file of the manifest that a header announces, if there may be one here.
fn expected<'m>(
    header: &Announced,
    manifest: &'m Manifest,
    limits: &Limits,
    seen: &mut BTreeSet<&'m str>,
) -> Result<(Table, &'m ManifestFile), BundleError> {
    let name = &header.name;
    if name == MANIFEST_FILE {
        return Err(BundleError::Twice(name.clone()));
    }
    let table = Table::of_file(name).ok_or_else(|| BundleError::Name(name.clone()))?;
    let file = manifest.files.iter().find(|file| file.name == *name);
    let file = file.ok_or_else(|| BundleError::Unlisted(name.clone()))?;
    if !seen.insert(&file.name) {
        return Err(BundleError::Twice(name.clone()));
    }
    within(header, limits.file_bytes)?;
    if header.length != file.length {
        return Err(BundleError::Length { name: name.clone(), bytes: header.length, expected: file.length });
    }
    Ok((table, file))
}

fn within(header: &Announced, limit: u64) -> Result<(), BundleError> {
    if header.length <= limit {
        return Ok(());
    }
    Err(BundleError::FileTooLarge { name: header.name.clone(), bytes: header.length, limit })
}

/// The archive up to where it has been read.
struct Archive<R> {
    reader: R,
    limit: u64,
    used: u64,
}

impl<R: Read> Archive<R> {
    /// The next header; `None` at the end, after which nothing follows.
    fn header(&mut self) -> Result<Option<Announced>, BundleError> {
        let block = self.block()?;
        if block != [0; BLOCK] {
            return Ok(Some(ustar::read(&block)?));
        }
        if self.block()? != [0; BLOCK] {
            return Err(BundleError::Hidden("at its end"));
        }
        self.nothing_follows()?;
        Ok(None)
    }

    fn block(&mut self) -> Result<Block, BundleError> {
        self.take(BLOCK as u64)?;
        let mut block = [0; BLOCK];
        self.reader.read_exact(&mut block).map_err(ended)?;
        Ok(block)
    }

    fn content(&mut self, length: u64) -> Result<Content<'_, R>, BundleError> {
        self.take(length)?;
        Ok(Content { reader: &mut self.reader, left: length, failure: None })
    }

    fn padding(&mut self, length: u64) -> Result<(), BundleError> {
        let length = ustar::padding(length);
        self.take(length)?;
        let mut rest = Vec::new();
        (&mut self.reader).take(length).read_to_end(&mut rest)?;
        if (rest.len() as u64) < length {
            return Err(BundleError::Truncated);
        }
        if rest.iter().any(|byte| *byte != 0) {
            return Err(BundleError::Hidden("between its files"));
        }
        Ok(())
    }

    fn nothing_follows(&mut self) -> Result<(), BundleError> {
        let mut block = [0; BLOCK];
        let mut followed = 0;
        loop {
            let read = match self.reader.read(&mut block) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            followed += read as u64;
            if followed > TRAILING_LIMIT || block[..read].iter().any(|byte| *byte != 0) {
                return Err(BundleError::Hidden("after its end"));
            }
        }
    }

    /// Counts bytes that are about to be read.
    fn take(&mut self, bytes: u64) -> Result<(), BundleError> {
        self.used = self.used.saturating_add(bytes);
        if self.used > self.limit { Err(BundleError::TooLarge(self.limit)) } else { Ok(()) }
    }
}

fn ended(error: io::Error) -> BundleError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => BundleError::Truncated,
        _ => error.into(),
    }
}

/// What a file holds. Its failure is kept here, since whoever reads it may make another error of it.
struct Content<'a, R> {
    reader: &'a mut R,
    left: u64,
    failure: Option<BundleError>,
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        match self.reader.read(&mut buffer[..most]) {
            Ok(0) => {
                self.failure = Some(BundleError::Truncated);
                Err(io::ErrorKind::UnexpectedEof.into())
            }
            Ok(read) => {
                self.left -= read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let again = io::Error::from(error.kind());
                self.failure = Some(error.into());
                Err(again)
            }
        }
    }
}
