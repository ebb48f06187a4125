//! How much room a volume has.

use std::io;
use std::path::Path;

use proto::describe::Volume;

/// Looks at the volume that a folder lies on.
pub fn look(folder: &Path) -> io::Result<Volume> {
    let facts = nix::sys::statvfs::statvfs(folder)?;
    let bytes = |blocks: u64| blocks.saturating_mul(facts.fragment_size());
    Ok(Volume {
        path: folder.display().to_string(),
        total_bytes: bytes(facts.blocks()),
        free_bytes: bytes(facts.blocks_available()),
    })
}
