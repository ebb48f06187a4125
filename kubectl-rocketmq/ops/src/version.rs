//! `version`: this CLI, and what answers in the cluster.

use std::collections::BTreeMap;

use agents::types::PROTOCOL;
use futures::future::join_all;
use serde::Serialize;

use crate::error::OpsError;
use crate::live::Unproved;
use crate::members::broker_pods;
use crate::operations::known::Known;
use crate::report::API_VERSION;
use crate::session::Session;
use crate::world::World;

/// The version of this program.
pub(crate) const CLI: &str = env!("CARGO_PKG_VERSION");

/// Versions of everything that takes part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionReport {
    /// Always [`crate::report::API_VERSION`].
    pub api_version: &'static str,
    /// Always `Version`.
    pub kind: &'static str,
    /// This CLI.
    pub cli: String,
    /// The protocol versions that this CLI speaks with agents, `lowest-highest`.
    pub protocol: String,
    /// The Kubernetes API server, or why it could not be asked.
    pub kubernetes: Option<String>,
    /// Agents of the namespace, with how many have each version.
    pub agents: BTreeMap<String, usize>,
    /// What could not be asked, in words.
    pub problems: Vec<String>,
}

/// Asks the cluster for its versions; without a session only the CLI's own. What cannot be asked is a problem of the
/// report, not an error.
pub async fn facts(session: Option<&Session>) -> VersionReport {
    let mut report = VersionReport {
        api_version: API_VERSION,
        kind: "Version",
        cli: CLI.to_owned(),
        protocol: format!("{}-{}", PROTOCOL.lowest, PROTOCOL.highest),
        kubernetes: None,
        agents: BTreeMap::new(),
        problems: Vec::new(),
    };
    let Some(session) = session else { return report };
    match session.kubernetes().server_version().await {
        Ok(version) => report.kubernetes = Some(version),
        Err(error) => {
            // A cluster that does not answer is asked nothing more.
            report.problems.push(error.to_string());
            return report;
        }
    }
    if let Err(error) = ask_agents(&session.world(Unproved::Marked), &mut report).await {
        report.problems.push(error.message);
    }
    report
}

async fn ask_agents<W: World>(world: &W, report: &mut VersionReport) -> Result<(), OpsError> {
    for known in Known::all(world).await? {
        let mut stateful_sets = known.followers().stateful_sets();
        stateful_sets.extend(known.name_server_set());
        let pods = broker_pods(world, &stateful_sets).await?;
        for described in join_all(pods.iter().map(|pod| world.describe(pod))).await {
            match described {
                Ok(described) => *report.agents.entry(described.agent_version).or_insert(0) += 1,
                Err(error) => report.problems.push(error.to_string()),
            }
        }
    }
    Ok(())
}
