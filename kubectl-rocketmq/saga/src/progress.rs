//! What the executor tells whoever watches.

use crate::step::{Change, StepError};

/// One thing that happened in a run. Steps are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The operation's journal exists; from now on it can be resumed and undone by this id.
    Journaled {
        /// The operation.
        id: &'a str,
    },
    /// A step begins.
    Started {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it does.
        change: &'a Change,
    },
    /// A step is done and was read back.
    Done {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it did.
        change: &'a Change,
        /// True when everything was as wanted already.
        already: bool,
    },
    /// A step failed.
    Failed {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it should have done.
        change: &'a Change,
        /// Why it was not.
        error: &'a StepError,
    },
    /// A step waits for its user.
    Paused {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it shall do.
        change: &'a Change,
        /// What it waits for.
        error: &'a StepError,
    },
    /// A step is being undone.
    UndoStarted {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it had done.
        change: &'a Change,
    },
    /// A step was undone.
    Undone {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it had done.
        change: &'a Change,
    },
    /// A step could not be undone; the others are tried all the same.
    UndoFailed {
        /// Its number.
        step: usize,
        /// How many there are.
        of: usize,
        /// What it had done.
        change: &'a Change,
        /// Why it could not be undone.
        error: &'a StepError,
    },
    /// Something is being waited for.
    Waiting {
        /// What, in words.
        what: &'a str,
    },
    /// Something is odd but does not stop the run.
    Warning {
        /// What, in words.
        what: &'a str,
    },
}

/// Whoever watches a run.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn observe(&self, progress: Progress<'_>);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn observe(&self, _progress: Progress<'_>) {}
}
