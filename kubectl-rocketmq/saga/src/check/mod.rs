//! The five tests that every operation passes on a fake world, and a way to a [`Permit`](crate::Permit) for tests of
//! changing calls. For tests only.
//!
//! Four of them need nothing of the world:
//!
//! ```
//! # use saga::{Change, Operation, OperationKind, Permit, Seen, Step, StepError, Steps, check};
//! # use std::sync::Mutex;
//! # struct Set;
//! # impl Step<Mutex<u32>> for Set {
//! #     type Before = u32;
//! #     const NAME: &'static str = "set";
//! #     fn describe(&self) -> Change { Change::new("set to 7") }
//! #     async fn look(&self, world: &Mutex<u32>) -> Result<Seen<u32>, StepError> {
//! #         let value = *world.lock().unwrap();
//! #         Ok(if value == 7 { Seen::Done } else { Seen::Todo(value) })
//! #     }
//! #     async fn apply(&self, world: &Mutex<u32>, _: &Permit, _: &u32) -> Result<(), StepError> {
//! #         *world.lock().unwrap() = 7;
//! #         Ok(())
//! #     }
//! #     async fn confirm(&self, _: &Mutex<u32>) -> Result<(), StepError> { Ok(()) }
//! #     async fn undo(&self, world: &Mutex<u32>, _: &Permit, before: &u32) -> Result<(), StepError> {
//! #         *world.lock().unwrap() = *before;
//! #         Ok(())
//! #     }
//! # }
//! # struct SetToSeven;
//! # impl OperationKind<Mutex<u32>> for SetToSeven {
//! #     type Params = ();
//! #     const NAME: &'static str = "set-to-seven";
//! #     fn title(_: &()) -> String { "set to 7".to_owned() }
//! #     fn steps(_: &()) -> Steps<Mutex<u32>> { vec![Box::new(Set)] }
//! # }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let scenario = check::Scenario::new::<SetToSeven>((), || Mutex::new(1), |world| *world.lock().unwrap());
//! check::unwinds_at_every_step(&scenario).await.unwrap();
//! check::every_step_twice(&scenario).await.unwrap();
//! check::killed_after_every_event_then_resumed(&scenario).await.unwrap();
//! check::killed_then_undone(&scenario).await.unwrap();
//! # });
//! ```
//!
//! The fifth, [`faults_at_every_call`], needs one that makes its calls through [`Calls`].

mod calls;
mod kill;
mod permit;

use std::fmt::{self, Debug};

use crate::executor::Executor;
use crate::interrupt::Interrupt;
use crate::journal::{Journal, StepState};
use crate::lock::{ClusterLock, MemoryLock};
use crate::operation::{Operation, OperationKind, Registry};
use crate::outcome::{End, Outcome, Refusal};
use crate::progress::Silent;
use crate::run::{Faults, Point};
use crate::store::{JournalStore, MemoryJournals};

pub use calls::{Access, Calls, CountsCalls, faults_at_every_call};
pub use kill::{killed_after_every_event_then_resumed, killed_then_undone};
pub use permit::under_permit;

/// The cluster's name in the journals of these tests.
const CLUSTER: &str = "checked";

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What was done to the operation.
    pub when: String,
    /// What should not have come of it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.what)
    }
}

impl std::error::Error for Violation {}

/// An operation and the world it starts in. Worlds are compared by what the snapshot takes of them.
pub struct Scenario<'a, W, S> {
    operation: Box<dyn Fn() -> Result<Operation<W>, String> + Send + Sync + 'a>,
    registry: Registry<W>,
    world: Box<dyn Fn() -> W + Send + Sync + 'a>,
    snapshot: Box<dyn Fn(&W) -> S + Send + Sync + 'a>,
}

impl<W, S> Debug for Scenario<'_, W, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl<'a, W, S> Scenario<'a, W, S> {
    /// An operation of a kind, with a maker of fresh worlds and what counts of a world.
    pub fn new<K: OperationKind<W>>(
        params: K::Params,
        world: impl Fn() -> W + Send + Sync + 'a,
        snapshot: impl Fn(&W) -> S + Send + Sync + 'a,
    ) -> Self
    where
        K::Params: Send + Sync + 'a,
    {
        Self {
            operation: Box::new(move || Operation::new::<K>(&params).map_err(|error| error.to_string())),
            registry: Registry::new().with::<K>(),
            world: Box::new(world),
            snapshot: Box::new(snapshot),
        }
    }
}

/// One world, its journals and its lock; processes come and go.
struct Bench<'a, W, S> {
    scenario: &'a Scenario<'a, W, S>,
    when: String,
    world: W,
    journals: MemoryJournals,
    lock: MemoryLock,
}

impl<'a, W: Sync, S: PartialEq + Debug> Bench<'a, W, S> {
    fn new(scenario: &'a Scenario<'a, W, S>, when: String) -> Self {
        let (journals, lock) = (MemoryJournals::default(), MemoryLock::default());
        Self { scenario, when, world: (scenario.world)(), journals, lock }
    }

    fn violation(&self, what: impl Into<String>) -> Violation {
        Violation { when: self.when.clone(), what: what.into() }
    }

    fn snapshot(&self) -> S {
        (self.scenario.snapshot)(&self.world)
    }

