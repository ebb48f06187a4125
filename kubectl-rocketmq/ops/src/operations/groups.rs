//! What every operation on the groups of a Broker reads of the cluster.

use std::collections::BTreeMap;

use futures::future::join_all;
use k8s::kinds::{Broker, Content, Document};
use k8s::manifests::Context;
use k8s::names::{self, BrokerMember};
use k8s::objects::{Kind, Object};

use crate::error::OpsError;
use crate::matrix::Matrix;
use crate::members::route_matrix;
use crate::operations::apply::Proof;
use crate::operations::known::Known;
use crate::world::World;

/// The Broker's fields; `None` of another kind.
pub(crate) fn broker_of(document: &Document) -> Option<&Broker> {
    match &document.content {
        Content::Broker(broker) => Some(broker),
        _ => None,
    }
}

/// What the Broker's StatefulSets are made in: that of its first master.
///
/// # Errors
/// When that master does not exist or has no agent.
pub(crate) async fn context_of<W: World>(
    world: &W,
    known: &Known,
    broker: &Broker,
) -> Result<Context, OpsError> {
    let first = names::broker_stateful_set(&broker.metadata.name, 0, BrokerMember::Master);
    let context = world.object(Kind::StatefulSet, &first).await?.and_then(|object| Context::of(&object));
    context.ok_or_else(|| {
        OpsError::failed(format!(
            "StatefulSet/{first} does not exist or has no agent, although the record of cluster `{}` lists it",
            known.cluster()
        ))
    })
}

/// The ConfigMap with the user's settings for brokers, if the Broker names one that exists.
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn user_config_of<W: World>(world: &W, broker: &Broker) -> Result<Option<Object>, OpsError> {
    match broker.user_config() {
        None => Ok(None),
        Some(config) => Ok(world.object(Kind::ConfigMap, config.config_map).await?),
    }
}

/// What the name servers say of the brokers; `None` where they have no agents.
///
/// # Errors
/// When the pods cannot be listed.
pub(crate) async fn matrix_of<W: World>(world: &W, known: &Known) -> Result<Option<Matrix>, OpsError> {
    let Some(set) = known.name_server_set() else { return Ok(None) };
    let name_servers = world.pods(&set).await?;
    Ok(Some(route_matrix(world, &name_servers, &known.followers().stateful_sets()).await?))
}

/// Which of these objects exist already, and whether they are ours.
///
/// # Errors
/// When they cannot be read.
pub(crate) async fn taken<W: World>(
    world: &W,
    places: &[(Kind, String)],
) -> Result<BTreeMap<String, bool>, OpsError> {
    let mut taken = BTreeMap::new();
    for found in join_all(places.iter().map(|(kind, name)| world.object(*kind, name))).await {
        if let Some(object) = found? {
            taken.insert(object.reference(), object.is_managed());
        }
    }
    Ok(taken)
}

/// Why objects that are [`taken`] are in the way, one sentence each.
pub(crate) fn in_the_way(taken: &BTreeMap<String, bool>) -> Vec<String> {
    let sentence = |(reference, ours): (&String, &bool)| {
        if *ours {
            format!("{reference} exists already, although the record does not know of it")
        } else {
            format!("{reference} exists already and was not made by kubectl rocketmq")
        }
    };
    taken.iter().map(sentence).collect()
}

/// How the end of an operation that leaves the name servers as they are is proved.
pub(crate) fn proof_of(known: &Known) -> Proof {
    match (known.name_server_set(), known.name_service_fields()) {
        (Some(stateful_set), Some(name_service)) => Proof::Routes { stateful_set, size: name_service.size },
        _ => Proof::Registrations,
    }
}
