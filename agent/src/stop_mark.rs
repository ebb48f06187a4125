//! The mark of a stop: a file that the preStop hook makes beside broker.conf before it stops a broker. 5.x leaves
//! every name server at once but lives 7 to 15 s more, and the sidecar outlives it, so a bridge in that time would
//! bring a dying broker back into the routes.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use crate::atomic_file;

/// The mark of a stop.
#[derive(Debug, Clone)]
pub struct StopMark {
    file: PathBuf,
}

impl StopMark {
    /// The mark that this file is.
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// True if the broker that was started at this time is to be stopped. A mark from before that start meant an
    /// earlier process and is removed. Both times are of the node's clock, and a doubt counts as a stop.
    pub fn is_set_for(&self, boot_timestamp_millis: u64) -> bool {
        let marked = match fs::metadata(&self.file).and_then(|metadata| metadata.modified()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return false,
            other => other.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()),
        };
        let is_former = marked.is_some_and(|marked| marked.as_millis() < u128::from(boot_timestamp_millis));
        if !is_former {
            return true;
        }
        match atomic_file::remove(&self.file) {
            Ok(()) => tracing::info!("the mark of an earlier stop is removed"),
            Err(error) => tracing::warn!(%error, "the mark of an earlier stop"),
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_for_the_process_that_it_was_made_for_and_goes_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("stopping");
        let mark = StopMark::new(file.clone());
        assert!(!mark.is_set_for(1));
        fs::write(&file, "").unwrap();
        let made = fs::metadata(&file).unwrap().modified().unwrap();
        let made = u64::try_from(made.duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();

        assert!(mark.is_set_for(made - 60_000));
        assert!(mark.is_set_for(0), "an unknown start counts as a stop");
        assert!(!mark.is_set_for(made + 60_000));
        assert!(!file.exists());
    }
}
