//! The metadata of a running master, into new ones before their first start.

use agents::types::{self, Commit, MetadataState, PreparedExport};
use futures::future::{join_all, try_join_all};
use k8s::names;
use k8s::pods::{ContainerState, Pod};
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{MetadataSource, master, too_large};
use crate::steps::pods::{Patience, READY_WITHIN};
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// What becomes of data that an earlier broker left in the store of a new one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OldData {
    /// They are in the way.
    #[default]
    Refuse,
    /// The new broker starts on them, and gets by requests what it lacks.
    Keep,
    /// They are renamed, and stay.
    Aside,
}

impl From<OldData> for types::OldData {
    fn from(old_data: OldData) -> Self {
        match old_data {
            OldData::Refuse => Self::Refuse,
            OldData::Keep => Self::Keep,
            OldData::Aside => Self::Aside,
        }
    }
}

/// Waits until the gates of new masters wait for metadata, and gives them those of the source. Their brokers start
/// then, with everything but the permission to write.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ImportMetadata {
    /// Whose metadata.
    pub source: MetadataSource,
    /// The StatefulSets of the new masters.
    pub targets: Vec<String>,
    /// The token that their agents wait for.
    pub token: String,
    /// What becomes of data that lie there already.
    pub old_data: OldData,
    /// How many topics the source had when the plan was made, for the plan's line.
    pub topics: u64,
    /// How many subscription groups.
    pub groups: u64,
}

impl<W: World> Step<W> for ImportMetadata {
    type Before = ();
    const NAME: &'static str = "import-metadata";

    fn describe(&self) -> Change {
        Change::new(format!(
            "give {} new master(s) the {} topic(s) and {} subscription group(s) of pod `{}`, before their first start",
            self.targets.len(),
            self.topics,
            self.groups,
            names::pod(&self.source.stateful_set, 0)
        ))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        let committed = join_all(self.targets.iter().map(|target| self.committed(world, target))).await;
        let all = committed.into_iter().all(|committed| committed == Ok(true));
        Ok(if all { Seen::Done } else { Seen::Todo(()) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let gates = try_join_all(self.targets.iter().map(|target| self.await_gate(world, target))).await?;
        let waiting: Vec<&(Pod, MetadataState)> =
            gates.iter().filter(|(_, state)| state.committed != self.token).collect();
        if waiting.is_empty() {
            return Ok(());
        }
        for (pod, state) in &waiting {
            self.check_store(pod, state)?;
        }
        let prepared = self.source.soon(world, || self.source.prepare(world, permit)).await?;
        if let Some(reason) = too_large(&prepared) {
            return Err(StepError::refused(reason));
        }
        let source = master(world, &self.source.stateful_set).await?;
        let given = waiting.iter().map(|(pod, _)| self.give(world, permit, &source, pod, &prepared));
        try_join_all(given).await?;
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        for target in &self.targets {
            if !self.committed(world, target).await? {
                return Err(StepError::new(format!(
                    "the agent of StatefulSet/{target} has not committed the metadata it was given"
                )));
            }
        }
        Ok(())
    }

    /// The masters go when the steps before are undone. What lies in their stores is our own import: an agent counts
    /// a store as empty whose broker was never opened.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

impl ImportMetadata {
    async fn committed<W: World>(&self, world: &W, target: &str) -> Result<bool, WorldError> {
        let described = world.describe(&master(world, target).await?).await?;
        Ok(described.metadata.is_some_and(|state| state.committed == self.token))
    }

    /// Waits until the agent of a new master answers, and makes sure that it waits for these metadata.
    async fn await_gate<W: World>(&self, world: &W, target: &str) -> Result<(Pod, MetadataState), StepError> {
        let what = format!("the agent of StatefulSet/{target} waits for metadata");
        let patience = &Patience::default();
        until(world, &what, READY_WITHIN, || async move {
            let pod = match master(world, target).await {
                Ok(pod) => pod,
                Err(error) => {
                    let trouble = world.trouble_of_stateful_set(target).await;
                    return patience.judge(world.elapsed(), trouble, error.to_string());
                }
            };
            // An agent that does not run yet is not asked: it would only cost time.
            let agent = pod.container(names::CONTAINER_AGENT);
            let answer = if agent.is_some_and(|agent| agent.state != ContainerState::Running) {
                Err("it does not run yet".to_owned())
            } else {
                world.describe(&pod).await.map_err(|error| error.to_string())
            };
            let described = match answer {
                Ok(described) => described,
                Err(reason) => {
                    let trouble = world.trouble(&pod).await;
                    let trouble = trouble.map(|trouble| format!("pod `{}`: {trouble}", pod.name));
                    return patience.judge(world.elapsed(), trouble, reason);
                }
            };
            match described.metadata {
                Some(state) if state.awaited == self.token => Look::Holds((pod, state)),
                _ => Look::Never(format!(
                    "the agent of pod `{}` (version {}) does not wait for the metadata of this operation, so its \
                     broker starts without them",
                    pod.name, described.agent_version
                )),
            }
        })
        .await
    }

    fn check_store(&self, pod: &Pod, state: &MetadataState) -> Result<(), StepError> {
        if self.old_data != OldData::Refuse || state.earlier_store.is_empty() {
            return Ok(());
        }
        Err(StepError::refused(format!(
            "folder `{}` of pod `{}` holds the data of an earlier broker",
            state.earlier_store, pod.name
        ))
        .with_causes([
            "with `--old-data=keep` the new broker starts on them".to_owned(),
            "with `--old-data=aside` the folder is renamed, and stays".to_owned(),
        ]))
    }

    async fn give<W: World>(
        &self,
        world: &W,
        permit: &Permit,
        source: &Pod,
        target: &Pod,
        prepared: &PreparedExport,
    ) -> Result<(), WorldError> {
        world.relay_metadata(permit, source, target, &prepared.bundle).await?;
        let commit = Commit {
            token: self.token.clone(),
            sha256: prepared.bundle.sha256.clone(),
            old_data: self.old_data.into(),
            permission: Permission::READ,
        };
        world.commit_metadata(permit, target, &commit).await.map(drop)
    }
}
