//! How runs end, and why they do not begin.

use crate::journal::{Journal, Status};
use crate::lock::LockError;
use crate::operation::RebuildError;
use crate::step::{Change, StepError};
use crate::store::StoreError;

/// A step that did not come to its end, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number, from 1.
    pub step: usize,
    /// What it should have done.
    pub change: Change,
    /// Why it did not.
    pub error: StepError,
}

/// Something that could not be undone and has to be repaired by hand, before the undo is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    /// The step's number, from 1.
    pub step: usize,
    /// What the step acts on, for example `StatefulSet/demo`; its name where it has no instance.
    pub object: String,
    /// What it had done.
    pub change: Change,
    /// Why it could not be undone.
    pub error: StepError,
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every step is done and was read back.
    Done,
    /// Everything that was done is undone; after a failure, or because it was asked for.
    Undone {
        /// What failed.
        failure: Option<Failure>,
    },
    /// A step could not be undone. Those after it are, and those before it are as they were done: their undo may rely
    /// on its.
    Stuck {
        /// What failed first.
        failure: Option<Failure>,
        /// What has to be repaired.
        repair: Repair,
    },
    /// A step failed after the point of no return; resuming goes forward.
    Paused {
        /// What failed.
        failure: Failure,
    },
    /// A step waits for its user; resuming tries it again, and it can be undone unless it comes after the point of no
    /// return.
    Waiting {
        /// What it waits for.
        failure: Failure,
    },
    /// The caller asked to stop.
    Interrupted {
        /// Why.
        reason: String,
        /// The step that was left while it acted, from 1; it can be resumed and undone all the same.
        in_doubt: Option<usize>,
    },
    /// The lock was lost or the journal could not be written; what is in the journal can be resumed and undone.
    Halted {
        /// What went wrong.
        error: StepError,
    },
}

/// The end of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// What it came to.
    pub outcome: Outcome,
    /// The journal as it was last written.
    pub journal: Journal,
}

/// Why nothing was begun. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// The lock could not be had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The journal could not be made or read.
    #[error(transparent)]
    Journal(#[from] StoreError),
    /// Another operation on the cluster has not ended.
    #[error("operation `{id}` ({title}) is {status}: resume or undo it first")]
    Unfinished {
        /// The other operation.
        id: String,
        /// What it does.
        title: String,
        /// Where it stands.
        status: Status,
    },
    /// There is no operation of this id.
    #[error("there is no operation `{id}`")]
    NotFound {
        /// The id.
        id: String,
    },
    /// The operation has ended.
    #[error("operation `{id}` is {status} already")]
    Finished {
        /// The operation.
        id: String,
        /// How it ended.
        status: Status,
    },
    /// The operation cannot be taken back any more.
    #[error("operation `{id}` cannot be undone: step {step} ({change}) has started and cannot be taken back")]
    PastNoReturn {
        /// The operation.
        id: String,
        /// The step, from 1.
        step: usize,
        /// What it does.
        change: Change,
    },
    /// This version cannot continue the operation.
    #[error("operation `{id}` cannot be continued")]
    Rebuild {
        /// The operation.
        id: String,
        /// Why.
        source: RebuildError,
    },
}
