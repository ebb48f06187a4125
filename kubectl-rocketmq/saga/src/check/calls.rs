//! Faults inside a step: at every call that an operation makes to the world.
//!
//! [`Calls`] is what a world of a test counts its calls with, and where it meets the fault.

use std::fmt::{self, Debug};
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::kill::Death;
use super::{Bench, Scenario, Violation, undisturbed};
use crate::journal::{Event, Journal, Status, StepEvent};
use crate::outcome::{End, Outcome, Refusal};
use crate::run::Faults;

/// Whether a call may change the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It only reads.
    Reads,
    /// It may change something.
    Writes,
}

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The process is gone before the call acts.
    Dies,
    /// The process is gone after the call acted, before it has the answer.
    DiesAfterwards,
    /// The call does not act, and says so.
    Errors,
    /// The call acts, but its answer is lost on the way.
    ErrorsAfterwards,
    /// Neither this call nor any other acts any more, until the process is ended.
    AllError,
}

/// How many calls of a process may fail one after the other before its user ends it: more than any wait looks.
const FAILING_CALLS: usize = 150;

#[derive(Debug, Default)]
struct Counted {
    log: Vec<(&'static str, Access)>,
    fault: Option<(usize, Fault)>,
    failed: usize,
    dead: bool,
}

/// The calls of a world, counted, and a fault at one of them.
#[derive(Debug, Default)]
pub struct Calls {
    counted: Mutex<Counted>,
    died: Notify,
}

impl Calls {
    /// Makes a call: counts it, and lets it act unless a fault is in the way. `error` makes the world's error of words.
    ///
    /// # Errors
    /// The call's own, and that of the fault.
    pub async fn call<T, E>(
        &self,
        name: &'static str,
        access: Access,
        error: impl FnOnce(String) -> E,
        act: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.next(name, access) {
            None => act.await,
            Some(Fault::Dies) => self.dies().await,
            Some(Fault::DiesAfterwards) => {
                drop(act.await);
                self.dies().await
            }
            Some(Fault::Errors | Fault::AllError) => Err(error(format!("injected: `{name}` does not act"))),
            Some(Fault::ErrorsAfterwards) => {
                act.await?;
                Err(error(format!("injected: the answer of `{name}` is lost")))
            }
        }
    }

    /// Counts a call; gives the fault that it meets. Of a process that is gone no call acts.
    fn next(&self, name: &'static str, access: Access) -> Option<Fault> {
        let mut counted = self.counted();
        if counted.dead {
            return Some(Fault::Dies);
        }
        let number = counted.log.len();
        counted.log.push((name, access));
        let fault = match counted.fault {
            Some((at, Fault::AllError)) if number >= at => {
                counted.failed += 1;
                if counted.failed > FAILING_CALLS { Fault::Dies } else { Fault::AllError }
            }
            Some((at, fault)) if number == at => fault,
            _ => return None,
        };
        counted.dead = matches!(fault, Fault::Dies | Fault::DiesAfterwards);
        Some(fault)
    }

    async fn dies<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }

    /// Runs a process, counting from 0, until it ends or meets its death; `None` when it died.
    async fn until_death<T>(
        &self,
        fault: Option<(usize, Fault)>,
        process: impl Future<Output = T>,
    ) -> Option<T> {
        *self.counted() = Counted { fault, ..Counted::default() };
        let end = tokio::select! {
            biased;
            () = self.died.notified() => None,
            end = process => Some(end),
        };
        let mut counted = self.counted();
        (counted.fault, counted.dead) = (None, false);
        end
    }

    fn log(&self) -> Vec<(&'static str, Access)> {
        self.counted().log.clone()
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A world that makes all its calls through [`Calls`].
pub trait CountsCalls {
    /// The calls.
    fn calls(&self) -> &Calls;
}

/// How an operation that was left is ended.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Resumed,
    Undone,
}

/// Whether a process that met a fault left anything to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Unfinished,
    Ended,
}

/// A fault at a call, in words.
struct Moment<'a> {
    process: &'a str,
    at: usize,
    name: &'static str,
    fault: Fault,
}

impl fmt::Display for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, at, name, fault } = self;
        write!(f, "{process}: {fault:?} at call {at}, `{name}`")
    }
}

/// Whatever becomes of whichever call, the operation ends well, or is undone to the world before it, or can be both
/// resumed to the end of an undisturbed run and undone to the world before it; after the point of no return only
/// resumed. The same holds of every call of an undo.
///
/// # Errors
/// Names the call, what became of it, and what came of that.
pub async fn faults_at_every_call<W: Sync + CountsCalls, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(), Violation> {
    let (first, last, journal) = undisturbed(scenario).await?;
    let checked = Checked { scenario, first, last };
    checked.run().await?;
    checked.undo_of(&journal).await
}

struct Checked<'a, 's, W, S> {
    scenario: &'a Scenario<'s, W, S>,
    first: S,
    last: S,
}

