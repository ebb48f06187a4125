//! How a command ends: the exit codes, and the one error type at the edge.

use ops::error::{ErrorKind, OpsError};

/// The exit codes of every command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done, or healthy.
    Done,
    /// Failed, or unhealthy.
    Failed,
    /// Wrong usage or input.
    Usage,
    /// A guard refused; nothing was changed.
    Refused,
    /// Gave up waiting for what goes on by itself.
    GaveUp,
    /// An operation stopped half way: resume or undo it by its id.
    Halfway,
    /// Interrupted while only reading.
    Interrupted,
}

impl ExitStatus {
    /// The code that the process ends with.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::GaveUp => 4,
            Self::Halfway => 5,
            Self::Interrupted => 130,
        }
    }

    /// Its name in error documents.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::GaveUp => "gaveUp",
            Self::Halfway => "halfway",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ErrorKind> for ExitStatus {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Refused => Self::Refused,
            ErrorKind::GaveUp => Self::GaveUp,
            ErrorKind::Halfway => Self::Halfway,
        }
    }
}

/// The error a command ends with: what failed, why, what state the world is in, and the next command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Decides the exit code.
    pub status: ExitStatus,
    /// What failed, on which object.
    pub message: String,
    /// Why, outermost first.
    pub causes: Vec<String>,
    /// The state of the world, if the command could have changed it.
    pub state: Option<String>,
    /// The next command, in full.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without causes.
    #[must_use]
    pub fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), causes: Vec::new(), state: None, hint: None }
    }

    /// Adds the state of the world.
    #[must_use]
    pub fn state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Adds the next command.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a cause.
    #[must_use]
    pub fn cause(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }
}

impl From<OpsError> for Failure {
    fn from(error: OpsError) -> Self {
        Self {
            status: error.kind.into(),
            message: error.message,
            causes: error.causes,
            state: Some(error.state).filter(|state| !state.is_empty()),
            hint: error.hint,
        }
    }
}
