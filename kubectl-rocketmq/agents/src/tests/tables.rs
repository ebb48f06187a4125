//! Tables of brokers: looked at, and written as a bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use data_encoding::HEXLOWER;
use futures::FutureExt;
use proto::describe::{ExportOptions, PreparedExport};
use proto::pb::{self, MetadataChunk, TablePiece, read_tables_response::Part};
use rocketmq::metadata::{Origin, Subscription, Table, bundle};
use rocketmq::model::version::Version;

use super::fake_agent::{FakeAgent, exported};
use super::metadata::change_at;
use super::some_key;
use crate::{AgentError, Agents};

const OPTIONS: ExportOptions = ExportOptions { sanitised: true, ordered: false };

fn seeds(pairs: usize) -> BTreeSet<Subscription> {
    (0..pairs).map(|number| Subscription::to_retries_of(&format!("g{number}"))).collect()
}

fn piece(file: &str, offset: u64, bytes: &[u8]) -> Option<Part> {
    Some(Part::Piece(TablePiece { file: file.to_owned(), chunk: Some(MetadataChunk::pack(offset, bytes)) }))
}

fn summary() -> Option<Part> {
    Some(Part::Summary(pb::PrepareExportResponse {
        cluster: "demo".into(),
        broker_name: "demo-0".into(),
        version: Version::V4_5_0.ordinal(),
        ..exported(0)
    }))
}

/// Tables of three files, one of them in two pieces.
fn tables() -> FakeAgent {
    let mut agent = FakeAgent::new(None);
    agent.bundles.parts = vec![
        piece("topics.json", 0, b"{topi"),
        piece("topics.json", 5, b"cs}"),
        piece("subscriptionGroup.json", 0, b"{groups}"),
        piece("consumerOffset.json", 0, b"{offsets}"),
        summary(),
    ];
    agent
}

async fn read(agent: &FakeAgent, pairs: usize) -> Result<(Vec<u8>, PreparedExport), AgentError> {
    let (agents, seeds) = (Agents::new(agent.clone()), &seeds(pairs));
    let read = async |agent: crate::Agent| agent.read_tables(OPTIONS, seeds).await;
    agents.ask(&FakeAgent::peer(), None, read).await.map(|answer| answer.value)
}

#[tokio::test(start_paused = true)]
async fn tables_are_packed_here_also_when_the_line_is_cut() {
    let origin = Origin { cluster: "demo".into(), broker_name: "demo-0".into(), version: Version::V4_5_0 };
    let files = [
        (Table::Topics, b"{topics}".to_vec()),
        (Table::Groups, b"{groups}".to_vec()),
        (Table::Offsets, b"{offsets}".to_vec()),
    ];
    let mut expected = Vec::new();
    let sum = bundle::pack(&mut expected, &origin, true, &BTreeMap::from(files)).unwrap();
    for cut_after in [0, 3] {
        let agent = tables();
        agent.bundles.cut_after.store(cut_after, Ordering::SeqCst);
        let (bytes, prepared) = read(&agent, 3).await.unwrap();
        assert_eq!(bytes, expected);
        assert_eq!(prepared.bundle.sha256, HEXLOWER.encode(&sum.sha256));
        assert_eq!(prepared.bundle.bytes, bytes.len() as u64);
        assert_eq!(agent.dials.load(Ordering::SeqCst), if cut_after == 0 { 1 } else { 2 });
    }
}

#[tokio::test]
async fn a_summary_is_asked_for_alone() {
    let mut agent = tables();
    agent.bundles.parts = vec![summary()];
    let (agents, seeds) = (Agents::new(agent.clone()), &seeds(3));
    let asked = async |agent: crate::Agent| agent.tables_summary(OPTIONS, seeds).await;
    let summary = agents.ask(&FakeAgent::peer(), None, asked).await.unwrap().value;
    assert_eq!((summary.bundle.sha256.as_str(), summary.bundle.bytes), ("", 0));
    assert!(agent.bundles.looked.lock().unwrap()[0].only_summary);
    read(&agent, 3).await.unwrap();
    assert!(!agent.bundles.looked.lock().unwrap()[0].only_summary);
}

