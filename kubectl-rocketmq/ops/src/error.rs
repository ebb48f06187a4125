//! The one error that leaves this crate: what failed, why, what state the world is in, and the next command.

use std::fmt;

use crate::world::WorldError;

/// What kind of end a command came to; the exit codes of the command line follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// It failed, and what it had begun was undone, or it had begun nothing.
    Failed,
    /// The input is wrong.
    Usage,
    /// A guard refused; nothing was changed.
    Refused,
    /// It gave up waiting for something that goes on by itself.
    GaveUp,
    /// It stopped half way: resume or undo by the operation's id.
    Halfway,
}

/// An error as the user shall read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpsError {
    /// What kind of end.
    pub kind: ErrorKind,
    /// What failed, on which object.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// What state the world is in, for example "nothing was changed".
    pub state: String,
    /// The next command, in full.
    pub hint: Option<String>,
}

/// The state of the world after an error before any change.
pub(crate) const NOTHING_CHANGED: &str = "nothing was changed";

impl OpsError {
    /// An error before any change.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            causes: Vec::new(),
            state: NOTHING_CHANGED.to_owned(),
            hint: None,
        }
    }

    /// A guard's refusal.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// Wrong input.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A failed read, before any change.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Adds the next command.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says what state the world is in.
    #[must_use]
    pub(crate) fn state(mut self, state: impl Into<String>) -> Self {
        self.state = state.into();
        self
    }

    /// Adds causes.
    #[must_use]
    pub(crate) fn causes(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        self.causes.extend(causes);
        self
    }
}

impl fmt::Display for OpsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for OpsError {}

impl From<WorldError> for OpsError {
    fn from(error: WorldError) -> Self {
        Self::failed(error.message).causes(error.causes)
    }
}
