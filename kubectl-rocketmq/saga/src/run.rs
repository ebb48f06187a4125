//! One run: one step after the other, every event in the journal.
//!
//! `started` is durable before a step acts. A step that fails is undone with those before it, unless the point of
//! no return was passed: then the run pauses, as it does at a step that waits for its user. A journal that cannot be
//! written stops the run.

use std::future::Future;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;

use crate::executor::Executor;
use crate::journal::{Entry, Event, Journal, Status, StepEvent, StepState};
use crate::lock::{ClusterLock, LockError};
use crate::operation::Operation;
use crate::outcome::{Failure, Outcome};
use crate::permit::Permit;
use crate::progress::Progress;
use crate::step::{AnyStep, Seen, StepError};
use crate::store::{JournalStore, Revision, StoreError};

/// Where a test makes a step fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Point {
    Look,
    BeforeApply,
    AfterApply,
    Confirm,
}

/// What a test does to a run; nothing by default.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    pub(crate) fail: Option<(usize, Point)>,
    pub(crate) twice: bool,
}

impl Faults {
    pub(crate) fn at(&self, step: usize, point: Point) -> Result<(), StepError> {
        if self.fail == Some((step, point)) {
            return Err(StepError::new(format!("injected at {point:?} of step {}", step + 1)));
        }
        Ok(())
    }
}

/// Which way a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Forward,
    ForwardAgain,
    Back,
}

/// Why a step was left before its end.
enum Left {
    Failed(StepError),
    Stopped(Box<Outcome>),
}

impl From<StepError> for Left {
    fn from(error: StepError) -> Self {
        Self::Failed(error)
    }
}

/// One run of an operation.
pub(crate) struct Run<'a, W, J, L> {
    pub(crate) executor: &'a Executor<'a, W, J, L>,
    pub(crate) operation: &'a Operation<W>,
    pub(crate) permit: Permit,
    pub(crate) journal: Journal,
    pub(crate) revision: Revision,
    pub(crate) lost: &'a OnceLock<LockError>,
}

impl<'a, W: Sync, J: JournalStore, L: ClusterLock> Run<'a, W, J, L> {
    pub(crate) async fn go(&mut self, way: Way) -> Outcome {
        let gone = match way {
            Way::Forward => self.forward(0).await,
            Way::ForwardAgain => match self.record(Event::Resumed).await {
                Ok(()) => self.forward(self.first_again()).await,
                Err(outcome) => Err(outcome),
            },
            Way::Back => self.back("undo was asked for").await,
        };
        gone.unwrap_or_else(|outcome| *outcome)
    }

    /// Where a resumed run goes on: at the first step that is not done, or at the one before it if that only waited for
    /// what others do, for they may have gone on since.
    fn first_again(&self) -> usize {
        let states = self.journal.states();
        let done = states.iter().take_while(|state| matches!(state, StepState::Done { .. })).count();
        let last = done.saturating_sub(1);
        let only_waited = self.operation.steps.get(last).is_some_and(|step| step.interruptible());
        let acted = matches!(states.get(last), Some(StepState::Done { before: Some(_) }));
        if only_waited && acted && states.get(done) == Some(&StepState::Pending) { last } else { done }
    }

    async fn forward(&mut self, first: usize) -> Result<Outcome, Box<Outcome>> {
        for step in first..self.operation.steps.len() {
            self.still_locked()?;
            if let Some(reason) = self.executor.interrupt.reason() {
                self.record(Event::Paused { reason: reason.clone() }).await?;
                return Err(Box::new(Outcome::Interrupted { reason, in_doubt: None }));
            }
            let Some(failure) = self.step(step).await? else { continue };
            return match self.journal.status() {
                Status::Paused => Ok(Outcome::Paused { failure }),
                _ => self.unwind().await,
            };
        }
        self.tidy_up().await;
        Ok(Outcome::Done)
    }

    async fn step(&mut self, number: usize) -> Result<Option<Failure>, Box<Outcome>> {
        let (operation, observer) = (self.operation, self.executor.observer);
        let Some(step) = operation.steps.get(number) else { return Ok(None) };
        let (change, of) = (&step.describe(), operation.steps.len());
        observer.observe(Progress::Started { step: number + 1, of, change });
        match self.act(number, step.as_ref()).await {
            Ok(already) => {
                observer.observe(Progress::Done { step: number + 1, of, change, already });
                Ok(None)
            }
            // The step stays as it was begun: resuming tries it again from its before-image, and undo takes it back.
            Err(Left::Failed(error)) if error.pauses => {
                observer.observe(Progress::Paused { step: number + 1, of, change, error: &error });
                self.record(Event::Paused { reason: error.message.clone() }).await?;
                let failure = Failure { step: number + 1, change: change.clone(), error };
                Err(Box::new(Outcome::Waiting { failure }))
            }
            Err(Left::Failed(error)) => {
                observer.observe(Progress::Failed { step: number + 1, of, change, error: &error });
                self.record_step(number, StepEvent::Failed { error: error.clone() }).await?;
                Ok(Some(Failure { step: number + 1, change: change.clone(), error }))
            }
            Err(Left::Stopped(outcome)) => Err(outcome),
        }
    }

