//! The journal of an operation: events, and what they make of each step and of the whole.
//!
//! State is derived from the events alone; their times are for people and never decide an order. The transition
//! functions are total: an event that does not fit is an error, never a guess.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::step::{Change, Reversal, StepError};

/// The format of headers and events.
pub const FORMAT: u32 = 1;

/// What an operation is, written once before its first step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Header {
    /// The format of this header and of the events.
    pub journal_format: u32,
    /// The operation's id, for example `op-7f3a2c`.
    pub id: String,
    /// The cluster that it changes.
    pub cluster: String,
    /// Its kind.
    pub kind: String,
    /// The format of its parameters.
    pub format: u32,
    /// What it does, in one line.
    pub title: String,
    /// Its parameters.
    pub params: Value,
    /// Its steps as they were planned.
    pub plan: Vec<PlannedStep>,
    /// When it was made.
    pub created: Timestamp,
    /// The version that made it.
    pub version: String,
}

/// A step as it was planned; enough to show an operation without knowing its kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedStep {
    /// The step's stable name.
    pub name: String,
    /// Which one of that name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// What it does.
    pub change: Change,
    /// Whether it can be taken back.
    pub reversal: Reversal,
}

/// What happened to a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum StepEvent {
    /// It is about to act; durable before it does.
    Started {
        /// What undo needs.
        before: Value,
    },
    /// It was read back as done; without `started`, there was nothing to do.
    Done,
    /// It failed, in doubt whether it acted.
    Failed {
        /// Why.
        error: StepError,
    },
    /// It is about to be undone.
    UndoStarted,
    /// What was before is restored.
    Undone,
    /// What was before could not be restored.
    UndoFailed {
        /// Why.
        error: StepError,
    },
}

/// What happened to an operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Something happened to one of its steps.
    Step {
        /// The step, from 0.
        step: usize,
        /// What.
        #[serde(flatten)]
        what: StepEvent,
    },
    /// It was stopped between steps, a step was left in doubt, or a step waits for its user.
    Paused {
        /// Why.
        reason: String,
    },
    /// It goes forward again.
    Resumed,
    /// It is being taken back, asked for or once more.
    Unwinding {
        /// Why.
        reason: String,
    },
}

impl Event {
    fn name(&self) -> &'static str {
        match self {
            Self::Step { what, .. } => match what {
                StepEvent::Started { .. } => "started",
                StepEvent::Done => "done",
                StepEvent::Failed { .. } => "failed",
                StepEvent::UndoStarted => "undo_started",
                StepEvent::Undone => "undone",
                StepEvent::UndoFailed { .. } => "undo_failed",
            },
            Self::Paused { .. } => "paused",
            Self::Resumed => "resumed",
            Self::Unwinding { .. } => "unwinding",
        }
    }
}

/// An event and when it was written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, for people.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq)]
pub enum StepState {
    /// Nothing happened.
    Pending,
    /// It acts, or was killed while it did.
    Started {
        /// What undo needs.
        before: Value,
    },
    /// It is done; without a before-image there was nothing to do, so there is nothing to undo.
    Done {
        /// What undo needs.
        before: Option<Value>,
    },
    /// It failed; without a before-image it had not acted.
    Failed {
        /// What undo needs.
        before: Option<Value>,
        /// Why.
        error: StepError,
    },
    /// It is being undone, or its undo was killed.
    UndoStarted {
        /// What undo needs.
        before: Value,
    },
    /// What was before is restored.
    Undone,
    /// What was before could not be restored.
    UndoFailed {
        /// What undo needs.
        before: Value,
        /// Why.
        error: StepError,
    },
}

