//! Metadata into a new broker, behind the closed gate.

use std::fs;
use std::path::Path;

use agent::atomic_file::names_in;
use fakes::{FakeBroker, FakeNameServer};
use proto::describe::MetadataState;
use proto::pb;
use proto::pb::commit_metadata_request::OldData;
use rocketmq::metadata::{Entry, Metadata, Subscription};
use rocketmq::model::version::Version;
use rocketmq::remoting::properties::Properties;
use serde_json::json;
use tonic::Code;

use crate::caller::{Caller, chunks, packed, sha256};
use crate::served::{fence, proved, with_key};
use crate::support::{Pod, broker_at, name_server, topic};

const VERSION: Version = Version::V5_3_3;
const FIRST: &str = "1a2b3c4d";
const SECOND: &str = "00000002";

/// A new broker's pod, which waits for a token.
struct Waiting {
    pod: Pod,
    _broker: FakeBroker,
    _server: FakeNameServer,
}

impl Waiting {
    async fn new() -> Self {
        let server = name_server(VERSION).await;
        let broker = broker_at(VERSION, &[&server]).await;
        let pod = with_key(Pod::of_broker(&broker, Some(VERSION)));
        pod.mount_list(1, &[&server]);
        let mut waiting = Self { pod, _broker: broker, _server: server };
        waiting.awaits(FIRST);
        waiting
    }

    fn awaits(&mut self, token: &str) {
        self.pod.config.awaited_metadata = Some(token.parse().unwrap());
    }

    async fn agent(&self) -> Caller {
        Caller::of(&self.pod).await
    }

    fn store(&self) -> &Path {
        &self.pod.config.paths.store
    }

    fn stored(&self, file: &str) -> Option<String> {
        fs::read_to_string(self.store().join(file)).ok()
    }
}

/// A bundle with these topics, each read by a group.
fn bundle_of(topics: &[&str]) -> Vec<u8> {
    let mut metadata = Metadata::default();
    for name in topics {
        metadata.insert(Entry::Topic(topic(name, 2)));
        let subscription = Subscription { topic: (*name).into(), group: "billing".into() };
        metadata.insert(Entry::Offsets(subscription, [(0, 0), (1, 0)].into()));
    }
    let group = json!({"groupName": "billing", "retryMaxTimes": 3});
    metadata.insert(Entry::Group("billing".into(), group.as_object().unwrap().clone()));
    packed(&metadata)
}

#[tokio::test]
async fn the_gate_opens_on_the_commit_and_the_broker_starts_with_the_files_and_read_only() {
    let waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    caller
        .until_waiting_for("metadata: `kubectl rocketmq` has not committed them yet (token 1a2b3c4d)")
        .await;
    assert_eq!(caller.state(), MetadataState { awaited: FIRST.into(), ..MetadataState::default() });
    assert!(!waiting.pod.config.paths.configuration.exists());

    let sha256 = caller.send_all(&bundle_of(&["orders", "payments"])).await;
    assert_eq!(caller.state().receiving_sha256, sha256);
    assert_eq!(caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap(), "");
    caller.until_open().await;
    assert_eq!(names_in(waiting.store()).unwrap(), ["config"]);
    let files = ["consumerOffset.json", "messageRequestMode.json", "subscriptionGroup.json", "topics.json"];
    assert_eq!(names_in(&waiting.store().join("config")).unwrap(), files);
    let topics: serde_json::Value =
        serde_json::from_str(&waiting.stored("config/topics.json").unwrap()).unwrap();
    assert_eq!(topics["dataVersion"]["counter"], 1);
    assert_eq!(topics["topicConfigTable"].as_object().unwrap().len(), 2);
    let configuration = Properties::from_java(&waiting.pod.configuration());
    assert_eq!(configuration.get("brokerPermission"), Some("4"));
    let folder = waiting.pod.config.paths.state_folder();
    assert_eq!(names_in(folder).unwrap(), ["state.json"], "nothing else is left");

    assert_eq!(caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap(), "", "again");
    drop(caller);
    let caller = waiting.agent().await;
    caller.until_open().await;
    let state = caller.state();
    assert_eq!((state.committed.as_str(), state.earlier_store.as_str()), (FIRST, ""));
}

#[tokio::test]
async fn a_transfer_goes_on_where_it_ended_also_in_the_agents_next_life() {
    let waiting = Waiting::new().await;
    let bundle = bundle_of(&["orders", "payments"]);
    let (sha256, whole) = (sha256(&bundle), bundle.len() as u64);
    let mut first = chunks(&bundle, 0);
    first.truncate(3);
    let caller = waiting.agent().await;
    assert_eq!(caller.send(&sha256, whole, first).await.unwrap(), 3_000);
    drop(caller);

    let caller = waiting.agent().await;
    let state = caller.state();
    assert_eq!((state.receiving_sha256.as_str(), state.verified_bytes), (sha256.as_str(), 3_000));
    let mut damaged = chunks(&bundle, 3_000);
    damaged[0].digest[0] ^= 1;
    let refused = caller.send(&sha256, whole, damaged).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss);
    assert_eq!(refused.message(), "the bytes from 3000 on are not those of their digest");
    let again = caller.send(&sha256, whole, chunks(&bundle, 0)).await.unwrap_err();
    assert_eq!(again.code(), Code::OutOfRange, "{again}");
    assert_eq!(caller.send(&sha256, whole, chunks(&bundle, 3_000)).await.unwrap(), whole);
    caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
}

