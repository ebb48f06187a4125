//! What a cluster looks like after an operation: the proof, who still holds bridges, the list for clients.

use std::time::Duration;

use agents::types::Owner;
use futures::future::join_all;

use crate::error::{ErrorKind, OpsError};
use crate::matrix::Matrix;
use crate::members::{broker_pods, route_matrix};
use crate::operations::known::Known;
use crate::progress::Interrupt;
use crate::report::{Bridge, OperationReport};
use crate::wait::until_next_look;
use crate::world::{World, WorldError};

/// A broker's own registration arrives 150 s after a change of its list at most.
const OWNED_WITHIN: Duration = Duration::from_secs(240);

/// What is there after an operation. Nothing of a cluster that is gone.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Aftermath {
    /// What every name server says of every broker; absent where no name server has an agent.
    pub(crate) matrix: Option<Matrix>,
    /// Registrations that bridges hold.
    pub(crate) bridges: Vec<Bridge>,
    /// The list for clients.
    pub(crate) clients_name_servers: Option<String>,
}

impl Aftermath {
    /// Reads it.
    pub(crate) async fn read<W: World>(world: &W, cluster: &str) -> Result<Self, WorldError> {
        let Some(record) = world.record(cluster).await? else { return Ok(Self::default()) };
        let known = Known::of(world.namespace(), record).map_err(|error| WorldError::new(error.message))?;
        let stateful_sets = known.followers().stateful_sets();
        let matrix = match known.name_server_set() {
            None => None,
            Some(set) => Some(route_matrix(world, &world.pods(&set).await?, &stateful_sets).await?),
        };
        let list = known.record.name_servers.as_ref();
        Ok(Self {
            matrix,
            bridges: bridges(world, &stateful_sets).await?,
            clients_name_servers: list.map(|list| list.namesrv_addr()).filter(|list| !list.is_empty()),
        })
    }
}

/// The registrations that bridges hold. A broker that cannot be asked is shown as such by `status`.
pub(crate) async fn bridges<W: World>(
    world: &W,
    stateful_sets: &[String],
) -> Result<Vec<Bridge>, WorldError> {
    let pods = broker_pods(world, stateful_sets).await?;
    let described = join_all(pods.iter().map(|pod| world.describe(pod))).await;
    let mut bridges = Vec::new();
    for (pod, described) in pods.iter().zip(described) {
        let list = described.ok().and_then(|described| described.list);
        let registrations = list.map(|list| list.registrations).unwrap_or_default();
        bridges.extend(
            registrations
                .into_iter()
                .filter(|held| held.owner == Owner::Bridge)
                .map(|held| Bridge { pod: pod.name.clone(), name_server: held.name_server }),
        );
    }
    bridges.sort();
    Ok(bridges)
}

/// Waits until no bridge is left in any cluster of the reports, and brings the reports up to date.
///
/// # Errors
/// `GaveUp` at the deadline or when interrupted: the brokers get there by themselves.
pub(crate) async fn await_owned<W: World>(
    world: &W,
    reports: &mut [OperationReport],
    interrupt: &Interrupt,
    namespace: &str,
) -> Result<(), OpsError> {
    let start = world.elapsed();
    for report in reports {
        loop {
            let after = Aftermath::read(world, &report.cluster).await?;
            report.matrix = after.matrix;
            report.bridges = after.bridges;
            let Some(first) = report.bridges.first() else { break };
            let left = format!(
                "{} registration(s) are held by bridges, that of `{}` at `{}` among them",
                report.bridges.len(),
                first.pod,
                first.name_server
            );
            let waited = world.elapsed().saturating_sub(start);
            let over = waited >= OWNED_WITHIN;
            if let Some(reason) = interrupt.reason().or_else(|| over.then(|| left.clone())) {
                let mut error = OpsError::new(
                    ErrorKind::GaveUp,
                    format!(
                        "gave up waiting for the own registrations of cluster `{}`'s brokers",
                        report.cluster
                    ),
                );
                error.causes.push(reason);
                return Err(error
                    .state(format!("operation {} is done, the routes are whole; {left}", report.operation))
                    .hint(format!("kubectl rocketmq status {} -n {namespace}", report.cluster)));
            }
            world.waiting_for(&format!("every broker's own registration: {left}"));
            world.pause(until_next_look(waited)).await;
        }
    }
    Ok(())
}
