//! `ops list` and `ops show`: the journals of a namespace, read only.

use saga::{Event, Journal, JournalStore, Listed, Status, StepEvent, StepState, StoreError};
use serde::Serialize;

use crate::command::journaled_steps;
use crate::error::OpsError;
use crate::report::{API_VERSION, NextCommand, PlannedStep};
use crate::session::Session;
use crate::status::OperationLine;

/// The operations of a namespace, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationList {
    /// Always [`crate::report::API_VERSION`].
    pub api_version: &'static str,
    /// Always `OperationList`.
    pub kind: &'static str,
    /// The operations.
    pub items: Vec<OperationSummary>,
}

/// One operation of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationSummary {
    /// Its id.
    pub operation: String,
    /// Its kind, for example `scale-name-service`.
    pub operation_kind: String,
    /// One line: what it does to what.
    pub title: String,
    /// The cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// `running` (somebody holds the Lease), `unfinished`, `unwinding`, `stuck`, `paused`, `done`, `undone`.
    pub state: String,
    /// Steps that are done.
    pub steps_done: usize,
    /// How many steps it has.
    pub steps: usize,
    /// The program that started it, and its version.
    pub started_by: String,
    /// When it started, RFC 3339.
    pub started_at: String,
}

/// One operation of the journal with all its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationDetail {
    /// Always [`crate::report::API_VERSION`].
    pub api_version: &'static str,
    /// Always `Operation`.
    pub kind: &'static str,
    /// The line of the list.
    #[serde(flatten)]
    pub summary: OperationSummary,
    /// The steps, each with its state.
    pub steps_detail: Vec<PlannedStep>,
    /// The journal's events, oldest first, one line each.
    pub events: Vec<String>,
    /// Objects to repair by hand, of a stuck operation.
    pub repairs: Vec<String>,
    /// What to do next.
    pub next: Vec<NextCommand>,
}

/// The operations of the session's namespace, or of all, newest first.
///
/// # Errors
/// When they cannot be listed.
pub async fn list(session: &Session, all_namespaces: bool) -> Result<OperationList, OpsError> {
    let namespaces =
        if all_namespaces { session.namespaces().await? } else { vec![session.namespace().to_owned()] };
    let mut items: Vec<(String, OperationSummary)> = Vec::new();
    for namespace in namespaces {
        let session = session.in_namespace(&namespace);
        let holders = session.holders().await;
        for listed in journals(&session, None).await? {
            let summary = match &listed.journal {
                Ok(journal) => summary(journal, &namespace, holders.contains_key(&journal.header().cluster)),
                Err(reason) => unreadable(&listed.id, &namespace, reason),
            };
            items.push((summary.started_at.clone(), summary));
        }
    }
    items.sort_by(|one, other| other.0.cmp(&one.0));
    Ok(OperationList {
        api_version: API_VERSION,
        kind: "OperationList",
        items: items.into_iter().map(|(_, summary)| summary).collect(),
    })
}

/// One operation.
///
/// # Errors
/// `Failed` when there is none of this id, or it cannot be read.
pub async fn show(session: &Session, operation: &str) -> Result<OperationDetail, OpsError> {
    let journal = journal(session, operation).await?;
    let held = session.holders().await.contains_key(&journal.header().cluster);
    Ok(detail(&journal, session.namespace(), held))
}

/// The journals of a cluster, or of all of the session's namespace, oldest first.
pub(crate) async fn journals(session: &Session, cluster: Option<&str>) -> Result<Vec<Listed>, OpsError> {
    session.journals().list(cluster).await.map_err(store_error)
}

/// The journal of one operation.
pub(crate) async fn journal(session: &Session, operation: &str) -> Result<Journal, OpsError> {
    match session.journals().load(operation).await.map_err(store_error)? {
        Some(stored) => Ok(stored.journal),
        None => {
            let namespace = session.namespace();
            Err(OpsError::failed(format!("there is no operation `{operation}` in namespace `{namespace}`"))
                .hint(format!("kubectl rocketmq ops list -n {namespace}")))
        }
    }
}

fn store_error(error: StoreError) -> OpsError {
    match error {
        StoreError::Failed { message, causes } => OpsError::failed(message).causes(causes),
        other => OpsError::failed(other.to_string()),
    }
}

