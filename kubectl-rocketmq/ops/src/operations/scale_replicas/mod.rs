//! Gives every group of a Broker another number of slaves. No master restarts.
//!
//! | step | undo |
//! |---|---|
//! | `create-object` for the StatefulSet of each new slave | deletes it, waits for its pod |
//! | `await-ready` until they are | – (waits) |
//! | `await-caught-up` until they have what their masters had | – (waits) |
//! | `delete-objects` for the StatefulSets of leaving slaves | the point of no return |
//! | `unregister-brokers` takes them out of every name server | |
//! | `prove-routes` or `prove-registrations` | – (reads) |
//! | `write-record` notes the number and the objects | the former record |
//!
//! The first three are of more slaves, the next two of fewer.

mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s::objects::Object;
use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use inventory::{Inventory, gather};
pub use plan::{Goal, Planned, goal, plan};

use crate::operations::apply::{Proof, create};
use crate::steps::broker_groups::{AwaitCaughtUp, CatchUp, UnregisterBrokers};
use crate::steps::name_servers::Followers;
use crate::steps::objects::{DeleteObjects, ObjectName};
use crate::steps::pods::{AwaitReady, Awaited};
use crate::steps::record::WriteRecord;
use crate::world::World;

/// What `scale broker --replicas` shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleReplicasRequest {
    /// The Broker.
    pub name: String,
    /// How many slaves each master shall have.
    pub replicas: u32,
}

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct ScaleReplicas;

/// What the journal stores of it: every object whole, so that another version of this program makes the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// All brokers of the cluster as they will be, and the cluster.
    pub followers: Followers,
    /// The Broker.
    pub broker: String,
    /// How many slaves each master has.
    pub from: u32,
    /// How many it shall have.
    pub to: u32,
    /// The groups that get slaves.
    pub filled: Vec<Filled>,
    /// The slaves that go.
    pub leaving: Vec<Leaving>,
    /// How the end is proved.
    pub proof: Proof,
    /// The Broker with its new number, as YAML, under its key in the record.
    pub document: (String, String),
}

/// A group that gets slaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filled {
    /// The StatefulSet of its master.
    pub master: String,
    /// The StatefulSets of its new slaves.
    pub slaves: Vec<Object>,
    /// RocketMQ's version that the manifests are made for, if it is known.
    pub version: Option<String>,
}

/// A slave that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Leaving {
    /// Its StatefulSet.
    pub stateful_set: ObjectName,
    /// RocketMQ's brokerName of its group.
    pub broker_name: String,
    /// Its brokerId.
    pub broker_id: u64,
}

impl Params {
    /// Every object that the operation makes.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.filled.iter().flat_map(|group| &group.slaves)
    }

    fn fill<W: World>(&self, steps: &mut Steps<W>) {
        steps.extend(self.objects().map(create));
        let awaited = self.filled.iter().flat_map(|group| {
            group.slaves.iter().map(|slave| Awaited {
                stateful_set: slave.name.clone(),
                pods: 1,
                version: group.version.clone(),
            })
        });
        let what = format!("new slaves of `{}`", self.broker);
        steps.push(Box::new(AwaitReady { what, stateful_sets: awaited.collect() }));
        let groups = self.filled.iter().map(|group| CatchUp {
            master: group.master.clone(),
            slaves: group.slaves.iter().map(|slave| slave.name.clone()).collect(),
        });
        steps.push(Box::new(AwaitCaughtUp { groups: groups.collect() }));
    }

    fn empty<W: World>(&self, steps: &mut Steps<W>) {
        steps.push(Box::new(DeleteObjects {
            what: format!("slaves of `{}`", self.broker),
            objects: self.leaving.iter().map(|slave| slave.stateful_set.clone()).collect(),
        }));
        if let Proof::Routes { stateful_set, .. } = &self.proof {
            steps.push(Box::new(UnregisterBrokers {
                name_servers: stateful_set.clone(),
                // RocketMQ's cluster of a Broker's groups has the Broker's name.
                cluster: self.broker.clone(),
                brokers: self
                    .leaving
                    .iter()
                    .map(|slave| (slave.broker_name.clone(), slave.broker_id))
                    .collect(),
            }));
        }
    }
}

impl<W: World> OperationKind<W> for ScaleReplicas {
    type Params = Params;
    const NAME: &'static str = "scale-replicas";

    fn title(params: &Params) -> String {
        format!("scale slaves of each group of `{}` {} -> {}", params.broker, params.from, params.to)
    }

    fn steps(params: &Params) -> Steps<W> {
        let mut steps: Steps<W> = Vec::new();
        if !params.filled.is_empty() {
            params.fill(&mut steps);
        }
        if !params.leaving.is_empty() {
            params.empty(&mut steps);
        }
        steps.push(params.proof.step(&params.followers));
        let (key, text) = params.document.clone();
        steps.push(Box::new(WriteRecord {
            cluster: params.followers.cluster.clone(),
            documents: BTreeMap::from([(key, Some(text))]),
            joins: params.objects().map(Object::reference).collect(),
            leaves: params
                .leaving
                .iter()
                .map(|slave| slave.stateful_set.to_string())
                .collect::<BTreeSet<String>>(),
            sentence: format!("record the new number of {} slave(s) a group", params.to),
        }));
        steps
    }
}
