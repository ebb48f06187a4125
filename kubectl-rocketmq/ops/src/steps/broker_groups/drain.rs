//! Leaving masters are waited for until nobody wants anything of them any more.

use std::time::Duration;

use futures::future::join_all;
use k8s::names;
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::held::{Held, largest, messages, table};
use super::ledger::{Found, Ledger, Verdict};
use super::master;
use super::permissions::closed;
use crate::clients::RoutePeriod;
use crate::world::{World, WorldError};

/// How long between two looks. A broker with many topics is asked thousands of questions each time.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How many rows the line names that is redrawn in place.
const NAMED: usize = 3;

/// Waits until leaving masters are empty: nobody has written to them over two route periods, and two looks in a row
/// found nothing that somebody wants but what is to be abandoned. Never ends by time alone: then it pauses.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Drain {
    /// Their StatefulSets.
    pub masters: Vec<String>,
    /// What may be left: these rows, with no more messages together than were counted.
    pub abandoned: Vec<Held>,
    /// After how long it pauses; 0 is never.
    pub timeout_seconds: u64,
    /// Producers learn so soon that they may not write any more.
    pub route_period: RoutePeriod,
}

impl<W: World> Step<W> for Drain {
    type Before = ();
    const NAME: &'static str = "drain";

    fn describe(&self) -> Change {
        let but = match messages(&self.abandoned) {
            0 => String::new(),
            abandoned => format!(", but for {abandoned} that are abandoned"),
        };
        Change::new(format!(
            "wait until every message of {} leaving master(s) is consumed{but}, and nobody has written for {}s",
            self.masters.len(),
            self.route_period.quiet_for().as_secs()
        ))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let start = world.elapsed();
        let mut ledger = Ledger::new(self.masters.len(), &self.abandoned, self.route_period.quiet_for());
        loop {
            let asked = self.masters.iter().zip(ledger.boots());
            let looks = join_all(asked.map(|(name, boot)| look_at(world, permit, name, boot))).await;
            let now = world.elapsed();
            let left = match ledger.judge(now, looks) {
                Verdict::Drained => return Ok(()),
                Verdict::Never(dead) => return Err(new_dead_letters(&dead)),
                Verdict::NotYet(left) => left,
            };
            if self.timeout_seconds > 0 && now.saturating_sub(start).as_secs() >= self.timeout_seconds {
                return Err(self.timed_out(&left.held, left.reasons));
            }
            let rows = largest(&left.held);
            let named = rows.into_iter().take(NAMED).map(Held::words);
            let words: Vec<String> = left.summary.into_iter().chain(named).chain(left.reasons).collect();
            world.waiting_for_each(&words.join("; "), left.table);
            world.pause(LOOK_EVERY).await;
        }
    }

    /// The act has looked twice already.
    async fn confirm(&self, _world: &W) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    fn interruptible(&self) -> bool {
        true
    }
}

impl Drain {
    fn timed_out(&self, held: &[Held], reasons: Vec<String>) -> StepError {
        let error = StepError::paused(format!(
            "the leaving masters are not drained after {}s; they take no new messages meanwhile",
            self.timeout_seconds
        ));
        let table = (!held.is_empty()).then(|| format!("somebody still wants:\n{}", table(held)));
        error.with_causes(table).with_causes(reasons)
    }
}

/// Dead letters never go by themselves, and nobody has agreed to lose these.
fn new_dead_letters(dead: &[Held]) -> StepError {
    StepError::paused("there are dead letters that were not there when the plan was made").with_causes([
        format!("they would be lost:\n{}", table(dead)),
        "undo the operation, and scale again: the plan counts them".to_owned(),
    ])
}

/// One look at a master. One that takes writes again, or that was started anew, is closed first: what was counted before
/// counts no more.
async fn look_at<W: World>(
    world: &W,
    permit: &Permit,
    stateful_set: &str,
    boot: Option<u64>,
) -> Result<Found, WorldError> {
    let pod = master(world, stateful_set).await?;
    let backlog = world.backlog(&pod).await?;
    let permission = Permission::from_bits(backlog.permission);
    let restarted = boot.is_some_and(|boot| boot != backlog.boot_timestamp_millis);
    let closed_again = permission.is_writable() || restarted;
    if closed_again {
        world.set_broker_permission(permit, &pod, closed(permission)).await?;
    }
    let broker = pod.labels.get(names::LABEL_GROUP).cloned().unwrap_or_else(|| stateful_set.to_owned());
    Ok(Found {
        held: Held::all(&broker, backlog.rows),
        unknown: backlog.unknown.into_iter().map(|what| format!("`{broker}` does not tell {what}")).collect(),
        broker,
        boot: backlog.boot_timestamp_millis,
        written: backlog.written,
        closed_again,
    })
}
