//! Steps on the number of name servers and on the list that brokers follow.
//!
//! Out: [`GrowNameServers`], [`CopyKvConfig`], [`PublishList`], [`BridgeBrokers`], prove. In: prove the rest,
//! [`PublishList`], [`RetireNameServers`], prove, [`ShrinkNameServers`]. Each undo is the other direction's way,
//! so that an undone scale-out stops no name server that a broker still lists.

mod follow;
mod list;
mod replicas;

use agents::types::NameServerList;
use futures::stream::{self, StreamExt, TryStreamExt};
use saga::{Permit, StepError};
use serde::{Deserialize, Serialize};

use crate::members::broker_pods;
use crate::world::World;

pub(crate) use follow::await_registered;
pub use follow::{BridgeBrokers, RetireNameServers};
pub use list::{ListSource, PublishList};
pub use replicas::{AwaitNameServers, CopyKvConfig, GrowNameServers, ReplicasBefore, ShrinkNameServers};

/// How many agents are given a list at once: each starts bridges, and a name server that many brokers register
/// at in one moment collects garbage instead of answering.
const PUSHES_AT_ONCE: usize = 8;

/// The brokers that follow a cluster's list, by their StatefulSets of one pod each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Followers {
    /// The cluster whose record has the list.
    pub cluster: String,
    /// StatefulSets of masters.
    pub masters: Vec<String>,
    /// StatefulSets of slaves.
    pub slaves: Vec<String>,
}

impl Followers {
    /// The StatefulSets of all brokers, masters first.
    #[must_use]
    pub fn stateful_sets(&self) -> Vec<String> {
        self.masters.iter().chain(&self.slaves).cloned().collect()
    }
}

/// Gives a list to the agent of every broker: masters first, since the routes that clients write by are theirs.
async fn push<W: World>(
    world: &W,
    permit: &Permit,
    followers: &Followers,
    list: &NameServerList,
) -> Result<(), StepError> {
    for stateful_sets in [&followers.masters, &followers.slaves] {
        let pods = broker_pods(world, stateful_sets).await?;
        let calls: Vec<_> = pods.iter().map(|pod| world.set_name_servers(permit, pod, list)).collect();
        stream::iter(calls).buffer_unordered(PUSHES_AT_ONCE).try_collect::<()>().await?;
    }
    Ok(())
}