#[tokio::test]
async fn an_earlier_brokers_data_are_refused_kept_or_moved_as_the_caller_says() {
    for old_data in [OldData::Keep, OldData::Aside] {
        let waiting = Waiting::new().await;
        let store = waiting.store().display().to_string();
        fs::create_dir_all(waiting.store().join("commitlog")).unwrap();
        fs::write(waiting.store().join("commitlog/0"), "messages").unwrap();
        let caller = waiting.agent().await;
        assert_eq!(caller.state().earlier_store, store);
        let sha256 = caller.send_all(&bundle_of(&["orders"])).await;
        let refused = caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert_eq!(
            refused.message(),
            format!(
                "the store `{store}` holds an earlier broker's data: `--old-data=keep` starts the broker on them, \
                 `--old-data=aside` moves them out of its way"
            )
        );
        caller.until_waiting_for("the last try failed: the store").await;
        assert_eq!(names_in(waiting.store()).unwrap(), ["commitlog"]);

        let moved_to = caller.commit(FIRST, &sha256, old_data).await.unwrap();
        caller.until_open().await;
        assert_eq!(caller.state().earlier_store, "");
        if old_data == OldData::Keep {
            assert_eq!(moved_to, "");
            assert_eq!(names_in(waiting.store()).unwrap(), ["commitlog"]);
        } else {
            assert_eq!(moved_to, format!("{store}.{FIRST}"));
            assert_eq!(fs::read_to_string(format!("{moved_to}/commitlog/0")).unwrap(), "messages");
            assert_eq!(names_in(waiting.store()).unwrap(), ["config"]);
        }
        assert_eq!(caller.commit(FIRST, &sha256, old_data).await.unwrap(), moved_to, "again");
    }
}