impl StepState {
    /// The next state of a step; `None` when the event does not fit.
    #[must_use]
    pub fn next(&self, event: &StepEvent) -> Option<Self> {
        match (self.clone(), event) {
            (Self::Pending | Self::Failed { before: None, .. }, StepEvent::Started { before }) => {
                Some(Self::Started { before: before.clone() })
            }
            // Tried again after a pause, or waited for again: what was before the first try is what undo restores.
            (
                Self::Failed { before: Some(before), .. } | Self::Done { before: Some(before) },
                StepEvent::Started { .. },
            ) => Some(Self::Started { before }),
            (Self::Pending | Self::Failed { before: None, .. }, StepEvent::Done) => {
                Some(Self::Done { before: None })
            }
            (Self::Started { before }, StepEvent::Done) => Some(Self::Done { before: Some(before) }),
            (Self::Pending, StepEvent::Failed { error }) => {
                Some(Self::Failed { before: None, error: error.clone() })
            }
            (Self::Failed { before: None, .. }, StepEvent::Failed { error }) => {
                Some(Self::Failed { before: None, error: error.clone() })
            }
            (Self::Started { before }, StepEvent::Failed { error }) => {
                Some(Self::Failed { before: Some(before), error: error.clone() })
            }
            (
                Self::Started { before }
                | Self::Done { before: Some(before) }
                | Self::Failed { before: Some(before), .. },
                StepEvent::UndoStarted,
            ) => Some(Self::UndoStarted { before }),
            (Self::UndoStarted { .. }, StepEvent::Undone) => Some(Self::Undone),
            (Self::UndoStarted { before }, StepEvent::UndoFailed { error }) => {
                Some(Self::UndoFailed { before, error: error.clone() })
            }
            _ => None,
        }
    }

    /// What undo needs, where there is something to undo.
    #[must_use]
    pub fn to_undo(&self) -> Option<&Value> {
        match self {
            Self::Started { before }
            | Self::Done { before: Some(before) }
            | Self::Failed { before: Some(before), .. }
            | Self::UndoStarted { before } => Some(before),
            Self::Pending
            | Self::Done { before: None }
            | Self::Failed { before: None, .. }
            | Self::Undone
            | Self::UndoFailed { .. } => None,
        }
    }

    /// True when the step may have changed something and has not been restored.
    fn has_acted(&self) -> bool {
        self.to_undo().is_some() || matches!(self, Self::UndoFailed { .. })
    }
}

/// Where an operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// It goes forward, or was killed while it did.
    Running,
    /// It was stopped, waits for its user, or failed after its point of no return.
    Paused,
    /// It is being taken back, or was killed while it was.
    Unwinding,
    /// All steps are done.
    Done,
    /// Everything that it did is undone.
    Undone,
    /// A step could not be undone; those before it wait for it.
    Stuck,
}

impl Status {
    /// True when nothing is left to do.
    #[must_use]
    pub fn is_finished(self) -> bool {
        matches!(self, Self::Done | Self::Undone)
    }

    /// The word for people, as it is stored.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Unwinding => "unwinding",
            Self::Done => "done",
            Self::Undone => "undone",
            Self::Stuck => "stuck",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// An event that does not fit what is in the journal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event {number} of operation `{id}`: `{event}` does not fit an operation that is {status}{}", step.map_or_else(String::new, |step| format!(", at step {}", step + 1)))]
pub struct IllegalEvent {
    /// The operation.
    pub id: String,
    /// The event's number, from 0.
    pub number: usize,
    /// Its name.
    pub event: &'static str,
    /// Where the operation stands.
    pub status: Status,
    /// The step it is about.
    pub step: Option<usize>,
}

/// The journal of one operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal {
    header: Arc<Header>,
    entries: Vec<Entry>,
    states: Vec<StepState>,
    status: Status,
}

impl Journal {
    /// The journal of an operation that has not begun. One without steps is done.
    #[must_use]
    pub fn new(header: Header) -> Self {
        let states = vec![StepState::Pending; header.plan.len()];
        let status = if states.is_empty() { Status::Done } else { Status::Running };
        Self { header: Arc::new(header), entries: Vec::new(), states, status }
    }

    /// The journal that these events make.
    ///
    /// # Errors
    /// Names the first event that does not fit.
    pub fn replay(header: Header, entries: impl IntoIterator<Item = Entry>) -> Result<Self, IllegalEvent> {
        entries.into_iter().try_fold(Self::new(header), |journal, entry| journal.with(entry))
    }

