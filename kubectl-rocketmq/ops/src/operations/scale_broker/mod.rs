//! Adds broker groups to a Broker. A new master has every topic and subscription group of the cluster before clients
//! find it, is read before it is written to, and no other broker restarts.
//!
//! | step | undo |
//! |---|---|
//! | `create-object` for the PodDisruptionBudget and the master's StatefulSet of each new group, its gate closed | deletes it, waits for its pods |
//! | `import-metadata` gives the masters the source's metadata, which opens their gates | – (they go) |
//! | `start-brokers` waits until they are registered, readable only | – (waits) |
//! | `equalise-metadata` adds what they lack by now | – (they go) |
//! | `create-object` for the slaves' StatefulSets | deletes it, waits for its pods |
//! | `await-ready` until the slaves are | – (waits) |
//! | `await-consumers` until the new queues are held | – (waits) |
//! | `open-brokers` lets clients write | the point of no return: messages lie there from now on |
//! | `prove-routes` or `prove-registrations` | |
//! | `release-gates` makes the StatefulSets like those from before | |
//! | `write-record` notes the new size and the objects | |

mod goal;
mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s::objects::Object;
use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use goal::{Goal, goal};
pub use inventory::{Inventory, Source, gather};
pub use plan::{Planned, plan};

use crate::clients::RoutePeriod;
use crate::operations::apply::{Proof, create};
use crate::operations::scale_broker_in::DrainOptions;
use crate::steps::broker_groups::{
    AwaitConsumers, EqualiseMetadata, ImportMetadata, MetadataSource, OldData, OpenBrokers, ReleaseGates,
    StartBrokers,
};
use crate::steps::name_servers::Followers;
use crate::steps::pods::{AwaitReady, Awaited};
use crate::steps::record::WriteRecord;
use crate::world::World;

/// What `scale broker` shall do. Fewer groups are another operation: [`super::scale_broker_in`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleBrokerRequest {
    /// The Broker.
    pub name: String,
    /// How many groups there shall be.
    pub size: u32,
    /// `--from`: the pod whose broker's metadata new groups get.
    pub from: Option<String>,
    /// `--include-ordered`: topics with ordered messages too.
    pub include_ordered: bool,
    /// `--old-data`: what becomes of data that lie in the store of a new group.
    pub old_data: OldData,
    /// How groups that leave are drained.
    pub drain: DrainOptions,
    /// `--client-route-period`: how often clients fetch their routes.
    pub route_period: RoutePeriod,
}

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct ScaleBroker;

/// What the journal stores of it: every object whole, so that another version of this program makes the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// All brokers of the cluster, new ones too, and the cluster.
    pub followers: Followers,
    /// The Broker.
    pub broker: String,
    /// How many groups there are.
    pub from: u32,
    /// How many there shall be.
    pub to: u32,
    /// The new ones.
    pub groups: Vec<NewGroup>,
    /// Where their metadata come from.
    pub source: MetadataSource,
    /// How many topics the source had when the plan was made.
    pub topics: u64,
    /// How many subscription groups.
    pub subscription_groups: u64,
    /// What the new masters' agents wait for. Another operation has another one, so that nobody takes an import that
    /// was broken off for this one's.
    pub token: String,
    /// What becomes of data that lie in the store of a new group.
    pub old_data: OldData,
    /// How often clients fetch their routes. A journal from before it was asked for means RocketMQ's default.
    #[serde(default)]
    pub client_route_period_seconds: RoutePeriod,
    /// How the end is proved.
    pub proof: Proof,
    /// The Broker with its new size, as YAML, under its key in the record.
    pub document: (String, String),
}

/// A group to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewGroup {
    /// The PodDisruptionBudget.
    pub disruption_budget: Object,
    /// The StatefulSet of the master, whose agent waits for metadata.
    pub waiting_master: Object,
    /// The same, when nothing waits any more.
    pub master: Object,
    /// The StatefulSets of the slaves.
    pub slaves: Vec<Object>,
    /// RocketMQ's version that the manifests are made for, if it is known.
    pub version: Option<String>,
}

impl Params {
    /// Every object that the operation makes, as it makes it.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.groups.iter().flat_map(|group| {
            [&group.disruption_budget, &group.waiting_master].into_iter().chain(&group.slaves)
        })
    }

    fn masters(&self) -> Vec<String> {
        self.groups.iter().map(|group| group.master.name.clone()).collect()
    }
}

impl NewGroup {
    fn awaited(&self, stateful_set: &Object) -> Awaited {
        Awaited { stateful_set: stateful_set.name.clone(), pods: 1, version: self.version.clone() }
    }
}

impl<W: World> OperationKind<W> for ScaleBroker {
    type Params = Params;
    const NAME: &'static str = "scale-broker";

    fn title(params: &Params) -> String {
        format!("scale broker groups of `{}` {} -> {}", params.broker, params.from, params.to)
    }

    fn steps(params: &Params) -> Steps<W> {
        let Params { groups, source, .. } = params;
        let targets = params.masters();
        let mut steps: Steps<W> = groups
            .iter()
            .flat_map(|group| [create(&group.disruption_budget), create(&group.waiting_master)])
            .collect();
        steps.push(Box::new(ImportMetadata {
            source: source.clone(),
            targets: targets.clone(),
            token: params.token.clone(),
            old_data: params.old_data,
            topics: params.topics,
            groups: params.subscription_groups,
        }));
        steps.push(Box::new(StartBrokers {
            masters: groups.iter().map(|group| group.awaited(&group.master)).collect(),
        }));
        steps.push(Box::new(EqualiseMetadata { source: source.clone(), targets: targets.clone() }));
        steps.extend(groups.iter().flat_map(|group| &group.slaves).map(create));
        let slaves: Vec<Awaited> =
            groups.iter().flat_map(|group| group.slaves.iter().map(|slave| group.awaited(slave))).collect();
        if !slaves.is_empty() {
            let what = format!("new slaves of `{}`", params.broker);
            steps.push(Box::new(AwaitReady { what, stateful_sets: slaves }));
        }
        steps.push(Box::new(AwaitConsumers {
            masters: source.masters.clone(),
            targets: targets.clone(),
            route_period: params.client_route_period_seconds,
        }));
        steps.push(Box::new(OpenBrokers { targets }));
        steps.push(params.proof.step(&params.followers));
        let stateful_sets = groups.iter().map(|group| group.master.clone()).collect();
        steps.push(Box::new(ReleaseGates { stateful_sets }));
        let (key, text) = params.document.clone();
        steps.push(Box::new(WriteRecord {
            cluster: params.followers.cluster.clone(),
            documents: BTreeMap::from([(key, Some(text))]),
            joins: params.objects().map(Object::reference).collect(),
            leaves: BTreeSet::new(),
            sentence: format!("record the new size of {}", params.to),
        }));
        steps
    }
}
