//! Files of bundles on this machine.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::failure::{ExitStatus, Failure};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// A bundle of tables at RocketMQ's frame limit, and some more.
const LARGEST: u64 = 256 << 20;

/// True when a word names a file rather than a pod: names of pods have no slash, and what exists is meant.
pub fn is_meant(word: &str) -> bool {
    let has_extension = Path::new(word).extension().is_some_and(|extension| extension == "tar");
    word == STANDARD_INPUT || word.contains('/') || has_extension || Path::new(word).is_file()
}

/// Reads a file or standard input; gives its name for messages too.
///
/// # Errors
/// `Usage` when it cannot be read.
pub fn read(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let shown = path.display().to_string();
    let (name, bytes) = if shown == STANDARD_INPUT {
        ("standard input".to_owned(), bounded(io::stdin()))
    } else {
        (shown, File::open(path).and_then(bounded))
    };
    match bytes {
        Ok(bytes) => Ok((name, bytes)),
        Err(error) => Err(Failure::new(ExitStatus::Usage, format!("cannot read `{name}`"))
            .cause(error.to_string())
            .state("nothing was changed")),
    }
}

fn bounded(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::other(format!("it has more than {LARGEST} bytes, as no bundle has")));
    }
    Ok(bytes)
}

/// A file that is there only once it is whole: half a bundle must not pass for one.
#[derive(Debug)]
pub struct BundleFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
    kept: bool,
}

impl BundleFile {
    /// Begins one, beside its place.
    ///
    /// # Errors
    /// `Usage` when the folder cannot be written to.
    pub fn create(path: &Path) -> Result<Self, Failure> {
        let mut part = path.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        match File::create(&part) {
            Ok(file) => Ok(Self { path: path.to_owned(), part, file, kept: false }),
            Err(error) => Err(Failure::new(ExitStatus::Usage, format!("cannot write `{}`", path.display()))
                .cause(error.to_string())),
        }
    }

    /// Fills it, and puts it in its place.
    ///
    /// # Errors
    /// `Failed` when that does not work.
    pub fn keep(mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(bytes).and_then(|()| self.file.sync_all());
        let kept = written.and_then(|()| fs::rename(&self.part, &self.path));
        self.kept = kept.is_ok();
        kept.map_err(|error| {
            Failure::new(ExitStatus::Failed, format!("cannot write `{}`", self.path.display()))
                .cause(error.to_string())
        })
    }
}

impl Drop for BundleFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed shows by its name that it is not whole.
            let _ = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_slash_or_of_a_bundle_are_files() {
        for file in ["-", "./x", "/tmp/x", "broker-0.tar"] {
            assert!(is_meant(file), "{file}");
        }
        assert!(!is_meant("broker-0-master-0"));
    }

    #[test]
    fn a_file_is_there_only_once_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("b.tar");
        drop(BundleFile::create(&path).unwrap());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

        fs::write(&path, "former").unwrap();
        let file = BundleFile::create(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "former");
        file.keep(b"whole").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_the_reason() {
        let failure = BundleFile::create(Path::new("/absent/b.tar")).unwrap_err();
        assert_eq!(failure.message, "cannot write `/absent/b.tar`");
        assert_eq!(failure.causes, ["No such file or directory (os error 2)"]);
    }
}
