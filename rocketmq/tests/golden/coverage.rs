//! Whether there is a frame for everything that this crate asks.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Mutex};

use rocketmq::metadata::Subscription;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::topic::{RegisteredTopics, TopicConfig};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::header::Serialization;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::requests::registration::RegisterBroker;
use serde_json::Map;

use crate::frames::{Recorded, decode_whole, folder, order_conf, recorded};

/// The requests of this crate that peers of a version know.
pub(crate) fn codes(version: Version) -> BTreeSet<RequestCode> {
    let known = |code: &RequestCode| match *code {
        RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => version.creates_topic_lists(),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => version.creates_group_lists(),
        RequestCode::GET_TIMER_METRICS => version.is_5(),
        RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN
        | RequestCode::SET_MESSAGE_REQUEST_MODE
        | RequestCode::GET_ALL_MESSAGE_REQUEST_MODE => version.has_request_modes(),
        _ => true,
    };
    // Further codes do not fit into a binary header.
    (0..=i32::from(i16::MAX)).map(RequestCode).filter(|code| code.name().is_some()).filter(known).collect()
}

#[test]
fn every_request_has_a_frame_of_it_and_of_its_answer_by_every_version_that_knows_it() {
    for recorded in recorded() {
        for code in codes(recorded.version) {
            for kind in ["request", "answer"] {
                let path = recorded.path(code, kind);
                assert!(path.is_file(), "no {} for {code}: see examples/record", path.display());
            }
        }
    }
    assert_eq!(codes(Version::V5_3_3).len(), 36);
}

#[test]
fn every_frame_is_read_and_written_back_with_the_same_meaning() {
    let mut frames = 0;
    for version in recorded().map(|recorded| recorded.version).collect::<BTreeSet<_>>() {
        for entry in fs::read_dir(folder(version)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            let frame = decode_whole(&fs::read(&path).unwrap(), &name);
            assert_eq!(frame.header.version, version, "{name}");
            assert_eq!(frame.header.is_response(), name.contains("-answer."), "{name}");
            assert_eq!(
                name.ends_with(".binary.frame"),
                frame.serialization == Serialization::Binary,
                "{name}"
            );
            assert_eq!(decode_whole(&frame.encode().unwrap(), &name), frame, "{name}");
            frames += 1;
        }
    }
    assert!(frames > 600, "{frames} frames");
}

/// Every request goes out by a method of the client that reads the real answer; what it reads, the other tests say.
#[tokio::test]
async fn every_answer_is_read_by_the_client() {
    for recorded in recorded() {
        let asked = Arc::new(Mutex::new(BTreeSet::new()));
        let client = recorded.replay_noting("answer", Arc::clone(&asked));
        ask_name_server(&client, recorded).await;
        ask_broker(&client, recorded.version).await;
        assert_eq!(*asked.lock().unwrap(), codes(recorded.version));
    }
}

async fn ask_name_server(client: &Client, recorded: Recorded) {
    let broker = recorded.demo_broker();
    let registration = RegisterBroker {
        broker: broker.clone(),
        ha_server_addr: String::new(),
        version: recorded.version,
        enable_acting_master: None,
        heartbeat_timeout_millis: None,
        zone: None,
        topics: RegisteredTopics::default(),
        data_version: DataVersion::default(),
    };
    client.register_broker(&registration).await.unwrap();
    client.query_data_version(&broker, &DataVersion::default()).await.unwrap();
    client.unregister_broker(&broker).await.unwrap();
    client.cluster_info().await.unwrap();
    client.route("orders").await.unwrap();
    client.topic_list().await.unwrap();
    client.cluster_topic_list("demo").await.unwrap();
    client.put_kv(&order_conf()).await.unwrap();
    client.get_kv("ORDER_TOPIC_CONFIG", "orders").await.unwrap();
    client.kv_list("ORDER_TOPIC_CONFIG").await.unwrap();
    client.delete_kv("NO_SUCH", "none").await.unwrap();
    client.name_server_config().await.unwrap();
    client.update_name_server_config(&Properties::new()).await.unwrap();
}

async fn ask_broker(client: &Client, version: Version) {
    let topic = TopicConfig::new(&"orders".parse().unwrap(), 4);
    let billing = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
    client.all_topic_config().await.unwrap();
    client.broker_config().await.unwrap();
    client.update_broker_config(&Properties::new()).await.unwrap();
    client.runtime_info().await.unwrap();
    client.create_topic(&topic).await.unwrap();
    client.queue_range("orders", 0).await.unwrap();
    client.topic_stats("orders").await.unwrap();
    client.delay_offsets().await.unwrap();
    client.subscription_groups().await.unwrap();
    client.create_subscription_group(&Map::new()).await.unwrap();
    client.consumer_offsets().await.unwrap();
    client.consumer_offset(&billing, 0).await.unwrap();
    client.update_consumer_offset(&billing, 0, 0).await.unwrap();
    client.consumer_connections("shipping").await.unwrap();
    client.consumer_running_info("shipping", "127.0.0.1@golden").await.unwrap();
    client.consumer_status("shipping", "127.0.0.1@golden").await.unwrap();
    if version.creates_topic_lists() {
        client.create_topics([&topic]).await.unwrap();
    }
    if version.creates_group_lists() {
        client.create_subscription_groups([&Map::new()]).await.unwrap();
    }
    if version.is_5() {
        client.timer_counts().await.unwrap();
    }
    if version.has_request_modes() {
        client.message_request_modes().await.unwrap();
        client.set_message_request_mode(&Map::new()).await.unwrap();
        client.set_group_readable(&billing, false).await.unwrap();
    }
}