/// The operation of a cluster that runs or has not ended; `holder` is who has the cluster's Lease.
pub(crate) fn operation_line(journals: &[Listed], holder: Option<String>) -> Option<OperationLine> {
    let journals = journals.iter().rev().filter_map(|listed| listed.journal.as_ref().ok());
    let journal = journals.into_iter().find(|journal| !journal.status().is_finished())?;
    let header = journal.header();
    let states = journal.states();
    // Where something has been begun: the last such step; else the first that waits.
    let current = states
        .iter()
        .rposition(|state| !matches!(state, StepState::Pending | StepState::Done { .. } | StepState::Undone))
        .or_else(|| states.iter().position(|state| matches!(state, StepState::Pending)))
        .unwrap_or(states.len().saturating_sub(1));
    Some(OperationLine {
        operation: header.id.clone(),
        title: header.title.clone(),
        state: state_word(journal.status(), holder.is_some()),
        step: current + 1,
        steps: states.len(),
        sentence: header.plan.get(current).map(|step| step.change.to_string()).unwrap_or_default(),
        started_at: header.created.to_string(),
        holder,
    })
}

/// The word for where an operation stands, for people: one that nobody runs is not running.
pub(crate) fn state_word(status: Status, held: bool) -> String {
    match (status, held) {
        (Status::Running, false) => "unfinished".to_owned(),
        (Status::Running | Status::Paused | Status::Unwinding, true) => "running".to_owned(),
        (status, _) => status.to_string(),
    }
}

fn summary(journal: &Journal, namespace: &str, held: bool) -> OperationSummary {
    let header = journal.header();
    OperationSummary {
        operation: header.id.clone(),
        operation_kind: header.kind.clone(),
        title: header.title.clone(),
        cluster: header.cluster.clone(),
        namespace: namespace.to_owned(),
        state: state_word(journal.status(), held),
        steps_done: journal.steps_done(),
        steps: journal.states().len(),
        started_by: format!("kubectl rocketmq {}", header.version),
        started_at: header.created.to_string(),
    }
}

fn unreadable(id: &str, namespace: &str, reason: &str) -> OperationSummary {
    OperationSummary {
        operation: id.to_owned(),
        operation_kind: String::new(),
        title: format!("cannot be read: {reason}"),
        cluster: String::new(),
        namespace: namespace.to_owned(),
        state: "unreadable".to_owned(),
        steps_done: 0,
        steps: 0,
        started_by: String::new(),
        started_at: String::new(),
    }
}

fn detail(journal: &Journal, namespace: &str, held: bool) -> OperationDetail {
    let repairs =
        journal.states().iter().zip(&journal.header().plan).filter_map(|(state, step)| match state {
            StepState::UndoFailed { error, .. } => {
                let object = if step.instance.is_empty() { &step.name } else { &step.instance };
                Some(format!("{object}: {error}"))
            }
            _ => None,
        });
    OperationDetail {
        api_version: API_VERSION,
        kind: "Operation",
        summary: summary(journal, namespace, held),
        steps_detail: journaled_steps(journal),
        events: journal
            .entries()
            .iter()
            .map(|entry| format!("{} {}", entry.at, event_words(&entry.event)))
            .collect(),
        repairs: repairs.collect(),
        next: next(journal, namespace, held),
    }
}

fn event_words(event: &Event) -> String {
    match event {
        Event::Step { step, what } => {
            let number = step + 1;
            match what {
                StepEvent::Started { .. } => format!("step {number} started"),
                StepEvent::Done => format!("step {number} done"),
                StepEvent::Failed { error } => format!("step {number} failed: {error}"),
                StepEvent::UndoStarted => format!("step {number} undo started"),
                StepEvent::Undone => format!("step {number} undone"),
                StepEvent::UndoFailed { error } => format!("step {number} undo failed: {error}"),
            }
        }
        Event::Paused { reason } => format!("stopped: {reason}"),
        Event::Resumed => "resumed".to_owned(),
        Event::Unwinding { reason } => format!("undo begins: {reason}"),
    }
}

/// What may be done with an operation that nobody runs.
fn next(journal: &Journal, namespace: &str, held: bool) -> Vec<NextCommand> {
    let id = journal.id();
    if journal.status().is_finished() || held {
        return Vec::new();
    }
    let command = |verb: &str, reason: &str| NextCommand {
        command: format!("kubectl rocketmq ops {verb} {id} -n {namespace}"),
        reason: reason.to_owned(),
    };
    let undo = command("undo", "bring everything back to what it was");
    match journal.status() {
        Status::Unwinding | Status::Stuck => vec![undo],
        _ if journal.no_return().is_some() => vec![command("resume", "go on; it cannot be undone any more")],
        _ => vec![command("resume", "go on where it stopped"), undo],
    }
}
