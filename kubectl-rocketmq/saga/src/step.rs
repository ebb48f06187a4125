//! One step of an operation: what is there, what undo needs, the act, the proof, and the way back.

use std::fmt;
use std::future::Future;

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::permit::Permit;

/// What a step does, in one sentence: the plan's line and the progress line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The act.
    pub sentence: String,
    /// The value before, where the act changes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The value after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl Change {
    /// A change that is told by its sentence alone.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), from: None, to: None }
    }

    /// Adds the value before and after.
    #[must_use]
    pub fn from_to(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.from = Some(from.into());
        self.to = Some(to.into());
        self
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)?;
        match (&self.from, &self.to) {
            (Some(from), Some(to)) => write!(f, " ({from} -> {to})"),
            _ => Ok(()),
        }
    }
}

/// What a look at the world found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen<B> {
    /// Everything is as the step wants it; there is nothing to do and nothing to undo.
    Done,
    /// There is something to do; this is what undo needs.
    Todo(B),
}

/// Why a step could not be done or undone, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepError {
    /// What failed, on which object.
    pub message: String,
    /// Why, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// True when nothing went wrong, but the step refuses to act on what it found.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub refused: bool,
    /// True when nothing went wrong, but the step cannot end before its user has done something: the operation waits
    /// for that, with everything as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pauses: bool,
}

impl StepError {
    /// An error without causes.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), causes: Vec::new(), refused: false, pauses: false }
    }

    /// A refusal without causes.
    pub fn refused(message: impl Into<String>) -> Self {
        Self { refused: true, ..Self::new(message) }
    }

    /// The wish to wait for the user, without causes.
    pub fn paused(message: impl Into<String>) -> Self {
        Self { pauses: true, ..Self::new(message) }
    }

    /// Adds causes, outermost first.
    #[must_use]
    pub fn with_causes(mut self, causes: impl IntoIterator<Item = String>) -> Self {
        self.causes.extend(causes);
        self
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for StepError {}

/// Whether a step can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reversal {
    /// Its undo restores what was before.
    Undoable,
    /// Once it has started, the operation only goes forward.
    PointOfNoReturn,
}

/// A step of an operation on a world of type `W`. It holds its parameters and no state: all it may know of an
/// earlier run is the before-image.
///
/// Network calls end in doubt, so `apply` must be right when it has already happened, wholly or in part, and `undo`
/// when the act never happened, half happened or happened: both look first.
pub trait Step<W>: Send + Sync {
    /// What undo needs of the world before the act; kept in the journal.
    type Before: Serialize + DeserializeOwned + Send + Sync;

    /// The step's stable name in journals.
    const NAME: &'static str;

    /// Which one, where an operation has several steps of one name.
    fn instance(&self) -> String {
        String::new()
    }

    /// The plan's line and the progress line.
    fn describe(&self) -> Change;

    /// Reads what is there. Never changes anything.
    fn look(&self, world: &W) -> impl Future<Output = Result<Seen<Self::Before>, StepError>> + Send;

    /// Acts. The before-image is in the journal already.
    fn apply(
        &self,
        world: &W,
        permit: &Permit,
        before: &Self::Before,
    ) -> impl Future<Output = Result<(), StepError>> + Send;

    /// Reads back, with a deadline, that the act has come true.
    fn confirm(&self, world: &W) -> impl Future<Output = Result<(), StepError>> + Send;

    /// Restores what the before-image holds.
    fn undo(
        &self,
        world: &W,
        permit: &Permit,
        before: &Self::Before,
    ) -> impl Future<Output = Result<(), StepError>> + Send;

    /// Whether the step can be taken back.
    fn reversal(&self) -> Reversal {
        Reversal::Undoable
    }

    /// Whether the step only waits for what others do. It may be left at any moment then: the first wish to stop ends it,
    /// while another step is finished first. And a run that is resumed right after it waits once more.
    fn interruptible(&self) -> bool {
        false
    }
}

/// A [`Step`] with its before-image as JSON, so that steps of different types stand in one list.
pub trait AnyStep<W>: Send + Sync {
    /// [`Step::NAME`].
    fn name(&self) -> &'static str;
    /// [`Step::instance`].
    fn instance(&self) -> String;
    /// [`Step::describe`].
    fn describe(&self) -> Change;
    /// [`Step::reversal`].
    fn reversal(&self) -> Reversal;
    /// [`Step::interruptible`].
    fn interruptible(&self) -> bool;
    /// [`Step::look`].
    fn look<'a>(&'a self, world: &'a W) -> BoxFuture<'a, Result<Seen<Value>, StepError>>;
    /// [`Step::apply`].
    fn apply<'a>(
        &'a self,
        world: &'a W,
        permit: &'a Permit,
        before: &'a Value,
    ) -> BoxFuture<'a, Result<(), StepError>>;
    /// [`Step::confirm`].
    fn confirm<'a>(&'a self, world: &'a W) -> BoxFuture<'a, Result<(), StepError>>;
    /// [`Step::undo`].
    fn undo<'a>(
        &'a self,
        world: &'a W,
        permit: &'a Permit,
        before: &'a Value,
    ) -> BoxFuture<'a, Result<(), StepError>>;
}

impl<W: Sync, S: Step<W>> AnyStep<W> for S {
    fn name(&self) -> &'static str {
        S::NAME
    }

    fn instance(&self) -> String {
        Step::instance(self)
    }

    fn describe(&self) -> Change {
        Step::describe(self)
    }

    fn reversal(&self) -> Reversal {
        Step::reversal(self)
    }

    fn interruptible(&self) -> bool {
        Step::interruptible(self)
    }

    fn look<'a>(&'a self, world: &'a W) -> BoxFuture<'a, Result<Seen<Value>, StepError>> {
        async move {
            Ok(match Step::look(self, world).await? {
                Seen::Done => Seen::Done,
                Seen::Todo(before) => Seen::Todo(to_json::<W, S>(&before)?),
            })
        }
        .boxed()
    }

    fn apply<'a>(
        &'a self,
        world: &'a W,
        permit: &'a Permit,
        before: &'a Value,
    ) -> BoxFuture<'a, Result<(), StepError>> {
        async move { Step::apply(self, world, permit, &from_json::<W, S>(before)?).await }.boxed()
    }

    fn confirm<'a>(&'a self, world: &'a W) -> BoxFuture<'a, Result<(), StepError>> {
        Step::confirm(self, world).boxed()
    }

    fn undo<'a>(
        &'a self,
        world: &'a W,
        permit: &'a Permit,
        before: &'a Value,
    ) -> BoxFuture<'a, Result<(), StepError>> {
        async move { Step::undo(self, world, permit, &from_json::<W, S>(before)?).await }.boxed()
    }
}

fn to_json<W, S: Step<W>>(before: &S::Before) -> Result<Value, StepError> {
    serde_json::to_value(before).map_err(|error| {
        StepError::new(format!("the before-image of step `{}` cannot be stored: {error}", S::NAME))
    })
}

fn from_json<W, S: Step<W>>(before: &Value) -> Result<S::Before, StepError> {
    S::Before::deserialize(before).map_err(|error| {
        StepError::new(format!("the before-image of step `{}` cannot be read: {error}", S::NAME))
    })
}
