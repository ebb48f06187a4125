//! Brings the metadata of a running broker to those of a bundle: what it lacks is created, what it has otherwise is
//! changed, by RocketMQ's own requests. Nothing is taken away.
//!
//! | step | undo |
//! |---|---|
//! | `send-metadata` brings what differs to the broker's agent | – (nothing was changed) |
//! | `apply-metadata` creates and changes it, each entry read back | – (the point of no return: a topic that clients may use already is not deleted) |

mod inventory;
mod packed;
mod plan;
mod steps;
#[cfg(test)]
mod tests;

use rocketmq::metadata::Origin;
use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use inventory::{Inventory, gather};
pub use packed::Packed;
pub use plan::{Count, Counts, Planned, plan};

use crate::world::World;
use steps::{ApplyMetadata, SendMetadata};

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct ImportMetadata;

/// What the journal stores of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The cluster.
    pub cluster: String,
    /// The broker's pod.
    pub pod: String,
    /// Where the bundle came from, for the operation's title.
    pub file: String,
    /// The broker that the bundle is of.
    pub origin: Origin,
    /// What the broker lacks or has otherwise.
    pub entries: Packed,
    /// How much that is, for the plan's lines.
    pub counts: Counts,
}

impl<W: World> OperationKind<W> for ImportMetadata {
    type Params = Params;
    const NAME: &'static str = "import-metadata";

    fn title(params: &Params) -> String {
        format!("import metadata of `{}` into `{}`", params.file, params.pod)
    }

    fn steps(params: &Params) -> Steps<W> {
        vec![
            Box::new(SendMetadata { params: params.clone() }),
            Box::new(ApplyMetadata { params: params.clone() }),
        ]
    }
}
