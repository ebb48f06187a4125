//! What an operation tells whoever watches it while it runs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use tokio::sync::watch;

pub use saga::Interrupt;

/// One thing that happened. Sentences may hold text that came from a cluster: escape control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Progress {
    /// The operation is in the journal and holds the cluster's Lease.
    Started {
        /// Its id, for `ops resume` and `ops undo`.
        operation: String,
        /// The cluster it works on.
        cluster: String,
        /// How many steps it has.
        steps: usize,
    },
    /// A step came to a new state.
    Step {
        /// Its number, from 1 on.
        number: usize,
        /// How many there are.
        total: usize,
        /// What it does, as in the plan.
        sentence: String,
        /// Its new state.
        state: StepState,
    },
    /// The running step waits for something.
    Waiting {
        /// For what, and what is missing.
        what: String,
        /// The same one by one, as lines of a table with a head; empty where `what` says all.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        rows: Vec<String>,
    },
    /// The running step moves data.
    Moved {
        /// Whose, or where to: transfers that run side by side differ in it.
        what: String,
        /// How many bytes are where they shall be.
        bytes: u64,
        /// How many there are.
        of: u64,
    },
}

/// Where a step stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepState {
    /// It runs.
    Running,
    /// It had nothing to do.
    AlreadyDone,
    /// It is done and was read back.
    Done,
    /// It failed; why, in words.
    Failed(String),
    /// It waits for its user; for what, in words.
    Paused(String),
    /// It is being undone.
    Undoing,
    /// It is undone.
    Undone,
    /// It could not be undone; why, in words.
    UndoFailed(String),
}

/// Watches an operation. Called from the task that runs it: it must not block.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn progress(&self, progress: Progress);
}

/// What a step tells while it runs: only the newest counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// What is being waited for.
    pub(crate) waiting: String,
    /// The same one by one.
    pub(crate) rows: Vec<String>,
    /// Bytes that are where they shall be, and how many there are, by what is moved.
    pub(crate) moved: BTreeMap<String, (u64, u64)>,
}

/// Tells an observer what steps tell, as long as somebody listens.
pub(crate) async fn tell(mut told: watch::Receiver<Told>, observer: &dyn Observer) -> Infallible {
    let mut last = Told::default();
    while told.changed().await.is_ok() {
        let now = told.borrow_and_update().clone();
        if (&now.waiting, &now.rows) != (&last.waiting, &last.rows) {
            observer.progress(Progress::Waiting { what: now.waiting.clone(), rows: now.rows.clone() });
        }
        for (what, (bytes, of)) in &now.moved {
            if last.moved.get(what) != Some(&(*bytes, *of)) {
                observer.progress(Progress::Moved { what: what.clone(), bytes: *bytes, of: *of });
            }
        }
        last = now;
    }
    std::future::pending().await
}

/// Watches nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn progress(&self, _progress: Progress) {}
}

/// Tells an observer in this crate's words what the executor says.
pub(crate) struct Translator<'a> {
    observer: &'a dyn Observer,
    cluster: String,
    steps: usize,
    warnings: Mutex<Vec<String>>,
}

impl<'a> Translator<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, cluster: &str, steps: usize) -> Self {
        Self { observer, cluster: cluster.to_owned(), steps, warnings: Mutex::default() }
    }

    /// The operation has a journal.
    pub(crate) fn journaled(&self, id: &str) {
        self.observer.progress(Progress::Started {
            operation: id.to_owned(),
            cluster: self.cluster.clone(),
            steps: self.steps,
        });
    }

    /// What was odd but did not stop the run.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl saga::Observer for Translator<'_> {
    fn observe(&self, progress: saga::Progress<'_>) {
        use saga::Progress as P;
        let (step, of, change, state) = match progress {
            P::Journaled { id } => return self.journaled(id),
            P::Waiting { what } => {
                return self.observer.progress(Progress::Waiting { what: what.to_owned(), rows: Vec::new() });
            }
            P::Warning { what } => {
                return self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(what.to_owned());
            }
            P::Started { step, of, change } => (step, of, change, StepState::Running),
            P::Done { step, of, change, already: true } => (step, of, change, StepState::AlreadyDone),
            P::Done { step, of, change, already: false } => (step, of, change, StepState::Done),
            P::Failed { step, of, change, error } => (step, of, change, StepState::Failed(error.to_string())),
            P::Paused { step, of, change, error } => {
                (step, of, change, StepState::Paused(error.message.clone()))
            }
            P::UndoStarted { step, of, change } => (step, of, change, StepState::Undoing),
            P::Undone { step, of, change } => (step, of, change, StepState::Undone),
            P::UndoFailed { step, of, change, error } => {
                (step, of, change, StepState::UndoFailed(error.to_string()))
            }
        };
        self.observer.progress(Progress::Step {
            number: step,
            total: of,
            sentence: change.to_string(),
            state,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::FutureExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<Progress>>>);

    impl Observer for Heard {
        fn progress(&self, progress: Progress) {
            self.0.lock().unwrap().push(progress);
        }
    }

    #[test]
    fn each_change_is_told_once_and_what_stays_is_not() {
        let (told, heard) = (watch::Sender::<Told>::default(), Heard::default());
        let observer = heard.clone();
        let mut telling = Box::pin(tell(told.subscribe(), &observer));
        let mut after = |change: &dyn Fn(&mut Told)| {
            told.send_modify(change);
            assert!(telling.as_mut().now_or_never().is_none(), "it goes on");
            std::mem::take(&mut *heard.0.lock().unwrap())
        };
        let waiting = |rows: &[&str]| {
            let rows = rows.iter().map(|row| (*row).to_owned()).collect();
            Progress::Waiting { what: "pods".to_owned(), rows }
        };
        let moved = |what: &str, bytes| Progress::Moved { what: what.to_owned(), bytes, of: 9 };
        let move_to = |told: &mut Told, what: &str, bytes| {
            told.moved.insert(what.to_owned(), (bytes, 9));
        };
        assert_eq!(after(&|told| told.waiting = "pods".to_owned()), [waiting(&[])]);
        assert_eq!(after(&|told| told.rows = vec!["a".to_owned()]), [waiting(&["a"])]);
        assert_eq!(after(&|told| move_to(told, "a", 1)), [moved("a", 1)]);
        assert_eq!(after(&|told| move_to(told, "b", 2)), [moved("b", 2)]);
        assert_eq!(after(&|told| move_to(told, "a", 1)), []);
    }
}
