//! What is wrong with an input, in words a user can act on.

/// An input that cannot be applied; nothing was made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InputError {
    /// What is wrong, and where.
    pub message: String,
    /// What to do about it, where that is known.
    pub hint: Option<String>,
}

impl InputError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says which document is meant.
    pub(crate) fn in_document(mut self, document: &str) -> Self {
        self.message = format!("{document}: {}", self.message);
        self
    }
}

impl From<FieldError> for InputError {
    fn from(error: FieldError) -> Self {
        Self { message: error.to_string(), hint: error.hint }
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldError {
    path: Option<String>,
    problem: Problem,
    hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Problem {
    /// No field of this name exists here.
    Unknown,
    /// The field must be there and is not; its name.
    Missing(&'static str),
    /// Its value will not do; why.
    Value(String),
}

impl FieldError {
    /// The value at `path` will not do.
    pub(crate) fn value(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { path: Some(path.into()), problem: Problem::Value(problem.into()), hint: None }
    }

    /// The value at a path that the caller adds by [`FieldError::at`] will not do.
    pub(crate) fn value_here(problem: impl Into<String>) -> Self {
        Self { path: None, problem: Problem::Value(problem.into()), hint: None }
    }

    /// A field that must be there is not; the caller adds the path of its parent by [`FieldError::at`].
    pub(crate) fn missing_here(field: &'static str) -> Self {
        Self { path: None, problem: Problem::Missing(field), hint: None }
    }

    /// `path` names a field that does not exist; `known` are those that do, beside it.
    pub(crate) fn unknown(parent: &str, field: &str, known: &[&str]) -> Self {
        let hint = nearest(field, known).map(|near| format!("did you mean `{}`?", join(parent, near)));
        Self { path: Some(join(parent, field)), problem: Problem::Unknown, hint }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the place, unless a deeper one is known already.
    pub(crate) fn at(mut self, path: &str) -> Self {
        self.path.get_or_insert_with(|| path.to_owned());
        self
    }
}

impl std::fmt::Display for FieldError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = self.path.as_deref().unwrap_or_default();
        match &self.problem {
            Problem::Unknown => write!(f, "unknown field `{path}`"),
            Problem::Missing(field) => write!(f, "`{}` is missing", join(path, field)),
            Problem::Value(problem) if path.is_empty() => f.write_str(problem),
            Problem::Value(problem) => write!(f, "`{path}` {problem}"),
        }
    }
}

impl std::error::Error for FieldError {}

/// The path of a field below another.
pub(crate) fn join(parent: &str, field: &str) -> String {
    if parent.is_empty() { field.to_owned() } else { format!("{parent}.{field}") }
}

/// The known word that looks most like `word`.
pub(crate) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |candidate: &str| strsim::jaro_winkler(&word.to_lowercase(), &candidate.to_lowercase());
    known.iter().copied().max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
}

/// The words as a message lists them: `` `a`, `b` or `c` ``.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}
