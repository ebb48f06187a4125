//! `cargo lab bench`: measurements on a real Kubernetes and real RocketMQ of this machine. What was measured is printed,
//! written into `docs/bench.md`, and left as JSON in `target/bench` where it is much.

mod agents;
mod measure;
mod page;
mod size;

use clap::Args;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::scene;
use crate::error::{Context, Result};
use crate::home::{self, Home};
use crate::together::together;
use crate::{check, images, progress, sections, suite};

/// Where measurements are told.
const PAGE: &str = "docs/bench.md";
const ABOUT: &str = "# Measurements

Written by `cargo lab bench`, which measures again. Each section is of the commit that it names.
";

/// The version of RocketMQ that is measured.
const VERSION: &str = "5.3.3";

/// How much a broker holds.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Size {
    /// Topics of the source.
    #[arg(long, default_value_t = Size::FULL.topics)]
    topics: usize,
    /// Its subscription groups.
    #[arg(long, default_value_t = Size::FULL.groups)]
    groups: usize,
}

impl Size {
    /// Nearly what a registration can carry: topics of 194 bytes each, and 15 MiB for all of them.
    const FULL: Self = Self { topics: 80_000, groups: 20_000 };
}

/// Brings the metadata of a large broker to a new one, and tells how long each part took.
///
/// # Errors
/// When the lab does not come up, the scale-out fails, or something cannot be measured.
pub fn metadata(home: &Home, size: &Size) -> Result<()> {
    let prepare = || suite::quiet_cluster_with_images(home, &[VERSION]);
    let compile = || Ok((check::build_release_cli()?, images::compile_agent(images::Profile::Release)?));
    // The lock is kept to the end: nobody shall take the cluster from under the measurement.
    let (lock, (plugin, agent)) = together(prepare, compile)?;
    images::publish_agent(home, &agent, &lock)?;
    let namespace = scene::namespace("bench", "metadata");
    let kubectl = Kubectl::with_plugin(home, home.kubeconfig(), plugin, &namespace)?;
    let measured = scene::on_stage("bench-metadata", kubectl, |scene| measure::measure(scene, size))?;

    progress::answer(page::tables(&measured));
    let folder = home::repository().join("target/bench");
    home::make_folder(&folder)?;
    let json = serde_json::to_string_pretty(&measured).context(|| "the measurement is no JSON")?;
    let file = folder.join("metadata.json");
    home::write_file(&file, json + "\n")?;
    progress::note(format!("as JSON in {}", file.display()));
    if *size == Size::FULL {
        write(page::TITLE, &page::section(&measured))?;
    }
    Ok(())
}

/// Measures the programs that users have, and how long they build the plugin.
///
/// # Errors
/// When something does not build.
pub fn size() -> Result<()> {
    let section = size::section(&size::measure()?);
    progress::answer(&section);
    write("Size of the programs", &section)
}

fn write(title: &str, section: &str) -> Result<()> {
    let commit = sections::commit(PAGE)?;
    sections::write(PAGE, ABOUT, title, &format!("At commit {commit}. {section}"))
}
