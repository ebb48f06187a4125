//! What is there before documents are applied. Reads only.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s::kinds::Parsed;
use k8s::names;
use k8s::objects::{Kind, Object};

use super::Params;
use super::binding::{Candidate, foreign};
use crate::error::OpsError;
use crate::operations::known::Known;
use crate::world::{Surroundings, World};

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The namespace.
    pub namespace: String,
    /// The clusters of the namespace.
    pub known: Vec<Known>,
    /// What surrounds them.
    pub surroundings: Surroundings,
    /// NameServices that Brokers may be bound to: of the namespace, and of the documents.
    pub candidates: Vec<Candidate>,
    /// Addresses that belong to none of them, and whether a name server answers there.
    pub answers: BTreeMap<String, Result<(), String>>,
    /// ConfigMaps of the namespace that the documents bring or that new Brokers use, by name.
    pub config_maps: BTreeMap<String, Object>,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// When the cluster cannot be read, or there is no such namespace.
pub async fn gather<W: World>(world: &W, parsed: &Parsed) -> Result<Inventory, OpsError> {
    let namespace = world.namespace().to_owned();
    let surroundings = world.surroundings().await?;
    if !surroundings.namespace_exists {
        return Err(OpsError::refused(format!("namespace `{namespace}` does not exist"))
            .hint(format!("kubectl create namespace {namespace}")));
    }
    let known = Known::all(world).await?;
    let candidates = candidates(world, &known, parsed).await?;
    let asked: BTreeSet<String> =
        parsed.brokers().flat_map(|(_, broker)| foreign(broker, &namespace, &candidates)).collect();
    let answers = join_all(asked.iter().map(|address| async {
        (address.clone(), world.name_server_answers(address).await.map_err(|error| error.to_string()))
    }));
    let answers = answers.await.into_iter().collect();
    let mut config_maps = BTreeMap::new();
    let used =
        parsed.brokers().filter_map(|(_, broker)| broker.user_config()).map(|config| config.config_map);
    let brought = parsed.config_maps().map(|(document, _)| document.name());
    for name in used.chain(brought).collect::<BTreeSet<_>>() {
        if let Some(object) = world.object(Kind::ConfigMap, name).await? {
            config_maps.insert(name.to_owned(), object);
        }
    }
    Ok(Inventory { namespace, known, surroundings, candidates, answers, config_maps })
}

async fn candidates<W: World>(
    world: &W,
    known: &[Known],
    parsed: &Parsed,
) -> Result<Vec<Candidate>, OpsError> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for cluster in known {
        if let Some(document) = &cluster.name_service {
            let pods = world.pods(&names::name_servers(document.name())).await?;
            found.insert(document.name().to_owned(), pods.into_iter().filter_map(|pod| pod.ip).collect());
        }
    }
    for (document, _) in parsed.name_services() {
        found.entry(document.name().to_owned()).or_default();
    }
    Ok(found.into_iter().map(|(name, pod_ips)| Candidate { name, pod_ips }).collect())
}

/// Refuses when an object of somebody else stands where one is to be made.
///
/// # Errors
/// `Refused`, with every such object.
pub async fn check_for_collisions<W: World>(world: &W, params: &Params) -> Result<(), OpsError> {
    let mut taken = Vec::new();
    for object in params.objects() {
        let present = world.object(object.kind, &object.name).await?;
        if present.is_some_and(|present| !present.is_managed()) {
            taken.push(format!("{} exists already and was not made by kubectl rocketmq", object.reference()));
        }
    }
    if taken.is_empty() {
        return Ok(());
    }
    let cluster = &params.followers.cluster;
    Err(OpsError::refused(format!("cluster `{cluster}` cannot be made beside what is there")).causes(taken))
}
