//! The journal's transitions: total, replayable, and without a way around the point of no return.

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Change, Entry, Event, FORMAT, Header, Journal, PlannedStep, Reversal, Status, StepError, StepEvent,
    StepState,
};

fn header(reversals: &[Reversal]) -> Header {
    let step = |(number, reversal): (usize, &Reversal)| PlannedStep {
        name: "step".to_owned(),
        instance: number.to_string(),
        change: Change::new("act"),
        reversal: *reversal,
    };
    Header {
        journal_format: FORMAT,
        id: "op-1".to_owned(),
        cluster: "demo".to_owned(),
        kind: "test".to_owned(),
        format: 1,
        title: "test".to_owned(),
        params: Value::Null,
        plan: reversals.iter().enumerate().map(step).collect(),
        created: Timestamp::UNIX_EPOCH,
        version: "0".to_owned(),
    }
}

fn entry(event: Event) -> Entry {
    Entry { at: Timestamp::UNIX_EPOCH, event }
}

fn step_event() -> impl Strategy<Value = StepEvent> {
    prop_oneof![
        (0..9_u32).prop_map(|before| StepEvent::Started { before: json!({ "n": before }) }),
        Just(StepEvent::Done),
        Just(StepEvent::Failed { error: StepError::new("failed") }),
        Just(StepEvent::UndoStarted),
        Just(StepEvent::Undone),
        Just(StepEvent::UndoFailed { error: StepError::new("undo failed") }),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (0..4_usize, step_event()).prop_map(|(step, what)| Event::Step { step, what }),
        1 => Just(Event::Paused { reason: "interrupted".to_owned() }),
        1 => Just(Event::Resumed),
        1 => Just(Event::Unwinding { reason: "asked".to_owned() }),
    ]
}

fn reversal() -> impl Strategy<Value = Reversal> {
    prop_oneof![3 => Just(Reversal::Undoable), 1 => Just(Reversal::PointOfNoReturn)]
}

proptest! {
    #[test]
    fn any_events_are_taken_or_refused_and_what_was_taken_replays(
        reversals in proptest::collection::vec(reversal(), 0..4),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let mut journal = Journal::new(header(&reversals));
        for event in events {
            let before = journal.clone();
            match journal.clone().with(entry(event)) {
                Ok(next) => {
                    prop_assert!(!before.status().is_finished(), "nothing comes after the end");
                    prop_assert!(before.no_return().is_none() || next.no_return().is_some(), "no way back");
                    journal = next;
                }
                Err(illegal) => prop_assert_eq!(illegal.number, before.entries().len()),
            }
        }
        let all_done = journal.states().iter().all(|state| matches!(state, StepState::Done { .. }));
        prop_assert_eq!(journal.status() == Status::Done, all_done);
        let undo_failed = journal.states().iter().any(|state| matches!(state, StepState::UndoFailed { .. }));
        prop_assert_eq!(journal.status() == Status::Stuck, undo_failed);
        if journal.status() == Status::Undone {
            prop_assert!(journal.states().iter().all(|state| state.to_undo().is_none()), "nothing is left to undo");
        }
        if matches!(journal.status(), Status::Undone | Status::Stuck) {
            prop_assert!(journal.no_return().is_none());
        }
        let stored: Vec<String> =
            journal.entries().iter().map(|entry| serde_json::to_string(entry).unwrap()).collect();
        let entries: Vec<Entry> = stored.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        prop_assert_eq!(Journal::replay(journal.header().clone(), entries).unwrap(), journal);
    }
}

#[test]
fn a_step_goes_only_these_ways() {
    let states = |before: Value| {
        let error = StepError::new("e");
        [
            StepState::Pending,
            StepState::Started { before: before.clone() },
            StepState::Done { before: Some(before.clone()) },
            StepState::Done { before: None },
            StepState::Failed { before: Some(before.clone()), error: error.clone() },
            StepState::Failed { before: None, error: error.clone() },
            StepState::UndoStarted { before: before.clone() },
            StepState::Undone,
            StepState::UndoFailed { before, error },
        ]
    };
    let events = [
        StepEvent::Started { before: json!(1) },
        StepEvent::Done,
        StepEvent::Failed { error: StepError::new("e") },
        StepEvent::UndoStarted,
        StepEvent::Undone,
        StepEvent::UndoFailed { error: StepError::new("e") },
    ];
    let table: Vec<String> = states(json!(1))
        .iter()
        .map(|state| events.iter().map(|event| if state.next(event).is_some() { 'x' } else { '.' }).collect())
        .collect();
    // Columns: started, done, failed, undo_started, undone, undo_failed.
    let expected = ["xxx...", ".xxx..", "x..x..", "......", "x..x..", "xxx...", "....xx", "......", "......"];
    assert_eq!(table, expected);
}

#[test]
fn a_step_tried_again_keeps_what_was_before_its_first_try() {
    let journal = [
        Event::Step { step: 0, what: StepEvent::Started { before: json!("first") } },
        Event::Step { step: 0, what: StepEvent::Failed { error: StepError::new("e") } },
        Event::Resumed,
        Event::Step { step: 0, what: StepEvent::Started { before: json!("second") } },
    ];
    let journal = Journal::replay(header(&[Reversal::PointOfNoReturn]), journal.map(entry)).unwrap();
    assert_eq!(journal.states(), [StepState::Started { before: json!("first") }]);
}

#[test]
fn an_event_that_does_not_fit_names_itself() {
    let journal = Journal::new(header(&[Reversal::Undoable, Reversal::Undoable]));
    let early = Event::Step { step: 1, what: StepEvent::Done };
    let error = journal.clone().with(entry(early)).unwrap_err().to_string();
    assert_eq!(
        error,
        "event 0 of operation `op-1`: `done` does not fit an operation that is running, at step 2"
    );
    let error = journal.with(entry(Event::Step { step: 7, what: StepEvent::Done })).unwrap_err();
    assert_eq!(error.step, Some(7));
}

#[test]
fn events_are_stored_like_this() {
    let event = Event::Step { step: 2, what: StepEvent::Started { before: json!({"replicas": 1}) } };
    assert_eq!(
        serde_json::to_string(&entry(event)).unwrap(),
        r#"{"at":"1970-01-01T00:00:00Z","event":"step","step":2,"what":"started","before":{"replicas":1}}"#
    );
    assert_eq!(
        serde_json::to_string(&entry(Event::Resumed)).unwrap(),
        r#"{"at":"1970-01-01T00:00:00Z","event":"resumed"}"#
    );
}
