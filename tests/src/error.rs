//! The lab's one error: what failed, why, what the log says, and what to do about it.

use std::error::Error;
use std::fmt::Display;
use std::path::Path;

use rocketmq::text::error_chain;

/// What the lab's functions return.
pub type Result<T> = std::result::Result<T, LabError>;

/// Something that the lab could not do.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct LabError {
    what: String,
    #[source]
    cause: Option<Box<dyn Error + Send + Sync>>,
    log: Option<String>,
    hint: Option<String>,
    given_up: bool,
}

impl LabError {
    /// An error that says `what` failed.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), cause: None, log: None, hint: None, given_up: false }
    }

    /// An error that says what was stopped only because something else had failed.
    pub fn given_up(what: impl Into<String>) -> Self {
        Self { given_up: true, ..Self::new(what) }
    }

    /// Whether this was stopped only because something else had failed.
    pub fn was_given_up(&self) -> bool {
        self.given_up
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the last lines of the log file `path`.
    #[must_use]
    pub fn with_log(mut self, path: &Path) -> Self {
        let text = std::fs::read(path).unwrap_or_default();
        let tail = tail(&String::from_utf8_lossy(&text), 15);
        if !tail.is_empty() {
            self.log = Some(format!("the end of {}:\n{tail}", path.display()));
        }
        self
    }

    /// Adds output that explains the failure.
    #[must_use]
    pub fn with_output(mut self, output: &str) -> Self {
        let tail = tail(output, 15);
        if !tail.is_empty() {
            self.log = Some(tail);
        }
        self
    }

    /// The error as it is shown to people: the chain of causes, the log, the hint.
    pub fn report(&self) -> String {
        let mut text = format!("error: {}", error_chain(self).join("\ncaused by: "));
        if let Some(log) = &self.log {
            text.push_str(&format!("\n{log}"));
        }
        if let Some(hint) = &self.hint {
            text.push_str(&format!("\n\nhint: {hint}"));
        }
        text
    }
}

/// Says on what an error of a lower floor happened.
pub trait Context<T> {
    /// Turns the error into a [`LabError`] that says `what` failed.
    ///
    /// # Errors
    /// The error of the result, with `what` before it.
    fn context<D: Display>(self, what: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context<D: Display>(self, what: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| LabError::new(what().to_string()).because(error))
    }
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_chain_log_and_hint() {
        let error = Err::<(), _>(std::io::Error::other("disk full"))
            .context(|| "cannot write the kubeconfig")
            .map_err(|error| error.with_output("a\n\nb\n").hint("make room"));
        let report = error.unwrap_err().report();
        assert_eq!(
            report,
            "error: cannot write the kubeconfig\ncaused by: disk full\na\nb\n\nhint: make room"
        );
    }

    #[test]
    fn a_tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