#[tokio::test]
async fn tables_that_are_not_what_they_should_be_are_refused_with_the_reason() {
    let check = async |at: usize, part: Option<Part>, reason: &str| {
        let mut agent = tables();
        agent.bundles.parts.insert(at, part);
        let error = read(&agent, 0).await.unwrap_err();
        let expect = format!("the bundle of the agent of pod `demo-0-master-0` is damaged: {reason}");
        assert_eq!(error.to_string(), expect);
    };
    check(0, piece("../topics.json", 0, b"x"), "../topics.json: no table has this file").await;
    check(1, piece("topics.json", 6, b"x"), "topics.json: byte 6 came instead of byte 5").await;
    check(1, piece("topics.json", 5, b""), "topics.json: 0 bytes came at byte 5").await;
    check(1, None, "a message of its tables is empty").await;
    let chunk = MetadataChunk { digest: Vec::new(), ..MetadataChunk::pack(5, b"x") };
    let changed = Some(Part::Piece(TablePiece { file: "topics.json".into(), chunk: Some(chunk) }));
    check(1, changed, "topics.json: the bytes from 5 on are not those of their digest").await;

    let mut endless = tables();
    endless.bundles.parts.pop();
    let error = read(&endless, 0).await.unwrap_err();
    assert!(error.to_string().ends_with("is damaged: its tables have no end"), "{error}");
}

#[tokio::test]
async fn many_pairs_go_in_several_messages_after_the_one_with_the_options() {
    let check = async |pairs: usize, expect: &[usize]| {
        let agent = FakeAgent { key: Some(some_key()), ..tables() };
        read(&agent, pairs).await.unwrap();
        prepare(&agent, pairs).await.unwrap();
        let (looked, asked) = (agent.bundles.looked.lock().unwrap(), agent.bundles.asked.lock().unwrap());
        let lengths: Vec<usize> = looked.iter().map(|message| message.subscriptions.len()).collect();
        assert_eq!(lengths, expect);
        let lengths: Vec<usize> = asked.iter().map(|message| message.subscriptions.len()).collect();
        assert_eq!(lengths, expect);
        assert!(looked.iter().enumerate().all(|(index, message)| message.options.is_some() == (index == 0)));
        assert!(asked.iter().enumerate().all(|(index, message)| message.options.is_some() == (index == 0)));
        assert_eq!(agent.fences.lock().unwrap().len(), 1);
    };
    check(0, &[0]).await;
    check(3, &[0, 3]).await;
    check(2_000, &[0, 2_000]).await;
    check(4_500, &[0, 2_000, 2_000, 500]).await;
}

async fn prepare(agent: &FakeAgent, pairs: usize) -> Result<PreparedExport, AgentError> {
    let seeds = seeds(pairs);
    change_at(agent.clone(), move |agent, permit| {
        let seeds = seeds.clone();
        async move { agent.prepare_export(permit, OPTIONS, &seeds).await }.boxed()
    })
    .await
}

#[tokio::test]
async fn a_bundle_larger_than_any_broker_can_fill_is_refused_before_a_byte_is_read() {
    let mut agent = FakeAgent::new(Some(&some_key()));
    agent.bundles.announced = u64::MAX;
    let error = prepare(&agent, 0).await.unwrap_err();
    assert!(error.to_string().ends_with("but no bundle has more than 268435456"), "{error}");
}

#[tokio::test]
async fn no_bundle_is_written_by_an_agent_that_has_not_proved_itself() {
    let agent = FakeAgent::new(None);
    let error = prepare(&agent, 0).await.unwrap_err();
    assert!(matches!(error, AgentError::Unproved { .. }), "{error:?}");
    assert!(agent.bundles.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_call_that_an_agent_of_another_version_does_not_serve_is_named() {
    let agent = FakeAgent { older: true, ..FakeAgent::new(Some(&some_key())) };
    let error = prepare(&agent, 20_000).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent of pod `demo-0-master-0` does not know the call `PrepareExport`: it is of another version than this \
         kubectl rocketmq, as `kubectl rocketmq version` shows"
    );
    assert_eq!(agent.dials.load(Ordering::SeqCst), 1, "it is not tried again");
}
