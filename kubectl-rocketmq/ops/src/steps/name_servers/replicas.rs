//! The number of name servers, and what a new one must be given before brokers come to it.

use std::time::Duration;

use agents::types::KvEntry;
use k8s::objects::Kind;
use k8s::pods::Pod;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::steps::pods::{Awaited, await_ready};
use crate::wait::{Look, until};
use crate::world::World;

/// Raises the number of name servers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GrowNameServers {
    /// Their StatefulSet, and their headless Service.
    pub stateful_set: String,
    /// How many there are.
    pub from: u32,
    /// How many there shall be.
    pub to: u32,
}

/// Lowers the number of name servers. No broker lists the leaving ones any more when this runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShrinkNameServers {
    /// Their StatefulSet, and their headless Service.
    pub stateful_set: String,
    /// How many there are.
    pub from: u32,
    /// How many there shall be.
    pub to: u32,
}

/// Waits until new name servers answer and are published. Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AwaitNameServers {
    /// Which ones.
    pub awaited: Awaited,
}

impl<W: World> Step<W> for AwaitNameServers {
    type Before = ();
    const NAME: &'static str = "await-name-servers";

    fn describe(&self) -> Change {
        Change::new(format!("wait until the name servers are ready ({} pods)", self.awaited.pods))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let Awaited { stateful_set, pods, version } = &self.awaited;
        await_name_servers(world, stateful_set, *pods, version.as_deref()).await.map(drop)
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// The number of replicas before a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ReplicasBefore {
    /// `spec.replicas`.
    pub replicas: u32,
}

impl<W: World> Step<W> for GrowNameServers {
    type Before = ReplicasBefore;
    const NAME: &'static str = "grow-name-servers";

    fn describe(&self) -> Change {
        let more = self.to - self.from;
        Change::new(format!("start {more} more name server(s) in StatefulSet/{}", self.stateful_set))
            .from_to(self.from.to_string(), self.to.to_string())
    }

    async fn look(&self, world: &W) -> Result<Seen<ReplicasBefore>, StepError> {
        look_replicas(world, &self.stateful_set, self.to).await
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &ReplicasBefore) -> Result<(), StepError> {
        set_replicas(world, permit, &self.stateful_set, self.to).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        await_name_servers(world, &self.stateful_set, self.to, None).await.map(drop)
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &ReplicasBefore) -> Result<(), StepError> {
        set_replicas(world, permit, &self.stateful_set, before.replicas).await?;
        await_ready(world, &self.stateful_set, before.replicas, None).await.map(drop)
    }
}

impl<W: World> Step<W> for ShrinkNameServers {
    type Before = ReplicasBefore;
    const NAME: &'static str = "shrink-name-servers";

    fn describe(&self) -> Change {
        let fewer = self.from - self.to;
        Change::new(format!("stop the last {fewer} name server(s) of StatefulSet/{}", self.stateful_set))
            .from_to(self.from.to_string(), self.to.to_string())
    }

