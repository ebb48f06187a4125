//! From the executor's end to a report or to the error that the user reads. Pure.

use saga::{End, Failure, Journal, LockError, Refusal, Status, StepError, StoreError};

use crate::error::{ErrorKind, OpsError};
use crate::report::Outcome;

/// An operation that came to a good end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ending {
    /// The operation.
    pub(super) operation: String,
    /// What it ended in.
    pub(super) outcome: Outcome,
}

/// What an end means for the command. An operation that was to be undone and is undone came to a good end.
pub(super) fn ending(end: End, asked_to_undo: bool, namespace: &str) -> Result<Ending, OpsError> {
    let operation = end.journal.id().to_owned();
    let (steps, title) = (end.journal.states().len(), end.journal.header().title.clone());
    let resume = format!("kubectl rocketmq ops resume {operation} -n {namespace}");
    let undo = format!("kubectl rocketmq ops undo {operation} -n {namespace}");
    match end.outcome {
        saga::Outcome::Done => Ok(Ending { operation, outcome: Outcome::Done }),
        saga::Outcome::Undone { failure } => match failure.filter(|_| !asked_to_undo) {
            None => Ok(Ending { operation, outcome: Outcome::Undone }),
            Some(failure) => Err(failed(undone_kind(&failure), &title, &failure)
                .state(format!("operation {operation} is undone: everything is as it was before"))
                .hint(format!("kubectl rocketmq ops show {operation} -n {namespace}"))),
        },
        saga::Outcome::Stuck { failure, repair } => {
            let error = match &failure {
                Some(failure) => failed(ErrorKind::Halfway, &title, failure),
                None => OpsError::new(ErrorKind::Halfway, format!("cannot undo: {title}")),
            };
            Err(error
                .causes([format!(
                    "step {} on {} cannot be undone: {}",
                    repair.step, repair.object, repair.error
                )])
                .state(format!("operation {operation} is stuck: repair {} by hand", repair.object))
                .hint(undo))
        }
        saga::Outcome::Paused { failure } => Err(failed(ErrorKind::Halfway, &title, &failure)
            .state(format!(
                "operation {operation} stopped at step {} of {steps}, past its point of no return: it only goes forward",
                failure.step
            ))
            .hint(resume)),
        saga::Outcome::Waiting { failure } => {
            let state = format!(
                "operation {operation} waits in step {} of {steps}; everything stays as it is until it goes on",
                failure.step
            );
            let error = halfway(format!("not done yet: {title}"), &end.journal, &resume, &undo);
            Err(error.causes(words(&failure.error)).state(state))
        }
        saga::Outcome::Interrupted { reason, in_doubt } => {
            let done = end.journal.steps_done();
            let state = match in_doubt {
                Some(step) => format!("operation {operation} was left in step {step} of {steps}, which is in doubt"),
                None => format!("operation {operation} stopped with {done} of {steps} steps done"),
            };
            Err(halfway(format!("stopped: {title}"), &end.journal, &resume, &undo).causes([reason]).state(state))
        }
        saga::Outcome::Halted { error } => {
            let done = end.journal.steps_done();
            Err(halfway(format!("cannot go on: {title}"), &end.journal, &resume, &undo)
                .causes(words(&error))
                .state(format!("operation {operation} stopped with {done} of {steps} steps done")))
        }
    }
}

/// What a step refused to act on is as it was.
fn undone_kind(failure: &Failure) -> ErrorKind {
    if failure.error.refused { ErrorKind::Refused } else { ErrorKind::Failed }
}

fn halfway(message: String, journal: &Journal, resume: &str, undo: &str) -> OpsError {
    let error = OpsError::new(ErrorKind::Halfway, message);
    if journal.no_return().is_some() { error.hint(resume) } else { error.hint(format!("{resume}\n{undo}")) }
}

fn failed(kind: ErrorKind, title: &str, failure: &Failure) -> OpsError {
    OpsError::new(kind, format!("cannot {title}"))
        .causes([format!("step {}, {}", failure.step, failure.change)])
        .causes(words(&failure.error))
}

fn words(error: &StepError) -> impl Iterator<Item = String> + use<> {
    std::iter::once(error.message.clone()).chain(error.causes.clone())
}

/// Why nothing was begun.
pub(super) fn refusal(refusal: Refusal, namespace: &str) -> OpsError {
    match refusal {
        Refusal::Lock(LockError::Held { holder, age }) => {
            OpsError::refused(format!("`{holder}` is changing the cluster, last seen {}s ago", age.as_secs()))
                .hint(format!("kubectl rocketmq ops list -n {namespace}"))
        }
        Refusal::Lock(LockError::Failed { message, causes })
        | Refusal::Journal(StoreError::Failed { message, causes }) => {
            OpsError::failed(message).causes(causes)
        }
        Refusal::Lock(error @ LockError::Lost { .. }) => OpsError::refused(error.to_string()),
        Refusal::Journal(error) => OpsError::failed(error.to_string()),
        Refusal::Unfinished { id, title, status } => unfinished(&id, &title, status, namespace),
        Refusal::NotFound { .. } => OpsError::failed(refusal.to_string()),
        Refusal::Rebuild { ref source, .. } => {
            OpsError::refused(refusal.to_string()).causes([source.to_string()])
        }
        Refusal::Finished { .. } | Refusal::PastNoReturn { .. } => OpsError::refused(refusal.to_string()),
    }
}

