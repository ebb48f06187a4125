//! Mounts that pods and containerd leave behind. They must go before folders are removed: a removal that reached
//! through a bind mount would empty the folder on its other side.

use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, umount2};

use crate::error::{Context, LabError, Result};

// Mounts can lie on top of each other; more layers than this are no lab's doing.
const ROUNDS: usize = 20;

/// Unmounts everything below `folder`.
///
/// # Errors
/// When a mount stays.
pub(super) fn unmount_below(folder: &Path) -> Result<()> {
    for _ in 0..ROUNDS {
        let mounts = below(folder)?;
        if mounts.is_empty() {
            return Ok(());
        }
        for mount in &mounts {
            // One that went with its parent is no failure; what stays is seen in the next round.
            let _ = umount2(mount, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW);
        }
    }
    let left = below(folder)?.first().map(|mount| mount.display().to_string()).unwrap_or_default();
    Err(LabError::new(format!("cannot unmount {left}")))
}

/// Removes `folder` and all in it, when nothing is mounted there.
///
/// # Errors
/// When something is still mounted below it, or it cannot be removed.
pub(super) fn remove_folder(folder: &Path) -> Result<()> {
    unmount_below(folder)?;
    match std::fs::remove_dir_all(folder) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(LabError::new(format!("cannot remove {}", folder.display())).because(error)),
    }
}

/// Mount points below `folder`, deepest first.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let text =
        std::fs::read_to_string("/proc/self/mountinfo").context(|| "cannot read /proc/self/mountinfo")?;
    let mut mounts: Vec<PathBuf> = mount_points(&text).filter(|mount| mount.starts_with(folder)).collect();
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.as_os_str().len()));
    Ok(mounts)
}

fn mount_points(mountinfo: &str) -> impl Iterator<Item = PathBuf> + '_ {
    mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape)
}

/// The kernel writes blanks, tabs, newlines and backslashes of a path as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut path = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\').then(|| text.get(at + 1..at + 4)).flatten();
        if let Some(byte) = octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            path.push(byte);
            at += 4;
        } else {
            path.push(bytes[at]);
            at += 1;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_with_their_blanks() {
        let text = "36 35 98:0 /mnt1 /run/a\\040b rw,noatime master:1 - ext4 /dev/root rw\n37 35 0:5 / /proc rw - proc proc rw\n";
        let points: Vec<PathBuf> = mount_points(text).collect();
        assert_eq!(points, [PathBuf::from("/run/a b"), PathBuf::from("/proc")]);
    }

    #[test]
    fn a_folder_without_mounts_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("run");
        std::fs::create_dir_all(folder.join("etcd/member")).unwrap();
        remove_folder(&folder).unwrap();
        assert!(!folder.exists());
        remove_folder(&folder).unwrap();
    }
}
