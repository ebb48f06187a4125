//! Operations: parameters that are stored, and the list of steps that is rebuilt from them.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::journal::{Header, PlannedStep};
use crate::step::{AnyStep, Change};

/// The steps of an operation, in order.
pub type Steps<W> = Vec<Box<dyn AnyStep<W>>>;

/// A kind of operation: a stable name, parameters, and the steps that they make. Pure: the same parameters make
/// the same steps on every machine.
pub trait OperationKind<W> {
    /// What the journal stores.
    type Params: Serialize + DeserializeOwned;

    /// The stable name in journals.
    const NAME: &'static str;

    /// The version of the parameters and of the steps they make.
    const FORMAT: u32 = 1;

    /// True when the operation takes the cluster away: its lock goes with it instead of being released.
    const ENDS_CLUSTER: bool = false;

    /// What the operation does, in one line.
    fn title(params: &Self::Params) -> String;

    /// The steps.
    fn steps(params: &Self::Params) -> Steps<W>;

    /// What is done after the journal says `done`, unjournaled. A kill before it, or an error in it, leaves things
    /// behind that harm nothing.
    fn afterwards(_params: &Self::Params) -> Steps<W> {
        Vec::new()
    }
}

/// An operation that can be run: its stored form and its steps.
pub struct Operation<W> {
    pub(crate) kind: String,
    pub(crate) format: u32,
    pub(crate) title: String,
    pub(crate) params: Value,
    pub(crate) steps: Steps<W>,
    pub(crate) afterwards: Steps<W>,
    pub(crate) ends_cluster: bool,
}

impl<W> std::fmt::Debug for Operation<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation")
            .field("kind", &self.kind)
            .field("title", &self.title)
            .finish_non_exhaustive()
    }
}

impl<W> Operation<W> {
    /// An operation of a kind.
    ///
    /// # Errors
    /// When the parameters cannot be stored as JSON.
    pub fn new<K: OperationKind<W>>(params: &K::Params) -> Result<Self, RebuildError> {
        let stored = serde_json::to_value(params)
            .map_err(|error| RebuildError::Params { kind: K::NAME.to_owned(), reason: error.to_string() })?;
        Ok(Self {
            kind: K::NAME.to_owned(),
            format: K::FORMAT,
            title: K::title(params),
            params: stored,
            steps: K::steps(params),
            afterwards: K::afterwards(params),
            ends_cluster: K::ENDS_CLUSTER,
        })
    }

    /// What the operation does, in one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The steps.
    #[must_use]
    pub fn steps(&self) -> &[Box<dyn AnyStep<W>>] {
        &self.steps
    }

    pub(crate) fn planned(&self) -> Vec<PlannedStep> {
        self.steps
            .iter()
            .map(|step| PlannedStep {
                name: step.name().to_owned(),
                instance: step.instance(),
                change: step.describe(),
                reversal: step.reversal(),
            })
            .collect()
    }
}

/// The plan: what each step says of itself, in order.
#[must_use]
pub fn plan<W>(steps: &[Box<dyn AnyStep<W>>]) -> Vec<Change> {
    steps.iter().map(|step| step.describe()).collect()
}

/// Why an operation cannot be rebuilt from its journal. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    /// This version has no such kind.
    #[error("this version does not know operations of kind `{kind}` (written by version {version})")]
    UnknownKind {
        /// The kind.
        kind: String,
        /// The version that wrote the journal.
        version: String,
    },
    /// This version knows the kind in another format.
    #[error(
        "operation of kind `{kind}` has format {format}, this version knows {known} (written by version {version})"
    )]
    UnknownFormat {
        /// The kind.
        kind: String,
        /// The format of the journal.
        format: u32,
        /// The format of this version.
        known: u32,
        /// The version that wrote the journal.
        version: String,
    },
    /// The parameters do not fit the kind.
    #[error("the parameters of an operation of kind `{kind}` cannot be read: {reason}")]
    Params {
        /// The kind.
        kind: String,
        /// Why.
        reason: String,
    },
    /// This version would do other steps than those that were planned.
    #[error(
        "this version would do other steps than the operation was planned with (written by version {version})"
    )]
    OtherSteps {
        /// The version that wrote the journal.
        version: String,
    },
}

type Build<W> = fn(Value) -> Result<Operation<W>, RebuildError>;

/// The kinds of operations that can be resumed and undone.
pub struct Registry<W> {
    kinds: Vec<(&'static str, u32, Build<W>)>,
}

impl<W> std::fmt::Debug for Registry<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.kinds.iter().map(|(name, format, _)| (name, format))).finish()
    }
}

impl<W> Default for Registry<W> {
    fn default() -> Self {
        Self { kinds: Vec::new() }
    }
}

impl<W> Registry<W> {
    /// A registry without kinds.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind.
    #[must_use]
    pub fn with<K: OperationKind<W>>(mut self) -> Self {
        self.kinds.push((K::NAME, K::FORMAT, build::<W, K>));
        self
    }

    /// Rebuilds the operation of a journal.
    ///
    /// # Errors
    /// When this version cannot do exactly the steps that were planned.
    pub fn rebuild(&self, header: &Header) -> Result<Operation<W>, RebuildError> {
        let version = header.version.clone();
        let Some((_, known, build)) = self.kinds.iter().find(|(name, ..)| *name == header.kind) else {
            return Err(RebuildError::UnknownKind { kind: header.kind.clone(), version });
        };
        if *known != header.format {
            let (kind, format) = (header.kind.clone(), header.format);
            return Err(RebuildError::UnknownFormat { kind, format, known: *known, version });
        }
        let operation = build(header.params.clone())?;
        let same = |(a, b): (&PlannedStep, &PlannedStep)| {
            a.name == b.name && a.instance == b.instance && a.reversal == b.reversal
        };
        let planned = operation.planned();
        if planned.len() != header.plan.len() || !planned.iter().zip(&header.plan).all(same) {
            return Err(RebuildError::OtherSteps { version });
        }
        Ok(operation)
    }
}

fn build<W, K: OperationKind<W>>(params: Value) -> Result<Operation<W>, RebuildError> {
    let params: K::Params = serde_json::from_value(params)
        .map_err(|error| RebuildError::Params { kind: K::NAME.to_owned(), reason: error.to_string() })?;
    Operation::new::<K>(&params)
}
