//! The journal as it is written, so that a test can kill the plugin at one moment of it.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::objects::Objects;
use crate::error::{LabError, Result};

/// How long an event may take to come.
const COMES_WITHIN: Duration = Duration::from_secs(300);

/// A moment of an operation, as its journal tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// The step of this name is about to act.
    Started(&'static str),
    /// The step of this name is done.
    Done(&'static str),
    /// So many events are written.
    Events(usize),
}

/// The journals of a namespace as they are written.
#[derive(Debug)]
pub struct Journals {
    objects: Objects,
}

impl Journals {
    /// Watches from now on. Operations that are there already are seen too, as they are.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub fn watch(kubectl: &Kubectl) -> Result<Self> {
        let objects = Objects::watch(kubectl, &["configmaps", "-l", "app.kubernetes.io/component=journal"])?;
        Ok(Self { objects })
    }

    /// Waits for `moment` of an operation that is not one of `former`, and returns the operation's id.
    ///
    /// # Errors
    /// When it does not come.
    pub fn await_moment(&mut self, moment: Moment, former: &[String]) -> Result<String> {
        self.objects.find(&format!("{moment:?}"), COMES_WITHIN, |journal| {
            let id = journal["metadata"]["name"].as_str()?.to_owned();
            (!former.contains(&id) && has(journal, moment)).then_some(id)
        })
    }
}

/// The ids of the operations of a namespace.
///
/// # Errors
/// When they cannot be listed.
pub fn operations(kubectl: &Kubectl) -> Result<Vec<String>> {
    let list = kubectl.json(&["get", "configmaps", "-l", "app.kubernetes.io/component=journal"])?;
    let items = list["items"].as_array().into_iter().flatten();
    Ok(items.filter_map(|journal| journal["metadata"]["name"].as_str()).map(str::to_owned).collect())
}

/// Whether a journal's ConfigMap tells of this moment: its header has the plan, each other key is an event of a step by
/// the step's place in the plan.
fn has(journal: &Value, moment: Moment) -> bool {
    let (step, wanted) = match moment {
        Moment::Started(step) => (step, "started"),
        Moment::Done(step) => (step, "done"),
        Moment::Events(count) => return events(journal).len() >= count,
    };
    let Some(place) = planned(journal).and_then(|plan| plan.iter().rposition(|planned| planned == step))
    else {
        return false;
    };
    let mut events = events(journal).into_iter();
    events.any(|event| event["event"] == "step" && event["step"] == place && event["what"] == wanted)
}

/// What an operation's journal tells so far, an event each: `step 2 started`, or `paused`.
///
/// # Errors
/// When there is no such operation.
pub fn told(kubectl: &Kubectl, operation: &str) -> Result<Vec<String>> {
    let journal = kubectl.json(&["get", "configmap", operation])?;
    Ok(events(&journal).iter().map(words).collect())
}

fn words(event: &Value) -> String {
    match event["step"].as_u64() {
        Some(step) => format!("step {} {}", step + 1, event["what"].as_str().unwrap_or_default()),
        None => event["event"].as_str().unwrap_or_default().to_owned(),
    }
}

/// Whether every step of an operation is done.
///
/// # Errors
/// When there is no such operation, or it has no plan.
pub fn is_done(kubectl: &Kubectl, operation: &str) -> Result<bool> {
    let journal = kubectl.json(&["get", "configmap", operation])?;
    every_step_is_done(&journal).ok_or_else(|| LabError::new(format!("{operation} has no plan: {journal}")))
}

fn every_step_is_done(journal: &Value) -> Option<bool> {
    let events = events(journal);
    let is_done = |place: usize| events.iter().any(|event| event["step"] == place && event["what"] == "done");
    Some((0..planned(journal)?.len()).all(is_done))
}

/// The first event of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstEvent {
    /// The step's name.
    pub step: String,
    /// How many events the journal has with it.
    pub events: usize,
}

/// The first event of each step of an operation, in the order in which they came.
///
/// # Errors
/// When there is no such operation, or it has no plan.
pub fn first_events(kubectl: &Kubectl, operation: &str) -> Result<Vec<FirstEvent>> {
    let journal = kubectl.json(&["get", "configmap", operation])?;
    first_of_each(&journal).ok_or_else(|| LabError::new(format!("{operation} has no plan: {journal}")))
}

fn first_of_each(journal: &Value) -> Option<Vec<FirstEvent>> {
    let plan = planned(journal)?;
    let mut first = BTreeMap::new();
    for (event, count) in events(journal).iter().zip(1..) {
        if let Some(step) = event["step"].as_u64() {
            first.entry(step).or_insert(count);
        }
    }
    let mut first: Vec<FirstEvent> = plan
        .into_iter()
        .zip(0..)
        .filter_map(|(step, place)| Some(FirstEvent { step, events: *first.get(&place)? }))
        .collect();
    first.sort_by_key(|event| event.events);
    Some(first)
}

