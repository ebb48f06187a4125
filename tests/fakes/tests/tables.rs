//! The fake broker's tables follow the rules of real ones, asked and changed through the real client.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use fakes::{BrokerSetup, FakeBroker, OnlineGroup};
use rocketmq::metadata::files::TableWriter;
use rocketmq::metadata::{Entry, Metadata, Subscription, Table};
use rocketmq::model::route::MessageQueue;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};

const DEADLINE: Duration = Duration::from_secs(10);
const BOTH: [Version; 2] = [Version::V4_5_0, Version::V5_3_3];

async fn broker(version: Version) -> (FakeBroker, Client) {
    started(BrokerSetup::master(version, "demo", "demo-0")).await
}

async fn started(setup: BrokerSetup) -> (FakeBroker, Client) {
    let broker = FakeBroker::start(setup).await.unwrap();
    let client = Client::connect(&broker.address(), DEADLINE).await.unwrap();
    (broker, client)
}

fn topic(fields: Value) -> TopicConfig {
    serde_json::from_value(fields).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn key(text: &str) -> Subscription {
    Subscription::from_key(text).unwrap()
}

fn refusal<T: std::fmt::Debug>(answer: Result<T, RemotingError>) -> Option<ResponseCode> {
    answer.unwrap_err().response_code()
}

#[tokio::test]
async fn topics_are_created_by_the_list_and_kept_whole() {
    let (broker, client) = broker(Version::V5_3_3).await;
    let orders = topic(json!({
        "topicName": "orders", "readQueueNums": 3, "writeQueueNums": 5, "perm": 4, "order": true,
        "topicFilterType": "SINGLE_TAG", "topicSysFlag": 1, "attributes": {"message.type": "FIFO"},
    }));
    client.create_topics([&orders, &topic(json!({"topicName": "plain"}))]).await.unwrap();
    let there = client.all_topic_config().await.unwrap().value.topics;
    assert_eq!(there["orders"], orders);
    assert_eq!(there["plain"].rest["attributes"], json!({}));
    assert_eq!(broker.topics().topics, there);

    // One that is there already, and has no attributes, ends the request: nothing is created.
    let more = topic(json!({"topicName": "more"}));
    client.create_topics([&there["plain"], &more]).await.unwrap();
    assert!(!broker.topics().topics.contains_key("more"));
    for name in ["a.b", "TBW102", "rmq_sys_x", &"x".repeat(128)] {
        let refused = client.create_topics([&more, &topic(json!({ "topicName": name }))]).await;
        assert_eq!(refusal(refused), Some(ResponseCode::INVALID_PARAMETER), "{name}");
    }
    assert!(!broker.topics().topics.contains_key("more"));
}

#[tokio::test]
async fn one_topic_is_created_with_what_its_broker_keeps() {
    let orders = topic(json!({
        "topicName": "orders", "readQueueNums": 3, "writeQueueNums": 5, "perm": 4, "order": true,
        "attributes": {"message.type": "FIFO"},
    }));
    for (version, expected) in [
        (Version::V4_5_0, json!({"order": false, "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0})),
        (
            Version::V5_3_3,
            json!({"order": true, "topicFilterType": "SINGLE_TAG", "topicSysFlag": 0, "attributes": {"message.type": "FIFO"}}),
        ),
    ] {
        let (broker, client) = broker(version).await;
        client.create_topic(&orders).await.unwrap();
        let there = &broker.topics().topics["orders"];
        assert_eq!((there.read_queues, there.write_queues, there.perm.bits()), (3, 5, 4));
        assert_eq!(Value::Object(there.rest.clone()), expected, "{version}");
    }
}

#[tokio::test]
async fn groups_are_replaced_whole_and_absent_fields_get_their_defaults() {
    for version in BOTH {
        let (_broker, client) = broker(version).await;
        let group = object(json!({"groupName": "billing", "retryMaxTimes": 3, "consumeEnable": false}));
        client.create_subscription_group(&group).await.unwrap();
        client
            .create_subscription_group(&object(json!({"groupName": "billing", "retryMaxTimes": 5})))
            .await
            .unwrap();
        let answer = client.subscription_groups().await.unwrap().value;
        assert_eq!(answer.groups["billing"]["retryMaxTimes"], 5);
        assert_eq!(answer.groups["billing"]["consumeEnable"], true);
        assert_eq!(answer.groups["billing"].contains_key("groupRetryPolicy"), version.is_5());
        assert_eq!(answer.rest.contains_key("forbiddenTable"), version.is_5());
    }
    let (broker, client) = broker(Version::V5_3_3).await;
    let groups =
        ["a", "b"].map(|name| object(json!({"groupName": name, "attributes": {"priority.factor": "7"}})));
    client.create_subscription_groups(&groups).await.unwrap();
    assert_eq!(broker.metadata().groups["b"]["attributes"], json!({"priority.factor": "7"}));
}

#[tokio::test]
async fn request_modes_are_set_and_answered() {
    let (broker, client) = broker(Version::V5_3_3).await;
    let mode =
        object(json!({"topic": "orders", "consumerGroup": "billing", "mode": "POP", "popShareQueueNum": 8}));
    client.set_message_request_mode(&mode).await.unwrap();
    let modes = client.message_request_modes().await.unwrap().value;
    assert_eq!(modes, BTreeMap::from([(key("orders@billing"), mode)]));
    assert_eq!(broker.metadata().request_modes, modes);
    let retries = object(json!({"topic": "%RETRY%billing", "consumerGroup": "billing", "mode": "POP"}));
    assert_eq!(refusal(client.set_message_request_mode(&retries).await), Some(ResponseCode::NO_PERMISSION));
}

#[tokio::test]
async fn topics_are_forbidden_to_groups_and_allowed_again() {
    let (broker, client) = broker(Version::V5_3_3).await;
    client.set_group_readable(&key("orders@billing"), false).await.unwrap();
    assert_eq!(broker.metadata().forbidden["billing"], json!({"orders": 4}));
    let answer = client.subscription_groups().await.unwrap().value;
    assert_eq!(answer.rest["forbiddenTable"], json!({"billing": {"orders": 4}}));
    // As 5.3.3 does: what is allowed again takes along whatever else is forbidden to the group.
    client.set_group_readable(&key("payments@billing"), false).await.unwrap();
    client.set_group_readable(&key("payments@billing"), true).await.unwrap();
    assert!(!broker.metadata().forbidden.contains_key("billing"));
}

#[tokio::test]
async fn offsets_are_stored_and_an_empty_queue_is_answered_as_the_version_does() {
    for version in BOTH {
        let (broker, client) = broker(version).await;
        let subscription = key("orders@billing");
        let asked = || async { client.consumer_offset(&subscription, 3).await.unwrap().value };
        assert_eq!(asked().await, (!version.is_5()).then_some(0));
        if version.is_5() {
            let set = || client.update_consumer_offset(&subscription, 3, 7);
            assert_eq!(refusal(set().await), Some(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST));
            broker.put(Entry::Group("billing".to_owned(), Map::new()));
            assert_eq!(refusal(set().await), Some(ResponseCode::TOPIC_NOT_EXIST));
            broker.put_topic(topic(json!({"topicName": "orders"})));
        }
        client.update_consumer_offset(&subscription, 3, 7).await.unwrap();
        client.update_consumer_offset(&subscription, 0, 0).await.unwrap();
        assert_eq!(asked().await, Some(7));
        let offsets = client.consumer_offsets().await.unwrap();
        assert_eq!((offsets.version, &offsets.value), (version, &broker.metadata().offsets));
        assert_eq!(offsets.value[&subscription], BTreeMap::from([(0, 0), (3, 7)]));
        // As fastjson writes them.
        let body = client.consumer_offsets_body().await.unwrap().value;
        assert!(body.starts_with(br#"{"offsetTable":{"orders@billing":{0:0,3:7}}"#), "{body:?}");
    }
}

#[tokio::test]
async fn groups_tell_who_is_there_and_what_each_holds() {
    let queue =
        |queue_id| MessageQueue { topic: "orders".to_owned(), broker_name: "demo-0".to_owned(), queue_id };
    for version in BOTH {
        let (broker, client) = broker(version).await;
        assert_eq!(client.consumer_connections("billing").await.unwrap().value, None);
        let online = OnlineGroup {
            subscriptions: BTreeMap::from([("orders".to_owned(), "TagA||TagB".to_owned())]),
            broadcasting: false,
            pulls: false,
            members: BTreeMap::from([
                ("10.0.0.1@1".to_owned(), Some(vec![queue(1), queue(0)])),
                ("10.0.0.2@1".to_owned(), None),
            ]),
        };
        broker.set_online("billing", Some(online.clone()));
        let there = client.consumer_connections("billing").await.unwrap().value.unwrap();
        assert_eq!((&there.subscriptions, there.broadcasting), (&online.subscriptions, false));
        let clients: Vec<_> = there.members.iter().map(|member| member.client_id.as_str()).collect();
        assert_eq!(clients, ["10.0.0.1@1", "10.0.0.2@1"]);
        assert_eq!((there.members[0].language.as_str(), there.members[0].version), ("JAVA", version));

        let held = client.consumer_running_info("billing", "10.0.0.1@1").await.unwrap().value;
        assert_eq!(held, [queue(0), queue(1)]);
        let silent = client.consumer_running_info("billing", "10.0.0.2@1").await;
        assert_eq!(refusal(silent), Some(ResponseCode::CONSUME_MSG_TIMEOUT));
        let absent = client.consumer_running_info("billing", "nobody").await;
        assert_eq!(refusal(absent), Some(ResponseCode::SYSTEM_ERROR));
        let known = async |id| client.consumer_status("billing", id).await.unwrap().value;
        assert_eq!(known("10.0.0.1@1").await, Some(BTreeMap::from([(queue(0), 0), (queue(1), 0)])));
        assert_eq!((known("10.0.0.2@1").await, known("nobody").await), (None, None));

        // What is taken by pop has no offset in memory.
        let pops = BTreeMap::from([("10.0.0.1@1".to_owned(), Some(vec![queue(-1)]))]);
        broker.set_online("billing", Some(OnlineGroup { members: pops, ..online.clone() }));
        assert_eq!(known("10.0.0.1@1").await, Some(BTreeMap::new()));

        assert!(!there.pulls);
        broker.set_online("billing", Some(OnlineGroup { broadcasting: true, pulls: true, ..online }));
        let there = client.consumer_connections("billing").await.unwrap().value.unwrap();
        assert!(there.broadcasting && there.pulls);
        broker.set_online("billing", None);
        assert_eq!(client.consumer_connections("billing").await.unwrap().value, None);
        let nobody = client.consumer_status("billing", "10.0.0.1@1").await;
        assert_eq!(refusal(nobody), Some(ResponseCode::SYSTEM_ERROR));
    }
}

#[tokio::test]
async fn version_4_5_leaves_later_requests_unanswered() {
    let (broker, client) = broker(Version::V4_5_0).await;
    let hasty = client.with_deadline(Duration::from_millis(50));
    let plain = topic(json!({"topicName": "plain"}));
    assert!(hasty.create_topics([&plain]).await.unwrap_err().is_silence());
    assert!(hasty.create_subscription_groups([&Map::new()]).await.unwrap_err().is_silence());
    assert!(hasty.message_request_modes().await.unwrap_err().is_silence());
    assert!(hasty.set_message_request_mode(&Map::new()).await.unwrap_err().is_silence());
    assert!(hasty.set_group_readable(&key("a@b"), true).await.unwrap_err().is_silence());
    assert_eq!(broker.received_of(RequestCode::UPDATE_AND_CREATE_TOPIC_LIST).len(), 1);
    assert!(!broker.topics().topics.contains_key("plain"));

    let (_broker, client) = self::broker("5.2.0".parse().unwrap()).await;
    let refused = client.create_topics([&plain]).await;
    assert_eq!(refusal(refused), Some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED));
}

/// Writes the files of a folder `store/config`.
fn write_files(folder: &Path, metadata: &Metadata, suffix: &str) {
    for table in Table::ALL {
        let file = File::create(folder.join(format!("{}{suffix}", table.file_name()))).unwrap();
        let mut writer = TableWriter::new(table, file, 7).unwrap();
        metadata.entries(table).iter().for_each(|entry| writer.add(entry).unwrap());
        writer.finish().unwrap();
    }
}

#[tokio::test]
async fn a_broker_starts_with_the_files_of_its_folder_or_their_backups() {
    for version in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let (source, _client) = broker(version).await;
        source.put_topic(topic(json!({"topicName": "orders", "readQueueNums": 3, "perm": 4})));
        source.put_topic(topic(json!({"topicName": "TBW102", "readQueueNums": 9})));
        source.put(Entry::Group("billing".to_owned(), object(json!({"retryMaxTimes": 3}))));
        source.put(Entry::Offsets(key("orders@billing"), [(0, 0), (1, 0)].into()));
        if version.is_5() {
            source.put(Entry::RequestMode(
                key("orders@billing"),
                object(json!({"topic": "orders", "consumerGroup": "billing", "mode": "POP"})),
            ));
            source.put(Entry::Forbidden("billing".to_owned(), json!({"orders": 4})));
        }
        write_files(folder.path(), &source.metadata(), "");
        let setup = || BrokerSetup {
            config: Some(folder.path().to_owned()),
            ..BrokerSetup::master(version, "demo", "demo-0")
        };
        let (target, _client) = started(setup()).await;
        assert_eq!(target.metadata(), source.metadata());
        assert_eq!(
            target.topics().topics["TBW102"].read_queues,
            9,
            "loaded entries take the place of its own"
        );
        assert_eq!((target.data_version().counter, target.data_version().timestamp), (1, 7));

        // A broken file is as good as none, and the backup is loaded.
        write_files(folder.path(), &Metadata::default(), ".bak");
        std::fs::write(folder.path().join("topics.json"), "{\"topicConfigTable\":{\"cut").unwrap();
        let (target, _client) = started(setup()).await;
        assert!(!target.topics().topics.contains_key("orders"));
        assert!(target.metadata().groups.contains_key("billing"));
        std::fs::remove_file(folder.path().join("topics.json.bak")).unwrap();
        let (target, _client) = started(setup()).await;
        assert!(target.topics().topics.contains_key("TBW102"), "with its own alone");
    }
}
