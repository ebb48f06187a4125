//! From an inventory to the parameters of the operation, or to the reason why not. Pure.

use k8s::kinds::{Broker, HostNetworkPods, host_network_refusal};
use k8s::manifests;
use k8s::names;
use k8s::objects::Kind;
use rocketmq::model::version::Version;

use super::{Goal, Inventory, NewGroup, Params, ScaleBrokerRequest};
use crate::error::OpsError;
use crate::operations::groups::{in_the_way, proof_of};
use crate::operations::known::document_key;
use crate::steps::broker_groups::{OldData, too_large};

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The operation.
    pub params: Params,
    /// What the user should know before.
    pub warnings: Vec<String>,
    /// Data that stay where they are, one sentence each.
    pub stays: Vec<String>,
}

/// Makes the plan. `token` is one that no other operation has.
///
/// # Errors
/// `Refused` when a guard refuses.
pub fn plan(
    inventory: &Inventory,
    goal: &Goal,
    request: &ScaleBrokerRequest,
    token: &str,
) -> Result<Planned, OpsError> {
    let Some(broker) = goal.broker() else {
        return Err(OpsError::failed(format!("{} has no groups", goal.document.reference())));
    };
    if request.drain.force {
        return Err(OpsError::usage("`--force` is for fewer broker groups, not for more"));
    }
    let refused = |message: &str| refused(inventory, broker, message);
    check_places(inventory, &refused)?;
    check_room(inventory, broker)?;
    check_versions(inventory, broker)?;
    if let Some(reason) = too_large(&inventory.export) {
        return Err(refused(&reason)
            .causes([
                "name servers drop a broker whose registration is larger than 16 MiB, with all its routes"
                    .to_owned(),
            ])
            .hint("delete topics that nobody uses"));
    }
    let known = &inventory.known;
    let groups: Vec<NewGroup> =
        (goal.from..goal.to).filter_map(|group| new_group(inventory, broker, group, token)).collect();
    let params = Params {
        followers: known.clone().resized_broker(&goal.document).followers(),
        broker: broker.metadata.name.clone(),
        from: goal.from,
        to: goal.to,
        source: inventory.source.metadata.clone(),
        topics: inventory.export.bundle.topics.entries,
        subscription_groups: inventory.export.bundle.groups.entries,
        token: token.to_owned(),
        old_data: request.old_data,
        client_route_period_seconds: request.route_period,
        proof: proof_of(known),
        document: (document_key(&goal.document), goal.document.yaml().to_owned()),
        groups,
    };
    Ok(Planned {
        warnings: warnings(inventory, broker, request),
        stays: stays(inventory, request, &params),
        params,
    })
}

fn check_places(inventory: &Inventory, refused: &impl Fn(&str) -> OpsError) -> Result<(), OpsError> {
    let taken = in_the_way(&inventory.taken);
    if !taken.is_empty() {
        return Err(refused("the place of a new group is taken").causes(taken));
    }
    if !inventory.registered.is_empty() {
        let names: Vec<String> = inventory.registered.keys().map(|group| format!("`{group}`")).collect();
        let verb = if names.len() == 1 { "is" } else { "are" };
        return Err(refused(&format!("{} {verb} registered already", names.join(", ")))
            .causes(inventory.registered.values().cloned()));
    }
    Ok(())
}

/// Where pods take a node each, all of the new size must fit.
fn check_room(inventory: &Inventory, broker: &Broker) -> Result<(), OpsError> {
    let pods = HostNetworkPods::of_broker(broker);
    let Some((pods, nodes)) = pods.zip(inventory.schedulable_nodes) else { return Ok(()) };
    host_network_refusal(&pods, u32::try_from(nodes).unwrap_or(u32::MAX))
        .map_or(Ok(()), |reason| Err(OpsError::refused(reason)))
}

/// An older broker may lack what a newer one keeps of a topic or group.
fn check_versions(inventory: &Inventory, broker: &Broker) -> Result<(), OpsError> {
    let source = Version::from_ordinal(inventory.export.version);
    match inventory.context.rocketmq_version_of(&broker.image) {
        Some(new) if source < new => Err(OpsError::refused(format!(
            "broker groups of `{}` are not scaled: pod `{}` runs RocketMQ {source}, and the new ones {new}",
            broker.metadata.name, inventory.source.pod.name
        ))),
        _ => Ok(()),
    }
}

fn new_group(inventory: &Inventory, broker: &Broker, group: u32, token: &str) -> Option<NewGroup> {
    let text = broker.user_config().zip(inventory.user_config.as_ref());
    let replication = broker.replication_with(text.and_then(|(config, object)| config.text_in(object)));
    let context = &inventory.context;
    let made = |awaits| manifests::broker_group(broker, group, replication, awaits, context).into_iter();
    let mut waiting = made(Some(token));
    let (disruption_budget, waiting_master) = (waiting.next()?, waiting.next()?);
    let mut stateful_sets = made(None).filter(|object| object.kind == Kind::StatefulSet);
    Some(NewGroup {
        disruption_budget,
        waiting_master,
        master: stateful_sets.next()?,
        slaves: stateful_sets.collect(),
        version: context.rocketmq_version_of(&broker.image).map(|version| version.to_string()),
    })
}

fn warnings(inventory: &Inventory, broker: &Broker, request: &ScaleBrokerRequest) -> Vec<String> {
    let mut warnings: Vec<String> = inventory.source.remark.iter().cloned().collect();
    let gaps = inventory.matrix.iter().flat_map(|matrix| &matrix.gaps);
    warnings.extend(gaps.map(|gap| format!("the routes are not whole now: {gap}")));
    if let (Some(config), None) = (broker.user_config(), &inventory.user_config) {
        warnings.push(format!(
            "Broker/{}: ConfigMap/{} of `spec.volumes` does not exist; pods wait until it does",
            broker.metadata.name, config.config_map
        ));
    }
    if request.include_ordered {
        warnings.push(
            "messages of ordered topics go to other queues as soon as the new groups are open: their order is not \
             kept across that moment"
                .to_owned(),
        );
    }
    warnings
}

fn stays(inventory: &Inventory, request: &ScaleBrokerRequest, params: &Params) -> Vec<String> {
    let mut stays = Vec::new();
    let ordered: Vec<String> =
        inventory.export.ordered_topics.iter().map(|topic| format!("`{topic}`")).collect();
    if !ordered.is_empty() {
        stays.push(format!(
            "{} ordered topic(s) at the present groups only, because another group would send a key to another queue \
             (`--include-ordered` takes them along): {}",
            ordered.len(),
            ordered.join(", ")
        ));
    }
    if request.old_data == OldData::Aside {
        stays.extend(params.groups.iter().map(|group| {
            let folder = names::store_folder(&group.master.name);
            format!(
                "data of an earlier broker in folder `{folder}`, if there are any, as `{folder}.{}`",
                params.token
            )
        }));
    }
    stays
}

fn refused(inventory: &Inventory, broker: &Broker, message: &str) -> OpsError {
    let known = &inventory.known;
    OpsError::refused(format!("broker groups of `{}` are not scaled: {message}", broker.metadata.name))
        .hint(format!("kubectl rocketmq status {} -n {}", known.cluster(), known.namespace))
}
