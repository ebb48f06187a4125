//! Journals in ConfigMaps: appended by one writer, large before-images beside them, the last 20 kept.

use jiff::{SignedDuration, Timestamp};
use saga::{
    Change, Entry, Event, FORMAT, Header, Journal, JournalStore, PlannedStep, Reversal, Revision, Status,
    StepEvent, StoreError,
};
use serde_json::{Value, json};

use crate::journal::ConfigMapJournals;
use crate::tests::fake_api::{FakeApi, Fault};

fn header(id: &str, steps: usize) -> Header {
    let step = PlannedStep {
        name: "step".to_owned(),
        instance: String::new(),
        change: Change::new("act"),
        reversal: Reversal::Undoable,
    };
    Header {
        journal_format: FORMAT,
        id: id.to_owned(),
        cluster: "demo".to_owned(),
        kind: "test".to_owned(),
        format: 1,
        title: "test".to_owned(),
        params: json!({"size": 3}),
        plan: vec![step; steps],
        created: Timestamp::UNIX_EPOCH,
        version: "0".to_owned(),
    }
}

fn entry(step: usize, what: StepEvent) -> Entry {
    Entry { at: Timestamp::UNIX_EPOCH, event: Event::Step { step, what } }
}

fn started(step: usize, before: Value) -> Entry {
    entry(step, StepEvent::Started { before })
}

/// A before-image that does not become smaller by compression.
fn noise(bytes: usize) -> Value {
    let mut state = 88_172_645_463_325_252_u64;
    let mut text = String::new();
    while text.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        text.push_str(&format!("{state:016x}"));
    }
    json!(text)
}

/// Writes a whole journal.
async fn write(journals: &ConfigMapJournals, header: &Header, entries: &[Entry]) -> Revision {
    let mut revision = journals.create(header).await.unwrap();
    for (number, entry) in entries.iter().enumerate() {
        revision = journals.append(&header.id, &revision, number, entry).await.unwrap();
    }
    revision
}

#[tokio::test]
async fn a_journal_is_what_was_appended() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let entries = [
        started(0, json!({"replicas": 1})),
        entry(0, StepEvent::Done),
        Entry { at: Timestamp::UNIX_EPOCH, event: Event::Paused { reason: "interrupted".to_owned() } },
    ];
    let revision = write(&journals, &header("op-1", 2), &entries).await;
    let stored = journals.load("op-1").await.unwrap().unwrap();
    assert_eq!(stored.journal, Journal::replay(header("op-1", 2), entries).unwrap());
    assert_eq!(stored.revision, revision);
    assert_eq!(journals.load("op-2").await.unwrap(), None);
    assert_eq!(journals.create(&header("op-1", 2)).await, Err(StoreError::Exists { id: "op-1".to_owned() }));
    let labels = &api.stored("configmaps/op-1").unwrap()["metadata"]["labels"];
    assert_eq!(labels["app.kubernetes.io/instance"], "demo");
    assert_eq!(labels["app.kubernetes.io/component"], "journal");
}

