//! Takes brokers, or a whole cluster, down. The first object is the point of no return; data volumes stay.
//!
//! | step | undo |
//! |---|---|
//! | `delete-objects`: the brokers' StatefulSets, waits until their pods are gone | none |
//! | `delete-objects`: the name servers' StatefulSet, waits likewise | none |
//! | `delete-objects`: the objects around them | none |
//! | `write-record` takes them out of the record, or `delete-record` when nothing is left | – |
//!
//! When a whole cluster is gone and the journal says `done`, the key and the Lease go too ([`DeleteCluster`]). What
//! a kill in between leaves of them harms nothing: a new cluster takes them over.

mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub(crate) use inventory::present;
pub use inventory::{Inventory, Present, gather};
pub use plan::{Planned, Target, plan};

use crate::steps::objects::{DeleteObjects, ObjectName};
use crate::steps::record::{DeleteKey, DeleteRecord, WriteRecord};
use crate::world::World;

/// The kind of operation that leaves something of the cluster.
#[derive(Debug, Clone, Copy)]
pub struct Delete;

/// The kind of operation that takes the whole cluster away.
#[derive(Debug, Clone, Copy)]
pub struct DeleteCluster;

/// What the journal stores of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The cluster.
    pub cluster: String,
    /// Keys of the documents that go, `broker/demo`.
    pub documents: Vec<String>,
    /// StatefulSets of brokers.
    pub brokers: Vec<ObjectName>,
    /// StatefulSets of name servers.
    pub name_servers: Vec<ObjectName>,
    /// Everything else.
    pub others: Vec<ObjectName>,
    /// References that leave the record's inventory.
    pub leaves: BTreeSet<String>,
}

impl Params {
    fn title(&self) -> String {
        format!("delete {} of cluster `{}`", self.documents.join(", "), self.cluster)
    }

    /// The deletions; a kind of which there is nothing has no step.
    fn deletions<W: World>(&self) -> Steps<W> {
        let parts = [
            ("brokers", &self.brokers),
            ("name servers", &self.name_servers),
            ("objects around them", &self.others),
        ];
        let mut steps: Steps<W> = Vec::new();
        for (what, objects) in parts.into_iter().filter(|(_, objects)| !objects.is_empty()) {
            steps.push(Box::new(DeleteObjects { what: what.to_owned(), objects: objects.clone() }));
        }
        steps
    }
}

impl<W: World> OperationKind<W> for Delete {
    type Params = Params;
    const NAME: &'static str = "delete";

    fn title(params: &Params) -> String {
        params.title()
    }

    fn steps(params: &Params) -> Steps<W> {
        let mut steps = params.deletions();
        steps.push(Box::new(WriteRecord {
            cluster: params.cluster.clone(),
            documents: params.documents.iter().map(|key| (key.clone(), None)).collect(),
            joins: BTreeSet::new(),
            leaves: params.leaves.clone(),
            sentence: "take what is gone out of the record".to_owned(),
        }));
        steps
    }
}

impl<W: World> OperationKind<W> for DeleteCluster {
    type Params = Params;
    const NAME: &'static str = "delete-cluster";
    const ENDS_CLUSTER: bool = true;

    fn title(params: &Params) -> String {
        format!("delete cluster `{}`", params.cluster)
    }

    fn steps(params: &Params) -> Steps<W> {
        let mut steps = params.deletions();
        steps.push(Box::new(DeleteRecord { cluster: params.cluster.clone() }));
        steps
    }

    fn afterwards(params: &Params) -> Steps<W> {
        vec![Box::new(DeleteKey { cluster: params.cluster.clone() })]
    }
}

/// What an object is of, for the parts of [`Params`].
fn by_name(objects: &BTreeMap<ObjectName, Present>, wanted: impl Fn(&Present) -> bool) -> Vec<ObjectName> {
    objects.iter().filter(|(_, present)| wanted(present)).map(|(name, _)| name.clone()).collect()
}
