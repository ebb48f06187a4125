//! Creates what documents ask for and is not there: a cluster, or brokers in one.
//!
//! | step | undo |
//! |---|---|
//! | `create-key` makes the key between CLI and agents | deletes it |
//! | `write-record` notes the documents and every object that will be made | the former record, or none |
//! | `create-object` for each ConfigMap and each object of the name servers | deletes it |
//! | `await-name-servers` until they answer and are published | – (waits) |
//! | `publish-list` writes the list of name servers into the record | the former list, or none |
//! | `create-object` for each object of the brokers | deletes it, waits for its pods |
//! | `await-ready` until the brokers answer and are listed | – (waits) |
//! | `prove-routes` or `prove-registrations` | – (reads) |

pub mod binding;
mod documents;
mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use k8s::objects::Object;
use saga::{AnyStep, OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use documents::{Input, read};
pub use inventory::{Inventory, check_for_collisions, gather};
pub use plan::{Planned, PlannedChange, plan};

use crate::clients::RoutePeriod;
use crate::steps::name_servers::{AwaitNameServers, Followers, ListSource, PublishList};
use crate::steps::objects::CreateObject;
use crate::steps::pods::{AwaitReady, Awaited};
use crate::steps::prove::{Moment, ProveRegistrations, ProveRoutes};
use crate::steps::record::{CreateKey, WriteRecord};
use crate::world::World;

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct Apply;

/// What the journal stores of it: every object whole, so that another version of this program makes the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// All brokers of the cluster, new ones too, and the cluster.
    pub followers: Followers,
    /// New documents by their key in the record.
    pub documents: BTreeMap<String, String>,
    /// ConfigMaps of the user.
    pub config_maps: Vec<Object>,
    /// Name servers, when they are new.
    pub name_servers: Option<NewNameServers>,
    /// The list of name servers, when the cluster has none yet.
    pub list: Option<ListSource>,
    /// New brokers.
    pub brokers: Vec<NewBroker>,
    /// How the end is proved.
    pub proof: Proof,
}

/// Name servers to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewNameServers {
    /// Their objects, in the order in which they are made.
    pub objects: Vec<Object>,
    /// What is waited for.
    pub awaited: Awaited,
}

/// The groups of a Broker to make.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NewBroker {
    /// The Broker's name.
    pub name: String,
    /// Their objects, in the order in which they are made.
    pub objects: Vec<Object>,
    /// What is waited for.
    pub awaited: Vec<Awaited>,
}

/// How the end of the operation is proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Proof {
    /// Every name server of a StatefulSet is asked.
    Routes {
        /// The StatefulSet.
        stateful_set: String,
        /// How many name servers.
        size: u32,
    },
    /// The name servers have no agent: each broker's agent is asked who holds its registrations.
    Registrations,
}

impl Params {
    /// Every object that the operation makes.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        let name_servers = self.name_servers.iter().flat_map(|name_servers| &name_servers.objects);
        let brokers = self.brokers.iter().flat_map(|broker| &broker.objects);
        self.config_maps.iter().chain(name_servers).chain(brokers)
    }
}

impl<W: World> OperationKind<W> for Apply {
    type Params = Params;
    const NAME: &'static str = "apply";

    fn title(params: &Params) -> String {
        let cluster = &params.followers.cluster;
        let names: Vec<String> = params.brokers.iter().map(|broker| format!("`{}`", broker.name)).collect();
        match (&params.name_servers, &params.list, names.is_empty()) {
            (Some(_), _, true) => format!("create cluster `{cluster}`"),
            (Some(_), _, false) => format!("create cluster `{cluster}` with brokers {}", names.join(", ")),
            (None, Some(_), _) => format!("create brokers {} on name servers of others", names.join(", ")),
            (None, None, false) => format!("create brokers {} in cluster `{cluster}`", names.join(", ")),
            (None, None, true) => format!("create ConfigMaps of cluster `{cluster}`"),
        }
    }

    fn steps(params: &Params) -> Steps<W> {
        let cluster = params.followers.cluster.clone();
        let mut steps: Steps<W> = vec![
            Box::new(CreateKey { cluster: cluster.clone() }),
            Box::new(WriteRecord {
                cluster,
                documents: params
                    .documents
                    .iter()
                    .map(|(key, text)| (key.clone(), Some(text.clone())))
                    .collect(),
                joins: params.objects().map(Object::reference).collect(),
                leaves: BTreeSet::new(),
                sentence: "record what is applied".to_owned(),
            }),
        ];
        steps.extend(params.config_maps.iter().map(create));
        if let Some(name_servers) = &params.name_servers {
            steps.extend(name_servers.objects.iter().map(create));
            steps.push(Box::new(AwaitNameServers { awaited: name_servers.awaited.clone() }));
        }
        if let Some(source) = &params.list {
            // It is the first list, so no client waits for another one.
            let route_period = RoutePeriod::default();
            let (followers, source) = (params.followers.clone(), source.clone());
            steps.push(Box::new(PublishList { followers, source, route_period }));
        }
        for broker in &params.brokers {
            steps.extend(broker.objects.iter().map(create));
        }
        for broker in &params.brokers {
            steps.push(Box::new(AwaitReady {
                what: format!("brokers of `{}`", broker.name),
                stateful_sets: broker.awaited.clone(),
            }));
        }
        steps.push(params.proof.step(&params.followers));
        steps
    }
}

impl Proof {
    /// The step that proves it.
    pub(crate) fn step<W: World>(&self, followers: &Followers) -> Box<dyn AnyStep<W>> {
        let followers = followers.clone();
        match self {
            Self::Routes { stateful_set, size } => Box::new(ProveRoutes {
                followers,
                stateful_set: stateful_set.clone(),
                size: *size,
                moment: Moment::After,
            }),
            Self::Registrations => Box::new(ProveRegistrations { followers }),
        }
    }
}

/// The step that creates an object.
pub(crate) fn create<W: World>(object: &Object) -> Box<dyn AnyStep<W>> {
    Box::new(CreateObject { object: object.clone() })
}
