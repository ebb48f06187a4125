//! What is there before broker groups are taken away. Reads only.

use std::collections::BTreeMap;

use agents::types::Backlog;
use futures::future::try_join_all;
use k8s::names::{self, BrokerMember};

use super::LeavingGroup;
use crate::error::OpsError;
use crate::matrix::Matrix;
use crate::operations::delete::{Present, present};
use crate::operations::groups::matrix_of;
use crate::operations::known::Known;
use crate::operations::scale_broker::Goal;
use crate::steps::broker_groups::master;
use crate::steps::objects::ObjectName;
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The cluster.
    pub known: Known,
    /// What the name servers say of the brokers; `None` where they have no agents.
    pub matrix: Option<Matrix>,
    /// The groups that leave.
    pub groups: Vec<Leaving>,
    /// Objects of theirs that somebody else has made.
    pub foreign: Vec<String>,
}

/// A group that leaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaving {
    /// Its names.
    pub group: LeavingGroup,
    /// Its objects that exist.
    pub objects: BTreeMap<ObjectName, Present>,
    /// Its cluster, as RocketMQ names it.
    pub broker_cluster: String,
    /// What somebody still wants of its master.
    pub backlog: Backlog,
}

/// Reads everything that the plan needs. Where the routes are not whole, which no plan comes of, nothing else is asked.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn gather<W: World>(world: &W, known: &Known, goal: &Goal) -> Result<Inventory, OpsError> {
    let Some(broker) = goal.broker() else {
        return Err(OpsError::failed(format!("{} has no groups", goal.document.reference())));
    };
    let matrix = matrix_of(world, known).await?;
    let mut inventory = Inventory { known: known.clone(), matrix, groups: Vec::new(), foreign: Vec::new() };
    if inventory.matrix.as_ref().is_some_and(|matrix| !matrix.is_whole()) {
        return Ok(inventory);
    }
    let name = &broker.metadata.name;
    let leaving = (goal.to..goal.from).map(|group| {
        let mut members = BrokerMember::of_group(broker.replica_per_group)
            .map(|member| names::broker_stateful_set(name, group, member));
        LeavingGroup {
            name: names::broker_group(name, group),
            master: members.next().unwrap_or_default(),
            slaves: members.collect(),
        }
    });
    for group in leaving {
        let mut objects = BTreeMap::new();
        for object in group.objects() {
            match world.object(object.kind, &object.name).await? {
                Some(found) if !found.is_managed() => inventory.foreign.push(object.to_string()),
                Some(found) => drop(objects.insert(object, present(&found))),
                None => {}
            }
        }
        inventory.groups.push(Leaving {
            group,
            objects,
            broker_cluster: String::new(),
            backlog: Backlog::default(),
        });
    }
    let asked = inventory.groups.iter_mut().map(|leaving| async move {
        let pod = master(world, &leaving.group.master).await?;
        leaving.broker_cluster = world.broker_facts(&pod).await?.cluster;
        leaving.backlog = world.backlog(&pod).await?;
        Ok::<(), OpsError>(())
    });
    try_join_all(asked).await?;
    Ok(inventory)
}
