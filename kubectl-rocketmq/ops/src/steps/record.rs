//! Steps on the cluster's record and its key.

use std::collections::{BTreeMap, BTreeSet};

use k8s::record::Record;
use saga::{Change, Permit, Reversal, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::world::World;

/// Brings the applied documents and the inventory of the record to new values; makes the record if there is none.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WriteRecord {
    /// The cluster.
    pub cluster: String,
    /// Documents by reference (`nameservice/demo`), as applied; `None` takes one out.
    pub documents: BTreeMap<String, Option<String>>,
    /// Objects by reference (`StatefulSet/demo`) that join the inventory.
    pub joins: BTreeSet<String>,
    /// Objects that leave the inventory.
    pub leaves: BTreeSet<String>,
    /// The operation's act, for the plan's line, for example "record what was applied".
    pub sentence: String,
}

/// The record before a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RecordBefore {
    /// Documents and inventory; `None` if there was no record.
    pub former: Option<RecordContent>,
}

/// What [`WriteRecord`] changes of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordContent {
    /// Applied documents by reference.
    pub documents: BTreeMap<String, String>,
    /// Objects made, by reference.
    pub inventory: BTreeSet<String>,
}

impl RecordContent {
    fn of(record: &Record) -> Self {
        Self { documents: record.documents.clone(), inventory: record.inventory.clone() }
    }
}

impl WriteRecord {
    fn wanted(&self, former: Option<&Record>) -> RecordContent {
        let mut content = former.map_or_else(
            || RecordContent { documents: BTreeMap::new(), inventory: BTreeSet::new() },
            RecordContent::of,
        );
        for (reference, document) in &self.documents {
            match document {
                Some(text) => content.documents.insert(reference.clone(), text.clone()),
                None => content.documents.remove(reference),
            };
        }
        content.inventory.extend(self.joins.iter().cloned());
        content.inventory.retain(|reference| !self.leaves.contains(reference));
        content
    }

    async fn write<W: World>(
        &self,
        world: &W,
        permit: &Permit,
        content: RecordContent,
    ) -> Result<(), StepError> {
        let mut record = world.record(&self.cluster).await?.unwrap_or_else(|| Record::new(&self.cluster));
        record.documents = content.documents;
        record.inventory = content.inventory;
        Ok(world.write_record(permit, &record).await?)
    }
}

impl<W: World> Step<W> for WriteRecord {
    type Before = RecordBefore;
    const NAME: &'static str = "write-record";

    fn instance(&self) -> String {
        self.sentence.clone()
    }

    fn describe(&self) -> Change {
        Change::new(self.sentence.clone())
    }

    async fn look(&self, world: &W) -> Result<Seen<RecordBefore>, StepError> {
        let record = world.record(&self.cluster).await?;
        let former = record.as_ref().map(RecordContent::of);
        let wanted = self.wanted(record.as_ref());
        Ok(if former.as_ref() == Some(&wanted) { Seen::Done } else { Seen::Todo(RecordBefore { former }) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &RecordBefore) -> Result<(), StepError> {
        let wanted = self.wanted(world.record(&self.cluster).await?.as_ref());
        self.write(world, permit, wanted).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let record = world.record(&self.cluster).await?;
        if record.as_ref().map(RecordContent::of) == Some(self.wanted(record.as_ref())) {
            return Ok(());
        }
        Err(StepError::new(format!(
            "the record of cluster `{}` does not hold what was written",
            self.cluster
        )))
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &RecordBefore) -> Result<(), StepError> {
        match &before.former {
            Some(former) => self.write(world, permit, former.clone()).await,
            None => Ok(world.delete_record(permit, &self.cluster).await?),
        }
    }
}

/// Makes the key that the CLI and the cluster's agents prove themselves with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CreateKey {
    /// The cluster.
    pub cluster: String,
}

impl<W: World> Step<W> for CreateKey {
    type Before = ();
    const NAME: &'static str = "create-key";

    fn describe(&self) -> Change {
        Change::new("create the key of the cluster's agents")
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        Ok(if world.has_key(&self.cluster).await? { Seen::Done } else { Seen::Todo(()) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(world.create_key(permit, &self.cluster).await?)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        if world.has_key(&self.cluster).await? {
            return Ok(());
        }
        Err(StepError::new(format!("cluster `{}` has no key although it was created", self.cluster)))
    }

    async fn undo(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(world.delete_key(permit, &self.cluster).await?)
    }
}

/// Deletes the key, after the journal says that the cluster is gone. What is left of a kill before it harms nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteKey {
    /// The cluster.
    pub cluster: String,
}

impl<W: World> Step<W> for DeleteKey {
    type Before = ();
    const NAME: &'static str = "delete-key";

    fn describe(&self) -> Change {
        Change::new("delete the key of the cluster's agents")
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        Ok(if world.has_key(&self.cluster).await? { Seen::Todo(()) } else { Seen::Done })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(world.delete_key(permit, &self.cluster).await?)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        if world.has_key(&self.cluster).await? {
            return Err(StepError::new(format!("the key of cluster `{}` still exists", self.cluster)));
        }
        Ok(())
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Err(StepError::new(format!("the key of cluster `{}` is gone for good", self.cluster)))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}

/// Deletes the record: the last object of a cluster that is taken down. Its journal outlives it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DeleteRecord {
    /// The cluster.
    pub cluster: String,
}

impl<W: World> Step<W> for DeleteRecord {
    type Before = ();
    const NAME: &'static str = "delete-record";

    fn describe(&self) -> Change {
        Change::new(format!("delete the record of cluster `{}`", self.cluster))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        Ok(if world.record(&self.cluster).await?.is_none() { Seen::Done } else { Seen::Todo(()) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(world.delete_record(permit, &self.cluster).await?)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        match world.record(&self.cluster).await? {
            None => Ok(()),
            Some(_) => Err(StepError::new(format!("the record of cluster `{}` still exists", self.cluster))),
        }
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Err(StepError::new(format!("the deletion of cluster `{}` cannot be undone", self.cluster)))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}
