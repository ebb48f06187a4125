//! Waiting for pods: that all of a StatefulSet are ready and their RocketMQ answers, or that none is left.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use k8s::names;
use k8s::pods::{ContainerState, Pod};
use rocketmq::model::version::Version;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::steps::objects::GONE_WITHIN;
use crate::wait::{Look, until};
use crate::world::World;

/// How long a pod may take from its creation until RocketMQ answers, when nothing is known to be wrong with it.
/// A broker that recovers a large commit log needs minutes.
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(600);

/// How long a pod's trouble (an image that cannot be pulled, a folder that is not writable) may last before it
/// counts as one that does not pass by itself.
const TROUBLE_LASTS: Duration = Duration::from_secs(30);

/// A StatefulSet whose pods shall be ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Awaited {
    /// The StatefulSet.
    pub stateful_set: String,
    /// How many pods it shall have.
    pub pods: u32,
    /// The version that its manifests were made for; `None` if it is not known before RocketMQ answers.
    pub version: Option<String>,
}

/// Waits until every pod of some StatefulSets is ready. Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AwaitReady {
    /// What they are, for the plan's line, for example "name servers".
    pub what: String,
    /// Which ones.
    pub stateful_sets: Vec<Awaited>,
}

impl<W: World> Step<W> for AwaitReady {
    type Before = ();
    const NAME: &'static str = "await-ready";

    fn instance(&self) -> String {
        self.what.clone()
    }

    fn describe(&self) -> Change {
        let pods: u32 = self.stateful_sets.iter().map(|awaited| awaited.pods).sum();
        Change::new(format!("wait until the {} are ready ({pods} pods)", self.what))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        for awaited in &self.stateful_sets {
            await_ready(world, &awaited.stateful_set, awaited.pods, awaited.version.as_deref()).await?;
        }
        Ok(())
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Waits until a StatefulSet has exactly this many pods, all ready, of the expected version if there is one.
pub(crate) async fn await_ready<W: World>(
    world: &W,
    stateful_set: &str,
    pods: u32,
    version: Option<&str>,
) -> Result<Vec<Pod>, StepError> {
    let what = format!("StatefulSet/{stateful_set} has {pods} ready pod(s)");
    let patience = &Patience::default();
    until(world, &what, READY_WITHIN, || async move {
        let present = match world.pods(stateful_set).await {
            Ok(present) => present,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        if let Some(reason) = other_version(world, &present, version).await {
            return Look::Never(reason);
        }
        let ready = present.iter().filter(|pod| pod.ready && !pod.deleting).count();
        if ready == present.len() && ready == pods as usize {
            return Look::Holds(present);
        }
        let trouble = match trouble(world, &present).await {
            None if present.is_empty() => world.trouble_of_stateful_set(stateful_set).await,
            trouble => trouble,
        };
        patience.judge(world.elapsed(), trouble, format!("{ready} of {pods} ready"))
    })
    .await
}

/// Tells trouble that lasts from trouble that passes by itself.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    troubled_since: Mutex<Option<Duration>>,
}

impl Patience {
    /// What a look comes to that found this trouble; without trouble it is `otherwise` that is waited for.
    pub(crate) fn judge<T>(&self, now: Duration, trouble: Option<String>, otherwise: String) -> Look<T> {
        let mut since = self.troubled_since.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(reason) = trouble else {
            *since = None;
            return Look::NotYet(otherwise);
        };
        let first = *since.get_or_insert(now);
        if now.saturating_sub(first) >= TROUBLE_LASTS { Look::Never(reason) } else { Look::NotYet(reason) }
    }
}

/// What Kubernetes or the agent says is wrong with the first pod that is not ready.
async fn trouble<W: World>(world: &W, pods: &[Pod]) -> Option<String> {
    for pod in pods.iter().filter(|pod| !pod.ready && !pod.deleting) {
        let reason = match world.trouble(pod).await {
            Some(reason) => Some(reason),
            None => closed_gate(world, pod).await,
        };
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            return Some(format!("pod `{}`: {reason}", pod.name));
        }
    }
    None
}

/// What the gate of a pod waits for. An agent that does not run yet is not asked: it would only cost time.
async fn closed_gate<W: World>(world: &W, pod: &Pod) -> Option<String> {
    let agent = pod.container(names::CONTAINER_AGENT)?;
    if agent.state != ContainerState::Running {
        return None;
    }
    let gate = world.describe(pod).await.ok()?.gate?;
    (!gate.open).then_some(gate.waiting_for)
}

/// Why RocketMQ is not the version that the manifests were made for: how a broker takes its list hangs on it.
async fn other_version<W: World>(world: &W, pods: &[Pod], expected: Option<&str>) -> Option<String> {
    let expected = expected?;
    for pod in pods.iter().filter(|pod| pod.ready) {
        let Ok(described) = world.describe(pod).await else { continue };
        if described.process.version == 0 {
            continue;
        }
        let found = Version::from_ordinal(described.process.version).to_string();
        if found != expected {
            return Some(format!(
                "RocketMQ in pod `{}` is {found}, but {expected} was expected: say it with `--rocketmq-version {found}`",
                pod.name
            ));
        }
    }
    None
}

/// Waits until a StatefulSet has no pod left.
pub(crate) async fn await_no_pods<W: World>(world: &W, stateful_set: &str) -> Result<(), StepError> {
    until(world, &format!("the pods of StatefulSet/{stateful_set} are gone"), GONE_WITHIN, || async move {
        match world.pods(stateful_set).await {
            Ok(pods) if pods.is_empty() => Look::Holds(()),
            Ok(pods) => {
                let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
                Look::NotYet(format!("still there: {}", names.join(", ")))
            }
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}
