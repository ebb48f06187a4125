//! Kills: the process is gone just before or just after an event was made durable, and another one goes on.

use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use super::{Bench, Scenario, Violation, undisturbed};
use crate::journal::{Entry, Header, Journal, Status};
use crate::outcome::{End, Outcome, Refusal};
use crate::run::{Faults, Point};
use crate::store::{JournalStore, Listed, MemoryJournals, Revision, StoreError, Stored};

/// When a process dies: at the write of a number, with the event durable or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Death {
    pub(super) at: usize,
    pub(super) durable: bool,
}

/// A store that a process dies at: the write never returns.
struct DeadlyJournals {
    journals: MemoryJournals,
    death: Death,
    writes: AtomicUsize,
    died: Notify,
}

impl DeadlyJournals {
    fn new(journals: &MemoryJournals, death: Death) -> Self {
        Self { journals: journals.clone(), death, writes: AtomicUsize::new(0), died: Notify::new() }
    }

    /// Runs a process until it ends or dies; `None` when it died.
    async fn until_death<T>(&self, process: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.died.notified() => None,
            end = process => Some(end),
        }
    }

    async fn dies_if(&self, write: usize, durable: bool) {
        if write == self.death.at && durable == self.death.durable {
            self.died.notify_one();
            std::future::pending::<()>().await;
        }
    }
}

impl JournalStore for DeadlyJournals {
    async fn create(&self, header: &Header) -> Result<Revision, StoreError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        self.dies_if(write, false).await;
        let created = self.journals.create(header).await;
        self.dies_if(write, true).await;
        created
    }

    async fn append(
        &self,
        id: &str,
        revision: &Revision,
        number: usize,
        entry: &Entry,
    ) -> Result<Revision, StoreError> {
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        self.dies_if(write, false).await;
        let appended = self.journals.append(id, revision, number, entry).await;
        self.dies_if(write, true).await;
        appended
    }

    async fn load(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        self.journals.load(id).await
    }

    async fn list(&self, cluster: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        self.journals.list(cluster).await
    }
}

/// Every death of a process that makes this many writes.
fn deaths(writes: usize) -> impl Iterator<Item = Death> {
    (0..writes).flat_map(|at| [false, true].map(|durable| Death { at, durable }))
}

/// How many writes an undisturbed run makes: its journal, and its events.
fn writes_of(journal: &Journal) -> usize {
    journal.entries().len() + 1
}

impl<W: Sync, S: PartialEq + Debug> Bench<'_, W, S> {
    /// Runs the operation until the process dies.
    pub(super) async fn killed(&self, death: Death, faults: Faults) -> Result<Option<Journal>, Violation> {
        let deadly = DeadlyJournals::new(&self.journals, death);
        if let Some(end) = deadly.until_death(self.run(&deadly, faults)).await {
            end?;
        }
        self.left().await
    }

    /// The one journal that is left, if there is one.
    pub(super) async fn left(&self) -> Result<Option<Journal>, Violation> {
        let listed = self.journals.list(None).await.map_err(|error| self.violation(error.to_string()))?;
        listed
            .into_iter()
            .next()
            .map(|listed| listed.journal.map_err(|reason| self.violation(reason)))
            .transpose()
    }
}

/// Killed at any moment of its journal, a run that is resumed ends like an undisturbed one.
///
/// # Errors
/// Names the moment and what came of it.
pub async fn killed_after_every_event_then_resumed<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(), Violation> {
    let (first, last, journal) = undisturbed(scenario).await?;
    for death in deaths(writes_of(&journal)) {
        let bench = Bench::new(scenario, format!("killed {}, then resumed", in_words(death)));
        match bench.killed(death, Faults::default()).await? {
            None => bench.same("before the operation", &first)?,
            Some(left) if left.status() == Status::Done => bench.same("after an undisturbed run", &last)?,
            Some(left) => bench.resumes_to(&bench.journals, left.id(), &last).await?,
        }
    }
    Ok(())
}

/// Killed at any moment of its journal, a run that is undone leaves the world as it was; so does one whose undo is
/// killed at any moment and undone again. After the point of no return undo is refused and resuming goes forward.
///
/// # Errors
/// Names the moment and what came of it.
pub async fn killed_then_undone<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(), Violation> {
    let (first, last, journal) = undisturbed(scenario).await?;
    for death in deaths(writes_of(&journal)) {
        let bench = Bench::new(scenario, format!("killed {}, then undone", in_words(death)));
        let Some(left) = bench.killed(death, Faults::default()).await? else {
            bench.same("before the operation", &first)?;
            continue;
        };
        if left.status() == Status::Done {
            bench.same("after an undisturbed run", &last)?;
            continue;
        }
        match bench.undo(&bench.journals, left.id()).await {
            Ok(End { outcome: Outcome::Undone { .. }, .. }) => bench.same("before the operation", &first)?,
            Err(Refusal::PastNoReturn { .. }) if left.no_return().is_some() => {
                bench.resumes_to(&bench.journals, left.id(), &last).await?;
            }
            other => return Err(bench.violation(format!("undo came to {other:?}"))),
        }
    }
    undo_killed_then_undone(scenario, &first, &journal).await
}

/// The last step that can be taken back fails, and the way back is killed at every moment.
async fn undo_killed_then_undone<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
    first: &S,
    journal: &Journal,
) -> Result<(), Violation> {
    let returning = journal.no_return().unwrap_or(journal.states().len());
    let Some(step) = (0..returning)
        .rev()
        .find(|step| journal.states().get(*step).is_some_and(|state| state.to_undo().is_some()))
    else {
        return Ok(());
    };
    let faults = Faults { fail: Some((step, Point::Confirm)), twice: false };
    let bench = Bench::new(scenario, format!("step {} fails", step + 1));
    let unwound = bench.run(&bench.journals, faults).await?;
    for death in deaths(writes_of(&unwound.journal)) {
        let bench =
            Bench::new(scenario, format!("step {} fails, killed {}, then undone", step + 1, in_words(death)));
        let Some(left) = bench.killed(death, faults).await? else { continue };
        if left.status() != Status::Undone {
            match bench.undo(&bench.journals, left.id()).await {
                Ok(End { outcome: Outcome::Undone { .. }, .. }) => {}
                other => return Err(bench.violation(format!("undo came to {other:?}"))),
            }
        }
        bench.same("before the operation", first)?;
    }
    Ok(())
}

fn in_words(death: Death) -> String {
    let what = if death.at == 0 { "the journal".to_owned() } else { format!("event {}", death.at) };
    let when = if death.durable { "after" } else { "before" };
    format!("{when} {what} was durable")
}
