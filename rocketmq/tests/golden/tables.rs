//! Whole tables of brokers, and what changes them.

use std::collections::BTreeMap;

use rocketmq::metadata::export::{Options, Tables};
use rocketmq::metadata::walk::{self, WalkError};
use rocketmq::metadata::{Origin, Subscription};
use rocketmq::model::topic::TopicConfig;
use rocketmq::remoting::json;
use rocketmq::remoting::request_code::RequestCode;
use serde_json::{Map, Value, json as value};

use crate::frames::{V5_5_0, orders_row, recorded};

#[tokio::test]
async fn offsets_and_request_modes_are_read() {
    for recorded in recorded() {
        let (version, client) = (recorded.version, recorded.replay());
        let billing = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
        let offsets = client.consumer_offsets().await.unwrap();
        let queues = &offsets.value[&billing];
        assert_eq!((offsets.version, queues), (version, &(0..5).map(|queue| (queue, 0)).collect()));
        assert!(offsets.value.contains_key(&Subscription::to_retries_of("billing")));
        // What 5.x notes of a group that broadcasts is no offset of a group.
        let body = String::from_utf8(client.consumer_offsets_body().await.unwrap().value.into()).unwrap();
        assert_eq!(body.contains("orders@watching@broadcast"), version == V5_5_0, "{version}");
        assert!(offsets.value.keys().all(|subscription| !subscription.group.contains("watching")));
        if version.has_request_modes() {
            let modes = client.message_request_modes().await.unwrap().value;
            assert_eq!(
                (&modes[&billing]["mode"], &modes[&billing]["popShareQueueNum"]),
                (&value!("POP"), &value!(8))
            );
        }
    }
}

#[tokio::test]
async fn groups_and_what_they_must_not_read_are_read() {
    for recorded in recorded() {
        let groups = recorded.replay_kind("groups-answer").subscription_groups().await.unwrap().value;
        assert_eq!(groups.groups["shipping"]["retryMaxTimes"], 5);
        let body = recorded.frame(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "groups-answer").body;
        let mut forbidden = BTreeMap::new();
        walk::forbidden(&body, |group, topics| {
            forbidden.insert(group, topics);
            Ok::<_, WalkError>(())
        })
        .unwrap();
        let mut expected = BTreeMap::new();
        if recorded.version.is_5() {
            expected.insert("billing".to_owned(), value!({ "payments": 4 }));
        }
        assert_eq!(forbidden, expected, "{}", recorded.version);
    }
}

#[tokio::test]
async fn answers_to_changes_are_read() {
    for recorded in recorded() {
        let (version, client) = (recorded.version, recorded.replay());
        let nothing = Map::new();
        let answer = client.create_subscription_group(&nothing).await.unwrap();
        assert_eq!(answer.version, version);
        if version.creates_topic_lists() {
            client.create_topics([&TopicConfig::new(&"orders".parse().unwrap(), 4)]).await.unwrap();
        }
        if version.creates_group_lists() {
            client.create_subscription_groups([&nothing]).await.unwrap();
        }
        if version.has_request_modes() {
            client.set_message_request_mode(&nothing).await.unwrap();
            let billing = Subscription { topic: "payments".to_owned(), group: "billing".to_owned() };
            client.set_group_readable(&billing, false).await.unwrap();
        }
    }
}

#[test]
fn tables_are_sanitised_to_what_users_made() {
    for recorded in recorded() {
        let version = recorded.version;
        let body = |code, kind| recorded.frame(code, kind).body;
        let origin = Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version };
        let options = Options { sanitised: true, ordered: true };
        let mut tables = Tables::new(origin, options, 7);
        let (mut topics, mut groups) = (Vec::new(), Vec::new());
        let answered = body(RequestCode::GET_ALL_TOPIC_CONFIG, "answer");
        tables.topics(&answered, &mut topics).unwrap();
        let of_groups = body(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "groups-answer");
        tables.groups(&of_groups, &mut groups).unwrap();
        let topics: Value = serde_json::from_slice(&topics).unwrap();
        let answered = json::parse(&answered).unwrap();
        let orders = &answered["topicConfigTable"]["orders"];
        assert_eq!(topics["topicConfigTable"], value!({ "orders": orders }), "{version}");
        let groups: Value = serde_json::from_slice(&groups).unwrap();
        let names: Vec<_> = groups["subscriptionGroupTable"].as_object().unwrap().keys().collect();
        let pops = version.is_5().then_some("popping");
        let expected: Vec<_> = ["billing"].into_iter().chain(pops).chain(["shipping", "watching"]).collect();
        assert_eq!(names, expected, "{version}");
    }
}

#[tokio::test]
async fn a_topic_table_is_kept_whole() {
    for recorded in recorded() {
        let table = recorded.replay().all_topic_config().await.unwrap().value;
        assert!(table.rows("demo-0").contains(&orders_row()));
        let answered = recorded.frame(RequestCode::GET_ALL_TOPIC_CONFIG, "answer");
        // 5.5.0 gives its tables in parts to those who ask for parts.
        if let Some(total) = answered.header.ext_fields.get("totalTopicNum") {
            assert_eq!(total, &table.topics.len().to_string());
        }
        let mut written = serde_json::to_value(&table).unwrap();
        let mut answered = json::parse(&answered.body).unwrap();
        // Absent and 0, absent and empty are the same to Java.
        for value in [&mut written, &mut answered] {
            let fields = value.as_object_mut().unwrap();
            fields.remove("topicQueueMappingDetailMap");
            fields["dataVersion"].as_object_mut().unwrap().remove("stateVersion");
        }
        assert_eq!(json::canonical(&written), json::canonical(&answered));
    }
}