#[tokio::test]
async fn a_store_counts_as_empty_until_clients_could_write_to_it() {
    let mut waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    let sha256 = caller.send_all(&bundle_of(&["orders"])).await;
    caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
    drop(caller);
    // The broker ran, and everything was undone.
    fs::create_dir_all(waiting.store().join("commitlog")).unwrap();
    fs::write(waiting.store().join("config/topics.json.bak"), "{}").unwrap();

    waiting.awaits(SECOND);
    let caller = waiting.agent().await;
    assert_eq!(caller.state().earlier_store, "");
    let sha256 = caller.send_all(&bundle_of(&["payments"])).await;
    caller.commit(SECOND, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
    assert_eq!(names_in(waiting.store()).unwrap(), ["config"]);
    assert!(!waiting.store().join("config/topics.json.bak").exists());
    assert!(waiting.stored("config/topics.json").unwrap().contains("payments"));

    let running = || caller.served.running.agent.process.borrow().answers;
    caller.served.running.until("the broker answers", running).await;
    let open = pb::SetBrokerPermissionRequest { fence: fence(2), permission: 6 };
    caller.served.control().set_broker_permission(proved(&caller.token, open)).await.unwrap();
    drop(caller);
    waiting.awaits(FIRST);
    let caller = waiting.agent().await;
    assert_eq!(caller.state().earlier_store, waiting.store().display().to_string());
}

#[tokio::test]
async fn a_broker_that_starts_writable_makes_its_store_more_than_imported() {
    let mut waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    let sha256 = caller.send_all(&bundle_of(&["orders"])).await;
    caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
    assert!(!caller.served.running.agent.state.metadata().opened);
    drop(caller);

    // An agent whose permission was taken back, as nothing of this project does.
    let state = fs::read_to_string(&waiting.pod.config.paths.state).unwrap();
    let without = state.replace(r#""permission":4"#, r#""permission":null"#);
    assert_ne!(state, without);
    fs::write(&waiting.pod.config.paths.state, without).unwrap();
    fs::remove_file(&waiting.pod.config.paths.configuration).unwrap();
    waiting.pod.config.awaited_metadata = None;
    let caller = waiting.agent().await;
    caller.until_open().await;
    assert!(caller.served.running.agent.state.metadata().opened);
}

#[tokio::test]
async fn what_is_no_good_bundle_leaves_the_store_alone_and_the_gate_closed_with_its_reason() {
    let waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    let good = bundle_of(&["orders"]);
    let raw = {
        let mut metadata = Metadata::default();
        metadata.insert(Entry::Topic(topic("TBW102", 8)));
        packed(&metadata)
    };
    let changed = {
        let mut bytes = good.clone();
        let at = bytes.windows(6).rposition(|window| window == b"orders").unwrap();
        bytes[at] = b'O';
        bytes
    };
    for (bundle, reason) in [
        (good[..good.len() / 2].to_vec(), "the received bundle cannot be used: bundle"),
        (b"no archive at all".repeat(100), "the received bundle cannot be used"),
        (changed, "the received bundle cannot be used"),
        (raw, "the bundle is not sanitised: it has what belongs to the broker `demo-0` alone"),
    ] {
        let sha256 = caller.send_all(&bundle).await;
        let refused = caller.commit(FIRST, &sha256, OldData::Aside).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
        assert!(refused.message().starts_with(reason), "{refused}");
        caller.until_waiting_for(refused.message()).await;
        assert_eq!(names_in(waiting.store()).unwrap(), [""; 0]);
        let folder = names_in(waiting.pod.config.paths.state_folder()).unwrap();
        assert_eq!(folder, [format!("incoming.{sha256}.tar").as_str(), "state.json"]);
        assert_eq!(caller.state().committed, "");
    }

    let sha256 = caller.send_all(&good).await;
    let check = async |token: &str, sha256: &str, code: Code, reason: &str| {
        let refused = caller.commit(token, sha256, OldData::Refuse).await.unwrap_err();
        assert_eq!((refused.code(), refused.message()), (code, reason));
    };
    let other = "0".repeat(64);
    let none = format!("no bundle of SHA-256 {other} was received");
    check(FIRST, &other, Code::FailedPrecondition, &none).await;
    let other_token = "the broker awaits the metadata of token 1a2b3c4d, not of 00000002";
    check(SECOND, &sha256, Code::FailedPrecondition, other_token).await;
    let no_token = "`../..` is not a token of metadata: it has 8 hexadecimal digits in lower case";
    check("../..", &sha256, Code::InvalidArgument, no_token).await;
    let unsaid = caller.commit(FIRST, &sha256, OldData::Unspecified).await.unwrap_err();
    assert_eq!(unsaid.code(), Code::InvalidArgument);
    caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
}

#[tokio::test]
async fn bytes_that_changed_on_the_volume_are_sent_again() {
    let waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    let bundle = bundle_of(&["orders"]);
    let sha256 = caller.send_all(&bundle).await;
    let path = waiting.pod.config.paths.state_folder().join(format!("incoming.{sha256}.tar"));
    fs::write(&path, vec![0; bundle.len()]).unwrap();
    let refused = caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap_err();
    assert_eq!(refused.code(), Code::DataLoss, "{refused}");
    assert_eq!(caller.state().verified_bytes, 0);
    caller.send_all(&bundle).await;
    caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
    caller.until_open().await;
}

#[tokio::test]
async fn a_commit_that_was_broken_off_anywhere_is_done_by_the_next() {
    // What each durable step of a commit leaves, in the words of the state.
    for (importing, config) in [("", false), (FIRST, false), (FIRST, true)] {
        let waiting = Waiting::new().await;
        let state_folder = waiting.pod.config.paths.state_folder().to_owned();
        fs::create_dir_all(state_folder.join("draft.config.1a2b3c4d")).unwrap();
        fs::create_dir_all(waiting.store()).unwrap();
        let caller = waiting.agent().await;
        assert!(!state_folder.join("draft.config.1a2b3c4d").exists(), "an earlier agent's draft");
        let sha256 = caller.send_all(&bundle_of(&["orders"])).await;
        drop(caller);
        let state = fs::read_to_string(&waiting.pod.config.paths.state).unwrap();
        let state = state.replace(r#""importing":"""#, &format!(r#""importing":"{importing}""#));
        fs::write(&waiting.pod.config.paths.state, state).unwrap();
        if config {
            fs::create_dir_all(waiting.store().join("config")).unwrap();
        }

        let caller = waiting.agent().await;
        caller.until_waiting_for("has not committed them yet").await;
        assert_eq!(caller.state().earlier_store, "");
        caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap();
        caller.until_open().await;
        assert!(waiting.stored("config/topics.json").unwrap().contains("orders"));
    }
}

#[tokio::test]
async fn only_the_newest_operation_sends_and_commits() {
    let waiting = Waiting::new().await;
    let caller = waiting.agent().await;
    let bundle = bundle_of(&["orders"]);
    let sha256 = caller.send_all(&bundle).await;
    let set = pb::SetBrokerPermissionRequest { fence: fence(5), permission: 4 };
    // It fails, for want of a broker's file, after the fence was taken.
    drop(caller.served.control().set_broker_permission(proved(&caller.token, set)).await);
    let refused = caller.commit(FIRST, &sha256, OldData::Refuse).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    let refused = caller.send(&sha256, bundle.len() as u64, Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    let unproved = pb::CommitMetadataRequest::default();
    let unproved = caller.served.control().commit_metadata(unproved).await.unwrap_err();
    assert_eq!(unproved.code(), Code::Unauthenticated);
}