    fn same(&self, as_what: &str, expected: &S) -> Result<(), Violation> {
        let found = self.snapshot();
        if found == *expected {
            return Ok(());
        }
        Err(self.violation(format!(
            "the world is not like {as_what}\n  expected {expected:?}\n  found    {found:?}"
        )))
    }

    fn operation(&self) -> Result<Operation<W>, Violation> {
        (self.scenario.operation)().map_err(|error| self.violation(error))
    }

    /// Runs the operation as a process of its own.
    async fn run<J: JournalStore>(&self, journals: &J, faults: Faults) -> Result<End, Violation> {
        let operation = self.operation()?;
        let (interrupt, lock) = (Interrupt::new(), self.lock.clone());
        let executor = self.executor(journals, &lock, &interrupt, faults);
        executor.run(CLUSTER, &operation).await.map_err(|refusal| self.violation(format!("run: {refusal}")))
    }

    async fn resume<J: JournalStore>(&self, journals: &J, id: &str, faults: Faults) -> Result<End, Refusal> {
        let (interrupt, lock) = (Interrupt::new(), self.lock.clone());
        self.executor(journals, &lock, &interrupt, faults).resume(id, &self.scenario.registry).await
    }

    async fn undo<J: JournalStore>(&self, journals: &J, id: &str) -> Result<End, Refusal> {
        let (interrupt, lock) = (Interrupt::new(), self.lock.clone());
        self.executor(journals, &lock, &interrupt, Faults::default()).undo(id, &self.scenario.registry).await
    }

    fn executor<'e, J: JournalStore, L: ClusterLock>(
        &'e self,
        journals: &'e J,
        lock: &'e L,
        interrupt: &'e Interrupt,
        faults: Faults,
    ) -> Executor<'e, W, J, L> {
        Executor { faults, ..Executor::new(&self.world, journals, lock, &Silent, interrupt) }
    }

    /// Resumes and expects the end of an undisturbed run.
    async fn resumes_to<J: JournalStore>(&self, journals: &J, id: &str, last: &S) -> Result<(), Violation> {
        match self.resume(journals, id, Faults::default()).await {
            Ok(End { outcome: Outcome::Done, .. }) => self.same("after an undisturbed run", last),
            other => Err(self.violation(format!("resume came to {other:?}"))),
        }
    }
}

/// The worlds before and after an undisturbed run, and its journal.
async fn undisturbed<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(S, S, Journal), Violation> {
    let bench = Bench::new(scenario, "undisturbed".to_owned());
    let first = bench.snapshot();
    let end = bench.run(&bench.journals, Faults::default()).await?;
    match end.outcome {
        Outcome::Done => Ok((first, bench.snapshot(), end.journal)),
        outcome => Err(bench.violation(format!("it came to {outcome:?}"))),
    }
}

/// A failure at any step, before it looked, before or after it acted, or at its proof, leaves the world as it was;
/// after the point of no return the operation pauses, and resuming it ends like an undisturbed run.
///
/// # Errors
/// Names the failure and what came of it.
pub async fn unwinds_at_every_step<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(), Violation> {
    let (first, last, journal) = undisturbed(scenario).await?;
    for step in 0..journal.states().len() {
        for point in [Point::Look, Point::BeforeApply, Point::AfterApply, Point::Confirm] {
            let bench = Bench::new(scenario, format!("step {} fails at {point:?}", step + 1));
            let faults = Faults { fail: Some((step, point)), twice: false };
            let end = bench.run(&bench.journals, faults).await?;
            match end.outcome {
                Outcome::Undone { .. } => bench.same("before the operation", &first)?,
                Outcome::Paused { .. } if end.journal.no_return().is_some() => {
                    bench.resumes_to(&bench.journals, end.journal.id(), &last).await?;
                }
                // A step that finds nothing to do never reaches the other points.
                Outcome::Done
                    if matches!(end.journal.states().get(step), Some(StepState::Done { before: None })) =>
                {
                    bench.same("after an undisturbed run", &last)?;
                }
                outcome => return Err(bench.violation(format!("it came to {outcome:?}"))),
            }
        }
    }
    Ok(())
}

/// Every act and every undo done twice ends like once.
///
/// # Errors
/// Names what was repeated and what came of it.
pub async fn every_step_twice<W: Sync, S: PartialEq + Debug>(
    scenario: &Scenario<'_, W, S>,
) -> Result<(), Violation> {
    let (first, last, journal) = undisturbed(scenario).await?;
    let bench = Bench::new(scenario, "every act twice".to_owned());
    match bench.run(&bench.journals, Faults { fail: None, twice: true }).await?.outcome {
        Outcome::Done => bench.same("after an undisturbed run", &last)?,
        outcome => return Err(bench.violation(format!("it came to {outcome:?}"))),
    }
    let returning = journal.no_return().unwrap_or(journal.states().len());
    for step in 0..returning {
        let bench = Bench::new(scenario, format!("every act and every undo twice, step {} fails", step + 1));
        let faults = Faults { fail: Some((step, Point::Confirm)), twice: true };
        match bench.run(&bench.journals, faults).await?.outcome {
            Outcome::Undone { .. } => bench.same("before the operation", &first)?,
            Outcome::Done => bench.same("after an undisturbed run", &last)?,
            outcome => return Err(bench.violation(format!("it came to {outcome:?}"))),
        }
    }
    Ok(())
}
