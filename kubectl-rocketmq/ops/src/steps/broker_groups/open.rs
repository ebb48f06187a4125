//! New masters are opened to producers, and become like those from before.

use futures::future::{join_all, try_join_all};
use k8s::objects::Object;
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Reversal, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::masters;
use super::start::await_permission;
use crate::world::{World, WorldError};

/// Lets clients write to new masters. From then on messages lie there: the way back is to drain them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenBrokers {
    /// Their StatefulSets.
    pub targets: Vec<String>,
}

impl<W: World> Step<W> for OpenBrokers {
    type Before = ();
    const NAME: &'static str = "open-brokers";

    fn describe(&self) -> Change {
        Change::new(format!("let clients write to {} new master(s): brokerPermission", self.targets.len()))
            .from_to(Permission::READ.bits().to_string(), Permission::READ_WRITE.bits().to_string())
    }

    /// Never done already: only a step that has started is a point of no return, whoever opened the masters.
    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let pods = masters(world, &self.targets).await?;
        // All of them are tried: after the point of no return one that fails must not keep the others closed.
        let opened = pods.iter().map(|pod| world.set_broker_permission(permit, pod, Permission::READ_WRITE));
        join_all(opened).await.into_iter().collect::<Result<(), WorldError>>()?;
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let opened =
            self.targets.iter().map(|target| await_permission(world, target, Permission::READ_WRITE));
        try_join_all(opened).await.map(drop)
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Err(StepError::new("clients may have written to the new masters already"))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}

/// Takes the wait for metadata out of the pod templates of new masters, which makes them like those from before. No
/// pod restarts: the update strategy is OnDelete.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseGates {
    /// Their StatefulSets as they shall be.
    pub stateful_sets: Vec<Object>,
}

impl<W: World> Step<W> for ReleaseGates {
    type Before = ();
    const NAME: &'static str = "release-gates";

    fn describe(&self) -> Change {
        let names: Vec<String> = self.stateful_sets.iter().map(Object::reference).collect();
        Change::new(format!(
            "let pods of {} start without waiting for metadata from now on",
            names.join(", ")
        ))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        for wanted in &self.stateful_sets {
            if !present(world, wanted).await?.has_content_of(wanted) {
                return Ok(Seen::Todo(()));
            }
        }
        Ok(Seen::Done)
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        for wanted in &self.stateful_sets {
            let present = present(world, wanted).await?;
            if !present.has_content_of(wanted) {
                world.replace(permit, &wanted.clone().at_version_of(&present)).await?;
            }
        }
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        for wanted in &self.stateful_sets {
            if !present(world, wanted).await?.has_content_of(wanted) {
                return Err(StepError::new(format!("{} is not stored as wanted", wanted.reference())));
            }
        }
        Ok(())
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Err(StepError::new("clients may have written to the new masters already"))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}

async fn present<W: World>(world: &W, wanted: &Object) -> Result<Object, StepError> {
    let present = world.object(wanted.kind, &wanted.name).await?;
    present.ok_or_else(|| StepError::new(format!("{} does not exist", wanted.reference())))
}
