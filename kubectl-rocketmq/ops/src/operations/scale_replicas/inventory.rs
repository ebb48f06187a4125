//! What is there before a Broker gets another number of slaves. Reads only.

use std::collections::BTreeMap;

use k8s::manifests::Context;
use k8s::names::{self, BrokerMember};
use k8s::objects::{Kind, Object};

use super::Goal;
use crate::error::OpsError;
use crate::matrix::Matrix;
use crate::operations::delete::{Present, present};
use crate::operations::groups;
use crate::operations::known::Known;
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The cluster.
    pub known: Known,
    /// What the Broker's StatefulSets are made in.
    pub context: Context,
    /// The ConfigMap with the user's settings for brokers, if the Broker names one that exists.
    pub user_config: Option<Object>,
    /// Objects that stand where new slaves are to be, and whether they are ours.
    pub taken: BTreeMap<String, bool>,
    /// StatefulSets of leaving slaves that exist, and where their data lie.
    pub leaving: BTreeMap<String, Present>,
    /// What the name servers say of the brokers; `None` where they have no agents.
    pub matrix: Option<Matrix>,
    /// Nodes that take pods; asked only where pods take a node each.
    pub schedulable_nodes: Option<usize>,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn gather<W: World>(world: &W, known: &Known, goal: &Goal) -> Result<Inventory, OpsError> {
    let broker = goal.broker()?;
    let schedulable_nodes =
        if broker.pod.host_network { world.surroundings().await?.schedulable_nodes } else { None };
    let slaves = |from: u32, to: u32| -> Vec<(Kind, String)> {
        let name = &broker.metadata.name;
        let of_group = |group: u32| {
            (from + 1..=to).map(move |slave| {
                let member = BrokerMember::Replica(slave);
                (Kind::StatefulSet, names::broker_stateful_set(name, group, member))
            })
        };
        (0..broker.size).flat_map(of_group).collect()
    };
    let mut leaving = BTreeMap::new();
    for (kind, name) in slaves(goal.to, goal.from) {
        if let Some(object) = world.object(kind, &name).await? {
            leaving.insert(name, present(&object));
        }
    }
    Ok(Inventory {
        known: known.clone(),
        context: groups::context_of(world, known, broker).await?,
        user_config: groups::user_config_of(world, broker).await?,
        taken: groups::taken(world, &slaves(goal.from, goal.to)).await?,
        leaving,
        matrix: groups::matrix_of(world, known).await?,
        schedulable_nodes,
    })
}