    async fn look(&self, world: &W) -> Result<Seen<ReplicasBefore>, StepError> {
        look_replicas(world, &self.stateful_set, self.to).await
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &ReplicasBefore) -> Result<(), StepError> {
        set_replicas(world, permit, &self.stateful_set, self.to).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        await_ready(world, &self.stateful_set, self.to, None).await.map(drop)
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &ReplicasBefore) -> Result<(), StepError> {
        set_replicas(world, permit, &self.stateful_set, before.replicas).await?;
        await_name_servers(world, &self.stateful_set, before.replicas, None).await?;
        let missing = missing_kv(world, &self.stateful_set, self.to, before.replicas).await?;
        put_kv(world, permit, &missing).await
    }
}

async fn look_replicas<W: World>(
    world: &W,
    stateful_set: &str,
    wanted: u32,
) -> Result<Seen<ReplicasBefore>, StepError> {
    let object = world.object(Kind::StatefulSet, stateful_set).await?;
    let replicas = object.and_then(|object| object.replicas()).ok_or_else(|| absent(stateful_set))?;
    Ok(if replicas == wanted { Seen::Done } else { Seen::Todo(ReplicasBefore { replicas }) })
}

async fn set_replicas<W: World>(
    world: &W,
    permit: &Permit,
    stateful_set: &str,
    replicas: u32,
) -> Result<(), StepError> {
    let object = world.object(Kind::StatefulSet, stateful_set).await?.ok_or_else(|| absent(stateful_set))?;
    if object.replicas() != Some(replicas) {
        world.replace(permit, &object.with_replicas(replicas)).await?;
    }
    Ok(())
}

fn absent(stateful_set: &str) -> StepError {
    StepError::new(format!("StatefulSet/{stateful_set} does not exist"))
}

/// The EndpointSlice controller writes a ready pod within a second; a busy control plane gets more.
const PUBLISHED_WITHIN: Duration = Duration::from_secs(30);

/// Waits until the name servers are ready and the headless Service publishes the host name of each. DNS is never
/// asked first: its "no" would be cached.
async fn await_name_servers<W: World>(
    world: &W,
    stateful_set: &str,
    pods: u32,
    version: Option<&str>,
) -> Result<Vec<Pod>, StepError> {
    let present = await_ready(world, stateful_set, pods, version).await?;
    let names: Vec<String> = present.iter().map(|pod| pod.name.clone()).collect();
    let names = &names;
    until(
        world,
        &format!("Service/{stateful_set} publishes {pods} host name(s)"),
        PUBLISHED_WITHIN,
        || async move {
            match world.endpoint_hostnames(stateful_set).await {
                Ok(published) => match names.iter().find(|name| !published.contains(name)) {
                    None => Look::Holds(()),
                    Some(absent) => Look::NotYet(format!("`{absent}` is not published")),
                },
                Err(error) => Look::NotYet(error.to_string()),
            }
        },
    )
    .await?;
    Ok(present)
}

/// Gives the new name servers the KV configuration of the first. Name servers do not replicate it, and one
/// without it makes brokers up to 5.3.0 forget ordered topics (`BrokerController.registerBrokerAll`,
/// `TopicConfigManager.updateOrderTopicConfig`).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CopyKvConfig {
    /// The StatefulSet of the name servers.
    pub stateful_set: String,
    /// How many there were: the first of them is the source, those after them are the targets.
    pub from: u32,
    /// How many there are.
    pub to: u32,
}

impl<W: World> Step<W> for CopyKvConfig {
    type Before = ();
    const NAME: &'static str = "copy-kv-config";

    fn describe(&self) -> Change {
        Change::new(format!(
            "copy the KV configuration of name server {} to the new one(s)",
            k8s::names::pod(&self.stateful_set, 0)
        ))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        let missing = missing_kv(world, &self.stateful_set, self.from, self.to).await?;
        Ok(if missing.is_empty() { Seen::Done } else { Seen::Todo(()) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let missing = missing_kv(world, &self.stateful_set, self.from, self.to).await?;
        put_kv(world, permit, &missing).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        match missing_kv(world, &self.stateful_set, self.from, self.to).await?.first() {
            None => Ok(()),
            Some((pod, entries)) => {
                let lacking = entries.len();
                Err(StepError::new(format!("name server `{}` still lacks {lacking} KV entries", pod.name)))
            }
        }
    }

    /// The new name servers go when the step before is undone, and their configuration with them.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// The KV entries of the first name server that those from `from` to `to` lack, by name server; none that lacks
/// nothing.
async fn missing_kv<W: World>(
    world: &W,
    stateful_set: &str,
    from: u32,
    to: u32,
) -> Result<Vec<(Pod, Vec<KvEntry>)>, StepError> {
    let pods = world.pods(stateful_set).await?;
    let Some(first) = pods.first() else { return Err(absent(stateful_set)) };
    let wanted = world.kv_config(first).await?;
    let mut missing = Vec::new();
    for pod in pods.iter().take(to as usize).skip(from as usize) {
        let has = world.kv_config(pod).await?;
        let lacks: Vec<KvEntry> = wanted.iter().filter(|entry| !has.contains(entry)).cloned().collect();
        if !lacks.is_empty() {
            missing.push((pod.clone(), lacks));
        }
    }
    Ok(missing)
}

async fn put_kv<W: World>(
    world: &W,
    permit: &Permit,
    missing: &[(Pod, Vec<KvEntry>)],
) -> Result<(), StepError> {
    for (pod, entries) in missing {
        world.put_kv_config(permit, pod, entries).await?;
    }
    Ok(())
}