#[tokio::test]
async fn of_two_writers_one_is_refused() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let revision = journals.create(&header("op-1", 1)).await.unwrap();
    journals.append("op-1", &revision, 0, &started(0, json!(1))).await.unwrap();
    let second = journals.append("op-1", &revision, 0, &started(0, json!(2))).await;
    assert_eq!(second, Err(StoreError::Conflict { id: "op-1".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_answer_was_lost_is_not_written_twice() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let revision = journals.create(&header("op-1", 1)).await.unwrap();
    api.fault(&[Some(Fault::Lost)]);
    let revision = journals.append("op-1", &revision, 0, &started(0, json!(1))).await.unwrap();
    api.fault(&[Some(Fault::Code(503)), Some(Fault::Away)]);
    journals.append("op-1", &revision, 1, &entry(0, StepEvent::Done)).await.unwrap();
    let stored = journals.load("op-1").await.unwrap().unwrap();
    assert_eq!(stored.journal.status(), Status::Done);
    assert_eq!(stored.journal.entries().len(), 2);
}

#[tokio::test]
async fn before_images_that_do_not_fit_go_into_further_config_maps() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let (first, second, third) = (noise(600_000), noise(700_000), noise(710_000));
    let entries = [
        started(0, first),
        entry(0, StepEvent::Done),
        started(1, second),
        entry(1, StepEvent::Done),
        started(2, third),
    ];
    let revision = write(&journals, &header("op-1", 3), &entries).await;
    assert_eq!(api.names("configmaps"), ["op-1", "op-1-1", "op-1-2"]);
    for name in api.names("configmaps") {
        let size = api.stored(&format!("configmaps/{name}")).unwrap().to_string().len();
        assert!(size < 720 * 1024, "{name} has {size} bytes");
    }
    let stored = journals.load("op-1").await.unwrap().unwrap();
    assert_eq!(stored.journal, Journal::replay(header("op-1", 3), entries).unwrap());
    assert_eq!(stored.revision, revision);
    let listed = journals.list(Some("demo")).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].journal.as_ref().unwrap(), &stored.journal);
}

#[tokio::test]
async fn a_before_image_of_a_killed_writer_is_replaced() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let revision =
        write(&journals, &header("op-1", 2), &[started(0, noise(900_000)), entry(0, StepEvent::Done)]).await;
    api.put(
        "/api/v1/namespaces/mq/configmaps/op-1-1",
        json!({"kind": "ConfigMap", "metadata": {"name": "op-1-1"}, "data": {"before": "stale"}}),
    );
    let second = started(1, noise(800_000));
    journals.append("op-1", &revision, 2, &second).await.unwrap();
    let stored = journals.load("op-1").await.unwrap().unwrap();
    assert_eq!(stored.journal.entries().last(), Some(&second));
}

#[tokio::test]
async fn the_last_twenty_finished_are_kept_and_every_unfinished_one() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    let at = |minutes: i64| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minutes);
    write(&journals, &Header { created: at(0), ..header("op-unfinished", 1) }, &[started(0, json!(1))]).await;
    for number in 0..25 {
        let header = Header { created: at(number), ..header(&format!("op-{number:02}"), 1) };
        write(&journals, &header, &[started(0, json!(1)), entry(0, StepEvent::Done)]).await;
    }
    let other = Header { cluster: "other".to_owned(), ..header("op-other", 1) };
    write(&journals, &other, &[]).await;
    let kept: Vec<String> =
        journals.list(Some("demo")).await.unwrap().into_iter().map(|listed| listed.id).collect();
    // The newest was written after the last pruning.
    let mut expected = vec!["op-unfinished".to_owned()];
    expected.extend((4..25).map(|number| format!("op-{number:02}")));
    assert_eq!(kept, expected);
    assert_eq!(journals.list(None).await.unwrap().len(), expected.len() + 1);
}

#[tokio::test]
async fn a_journal_of_another_format_is_listed_with_its_reason() {
    let api = FakeApi::default();
    let journals = ConfigMapJournals::new(&api.cluster());
    write(&journals, &Header { journal_format: 2, ..header("op-1", 1) }, &[]).await;
    let reason = "it has format 2, this version knows 1 (written by version 0)";
    assert_eq!(journals.list(None).await.unwrap()[0].journal, Err(reason.to_owned()));
    let error = journals.load("op-1").await.unwrap_err();
    assert_eq!(error.to_string(), format!("the journal of operation `op-1` cannot be read: {reason}"));
}

#[tokio::test]
async fn nothing_is_begun_in_a_namespace_that_does_not_exist() {
    let api = FakeApi::default();
    api.fault(&[None, Some(Fault::Code(403))]);
    let error = ConfigMapJournals::new(&api.cluster()).create(&header("op-1", 1)).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot create ConfigMap/op-1 in namespace `mq`");
}
