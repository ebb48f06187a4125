//! A volume of a few MiB: a tmpfs in a folder of the test's own.

use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;

use crate::cluster::storage;
use crate::error::{Context, Result};

/// What fills it up.
const BALLAST: &str = "ballast";

/// A mounted one. It is unmounted with its test; pods that still use it keep it alive.
#[derive(Debug)]
pub struct SmallVolume {
    folder: PathBuf,
}

impl SmallVolume {
    /// Makes one of so many MiB that belongs to RocketMQ's user.
    ///
    /// # Errors
    /// When it cannot be mounted: only root may.
    pub fn mount(folder: &Path, mib: u64) -> Result<Self> {
        storage::prepare_host_path(folder)?;
        let size = format!("size={mib}m");
        mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::empty(), Some(size.as_str()))
            .context(|| format!("cannot mount {}", folder.display()))?;
        let volume = Self { folder: folder.to_path_buf() };
        storage::prepare_host_path(folder)?;
        Ok(volume)
    }

    /// Fills it up until so many MiB are free.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn fill(&self, free_mib: u64) -> Result<()> {
        let unreadable = || format!("cannot see how full {} is", self.folder.display());
        let room = statvfs(&self.folder).context(unreadable)?;
        let free = room.blocks_available() * room.fragment_size();
        let bytes = usize::try_from(free.saturating_sub(free_mib << 20)).context(unreadable)?;
        // Zeros take room of a tmpfs like anything else.
        std::fs::write(self.ballast(), vec![0; bytes])
            .context(|| format!("cannot write {}", self.ballast().display()))
    }

    /// Takes away what filled it up.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn empty(&self) -> Result<()> {
        std::fs::remove_file(self.ballast()).context(|| format!("cannot remove {}", self.ballast().display()))
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join(BALLAST)
    }
}

impl Drop for SmallVolume {
    fn drop(&mut self) {
        // Before the test's folder is removed: the removal would go on into the volume.
        let _ = umount2(&self.folder, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
    }
}
