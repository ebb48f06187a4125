//! What is there before name servers are scaled. Reads only.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s::objects::Kind;

use crate::error::OpsError;
use crate::matrix::Matrix;
use crate::members::{broker_pods, route_matrix};
use crate::operations::known::Known;
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The cluster.
    pub known: Known,
    /// Name servers that the StatefulSet asks for now.
    pub replicas: u32,
    /// What the name servers that stay say of the brokers.
    pub matrix: Matrix,
    /// Of each leaving name server: how many connections come from which address that is no broker's, or why it
    /// could not be asked.
    pub strangers: BTreeMap<String, Result<BTreeMap<String, usize>, String>>,
    /// Nodes that take pods; asked only where pods take a node each.
    pub schedulable_nodes: Option<usize>,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn gather<W: World>(world: &W, known: &Known, size: u32) -> Result<Inventory, OpsError> {
    let followers = known.followers();
    let stateful_set = known.name_server_set().unwrap_or_default();
    let object = world.object(Kind::StatefulSet, &stateful_set).await?;
    let replicas = object.and_then(|object| object.replicas()).ok_or_else(|| {
        OpsError::failed(format!(
            "StatefulSet/{stateful_set} does not exist, although the record of cluster `{}` lists it",
            known.cluster()
        ))
    })?;
    let pods = world.pods(&stateful_set).await?;
    let stay = size.min(replicas) as usize;
    let staying = &pods[..stay.min(pods.len())];
    let leaving = &pods[stay.min(pods.len())..];
    let matrix = route_matrix(world, staying, &followers.stateful_sets()).await?;

    let brokers = broker_pods(world, &followers.stateful_sets()).await?;
    let own: Vec<&str> = brokers.iter().chain(&pods).filter_map(|pod| pod.ip.as_deref()).collect();
    let connected = join_all(leaving.iter().map(|pod| async {
        let remotes = world.connections(pod).await.map_err(|error| error.to_string());
        (pod.name.clone(), remotes.map(|remotes| strangers(&remotes, &own)))
    }));
    let on_nodes = known.name_service_fields().is_some_and(|name_service| name_service.pod.host_network);
    let schedulable_nodes = if on_nodes { world.surroundings().await?.schedulable_nodes } else { None };
    Ok(Inventory {
        known: known.clone(),
        replicas,
        matrix,
        strangers: connected.await.into_iter().collect(),
        schedulable_nodes,
    })
}

/// Connections by remote host, of hosts that are neither a broker nor a name server, nor this pod itself.
fn strangers(remotes: &[String], own: &[&str]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for remote in remotes {
        let host = remote.rsplit_once(':').map_or(remote.as_str(), |(host, _)| host).trim_matches(['[', ']']);
        let loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if !loopback && !own.contains(&host) {
            *found.entry(host.to_owned()).or_insert(0) += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::strangers;

    #[test]
    fn connections_of_brokers_and_of_the_pod_itself_are_no_strangers() {
        let check = |remotes: &[&str], expect: &[(&str, usize)]| {
            let remotes: Vec<String> = remotes.iter().map(|remote| (*remote).to_owned()).collect();
            let expect = expect.iter().map(|(host, count)| ((*host).to_owned(), *count)).collect();
            assert_eq!(strangers(&remotes, &["10.0.0.1", "fd00::1"]), expect);
        };
        check(&[], &[]);
        check(&["10.0.0.1:5000", "127.0.0.1:6000", "[::1]:6001", "[fd00::1]:7000"], &[]);
        check(&["10.0.0.9:1", "10.0.0.9:2", "10.0.0.8:1"], &[("10.0.0.8", 1), ("10.0.0.9", 2)]);
        check(&["[fd00::9]:1"], &[("fd00::9", 1)]);
    }
}
