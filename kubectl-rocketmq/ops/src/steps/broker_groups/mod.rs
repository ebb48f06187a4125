//! Steps on broker groups: on new ones, from a closed gate to masters that clients write to, and on leaving ones, until
//! nobody wants anything of them any more.
//!
//! Out: [`ImportMetadata`] behind the gates, [`StartBrokers`] readable only, [`EqualiseMetadata`], their slaves,
//! [`AwaitConsumers`], [`OpenBrokers`] (the point of no return), the proof, [`ReleaseGates`]. Until the point of no
//! return nothing here has an undo of its own: nobody has written to the new masters, and the steps before take them
//! away whole.
//!
//! Slaves alone: [`AwaitCaughtUp`].
//!
//! In: [`StopWrites`], [`Drain`], [`StopReads`], their objects are deleted (the point of no return), [`UnregisterBrokers`], the proof.

mod caught_up;
mod consumers;
mod drain;
mod equalise;
pub(crate) mod held;
mod import;
mod ledger;
mod let_go;
mod open;
mod permissions;
mod start;
mod unregister;

use std::collections::BTreeSet;
use std::time::Duration;

use agents::types::{ExportOptions, PreparedExport};
use futures::future::try_join_all;
use k8s::pods::Pod;
use rocketmq::metadata::{REGISTRATION_LIMIT, RETRY_PREFIX, Subscription};
use saga::{Permit, StepError};
use serde::{Deserialize, Serialize};

use crate::metadata::{Tables, tables};
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

pub use caught_up::{AwaitCaughtUp, CatchUp};
pub use consumers::AwaitConsumers;
pub use drain::Drain;
pub use equalise::EqualiseMetadata;
pub use held::Held;
pub use import::{ImportMetadata, OldData};
pub use open::{OpenBrokers, ReleaseGates};
pub use permissions::{LeavingMasters, StopReads, StopWrites};
pub use start::StartBrokers;
pub use unregister::UnregisterBrokers;

/// How long a master of the cluster may keep the metadata of new groups waiting: long enough for one that restarts.
const TELLS_WITHIN: Duration = Duration::from_secs(120);

/// Where the metadata of new broker groups come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MetadataSource {
    /// The StatefulSet of the master whose topics and groups they get.
    pub stateful_set: String,
    /// The StatefulSets of all masters that the cluster has already: each may know of groups that the others do not.
    pub masters: Vec<String>,
    /// Whether topics with ordered messages come along.
    pub ordered: bool,
}

impl MetadataSource {
    /// What new groups get: tables without what the source made for itself, and offset 0 in every queue of every topic
    /// for every group that the cluster knows to read it. A group without a stored offset could start behind messages
    /// that were sent before it came (`ConsumerManageProcessor.queryConsumerOffset`, all tags).
    pub(crate) async fn summary<W: World>(&self, world: &W) -> Result<PreparedExport, WorldError> {
        let seeds = self.seeds(world).await?;
        world.tables_summary(&master(world, &self.stateful_set).await?, self.options(), &seeds).await
    }

    /// The same, read whole.
    async fn tables<W: World>(&self, world: &W) -> Result<Tables, WorldError> {
        let seeds = self.seeds(world).await?;
        tables(world, &master(world, &self.stateful_set).await?, self.options(), &seeds).await
    }

    /// The same, written by the source's agent as a bundle that can be relayed.
    async fn prepare<W: World>(&self, world: &W, permit: &Permit) -> Result<PreparedExport, WorldError> {
        let seeds = self.seeds(world).await?;
        let source = master(world, &self.stateful_set).await?;
        world.prepare_export(permit, &source, self.options(), &seeds).await
    }

    /// Asks for one of these, with patience for a master that restarts in this moment.
    async fn soon<W, T, Fut>(&self, world: &W, ask: impl Fn() -> Fut + Send + Sync) -> Result<T, StepError>
    where
        W: World,
        T: Send,
        Fut: Future<Output = Result<T, WorldError>> + Send,
    {
        let what = format!("StatefulSet/{} gives its metadata", self.stateful_set);
        let ask = &ask;
        until(world, &what, TELLS_WITHIN, || async move {
            match ask().await {
                Ok(told) => Look::Holds(told),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    fn options(&self) -> ExportOptions {
        ExportOptions { sanitised: true, ordered: self.ordered }
    }

    /// Every pair of a topic and a group that any master knows, and the retry topic of each group: it is subscribed
    /// to by the clients themselves (`DefaultMQPushConsumerImpl.copySubscription`), so an offline group shows none.
    async fn seeds<W: World>(&self, world: &W) -> Result<BTreeSet<Subscription>, WorldError> {
        let asked = self.masters.iter().map(|stateful_set| async move {
            let pod = master(world, stateful_set).await?;
            world.subscriptions(&pod).await
        });
        let mut pairs: BTreeSet<Subscription> = try_join_all(asked).await?.into_iter().flatten().collect();
        let groups: BTreeSet<String> = pairs.iter().map(|pair| pair.group.clone()).collect();
        pairs.extend(
            groups.into_iter().map(|group| Subscription { topic: format!("{RETRY_PREFIX}{group}"), group }),
        );
        Ok(pairs)
    }
}

/// Why no broker can hold what was prepared; `None` if one can.
pub(crate) fn too_large(prepared: &PreparedExport) -> Option<String> {
    let bytes = prepared.bundle.registration_bytes;
    (bytes > REGISTRATION_LIMIT).then(|| {
        format!(
            "with {} topics the registration of a new broker would have {bytes} bytes, above the limit of {} MiB",
            prepared.bundle.topics.entries,
            REGISTRATION_LIMIT >> 20
        )
    })
}

/// The pod of a StatefulSet of one.
pub(crate) async fn master<W: World>(world: &W, stateful_set: &str) -> Result<Pod, WorldError> {
    let pods = world.pods(stateful_set).await?;
    let present = pods.into_iter().find(|pod| !pod.deleting);
    present.ok_or_else(|| WorldError::new(format!("StatefulSet/{stateful_set} has no pod")))
}

/// The pods of several.
async fn masters<W: World>(world: &W, stateful_sets: &[String]) -> Result<Vec<Pod>, WorldError> {
    try_join_all(stateful_sets.iter().map(|stateful_set| master(world, stateful_set))).await
}
