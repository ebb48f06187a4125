//! Who belongs to a cluster right now: its record, its pods, and what each of them says.

use agents::types::NameServerList;
use futures::future::join_all;
use k8s::pods::Pod;
use k8s::record::Record;
use saga::StepError;

use crate::matrix::{BrokerView, Matrix, NameServerView, compare};
use crate::world::{World, WorldError};

/// The record of a cluster, or an error that names the cluster.
pub(crate) async fn required_record<W: World>(world: &W, cluster: &str) -> Result<Record, StepError> {
    world.record(cluster).await?.ok_or_else(|| {
        StepError::new(format!("cluster `{cluster}` has no record; it may be deleted already"))
    })
}

/// The recorded list of name servers; `None` before the first is published.
pub(crate) async fn recorded_list<W: World>(
    world: &W,
    cluster: &str,
) -> Result<Option<NameServerList>, WorldError> {
    Ok(world.record(cluster).await?.and_then(|record| record.name_servers))
}

/// The recorded list of name servers, or an error that names the cluster.
pub(crate) async fn required_list<W: World>(world: &W, cluster: &str) -> Result<NameServerList, StepError> {
    recorded_list(world, cluster).await?.ok_or_else(|| {
        StepError::new(format!("the record of cluster `{cluster}` holds no list of name servers"))
    })
}

/// The pods of several brokers, those that are going already left out.
pub(crate) async fn broker_pods<W: World>(
    world: &W,
    stateful_sets: &[String],
) -> Result<Vec<Pod>, WorldError> {
    let mut pods = Vec::new();
    for found in join_all(stateful_sets.iter().map(|name| world.pods(name))).await {
        pods.extend(found?.into_iter().filter(|pod| !pod.deleting));
    }
    Ok(pods)
}

/// Asks every name server and every broker at once and compares.
///
/// # Errors
/// Only when the pods themselves cannot be listed; a member that does not answer is a gap of the matrix.
pub(crate) async fn route_matrix<W: World>(
    world: &W,
    name_servers: &[Pod],
    broker_stateful_sets: &[String],
) -> Result<Matrix, WorldError> {
    let pods = broker_pods(world, broker_stateful_sets).await?;
    let brokers = join_all(pods.iter().map(|pod| async {
        BrokerView {
            pod: pod.name.clone(),
            broker: world.broker_rows(pod).await.map_err(|error| error.to_string()),
        }
    }));
    let views = join_all(name_servers.iter().map(|pod| async {
        NameServerView {
            name_server: pod.name.clone(),
            routes: world.routes(pod).await.map_err(|error| error.to_string()),
        }
    }));
    // Brokers first: a topic that is made in between is then known to every name server that is asked later.
    let brokers = brokers.await;
    Ok(compare(&views.await, &brokers))
}
