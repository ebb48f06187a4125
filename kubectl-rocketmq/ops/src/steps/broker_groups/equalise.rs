//! What new masters still lack after their start: topics that were made meanwhile, and everything where RocketMQ
//! reads no files (`configManagerVersion=v2`, seen on 5.3.3 and 5.4.0).

use std::collections::BTreeSet;
use std::time::Duration;

use agents::types::PreparedExport;
use futures::future::try_join_all;
use k8s::names;
use k8s::pods::Pod;
use rocketmq::metadata::{Difference, difference};
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{MetadataSource, masters};
use crate::metadata::{Tables, tables};
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// Tables are equal as soon as they were applied; topics that are made in this moment take another look.
const EQUAL_WITHIN: Duration = Duration::from_secs(120);

/// Compares the tables of new masters with the source's, gives them what they lack or have otherwise, and makes sure
/// that nothing is missing. What only a new master has stays: kept data may have brought it, or a client just now.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EqualiseMetadata {
    /// Whose metadata.
    pub source: MetadataSource,
    /// The StatefulSets of the new masters.
    pub targets: Vec<String>,
}

impl<W: World> Step<W> for EqualiseMetadata {
    type Before = ();
    const NAME: &'static str = "equalise-metadata";

    fn describe(&self) -> Change {
        Change::new(format!(
            "compare topics and subscription groups of the new master(s) with those of pod `{}`, and add what they lack",
            names::pod(&self.source.stateful_set, 0)
        ))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let summary = &self.source.soon(world, || self.source.summary(world)).await?;
        let targets = masters(world, &self.targets).await?;
        let differ = try_join_all(targets.iter().map(|target| self.differs(world, summary, target))).await?;
        if !differ.contains(&true) {
            return Ok(());
        }
        // Once for all: each time, every pair of a topic and a group goes there.
        let wanted = &self.source.tables(world).await?;
        let equalised =
            targets.iter().zip(differ).filter(|(_, differs)| *differs).map(|(target, _)| async move {
                if let Some(difference) = self.lack(world, wanted, target).await? {
                    let entries = difference.to_apply(&wanted.metadata);
                    let sha256 = world.send_metadata(permit, target, &entries, &wanted.origin).await?;
                    world.apply_metadata(permit, target, &sha256).await?;
                }
                Ok::<(), WorldError>(())
            });
        try_join_all(equalised).await?;
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let what = "the new master(s) have every topic and subscription group";
        until(world, what, EQUAL_WITHIN, || async move {
            match self.first_lack(world).await {
                Ok(None) => Look::Holds(()),
                Ok(Some(lack)) => Look::NotYet(lack),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    /// The masters go when the steps before are undone.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

impl EqualiseMetadata {
    /// Whether a new master's tables are others. Digests tell it, so that in the usual case no table has to travel.
    async fn differs<W: World>(
        &self,
        world: &W,
        summary: &PreparedExport,
        target: &Pod,
    ) -> Result<bool, WorldError> {
        let there = world.tables_summary(target, self.source.options(), &BTreeSet::new()).await?;
        let digests = |summary: &PreparedExport| {
            (summary.bundle.topics, summary.bundle.groups, summary.bundle.request_modes)
        };
        Ok(digests(summary) != digests(&there))
    }

    /// What a new master lacks or has otherwise; `None` when that is nothing.
    async fn lack<W: World>(
        &self,
        world: &W,
        wanted: &Tables,
        target: &Pod,
    ) -> Result<Option<Difference>, WorldError> {
        let present = tables(world, target, self.source.options(), &BTreeSet::new()).await?;
        let difference = difference(&wanted.metadata, &present.metadata);
        Ok((!difference.nothing_to_apply()).then_some(difference))
    }

    /// The first thing that a new master lacks, in words.
    async fn first_lack<W: World>(&self, world: &W) -> Result<Option<String>, WorldError> {
        let summary = self.source.summary(world).await?;
        for target in masters(world, &self.targets).await? {
            if !self.differs(world, &summary, &target).await? {
                continue;
            }
            let wanted = self.source.tables(world).await?;
            if let Some(difference) = self.lack(world, &wanted, &target).await? {
                return Ok(Some(format!("pod `{}` lacks {}", target.name, in_words(&difference))));
            }
        }
        Ok(None)
    }
}

fn in_words(difference: &Difference) -> String {
    let Difference { topics, groups, request_modes } = difference;
    let topics = topics.iter().filter(|change| change.applies());
    let groups = groups.iter().filter(|change| change.applies());
    let modes = request_modes.iter().filter(|change| change.applies());
    let all: Vec<String> = topics
        .map(|change| format!("topic `{}`", change.name))
        .chain(groups.map(|change| format!("group `{}`", change.name)))
        .chain(modes.map(|change| format!("request mode of `{}`", change.name)))
        .collect();
    match all.as_slice() {
        [only] => format!("{only}, or has it otherwise"),
        [first, ..] => format!("{} entries or has them otherwise, {first} among them", all.len()),
        [] => "nothing".to_owned(),
    }
}
