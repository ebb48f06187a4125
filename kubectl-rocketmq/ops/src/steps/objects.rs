//! Steps on Kubernetes objects: create one, delete some.

use std::fmt;
use std::time::Duration;

use k8s::objects::{Kind, Object};
use saga::{Change, Permit, Reversal, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::steps::pods::await_no_pods;
use crate::wait::{Look, until};
use crate::world::World;

/// How long an object and its pods may take to go: a broker's grace period of 120 s, and some.
pub(crate) const GONE_WITHIN: Duration = Duration::from_secs(180);

/// How long an object that was created may take to be readable.
const READABLE_WITHIN: Duration = Duration::from_secs(30);

/// Creates an object that does not exist, or brings one of ours that an earlier operation left behind to the
/// wanted content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateObject {
    /// The object as it shall be.
    pub object: Object,
}

/// What stood in an object's place before.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ObjectBefore {
    /// The object, whole; `None` if there was none.
    pub former: Option<Object>,
}

impl<W: World> Step<W> for CreateObject {
    type Before = ObjectBefore;
    const NAME: &'static str = "create-object";

    fn instance(&self) -> String {
        self.object.reference()
    }

    fn describe(&self) -> Change {
        Change::new(format!("create {}", self.object.reference()))
    }

    async fn look(&self, world: &W) -> Result<Seen<ObjectBefore>, StepError> {
        let former = world.object(self.object.kind, &self.object.name).await?;
        match former {
            Some(former) if !former.is_managed() => Err(StepError::new(format!(
                "{} exists already and was not made by kubectl rocketmq",
                self.object.reference()
            ))),
            Some(former) if former.has_content_of(&self.object) => Ok(Seen::Done),
            former => Ok(Seen::Todo(ObjectBefore { former })),
        }
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &ObjectBefore) -> Result<(), StepError> {
        match world.object(self.object.kind, &self.object.name).await? {
            None => world.create(permit, &self.object).await?,
            Some(present) if present.has_content_of(&self.object) => {}
            Some(present) => world.replace(permit, &self.object.clone().at_version_of(&present)).await?,
        }
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let what = format!("{} is stored as wanted", self.object.reference());
        until(world, &what, READABLE_WITHIN, || async move {
            match world.object(self.object.kind, &self.object.name).await {
                Ok(Some(present)) if present.has_content_of(&self.object) => Look::Holds(()),
                Ok(Some(_)) => Look::NotYet("it has other content".to_owned()),
                Ok(None) => Look::NotYet("it does not exist".to_owned()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &ObjectBefore) -> Result<(), StepError> {
        let present = world.object(self.object.kind, &self.object.name).await?;
        match (present, &before.former) {
            (None, None) => await_gone(world, self.object.kind, &self.object.name).await,
            (Some(present), None) if present.is_managed() => {
                world.delete(permit, &present).await?;
                await_gone(world, self.object.kind, &self.object.name).await
            }
            // Somebody else made one of this name since: it is not ours to take away.
            (Some(_), None) => Ok(()),
            (None, Some(former)) => Ok(world.create(permit, &former.clone().without_identity()).await?),
            (Some(present), Some(former)) if present.has_content_of(former) => Ok(()),
            (Some(present), Some(former)) => {
                Ok(world.replace(permit, &former.clone().at_version_of(&present)).await?)
            }
        }
    }
}

/// An object by its kind and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectName {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

/// Deletes objects, all at once, and waits until they, and the pods they own, are gone. Data volumes stay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteObjects {
    /// What they are, for the plan's line, for example "brokers of `demo`".
    pub what: String,
    /// Which ones.
    pub objects: Vec<ObjectName>,
}

impl<W: World> Step<W> for DeleteObjects {
    type Before = ();
    const NAME: &'static str = "delete-objects";

    fn instance(&self) -> String {
        self.what.clone()
    }

    fn describe(&self) -> Change {
        let references: Vec<String> = self.objects.iter().map(ToString::to_string).collect();
        Change::new(format!("delete the {}: {}", self.what, references.join(", ")))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        let mut seen = Seen::Done;
        for object in &self.objects {
            match world.object(object.kind, &object.name).await? {
                None => {}
                Some(present) if !present.is_managed() => {
                    return Err(StepError::new(format!("{object} was not made by kubectl rocketmq")));
                }
                Some(_) => seen = Seen::Todo(()),
            }
        }
        Ok(seen)
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        for object in &self.objects {
            if let Some(present) = world.object(object.kind, &object.name).await?
                && present.is_managed()
            {
                world.delete(permit, &present).await?;
            }
        }
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        for object in &self.objects {
            await_gone(world, object.kind, &object.name).await?;
        }
        Ok(())
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Err(StepError::new(format!("the deletion of the {} cannot be undone", self.what)))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}

async fn await_gone<W: World>(world: &W, kind: Kind, name: &str) -> Result<(), StepError> {
    until(world, &format!("{kind}/{name} is gone"), GONE_WITHIN, || async move {
        match world.object(kind, name).await {
            Ok(None) => Look::Holds(()),
            Ok(Some(present)) if !present.is_managed() => Look::Holds(()),
            Ok(Some(_)) => Look::NotYet("it still exists".to_owned()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await?;
    if kind == Kind::StatefulSet { await_no_pods(world, name).await } else { Ok(()) }
}