/// When a step began and when it was over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTimes {
    /// The step's name.
    pub step: String,
    /// When it was about to act; the same as `done` when there was nothing to do.
    pub started: Timestamp,
    /// When it was read back.
    pub done: Timestamp,
}

/// The times of an operation's steps that are done, in the order of its plan.
///
/// # Errors
/// When there is no such operation, or it has no plan.
pub fn times(kubectl: &Kubectl, operation: &str) -> Result<Vec<StepTimes>> {
    let journal = kubectl.json(&["get", "configmap", operation])?;
    times_of(&journal).ok_or_else(|| LabError::new(format!("{operation} has no plan: {journal}")))
}

fn times_of(journal: &Value) -> Option<Vec<StepTimes>> {
    let (plan, events) = (planned(journal)?, events(journal));
    let at = |place: usize, what: &str| -> Option<Timestamp> {
        let event = events.iter().find(|event| event["step"] == place && event["what"] == what)?;
        event["at"].as_str()?.parse().ok()
    };
    let times = plan.into_iter().enumerate().filter_map(|(place, step)| {
        let done = at(place, "done")?;
        Some(StepTimes { step, started: at(place, "started").unwrap_or(done), done })
    });
    Some(times.collect())
}

/// The names of the steps of a journal's plan.
fn planned(journal: &Value) -> Option<Vec<String>> {
    let texts = journal["data"].as_object()?.values().filter_map(Value::as_str).flat_map(str::lines);
    let plan = texts
        .filter_map(|text| serde_json::from_str::<Value>(text).ok())
        .find_map(|value| value["plan"].as_array().cloned())?;
    Some(plan.iter().filter_map(|step| step["name"].as_str()).map(str::to_owned).collect())
}

/// The events of a journal's ConfigMap, in their order.
fn events(journal: &Value) -> Vec<Value> {
    let events: BTreeMap<_, _> = journal["data"]
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| key.starts_with("event-"))
        .filter_map(|(key, text)| Some((key, serde_json::from_str(text.as_str()?).ok()?)))
        .collect();
    events.into_values().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_found_by_the_steps_place_in_the_plan() {
        let journal = json!({"data": {
            "header": r#"{"plan":[{"name":"grow"},{"name":"bridge"}]}"#,
            "event-0000": r#"{"event":"step","step":0,"what":"started","before":{}}"#,
        }});
        assert!(has(&journal, Moment::Started("grow")));
        assert!(!has(&journal, Moment::Done("grow")));
        assert!(!has(&journal, Moment::Started("bridge")));
        assert!(!has(&json!({}), Moment::Started("grow")));
        assert!(has(&journal, Moment::Events(1)) && !has(&journal, Moment::Events(2)));
    }

    #[test]
    fn an_operation_is_over_with_its_last_step_and_not_before() {
        let mut journal = json!({"data": {
            "header": r#"{"plan":[{"name":"prove"},{"name":"record"}]}"#,
            "event-0000": r#"{"event":"step","step":0,"what":"done"}"#,
            "event-0001": r#"{"event":"step","step":1,"what":"started","before":{}}"#,
        }});
        assert_eq!(every_step_is_done(&journal), Some(false));
        journal["data"]["event-0002"] = json!(r#"{"event":"step","step":1,"what":"done"}"#);
        assert_eq!(every_step_is_done(&journal), Some(true));
        assert_eq!(every_step_is_done(&json!({})), None);
    }

    #[test]
    fn steps_are_told_by_their_first_events_and_times() {
        let journal = json!({"data": {
            "header": r#"{"plan":[{"name":"create"},{"name":"create"},{"name":"open"},{"name":"prove"}]}"#,
            "event-0000": r#"{"at":"2026-11-25T05:00:00Z","event":"step","step":0,"what":"started","before":{}}"#,
            "event-0001": r#"{"at":"2026-11-25T05:00:02Z","event":"step","step":0,"what":"done"}"#,
            "event-0002": r#"{"at":"2026-11-25T05:00:03Z","event":"step","step":1,"what":"done"}"#,
            "event-0003": r#"{"at":"2026-11-25T05:00:04Z","event":"step","step":2,"what":"started","before":{}}"#,
        }});
        let first = |step: &str, events| FirstEvent { step: step.to_owned(), events };
        assert_eq!(
            first_of_each(&journal).unwrap(),
            [first("create", 1), first("create", 3), first("open", 4)]
        );
        let times = times_of(&journal).unwrap();
        let seconds: Vec<i64> =
            times.iter().map(|step| step.done.duration_since(step.started).as_secs()).collect();
        assert_eq!(seconds, [2, 0]);
        assert!(first_of_each(&json!({})).is_none());
    }
}
