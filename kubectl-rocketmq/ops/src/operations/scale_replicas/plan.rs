//! From what was asked for and an inventory to the parameters of the operation, or to the reason why not. Pure.

use k8s::kinds::{Broker, Document, HostNetworkPods, Replication, host_network_refusal};
use k8s::manifests;
use k8s::names::{self, BrokerMember};
use k8s::objects::Kind;

use super::{Filled, Inventory, Leaving, Params, ScaleReplicasRequest};
use crate::error::OpsError;
use crate::operations::groups::{broker_of, in_the_way, proof_of};
use crate::operations::known::{Known, document_key};
use crate::steps::objects::ObjectName;

/// A Broker that shall have another number of slaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The Broker with its new number.
    pub document: Document,
    /// How many slaves each master has.
    pub from: u32,
    /// How many it shall have.
    pub to: u32,
}

impl Goal {
    /// The Broker's fields.
    pub(crate) fn broker(&self) -> Result<&Broker, OpsError> {
        broker_of(&self.document)
            .ok_or_else(|| OpsError::failed(format!("{} has no slaves", self.document.reference())))
    }
}

/// What is to be reached; `None` when the Broker has so many slaves already, or the cluster has no such Broker.
///
/// # Errors
/// `Usage` for a number that no Broker can have.
pub fn goal(known: &Known, request: &ScaleReplicasRequest) -> Result<Option<Goal>, OpsError> {
    let Some(document) = known.brokers.iter().find(|document| document.name() == request.name) else {
        return Ok(None);
    };
    let from = broker_of(document).map_or(0, |broker| broker.replica_per_group);
    let to = request.replicas;
    if to == from {
        return Ok(None);
    }
    let document = document.with_replica_per_group(to).map_err(|error| OpsError::usage(error.message))?;
    Ok(Some(Goal { document, from, to }))
}

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

/// Makes the plan.
///
/// # Errors
/// `Refused` when a guard refuses.
pub fn plan(inventory: &Inventory, goal: &Goal) -> Result<Planned, OpsError> {
    let broker = goal.broker()?;
    let (known, context) = (&inventory.known, &inventory.context);
    let text = broker.user_config().zip(inventory.user_config.as_ref());
    let replication = broker.replication_with(text.and_then(|(config, object)| config.text_in(object)));
    let gaps = inventory.matrix.iter().flat_map(|matrix| &matrix.gaps);
    check(inventory, goal, broker, replication)?;

    let name = &broker.metadata.name;
    let version = context.rocketmq_version_of(&broker.image).map(|version| version.to_string());
    let filled = |group: u32| {
        let new: Vec<String> = (goal.from + 1..=goal.to)
            .map(|slave| names::broker_stateful_set(name, group, BrokerMember::Replica(slave)))
            .collect();
        let objects = manifests::broker_group(broker, group, replication, None, context).into_iter();
        Filled {
            master: names::broker_stateful_set(name, group, BrokerMember::Master),
            slaves: objects.filter(|object| new.contains(&object.name)).collect(),
            version: version.clone(),
        }
    };
    let leaving = |group: u32| {
        (goal.to + 1..=goal.from).map(move |slave| Leaving {
            stateful_set: ObjectName {
                kind: Kind::StatefulSet,
                name: names::broker_stateful_set(name, group, BrokerMember::Replica(slave)),
            },
            broker_name: names::broker_group(name, group),
            broker_id: u64::from(slave),
        })
    };
    let grows = goal.to > goal.from;
    Ok(Planned {
        params: Params {
            followers: known.clone().resized_broker(&goal.document).followers(),
            broker: name.clone(),
            from: goal.from,
            to: goal.to,
            filled: if grows { (0..broker.size).map(filled).collect() } else { Vec::new() },
            leaving: (0..broker.size).flat_map(leaving).collect(),
            proof: proof_of(known),
            document: (document_key(&goal.document), goal.document.yaml().to_owned()),
        },
        warnings: gaps.map(|gap| format!("the routes are not whole now: {gap}")).collect(),
        stays: stays(inventory),
    })
}

fn check(
    inventory: &Inventory,
    goal: &Goal,
    broker: &Broker,
    replication: Replication,
) -> Result<(), OpsError> {
    if goal.to > goal.from {
        let pods = HostNetworkPods::of_broker(broker);
        let room = pods
            .zip(inventory.schedulable_nodes)
            .and_then(|(pods, nodes)| host_network_refusal(&pods, u32::try_from(nodes).unwrap_or(u32::MAX)));
        if let Some(reason) = room {
            return Err(OpsError::refused(reason));
        }
        let taken = in_the_way(&inventory.taken);
        if !taken.is_empty() {
            return Err(refused(inventory, broker, "the place of a new slave is taken").causes(taken));
        }
        return Ok(());
    }
    // `BrokerController`, `SYNC_MASTER`, all tags: without a slave each send is answered SLAVE_NOT_AVAILABLE.
    if goal.to == 0 && replication == Replication::Sync {
        return Err(refused(
            inventory,
            broker,
            "masters with SYNC replication answer every send with SLAVE_NOT_AVAILABLE when they have no slave",
        ));
    }
    let gaps: Vec<String> =
        inventory.matrix.iter().flat_map(|matrix| &matrix.gaps).map(ToString::to_string).collect();
    if gaps.is_empty() {
        Ok(())
    } else {
        Err(refused(inventory, broker, "the routes are not whole").causes(gaps))
    }
}

fn stays(inventory: &Inventory) -> Vec<String> {
    let lines = inventory.leaving.iter().flat_map(|(name, present)| {
        let lost = present.loses_data.then(|| {
            format!("nothing of StatefulSet/{name}, whose copy of its master's data lies in its pod")
        });
        present.keeps.iter().cloned().chain(lost)
    });
    lines.collect()
}

fn refused(inventory: &Inventory, broker: &Broker, message: &str) -> OpsError {
    let known = &inventory.known;
    OpsError::refused(format!("slaves of `{}` are not scaled: {message}", broker.metadata.name))
        .hint(format!("kubectl rocketmq status {} -n {}", known.cluster(), known.namespace))
}