    /// Looks, journals, acts and reads back; true when there was nothing to do. A step that was started before is
    /// applied again from its own before-image: a look would take a half-done act for a done one.
    async fn act(&mut self, number: usize, step: &dyn AnyStep<W>) -> Result<bool, Left> {
        let (world, faults) = (self.executor.world, self.executor.faults);
        let interruptible = step.interruptible();
        let before: Value = match self.journal.states().get(number) {
            Some(StepState::Started { before }) => before.clone(),
            Some(
                StepState::Failed { before: Some(before), .. } | StepState::Done { before: Some(before) },
            ) => {
                let before = before.clone();
                self.record_step(number, StepEvent::Started { before: before.clone() })
                    .await
                    .map_err(Left::Stopped)?;
                before
            }
            _ => {
                faults.at(number, Point::Look)?;
                match self.unless_left(number, interruptible, step.look(world)).await? {
                    Seen::Done => {
                        self.record_step(number, StepEvent::Done).await.map_err(Left::Stopped)?;
                        return Ok(true);
                    }
                    Seen::Todo(before) => {
                        let event = StepEvent::Started { before: before.clone() };
                        self.record_step(number, event).await.map_err(Left::Stopped)?;
                        before
                    }
                }
            }
        };
        faults.at(number, Point::BeforeApply)?;
        for _ in 0..if faults.twice { 2 } else { 1 } {
            let permit = Permit::new(self.permit.operation_id(), self.permit.fence());
            self.unless_left(number, interruptible, step.apply(world, &permit, &before)).await?;
        }
        faults.at(number, Point::AfterApply)?;
        self.unless_left(number, interruptible, step.confirm(world)).await?;
        faults.at(number, Point::Confirm)?;
        self.record_step(number, StepEvent::Done).await.map_err(Left::Stopped)?;
        Ok(false)
    }

    /// Awaits a part of a step, unless the caller asks to leave at once.
    async fn unless_left<T>(
        &mut self,
        number: usize,
        interruptible: bool,
        part: impl Future<Output = Result<T, StepError>> + Send,
    ) -> Result<T, Left> {
        let reason = tokio::select! {
            result = part => return result.map_err(Left::Failed),
            reason = self.executor.interrupt.leaves(interruptible) => reason,
        };
        let acts = matches!(self.journal.states().get(number), Some(StepState::Started { .. }));
        let in_doubt = (acts && !interruptible).then_some(number + 1);
        self.record(Event::Paused { reason: reason.clone() }).await.map_err(Left::Stopped)?;
        Err(Left::Stopped(Box::new(Outcome::Interrupted { reason, in_doubt })))
    }

    /// What is left after the journal said `done`; errors leave things behind that harm nothing.
    async fn tidy_up(&self) {
        let world = self.executor.world;
        for step in &self.operation.afterwards {
            let done = async {
                if let Seen::Todo(before) = step.look(world).await? {
                    step.apply(world, &self.permit, &before).await?;
                    step.confirm(world).await?;
                }
                Ok::<(), StepError>(())
            };
            if let Err(error) = done.await {
                let what = format!("left behind, which harms nothing: {}: {error}", step.describe());
                self.executor.observer.observe(Progress::Warning { what: &what });
            }
        }
    }

    pub(crate) fn still_locked(&self) -> Result<(), Box<Outcome>> {
        match self.lost.get() {
            None => Ok(()),
            Some(error) => Err(Box::new(Outcome::Halted { error: StepError::new(error.to_string()) })),
        }
    }

    pub(crate) async fn record_step(&mut self, step: usize, what: StepEvent) -> Result<(), Box<Outcome>> {
        self.record(Event::Step { step, what }).await
    }

    /// Writes an event durably; an error halts the run.
    pub(crate) async fn record(&mut self, event: Event) -> Result<(), Box<Outcome>> {
        let halted = |message: String, causes: Vec<String>| {
            Box::new(Outcome::Halted { error: StepError::new(message).with_causes(causes) })
        };
        #[expect(clippy::disallowed_methods, reason = "for people who read the journal")]
        let entry = Entry { at: Timestamp::now(), event };
        let number = self.journal.entries().len();
        let next = self
            .journal
            .clone()
            .with(entry.clone())
            .map_err(|error| halted(error.to_string(), Vec::new()))?;
        let appended = self.executor.journals.append(self.journal.id(), &self.revision, number, &entry).await;
        self.revision = appended.map_err(|error| match error {
            StoreError::Failed { message, causes } => halted(message, causes),
            other => halted(other.to_string(), Vec::new()),
        })?;
        self.journal = next;
        Ok(())
    }
}
