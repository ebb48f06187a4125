//! The two steps: to the broker's agent, and from there to the broker.

use std::collections::BTreeSet;

use agents::types::ExportOptions;
use k8s::pods::Pod;
use rocketmq::metadata::{Metadata, difference};
use saga::{Change, Permit, Reversal, Seen, Step, StepError};

use super::Params;
use crate::metadata::{bundled, sha256, tables};
use crate::world::World;

/// Brings what differs to the agent.
#[derive(Debug, Clone)]
pub(super) struct SendMetadata {
    pub(super) params: Params,
}

impl SendMetadata {
    /// Why the agent does not have all of it; `None` if it has.
    async fn missing<W: World>(&self, world: &W) -> Result<Option<String>, StepError> {
        let bytes = bundled(&self.params.entries()?, &self.params.origin)
            .map_err(|error| StepError::new(format!("what differs cannot be written: {error}")))?;
        let state = world.describe(&self.params.pod(world).await?).await?.metadata.unwrap_or_default();
        let (sha256, length) = (sha256(&bytes), bytes.len() as u64);
        Ok(if state.receiving_sha256 != sha256 {
            Some(format!("the agent of pod `{}` has another bundle, or none", self.params.pod))
        } else if state.verified_bytes != length {
            let (pod, has) = (&self.params.pod, state.verified_bytes);
            Some(format!("the agent of pod `{pod}` has {has} of {length} bytes"))
        } else {
            None
        })
    }
}

impl<W: World> Step<W> for SendMetadata {
    type Before = ();
    const NAME: &'static str = "send-metadata";

    fn describe(&self) -> Change {
        Change::new(format!("bring what differs to the agent of pod `{}`", self.params.pod))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        Ok(if self.missing(world).await?.is_none() { Seen::Done } else { Seen::Todo(()) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        self.params.send(world, permit).await.map(drop)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        self.missing(world).await?.map_or(Ok(()), |missing| Err(StepError::new(missing)))
    }

    /// What lies on the agent's volume changes nothing; the next bundle takes its place.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Lets the agent create and change it.
#[derive(Debug, Clone)]
pub(super) struct ApplyMetadata {
    pub(super) params: Params,
}

impl ApplyMetadata {
    /// What the broker still lacks or has otherwise; empty when it has everything.
    async fn left<W: World>(&self, world: &W) -> Result<Vec<String>, StepError> {
        let wanted = self.params.entries()?;
        let options = ExportOptions { sanitised: true, ordered: true };
        let present = tables(world, &self.params.pod(world).await?, options, &BTreeSet::new()).await?;
        let difference = difference(&wanted, &present.metadata);
        let topics = difference.topics.iter().filter(|change| change.applies());
        let groups = difference.groups.iter().filter(|change| change.applies());
        let modes = difference.request_modes.iter().filter(|change| change.applies());
        Ok(topics
            .map(|change| format!("topic `{}`", change.name))
            .chain(groups.map(|change| format!("group `{}`", change.name)))
            .chain(modes.map(|change| format!("request mode of `{}`", change.name)))
            .collect())
    }
}

/// How many entries an error names.
const NAMED: usize = 5;

impl<W: World> Step<W> for ApplyMetadata {
    type Before = ();
    const NAME: &'static str = "apply-metadata";

    fn describe(&self) -> Change {
        let Params { counts, pod, .. } = &self.params;
        Change::new(format!("{} at the broker of pod `{pod}`", counts.sentence()))
    }

    async fn look(&self, world: &W) -> Result<Seen<()>, StepError> {
        Ok(if self.left(world).await?.is_empty() { Seen::Done } else { Seen::Todo(()) })
    }

    /// Brings it to the agent first, should it have been made anew meanwhile: what it has is not sent again.
    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let (pod, sha256) = self.params.send(world, permit).await?;
        world.apply_metadata(permit, &pod, &sha256).await?;
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let left = self.left(world).await?;
        if left.is_empty() {
            return Ok(());
        }
        let more = left.len().saturating_sub(NAMED);
        let mut causes: Vec<String> = left.into_iter().take(NAMED).collect();
        if more > 0 {
            causes.push(format!("and {more} more"));
        }
        let message =
            format!("the broker of pod `{}` does not have everything as it was sent", self.params.pod);
        Err(StepError::new(message).with_causes(causes))
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        let pod = &self.params.pod;
        Err(StepError::new(format!("what was created at the broker of pod `{pod}` is not deleted")))
    }

    fn reversal(&self) -> Reversal {
        Reversal::PointOfNoReturn
    }
}

impl Params {
    fn entries(&self) -> Result<Metadata, StepError> {
        self.entries.open().map_err(|reason| {
            StepError::new(format!("the entries in the operation's journal cannot be read: {reason}"))
        })
    }

    async fn pod<W: World>(&self, world: &W) -> Result<Pod, StepError> {
        let pod = world.pod(&self.pod).await?;
        pod.ok_or_else(|| StepError::new(format!("pod `{}` does not exist any more", self.pod)))
    }

    async fn send<W: World>(&self, world: &W, permit: &Permit) -> Result<(Pod, String), StepError> {
        let pod = self.pod(world).await?;
        let sha256 = world.send_metadata(permit, &pod, &self.entries()?, &self.origin).await?;
        Ok((pod, sha256))
    }
}
