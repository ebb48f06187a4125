//! What a bundle says of itself, in its first entry.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

use crate::metadata::bundle::BundleError;
use crate::metadata::digest::Sum;
use crate::metadata::{Origin, Table};
use crate::model::version::Version;
use crate::text::printable;

/// The name of that entry.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 1;

/// Tables that every bundle has; request modes are of 5.x only.
const NEEDED: [Table; 3] = [Table::Topics, Table::Groups, Table::Offsets];

/// The longest name of a cluster or a broker.
const LONGEST_NAME: usize = 255;

/// What every format has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The manifest of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// `brokerClusterName` of the source.
    pub cluster: String,
    /// `brokerName` of the source.
    pub broker_name: String,
    /// The source's version.
    pub version: Version,
    /// True if nothing is in it that a broker makes for itself.
    pub sanitised: bool,
    /// The files that follow, in their order.
    pub files: Vec<ManifestFile>,
}

/// One file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestFile {
    /// [`Table::file_name`].
    pub name: String,
    /// Its bytes.
    pub length: u64,
    /// Their SHA-256, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Of a bundle of these files.
    #[must_use]
    pub fn new(origin: &Origin, sanitised: bool, files: &[(Table, Sum)]) -> Self {
        Self {
            format: FORMAT,
            cluster: origin.cluster.clone(),
            broker_name: origin.broker_name.clone(),
            version: origin.version,
            sanitised,
            files: files.iter().map(|(table, sum)| ManifestFile::new(*table, sum)).collect(),
        }
    }

    /// Reads a manifest and checks that it can be true.
    pub(super) fn read(text: &[u8], file_limit: u64) -> Result<Self, BundleError> {
        let unreadable = |error: serde_json::Error| BundleError::Manifest(error.to_string());
        let Format { format } = serde_json::from_slice(text).map_err(unreadable)?;
        if format != FORMAT {
            return Err(BundleError::Format(format));
        }
        let manifest: Self = serde_json::from_slice(text).map_err(unreadable)?;
        manifest.check(file_limit).map_err(BundleError::Manifest)?;
        let named = |table: Table| manifest.files.iter().any(|file| file.name == table.file_name());
        match NEEDED.into_iter().find(|table| !named(*table)) {
            Some(table) => Err(BundleError::Missing(table.file_name().to_owned())),
            None => Ok(manifest),
        }
    }

    fn check(&self, file_limit: u64) -> Result<(), String> {
        for (field, name) in [("cluster", &self.cluster), ("brokerName", &self.broker_name)] {
            // They are printed, and a terminal does what control characters say.
            if name.is_empty() || name.len() > LONGEST_NAME || name.chars().any(char::is_control) {
                return Err(format!("its {field} is no name"));
            }
        }
        for (at, file) in self.files.iter().enumerate() {
            let name = printable(&file.name);
            if Table::of_file(&file.name).is_none() {
                return Err(format!("it names `{name}`, which is no file of a bundle"));
            }
            if self.files[..at].iter().any(|earlier| earlier.name == file.name) {
                return Err(format!("it names {name} twice"));
            }
            if file.length > file_limit {
                return Err(format!(
                    "it says that {name} has {} bytes, {file_limit} are allowed",
                    file.length
                ));
            }
            let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            if file.sha256.len() != 64 || !file.sha256.bytes().all(is_digit) {
                return Err(format!("the sha256 of {name} is none"));
            }
        }
        Ok(())
    }

    /// Where the tables come from.
    #[must_use]
    pub fn origin(&self) -> Origin {
        Origin { cluster: self.cluster.clone(), broker_name: self.broker_name.clone(), version: self.version }
    }
}

impl ManifestFile {
    fn new(table: Table, sum: &Sum) -> Self {
        Self { name: table.file_name().to_owned(), length: sum.bytes, sha256: HEXLOWER.encode(&sum.sha256) }
    }
}
