//! One lock per machine, so that two labs are never started, changed or taken down at once.
//! The kernel frees it when its holder ends, however it ends.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::Duration;

use crate::error::{Context, LabError, Result};
use crate::home::{self, MACHINE};
use crate::wait::{self, Look};

const DEADLINE: Duration = Duration::from_secs(45 * 60);

/// The lab is ours alone while this lives.
#[derive(Debug)]
pub struct LabLock {
    _file: File,
}

/// Takes the machine's lab lock; waits for another holder and says who it is.
///
/// # Errors
/// When the lock file cannot be made, or another run holds it past the deadline.
pub fn acquire() -> Result<LabLock> {
    home::make_folder(Path::new(MACHINE))?;
    acquire_file(&Path::new(MACHINE).join("lock"), DEADLINE)
}

fn acquire_file(path: &Path, deadline: Duration) -> Result<LabLock> {
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .context(|| format!("cannot open {}", path.display()))?;
    wait::until("the lab's lock", deadline, || match file.try_lock() {
        Ok(()) => Look::Ready(()),
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.rewind().and_then(|()| file.read_to_string(&mut holder));
            Look::NotYet(format!("another `cargo lab` (process {}) holds it", holder.trim()))
        }
        Err(TryLockError::Error(error)) => {
            Look::Never(LabError::new(format!("cannot lock {}", path.display())).because(error))
        }
    })?;
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| write!(file, "{}", std::process::id()))
        .context(|| format!("cannot write {}", path.display()))?;
    Ok(LabLock { _file: file })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_the_first_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let first = acquire_file(&path, Duration::ZERO).unwrap();
        let error = acquire_file(&path, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(first);
        acquire_file(&path, Duration::ZERO).unwrap();
    }
}
