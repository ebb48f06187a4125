//! What is there before broker groups are added. Reads only.

use std::collections::BTreeMap;

use agents::types::PreparedExport;
use futures::future::join_all;
use k8s::kinds::Broker;
use k8s::manifests::Context;
use k8s::names::{self, BrokerMember};
use k8s::objects::{Kind, Object};
use k8s::pods::Pod;

use super::{Goal, ScaleBrokerRequest};
use crate::error::OpsError;
use crate::matrix::Matrix;
use crate::metadata::{broker_pod, master_of};
use crate::operations::groups;
use crate::operations::known::Known;
use crate::steps::broker_groups::MetadataSource;
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The cluster.
    pub known: Known,
    /// Where the metadata come from.
    pub source: Source,
    /// What the source holds for new groups.
    pub export: PreparedExport,
    /// What the Broker's StatefulSets are made in.
    pub context: Context,
    /// The ConfigMap with the user's settings for brokers, if the Broker names one that exists.
    pub user_config: Option<Object>,
    /// Objects that stand where new ones are to be made, and whether they are ours.
    pub taken: BTreeMap<String, bool>,
    /// Brokers that are registered under the name of a new group: group, then where and as what, in words.
    pub registered: BTreeMap<String, String>,
    /// What the name servers say of the brokers; `None` where they have no agents.
    pub matrix: Option<Matrix>,
    /// Nodes that take pods; asked only where pods take a node each.
    pub schedulable_nodes: Option<usize>,
}

/// The broker that new groups get their metadata from.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its pod.
    pub pod: Pod,
    /// Its StatefulSet, and who else is asked.
    pub metadata: MetadataSource,
    /// Why it is another one than the user may think.
    pub remark: Option<String>,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// When the cluster cannot be read, or the source is no master of the cluster that answers.
pub async fn gather<W: World>(
    world: &W,
    known: &Known,
    goal: &Goal,
    request: &ScaleBrokerRequest,
) -> Result<Inventory, OpsError> {
    let Some(broker) = goal.broker() else {
        return Err(OpsError::failed(format!("{} has no groups", goal.document.reference())));
    };
    let context = groups::context_of(world, known, broker).await?;
    let source = source(world, known, broker, request).await?;
    let taken = groups::taken(world, &places(broker, goal)).await?;
    let registered = registered(world, known, broker, goal).await?;
    let matrix = groups::matrix_of(world, known).await?;
    let export = source.metadata.summary(world).await?;
    let user_config = groups::user_config_of(world, broker).await?;
    let schedulable_nodes =
        if broker.pod.host_network { world.surroundings().await?.schedulable_nodes } else { None };
    Ok(Inventory {
        known: known.clone(),
        source,
        export,
        context,
        user_config,
        taken,
        registered,
        matrix,
        schedulable_nodes,
    })
}

/// The source: what `--from` says, else what the Broker says, else the master of its first group.
async fn source<W: World>(
    world: &W,
    known: &Known,
    broker: &Broker,
    request: &ScaleBrokerRequest,
) -> Result<Source, OpsError> {
    let (name, broker_name) = (known.cluster(), &broker.metadata.name);
    let first = names::pod(&names::broker_stateful_set(broker_name, 0, BrokerMember::Master), 0);
    let mut remark = None;
    let asked = match (&request.from, &broker.scale_pod_name) {
        (Some(pod), _) => pod.clone(),
        (None, Some(pod)) if pods_of(known).contains(pod) => pod.clone(),
        (None, Some(pod)) => {
            remark = Some(format!(
                "Broker/{broker_name}: `spec.scalePodName` is `{pod}`, which is no broker of cluster `{name}`: \
                 metadata are taken from `{first}`"
            ));
            first
        }
        (None, None) => first,
    };
    let mut pod = broker_pod(world, &asked).await?;
    if let Some(master) = master_of(&pod) {
        remark = Some(format!(
            "pod `{asked}` is a slave: metadata are taken from its master `{master}`, which has them first"
        ));
        pod = broker_pod(world, &master).await?;
    }
    let masters = known.followers().masters;
    let stateful_set = pod.labels.get(names::LABEL_STATEFUL_SET).cloned().unwrap_or_default();
    if !masters.contains(&stateful_set) {
        return Err(OpsError::refused(match pod.labels.get(names::LABEL_INSTANCE) {
            Some(other) if other != name => {
                format!("pod `{}` is of cluster `{other}`, not of `{name}`", pod.name)
            }
            _ => format!("pod `{}` is no broker that the record of cluster `{name}` knows", pod.name),
        }));
    }
    let ordered = request.include_ordered;
    Ok(Source { pod, metadata: MetadataSource { stateful_set, masters, ordered }, remark })
}

fn pods_of(known: &Known) -> Vec<String> {
    known.followers().stateful_sets().iter().map(|stateful_set| names::pod(stateful_set, 0)).collect()
}

/// Where the objects of new groups are to be.
fn places(broker: &Broker, goal: &Goal) -> Vec<(Kind, String)> {
    let name = &broker.metadata.name;
    let mut places = Vec::new();
    for group in goal.from..goal.to {
        places.push((Kind::PodDisruptionBudget, names::broker_group(name, group)));
        places.extend(
            BrokerMember::of_group(broker.replica_per_group)
                .map(|member| (Kind::StatefulSet, names::broker_stateful_set(name, group, member))),
        );
    }
    places
}

/// Registrations under the names of new groups. Only name servers that have agents can be asked.
async fn registered<W: World>(
    world: &W,
    known: &Known,
    broker: &Broker,
    goal: &Goal,
) -> Result<BTreeMap<String, String>, OpsError> {
    let Some(set) = known.name_server_set() else { return Ok(BTreeMap::new()) };
    let new: Vec<String> =
        (goal.from..goal.to).map(|group| names::broker_group(&broker.metadata.name, group)).collect();
    let name_servers = world.pods(&set).await?;
    let routes = join_all(name_servers.iter().map(|pod| world.routes(pod))).await;
    let mut registered = BTreeMap::new();
    for (name_server, routes) in name_servers.iter().zip(routes) {
        // One that does not answer is a gap of the matrix, which is told.
        let brokers = routes.map(|routes| routes.brokers).unwrap_or_default();
        for found in brokers.into_iter().filter(|found| new.contains(&found.broker_name)) {
            let place = format!(
                "name server `{}` lists `{}` at {}, cluster `{}`",
                name_server.name, found.broker_name, found.address, found.cluster
            );
            registered.entry(found.broker_name).or_insert(place);
        }
    }
    Ok(registered)
}
