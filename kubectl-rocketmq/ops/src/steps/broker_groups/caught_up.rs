//! The first copy of new slaves: they have what their masters had when the wait began.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agents::types::BrokerFacts;
use futures::future::{join_all, try_join_all};
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{TELLS_WITHIN, master};
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// How long no byte may arrive before a slave counts as one that does not catch up: it finds its master by a name
/// server within two route periods, and both ends drop a connection without a word after 20 s
/// (`MessageStoreConfig.haHousekeepingInterval`, all tags).
const STALLS_AFTER: Duration = Duration::from_secs(300);

/// A group whose slaves shall have what their master has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CatchUp {
    /// StatefulSet of the master.
    pub master: String,
    /// StatefulSets of the slaves that are waited for.
    pub slaves: Vec<String>,
}

/// Waits until the commit logs of slaves reach where their masters' ended when the wait began. A log that grows
/// under traffic would never be reached. However long it takes, as long as bytes arrive. Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AwaitCaughtUp {
    /// Which ones.
    pub groups: Vec<CatchUp>,
}

impl<W: World> Step<W> for AwaitCaughtUp {
    type Before = ();
    const NAME: &'static str = "await-caught-up";

    fn describe(&self) -> Change {
        let slaves: usize = self.groups.iter().map(|group| group.slaves.len()).sum();
        Change::new(format!("wait until {slaves} new slave(s) have caught up with their masters"))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let masters = self.groups.iter().map(|group| end_of_log(world, &group.master));
        let ends = try_join_all(masters).await?;
        let pairs: Vec<Pair> = self
            .groups
            .iter()
            .zip(ends)
            .flat_map(|(group, end)| {
                group.slaves.iter().map(move |slave| Pair { master: &group.master, slave, end })
            })
            .collect();
        let (pairs, arrivals) = (&pairs, &Arrivals::default());
        until(world, "the new slaves have caught up", Duration::MAX, || async move {
            let looks = join_all(pairs.iter().map(|pair| pair.look(world))).await;
            arrivals.judge(world.elapsed(), looks)
        })
        .await
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// A slave, its master, and where the master's commit log ended at first.
#[derive(Debug)]
struct Pair<'a> {
    master: &'a str,
    slave: &'a str,
    end: u64,
}

/// What a look at a slave found.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// How many bytes it lacks, and what to say of it.
    Lacks(u64, String),
    /// It could not be asked.
    Silent(String),
    /// It holds what its master does not.
    Ahead(String),
}

impl Pair<'_> {
    /// The slave first: what it has then, its master must have afterwards.
    async fn look<W: World>(&self, world: &W) -> Found {
        let (slave, master) = match self.facts(world).await {
            Ok(facts) => facts,
            Err(error) => return Found::Silent(error.to_string()),
        };
        let (has, masters) = (slave.commit_log_max_offset, master.commit_log_max_offset);
        world.moved(self.slave, has.min(self.end), self.end);
        if has > masters {
            return Found::Ahead(format!(
                "the commit log of StatefulSet/{} ends at {has}, that of its master at {masters}: the data of an \
                 earlier broker lie on its volume",
                self.slave
            ));
        }
        let lacks = self.end.saturating_sub(has);
        let words =
            if has == 0 { "nothing has arrived yet".to_owned() } else { format!("{lacks} bytes missing") };
        Found::Lacks(lacks, format!("StatefulSet/{}: {words}", self.slave))
    }

    async fn facts<W: World>(&self, world: &W) -> Result<(BrokerFacts, BrokerFacts), WorldError> {
        Ok((facts(world, self.slave).await?, facts(world, self.master).await?))
    }
}

async fn facts<W: World>(world: &W, stateful_set: &str) -> Result<BrokerFacts, WorldError> {
    world.broker_facts(&master(world, stateful_set).await?).await
}

/// Where the commit log of a master ends, with patience for one that restarts in this moment.
async fn end_of_log<W: World>(world: &W, stateful_set: &str) -> Result<u64, StepError> {
    let what = format!("StatefulSet/{stateful_set} tells where its commit log ends");
    until(world, &what, TELLS_WITHIN, || async move {
        match facts(world, stateful_set).await {
            Ok(facts) => Look::Holds(facts.commit_log_max_offset),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}

/// Tells slaves that take long from those to which nothing comes.
#[derive(Debug, Default)]
struct Arrivals {
    /// The fewest bytes that were missing, and since when.
    fewest: Mutex<Option<(u64, Duration)>>,
}

impl Arrivals {
    fn judge(&self, now: Duration, looks: Vec<Found>) -> Look<()> {
        let mut waits = Vec::new();
        // One that cannot be asked counts as one to which nothing has come.
        let mut missing = Some(0_u64);
        for look in looks {
            match look {
                Found::Ahead(reason) => return Look::Never(reason),
                Found::Silent(reason) => {
                    missing = None;
                    waits.push(reason);
                }
                Found::Lacks(0, _) => {}
                Found::Lacks(bytes, words) => {
                    missing = missing.map(|sum| sum.saturating_add(bytes));
                    waits.push(words);
                }
            }
        }
        if waits.is_empty() {
            return Look::Holds(());
        }
        let waits = waits.join("; ");
        let mut fewest = self.fewest.lock().unwrap_or_else(PoisonError::into_inner);
        let (bytes, since) = *fewest.get_or_insert((u64::MAX, now));
        if let Some(missing) = missing.filter(|missing| *missing < bytes) {
            *fewest = Some((missing, now));
        } else if now.saturating_sub(since) >= STALLS_AFTER {
            let seconds = STALLS_AFTER.as_secs();
            return Look::Never(format!("no byte has arrived for {seconds}s: {waits}"));
        }
        Look::NotYet(waits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacks(bytes: u64) -> Found {
        Found::Lacks(bytes, format!("{bytes} bytes missing"))
    }

    /// Looks at these seconds, and what the last comes to.
    fn judged(looks: &[(u64, Vec<Found>)]) -> Look<()> {
        let arrivals = Arrivals::default();
        let each = looks.iter().map(|(at, found)| arrivals.judge(Duration::from_secs(*at), found.clone()));
        each.last().unwrap()
    }

    #[test]
    fn slaves_have_caught_up_when_none_lacks_anything() {
        assert_eq!(judged(&[(0, vec![lacks(0), lacks(0)])]), Look::Holds(()));
        let not_yet = Look::NotYet("7 bytes missing".to_owned());
        assert_eq!(judged(&[(0, vec![lacks(0), lacks(7)])]), not_yet);
    }

    #[test]
    fn a_slave_may_take_long_but_not_stand_still() {
        let moving = [(0, vec![lacks(9)]), (299, vec![lacks(8)]), (598, vec![lacks(8)])];
        assert_eq!(judged(&moving), Look::NotYet("8 bytes missing".to_owned()));
        let still = [(0, vec![lacks(9)]), (299, vec![lacks(8)]), (599, vec![lacks(8)])];
        let never = Look::Never("no byte has arrived for 300s: 8 bytes missing".to_owned());
        assert_eq!(judged(&still), never);
        let silent = || vec![lacks(0), Found::Silent("no route".to_owned())];
        let never = Look::Never("no byte has arrived for 300s: no route".to_owned());
        assert_eq!(judged(&[(0, silent()), (300, silent())]), never);
    }

    #[test]
    fn a_slave_with_another_history_never_catches_up() {
        let looks = vec![lacks(1), Found::Ahead("ahead".to_owned())];
        assert_eq!(judged(&[(0, looks)]), Look::Never("ahead".to_owned()));
    }
}