    /// The journal with one more event.
    ///
    /// # Errors
    /// When the event does not fit.
    pub fn with(mut self, entry: Entry) -> Result<Self, IllegalEvent> {
        self.apply(&entry.event).ok_or_else(|| IllegalEvent {
            id: self.header.id.clone(),
            number: self.entries.len(),
            event: entry.event.name(),
            status: self.status,
            step: match entry.event {
                Event::Step { step, .. } => Some(step),
                _ => None,
            },
        })?;
        self.entries.push(entry);
        Ok(self)
    }

    fn apply(&mut self, event: &Event) -> Option<()> {
        match (self.status, event) {
            (Status::Running, Event::Step { step, what }) => self.forward(*step, what)?,
            // Journals of former versions went on after an undo that had failed.
            (Status::Unwinding | Status::Stuck, Event::Step { step, what }) => self.back(*step, what)?,
            (Status::Running, Event::Paused { .. }) => self.status = Status::Paused,
            (Status::Running | Status::Paused, Event::Resumed) => self.status = Status::Running,
            (Status::Running | Status::Paused, Event::Unwinding { .. }) if self.no_return().is_none() => {
                self.status = Status::Unwinding;
            }
            (Status::Unwinding, Event::Unwinding { .. }) => {}
            (Status::Stuck, Event::Unwinding { .. }) => self.retry_undos(),
            _ => return None,
        }
        if self.status == Status::Unwinding {
            self.settle();
        }
        Some(())
    }

    fn forward(&mut self, step: usize, event: &StepEvent) -> Option<()> {
        let earlier_done = self.states.iter().take(step).all(|state| matches!(state, StepState::Done { .. }));
        let later_pending = self.states.iter().skip(step + 1).all(|state| *state == StepState::Pending);
        if !earlier_done || !later_pending || matches!(event, StepEvent::UndoStarted) {
            return None;
        }
        let state = self.states.get_mut(step)?;
        *state = state.next(event)?;
        if matches!(event, StepEvent::Failed { .. }) {
            self.status = if self.no_return().is_some() { Status::Paused } else { Status::Unwinding };
        } else if self.states.iter().all(|state| matches!(state, StepState::Done { .. })) {
            self.status = Status::Done;
        }
        Some(())
    }

    fn back(&mut self, step: usize, event: &StepEvent) -> Option<()> {
        let later_undone = self.states.iter().skip(step + 1).all(|state| state.to_undo().is_none());
        if !later_undone
            || !matches!(event, StepEvent::UndoStarted | StepEvent::Undone | StepEvent::UndoFailed { .. })
        {
            return None;
        }
        let state = self.states.get_mut(step)?;
        *state = state.next(event)?;
        Some(())
    }

    fn settle(&mut self) {
        if self.states.iter().any(|state| matches!(state, StepState::UndoFailed { .. })) {
            self.status = Status::Stuck;
        } else if self.states.iter().all(|state| state.to_undo().is_none()) {
            self.status = Status::Undone;
        }
    }

    fn retry_undos(&mut self) {
        for state in &mut self.states {
            if let StepState::UndoFailed { before, error } = state {
                *state = StepState::Failed { before: Some(before.clone()), error: error.clone() };
            }
        }
        self.status = Status::Unwinding;
    }

    /// The step that was started although it cannot be taken back, from 0.
    #[must_use]
    pub fn no_return(&self) -> Option<usize> {
        self.states
            .iter()
            .zip(&self.header.plan)
            .position(|(state, step)| step.reversal == Reversal::PointOfNoReturn && state.has_acted())
    }

    /// What the operation is.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The operation's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.header.id
    }

    /// What happened, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Where each step stands.
    #[must_use]
    pub fn states(&self) -> &[StepState] {
        &self.states
    }

    /// Where the operation stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// How many steps are done.
    #[must_use]
    pub fn steps_done(&self) -> usize {
        self.states.iter().filter(|state| matches!(state, StepState::Done { .. })).count()
    }

    /// The step that failed last, from 0, and why.
    #[must_use]
    pub fn failure(&self) -> Option<(usize, &StepError)> {
        self.entries.iter().rev().find_map(|entry| match &entry.event {
            Event::Step { step, what: StepEvent::Failed { error } } => Some((*step, error)),
            _ => None,
        })
    }
}
