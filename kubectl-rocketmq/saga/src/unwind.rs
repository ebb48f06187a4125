//! The way back: the last step first, each with a deadline of its own. An undo may rely on those after it, so one that
//! fails is the last that is tried: the name servers of a list that brokers still follow must not be stopped. The
//! caller's wish to stop is not looked at.

use std::time::Duration;

use tokio::time::timeout;

use crate::journal::{Event, Status, StepEvent, StepState};
use crate::lock::ClusterLock;
use crate::outcome::{Failure, Outcome, Repair};
use crate::progress::Progress;
use crate::run::Run;
use crate::step::StepError;
use crate::store::JournalStore;

/// How long one undo may take: a broker's grace period of 120 s, or 240 s until every broker reads its list again,
/// and some.
const UNDO_WITHIN: Duration = Duration::from_secs(600);

impl<W: Sync, J: JournalStore, L: ClusterLock> Run<'_, W, J, L> {
    /// Turns a run that stopped into one that goes back. Undos that failed before are tried again.
    pub(crate) async fn back(&mut self, reason: &str) -> Result<Outcome, Box<Outcome>> {
        if self.journal.status() != Status::Unwinding {
            self.record(Event::Unwinding { reason: reason.to_owned() }).await?;
        }
        self.unwind().await
    }

    /// Undoes every step that may have acted, up to the first that cannot be undone.
    pub(crate) async fn unwind(&mut self) -> Result<Outcome, Box<Outcome>> {
        for step in (0..self.operation.steps.len()).rev() {
            if self.journal.states().get(step).is_some_and(|state| state.to_undo().is_some()) {
                self.still_locked()?;
                self.undo(step).await?;
                if self.journal.status() == Status::Stuck {
                    break;
                }
            }
        }
        let failure = self.failure();
        Ok(match self.repair() {
            None => Outcome::Undone { failure },
            Some(repair) => Outcome::Stuck { failure, repair },
        })
    }

    async fn undo(&mut self, number: usize) -> Result<(), Box<Outcome>> {
        let (operation, observer) = (self.operation, self.executor.observer);
        let Some(step) = operation.steps.get(number) else { return Ok(()) };
        let (change, of) = (&step.describe(), operation.steps.len());
        let Some(state) = self.journal.states().get(number) else { return Ok(()) };
        let Some(before) = state.to_undo().cloned() else { return Ok(()) };
        if !matches!(state, StepState::UndoStarted { .. }) {
            self.record_step(number, StepEvent::UndoStarted).await?;
        }
        observer.observe(Progress::UndoStarted { step: number + 1, of, change });
        let undone = async {
            if self.executor.faults.twice {
                step.undo(self.executor.world, &self.permit, &before).await?;
            }
            step.undo(self.executor.world, &self.permit, &before).await
        };
        let undone = timeout(UNDO_WITHIN, undone).await.unwrap_or_else(|_| {
            Err(StepError::new(format!("it did not end within {}s", UNDO_WITHIN.as_secs())))
        });
        match undone {
            Ok(()) => {
                self.record_step(number, StepEvent::Undone).await?;
                observer.observe(Progress::Undone { step: number + 1, of, change });
            }
            Err(error) => {
                self.record_step(number, StepEvent::UndoFailed { error: error.clone() }).await?;
                observer.observe(Progress::UndoFailed { step: number + 1, of, change, error: &error });
            }
        }
        Ok(())
    }

    fn failure(&self) -> Option<Failure> {
        let (step, error) = self.journal.failure()?;
        let change = self.journal.header().plan.get(step)?.change.clone();
        Some(Failure { step: step + 1, change, error: error.clone() })
    }

    fn repair(&self) -> Option<Repair> {
        let plan = &self.journal.header().plan;
        let mut failed = self.journal.states().iter().zip(plan).enumerate();
        failed.find_map(|(step, (state, planned))| match state {
            StepState::UndoFailed { error, .. } => Some(Repair {
                step: step + 1,
                object: if planned.instance.is_empty() { &planned.name } else { &planned.instance }.clone(),
                change: planned.change.clone(),
                error: error.clone(),
            }),
            _ => None,
        })
    }
}