impl<'a, 's, W: Sync + CountsCalls, S: PartialEq + Debug> Checked<'a, 's, W, S> {
    fn bench(&self, when: impl fmt::Display) -> Bench<'a, W, S>
    where
        's: 'a,
    {
        Bench::new(self.scenario, when.to_string())
    }

    /// Faults of the run itself.
    async fn run(&self) -> Result<(), Violation> {
        let bench = self.bench("undisturbed");
        bench.meets(None).await?;
        for moment in moments("run", &bench.world.calls().log()) {
            for ending in [Ending::Resumed, Ending::Undone] {
                let bench = self.bench(format_args!("{moment}, then {ending:?}"));
                bench.meets(Some((moment.at, moment.fault))).await?;
                if self.ends(&bench, ending).await? == Left::Ended {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Faults of the undo of everything that can be taken back.
    async fn undo_of(&self, journal: &Journal) -> Result<(), Violation> {
        let returning = journal.no_return().unwrap_or(journal.states().len());
        let done = journal.entries().iter().rposition(
            |entry| matches!(entry.event, Event::Step { step, what: StepEvent::Done } if step < returning),
        );
        let Some(done) = done else { return Ok(()) };
        // The journal itself is write 0.
        let death = Death { at: done + 1, durable: false };
        let bench = self.bench("undo");
        if let Some(left) = bench.killed(death, Faults::default()).await? {
            bench.undo_meets(left.id(), None).await;
        }
        for moment in moments("undo", &bench.world.calls().log()) {
            for ending in [Ending::Resumed, Ending::Undone] {
                let bench = self.bench(format_args!("{moment}, then {ending:?}"));
                let Some(left) = bench.killed(death, Faults::default()).await? else { continue };
                bench.undo_meets(left.id(), Some((moment.at, moment.fault))).await;
                if self.ends(&bench, ending).await? == Left::Ended {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Ends what was left, by a process of its own that meets no fault.
    async fn ends(&self, bench: &Bench<'a, W, S>, ending: Ending) -> Result<Left, Violation> {
        let (before, after) = ("before the operation", "after an undisturbed run");
        let Some(left) = bench.left().await? else {
            return bench.same(before, &self.first).map(|()| Left::Ended);
        };
        let ended = match (left.status(), ending) {
            (Status::Done, _) => return bench.same(after, &self.last).map(|()| Left::Ended),
            (Status::Undone, _) => return bench.same(before, &self.first).map(|()| Left::Ended),
            (Status::Running | Status::Paused, Ending::Resumed) => {
                return bench
                    .resumes_to(&bench.journals, left.id(), &self.last)
                    .await
                    .map(|()| Left::Unfinished);
            }
            (Status::Unwinding | Status::Stuck, Ending::Resumed) => {
                bench.resume(&bench.journals, left.id(), Faults::default()).await
            }
            (_, Ending::Undone) => bench.undo(&bench.journals, left.id()).await,
        };
        match ended {
            Ok(End { outcome: Outcome::Undone { .. }, .. }) => bench.same(before, &self.first)?,
            Err(Refusal::PastNoReturn { .. }) if left.no_return().is_some() => {
                bench.resumes_to(&bench.journals, left.id(), &self.last).await?;
            }
            other => return Err(bench.violation(format!("it was {}, and came to {other:?}", left.status()))),
        }
        Ok(Left::Unfinished)
    }
}

impl<W: Sync + CountsCalls, S: PartialEq + Debug> Bench<'_, W, S> {
    /// Runs the operation into a fault.
    async fn meets(&self, fault: Option<(usize, Fault)>) -> Result<(), Violation> {
        let process = self.run(&self.journals, Faults::default());
        self.world.calls().until_death(fault, process).await.transpose().map(drop)
    }

    /// Runs an undo into a fault; whether it is refused or stuck shows afterwards.
    async fn undo_meets(&self, id: &str, fault: Option<(usize, Fault)>) {
        self.world.calls().until_death(fault, self.undo(&self.journals, id)).await;
    }
}

/// Every fault at every call, but for those that leave what another one does: a read that acts before its fault is like
/// one that never acted, and a process that dies at a read after another one is like one that died there, or at an event
/// of its journal in between. From a write on, or from the first call, nothing acts any more.
fn moments<'a>(process: &'a str, log: &[(&'static str, Access)]) -> Vec<Moment<'a>> {
    let mut moments = Vec::new();
    let mut former = Access::Writes;
    for (at, (name, access)) in log.iter().copied().enumerate() {
        let faults = match (former, access) {
            (Access::Reads, Access::Reads) => [Fault::Errors].as_slice(),
            (Access::Writes, Access::Reads) => &[Fault::Dies, Fault::Errors, Fault::AllError],
            (_, Access::Writes) => {
                &[Fault::Dies, Fault::DiesAfterwards, Fault::Errors, Fault::ErrorsAfterwards, Fault::AllError]
            }
        };
        moments.extend(faults.iter().map(|fault| Moment { process, at, name, fault: *fault }));
        former = access;
    }
    moments
}
