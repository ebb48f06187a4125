// Generation of `src/gen`, shared by the example that writes it and the test that compares it.

use std::path::{Path, PathBuf};

/// Where the committed code lies.
pub(crate) fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/gen")
}

/// Writes the generated code into a folder.
pub(crate) fn into(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = protox::compile([root.join("rocketmq/agent/v1/agent.proto")], [root])?;
    tonic_prost_build::configure().out_dir(folder).compile_fds(files)?;
    Ok(())
}
