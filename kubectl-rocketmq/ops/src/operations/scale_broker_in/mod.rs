//! Takes the highest groups of a Broker away, after nobody wants anything of them any more. Their data stay.
//!
//! | step | undo |
//! |---|---|
//! | `stop-writes` lets clients only read from the leaving masters, proved at every name server | the former permissions |
//! | `drain` until nobody wrote for two route periods and nothing is left but what is abandoned; pauses when it takes too long | – (waits) |
//! | `stop-reads` takes the masters out of what clients use, proved at every name server; consumers say that they have let go of them, or have had the time | the former permissions |
//! | `delete-objects`: the slaves' StatefulSets, waits until their pods are gone | the point of no return |
//! | `delete-objects`: the masters' StatefulSets and the PodDisruptionBudgets, waits likewise | |
//! | `unregister-brokers` takes what is left of them out of every name server | |
//! | `prove-routes` or `prove-registrations` | |
//! | `write-record` notes the new size, and takes the objects out | |
//!
//! That the routes are whole is a condition of the plan: a name server that lacks a broker would send clients to those
//! that leave.

mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s::objects::Kind;
use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use inventory::{Inventory, Leaving, gather};
pub use plan::{Planned, plan};

use crate::clients::RoutePeriod;
use crate::operations::apply::Proof;
use crate::steps::broker_groups::{Drain, Held, LeavingMasters, StopReads, StopWrites, UnregisterBrokers};
use crate::steps::name_servers::Followers;
use crate::steps::objects::{DeleteObjects, ObjectName};
use crate::steps::record::WriteRecord;
use crate::world::World;

/// How long a drain takes before it pauses, unless told otherwise.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(1800);

/// How groups are drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrainOptions {
    /// `--drain-timeout`: after how long the drain pauses; zero is never.
    pub timeout: Duration,
    /// `--force`: messages that nobody is there to consume are abandoned.
    pub force: bool,
    /// `--abandon`: how many the user expects these to be.
    pub abandon: Option<u64>,
}

impl Default for DrainOptions {
    fn default() -> Self {
        Self { timeout: DRAIN_TIMEOUT, force: false, abandon: None }
    }
}

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct ScaleBrokerIn;

/// What the journal stores of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The brokers of the cluster that stay, and the cluster.
    pub followers: Followers,
    /// The Broker.
    pub broker: String,
    /// How many groups there are.
    pub from: u32,
    /// How many there shall be.
    pub to: u32,
    /// Those that leave.
    pub groups: Vec<LeavingGroup>,
    /// The brokers' cluster, as RocketMQ names it.
    pub broker_cluster: String,
    /// The StatefulSet of the name servers; `None` where they have no agents.
    pub name_servers: Option<String>,
    /// After how long the drain pauses; 0 is never.
    pub drain_timeout_seconds: u64,
    /// What may be left.
    pub abandoned: Vec<Held>,
    /// How often clients fetch their routes. A journal from before it was asked for means RocketMQ's default.
    #[serde(default)]
    pub client_route_period_seconds: RoutePeriod,
    /// How the end is proved.
    pub proof: Proof,
    /// The Broker with its new size, as YAML, under its key in the record.
    pub document: (String, String),
}

/// A group that leaves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeavingGroup {
    /// Its name; its PodDisruptionBudget's too.
    pub name: String,
    /// The StatefulSet of its master.
    pub master: String,
    /// Those of its slaves, from the broker id 1 on.
    pub slaves: Vec<String>,
}

impl LeavingGroup {
    fn slaves(&self) -> impl Iterator<Item = ObjectName> {
        self.slaves.iter().map(|name| ObjectName { kind: Kind::StatefulSet, name: name.clone() })
    }

    fn master(&self) -> [ObjectName; 2] {
        [(Kind::StatefulSet, &self.master), (Kind::PodDisruptionBudget, &self.name)]
            .map(|(kind, name)| ObjectName { kind, name: name.clone() })
    }

    /// Every object of the group.
    pub fn objects(&self) -> impl Iterator<Item = ObjectName> {
        self.slaves().chain(self.master())
    }

    /// Name and id of each of its brokers.
    fn brokers(&self) -> impl Iterator<Item = (String, u64)> {
        (0_u64..)
            .zip(std::iter::once(&self.master).chain(&self.slaves))
            .map(|(id, _)| (self.name.clone(), id))
    }
}

impl<W: World> OperationKind<W> for ScaleBrokerIn {
    type Params = Params;
    const NAME: &'static str = "scale-broker-in";

    fn title(params: &Params) -> String {
        format!("scale broker groups of `{}` {} -> {}", params.broker, params.from, params.to)
    }

    fn steps(params: &Params) -> Steps<W> {
        let groups = &params.groups;
        let masters: Vec<String> = groups.iter().map(|group| group.master.clone()).collect();
        let leaving = LeavingMasters { masters: masters.clone(), name_servers: params.name_servers.clone() };
        let mut steps: Steps<W> = vec![
            Box::new(StopWrites(leaving.clone())),
            Box::new(Drain {
                masters,
                abandoned: params.abandoned.clone(),
                timeout_seconds: params.drain_timeout_seconds,
                route_period: params.client_route_period_seconds,
            }),
            Box::new(StopReads {
                leaving,
                groups: groups.iter().map(|group| group.name.clone()).collect(),
                staying: params.followers.masters.clone(),
                route_period: params.client_route_period_seconds,
            }),
        ];
        let slaves: Vec<ObjectName> = groups.iter().flat_map(LeavingGroup::slaves).collect();
        if !slaves.is_empty() {
            let what = "slaves of the leaving groups".to_owned();
            steps.push(Box::new(DeleteObjects { what, objects: slaves }));
        }
        steps.push(Box::new(DeleteObjects {
            what: "masters of the leaving groups".to_owned(),
            objects: groups.iter().flat_map(LeavingGroup::master).collect(),
        }));
        if let Some(name_servers) = params.name_servers.clone() {
            steps.push(Box::new(UnregisterBrokers {
                name_servers,
                cluster: params.broker_cluster.clone(),
                brokers: groups.iter().flat_map(LeavingGroup::brokers).collect(),
            }));
        }
        steps.push(params.proof.step(&params.followers));
        let (key, text) = params.document.clone();
        steps.push(Box::new(WriteRecord {
            cluster: params.followers.cluster.clone(),
            documents: BTreeMap::from([(key, Some(text))]),
            joins: BTreeSet::new(),
            leaves: groups.iter().flat_map(LeavingGroup::objects).map(|object| object.to_string()).collect(),
            sentence: format!("record the new size of {}", params.to),
        }));
        steps
    }
}
