//! How large the programs are that users have, and what building the plugin costs them.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Context, Result};
use crate::{check, images, timings};

/// What both may have at most, in MiB, and the installation in minutes of CPU.
const AIMS: [f64; 3] = [15.0, 6.0, 8.0];

const MEBIBYTE: f64 = 1_048_576.0;

const ABOUT: &str = "Written by `cargo lab bench size`. The plugin as `cargo install` makes it, from nothing but fetched sources; \
the agent as its image has it, static.\n";

/// What was measured.
#[derive(Debug)]
pub(super) struct Sizes {
    plugin_bytes: u64,
    agent_bytes: u64,
    install_cpu: Duration,
    install_took: Duration,
}

/// Installs the plugin into a folder of its own, and builds the agent.
pub(super) fn measure() -> Result<Sizes> {
    let folder = check::target_folder()?.join("install");
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context(|| format!("cannot remove {}", folder.display()))?;
    }
    let (root, build) =
        (folder.join("root").display().to_string(), folder.join("build").display().to_string());
    let install = [
        "install",
        "--quiet",
        "--locked",
        "--path",
        "kubectl-rocketmq",
        "--root",
        &root,
        "--target-dir",
        &build,
    ];
    check::cargo_run(&["fetch", "--locked"]).shown()?;
    let (start, cpu) = (Instant::now(), timings::used_so_far());
    check::cargo_run(&install).shown()?;
    let (install_took, install_cpu) = (start.elapsed(), timings::used_so_far().saturating_sub(cpu));
    let agent = images::compile_agent(images::Profile::Release)?;
    Ok(Sizes {
        plugin_bytes: bytes(&folder.join("root/bin/kubectl-rocketmq"))?,
        agent_bytes: bytes(&agent)?,
        install_cpu,
        install_took,
    })
}

fn bytes(program: &Path) -> Result<u64> {
    let found = std::fs::metadata(program).context(|| format!("cannot look at {}", program.display()))?;
    Ok(found.len())
}

/// As a section of the page.
pub(super) fn section(sizes: &Sizes) -> String {
    let mebibytes = |bytes: u64| bytes as f64 / MEBIBYTE;
    let minutes = |time: Duration| time.as_secs_f64() / 60.0;
    let [plugin, agent, install] = AIMS;
    format!(
        "{ABOUT}\n| what | measured | at most |\n|---|---|---|\n\
         | `kubectl-rocketmq` | {:.1} MiB | {plugin} MiB |\n\
         | `rocketmq-agent` | {:.1} MiB | {agent} MiB |\n\
         | `cargo install`, all processors together | {:.1} min | {install} min |\n\
         | `cargo install`, from its start to its end | {:.1} min | |\n",
        mebibytes(sizes.plugin_bytes),
        mebibytes(sizes.agent_bytes),
        minutes(sizes.install_cpu),
        minutes(sizes.install_took)
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn sizes_are_shown_beside_what_they_may_be() {
        let sizes = Sizes {
            plugin_bytes: 10 << 20,
            agent_bytes: 5 << 20,
            install_cpu: Duration::from_secs(270),
            install_took: Duration::from_secs(150),
        };
        let table = section(&sizes);
        assert_snapshot!(table.strip_prefix(ABOUT).unwrap(), @r"

        | what | measured | at most |
        |---|---|---|
        | `kubectl-rocketmq` | 10.0 MiB | 15 MiB |
        | `rocketmq-agent` | 5.0 MiB | 6 MiB |
        | `cargo install`, all processors together | 4.5 min | 8 min |
        | `cargo install`, from its start to its end | 2.5 min | |
        ");
    }
}