/// Another operation of the cluster has not ended.
pub(super) fn unfinished(id: &str, title: &str, status: Status, namespace: &str) -> OpsError {
    OpsError::refused(format!("operation `{id}` ({title}) is {status}: resume or undo it first"))
        .hint(format!("kubectl rocketmq ops show {id} -n {namespace}"))
}

/// The operation has ended.
pub(super) fn finished(journal: &Journal) -> OpsError {
    OpsError::refused(format!("operation `{}` is {} already", journal.id(), journal.status()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use saga::{Change, Header, Repair};

    use super::*;

    fn end(outcome: saga::Outcome) -> End {
        let header = Header {
            journal_format: saga::FORMAT,
            id: "op-7f3a".into(),
            cluster: "demo".into(),
            kind: "scale-name-service".into(),
            format: 1,
            title: "scale name servers of `demo` 1 -> 3".into(),
            params: serde_json::Value::Null,
            plan: vec![saga::PlannedStep {
                name: "publish-list".into(),
                instance: String::new(),
                change: Change::new("record the list"),
                reversal: saga::Reversal::Undoable,
            }],
            created: jiff::Timestamp::UNIX_EPOCH,
            version: "0.1.0".into(),
        };
        End { outcome, journal: Journal::new(header) }
    }

    fn failure() -> Failure {
        let error =
            StepError::new("agent of pod `broker-0` did not answer").with_causes(["timed out".to_owned()]);
        Failure { step: 1, change: Change::new("record the list"), error }
    }

    fn check(outcome: saga::Outcome, asked_to_undo: bool, expect: Result<Outcome, (ErrorKind, &str, &str)>) {
        let ended = ending(end(outcome), asked_to_undo, "mq");
        let ended = ended.map(|ending| ending.outcome).map_err(|error| {
            (
                error.kind,
                error.state.clone(),
                error.hint.unwrap_or_default().replace("kubectl rocketmq ops ", ""),
            )
        });
        let expect = expect.map_err(|(kind, state, hint)| (kind, state.to_owned(), hint.to_owned()));
        assert_eq!(ended, expect);
    }

    #[test]
    fn every_end_says_what_state_the_world_is_in_and_what_to_do_next() {
        use saga::Outcome as End;
        let (resume, undo) = ("resume op-7f3a -n mq", "undo op-7f3a -n mq");
        let both = format!("{resume}\n{undo}");
        check(End::Done, false, Ok(Outcome::Done));
        check(End::Undone { failure: Some(failure()) }, true, Ok(Outcome::Undone));
        check(
            End::Undone { failure: Some(failure()) },
            false,
            Err((
                ErrorKind::Failed,
                "operation op-7f3a is undone: everything is as it was before",
                "show op-7f3a -n mq",
            )),
        );
        let refused = Failure { error: StepError::refused("the folder holds data"), ..failure() };
        check(
            End::Undone { failure: Some(refused) },
            false,
            Err((
                ErrorKind::Refused,
                "operation op-7f3a is undone: everything is as it was before",
                "show op-7f3a -n mq",
            )),
        );
        let repair = Repair {
            step: 1,
            object: "StatefulSet/demo".into(),
            change: Change::new("grow"),
            error: StepError::new("forbidden"),
        };
        check(
            End::Stuck { failure: None, repair },
            true,
            Err((ErrorKind::Halfway, "operation op-7f3a is stuck: repair StatefulSet/demo by hand", undo)),
        );
        check(
            End::Paused { failure: failure() },
            false,
            Err((
                ErrorKind::Halfway,
                "operation op-7f3a stopped at step 1 of 1, past its point of no return: it only goes forward",
                resume,
            )),
        );
        let waiting = Failure { error: StepError::paused("not drained"), ..failure() };
        check(
            End::Waiting { failure: waiting },
            false,
            Err((
                ErrorKind::Halfway,
                "operation op-7f3a waits in step 1 of 1; everything stays as it is until it goes on",
                &both,
            )),
        );
        check(
            End::Interrupted { reason: "interrupted".into(), in_doubt: Some(1) },
            false,
            Err((ErrorKind::Halfway, "operation op-7f3a was left in step 1 of 1, which is in doubt", &both)),
        );
        check(
            End::Halted { error: StepError::new("no cluster answers") },
            false,
            Err((ErrorKind::Halfway, "operation op-7f3a stopped with 0 of 1 steps done", &both)),
        );
    }

    #[test]
    fn a_failure_names_the_step_and_every_cause() {
        let error = ending(end(saga::Outcome::Undone { failure: Some(failure()) }), false, "mq").unwrap_err();
        assert_eq!(error.message, "cannot scale name servers of `demo` 1 -> 3");
        assert_eq!(
            error.causes,
            ["step 1, record the list", "agent of pod `broker-0` did not answer", "timed out"]
        );
    }

    #[test]
    fn a_second_writer_is_told_who_the_first_is() {
        let held = LockError::Held { holder: "me@host/1".into(), age: Duration::from_secs(7) };
        let error = refusal(Refusal::Lock(held), "mq");
        assert_eq!(error.kind, ErrorKind::Refused);
        assert_eq!(error.message, "`me@host/1` is changing the cluster, last seen 7s ago");
    }
}
