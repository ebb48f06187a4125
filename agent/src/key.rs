//! The cluster's key, mounted into the agent alone. It is read at each use, so one that is mounted later counts.

use std::path::Path;

use proto::proof::ClusterKey;

use crate::atomic_file;

/// The mounted key; `None` while there is none.
pub fn mounted(file: &Path) -> Option<ClusterKey> {
    let bytes = match atomic_file::read(file) {
        Ok(bytes) => bytes?,
        Err(error) => {
            tracing::warn!(%error, reason = %error.source, "the cluster's key cannot be read");
            return None;
        }
    };
    ClusterKey::from_bytes(bytes)
        .inspect_err(|error| tracing::warn!(%error, "the mounted key is not used"))
        .ok()
}
