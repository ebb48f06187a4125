//! Metadata into a running broker.

use fakes::{FakeBroker, FakeNameServer};
use proto::describe::Applied;
use rocketmq::metadata::{Entry, Metadata, Subscription};
use rocketmq::model::version::Version;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json};
use tonic::Code;

use crate::caller::{Caller, packed};
use crate::served::with_key;
use crate::support::{Pod, VERSIONS, broker_at, name_server, topic};

struct Target {
    broker: FakeBroker,
    caller: Caller,
    _pod: Pod,
    _server: FakeNameServer,
}

impl Target {
    async fn new(version: Version) -> Self {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        let pod = with_key(Pod::of_broker(&broker, Some(version)));
        pod.mount_list(1, &[&server]);
        let caller = Caller::of(&pod).await;
        caller.until_answers().await;
        Self { broker, caller, _pod: pod, _server: server }
    }

    fn count(&self, code: RequestCode) -> usize {
        self.broker.received_of(code).len()
    }
}

fn pair(topic: &str, group: &str) -> Subscription {
    Subscription { topic: topic.into(), group: group.into() }
}

fn group(name: &str, retries: u32) -> Map<String, Value> {
    json!({"groupName": name, "retryMaxTimes": retries}).as_object().unwrap().clone()
}

#[tokio::test]
async fn what_a_broker_lacks_is_created_what_it_has_otherwise_is_changed_and_the_rest_is_left_alone() {
    for version in VERSIONS {
        let target = Target::new(version).await;
        target.broker.put(Entry::Group("billing".into(), group("billing", 16)));
        target.broker.put(Entry::Group("same".into(), group("same", 2)));
        target.broker.put(Entry::Topic(topic("extra", 1)));
        target.broker.put(Entry::Offsets(pair("orders", "billing"), [(0, 70)].into()));

        let mut wanted = Metadata::default();
        wanted.insert(Entry::Topic(topic("orders", 4)));
        wanted.insert(Entry::Topic(topic("payments", 8)));
        for number in 0..1_500 {
            wanted.insert(Entry::Topic(topic(&format!("new-{number}"), 1)));
        }
        wanted.insert(Entry::Group("billing".into(), group("billing", 3)));
        wanted.insert(Entry::Group("same".into(), group("same", 2)));
        wanted.insert(Entry::Group("shipping".into(), group("shipping", 5)));
        wanted.insert(Entry::Offsets(pair("orders", "billing"), [(0, 0), (1, 0)].into()));
        wanted.insert(Entry::Offsets(pair("new-7", "shipping"), [(0, 0)].into()));
        wanted.insert(Entry::Offsets(pair("%RETRY%shipping", "shipping"), [(0, 0)].into()));
        let mode =
            json!({"topic": "orders", "consumerGroup": "billing", "mode": "POP", "popShareQueueNum": 0});
        if version.is_5() {
            wanted.insert(Entry::Forbidden("shipping".into(), json!({"payments": 4})));
            let mode = mode.as_object().unwrap().clone();
            wanted.insert(Entry::RequestMode(pair("orders", "billing"), mode));
        }

        let sha256 = target.caller.send_all(&packed(&wanted)).await;
        let applied = target.caller.apply(&sha256).await.unwrap();
        let request_modes = u64::from(version.is_5());
        assert_eq!(applied, Applied { topics: 1_501, groups: 2, request_modes, offsets: 3 }, "{version}");
        let has = target.broker.metadata();
        assert_eq!(has.topics["payments"].read_queues, 8);
        assert_eq!(has.topics["new-1499"].write_queues, 1);
        assert!(has.topics.contains_key("extra"));
        assert_eq!(has.groups["billing"]["retryMaxTimes"], 3);
        assert_eq!(has.groups["shipping"]["retryMaxTimes"], 5);
        assert_eq!(has.offsets[&pair("orders", "billing")], [(0, 70), (1, 0)].into());
        assert_eq!(has.offsets[&pair("new-7", "shipping")], [(0, 0)].into());
        if version.is_5() {
            assert_eq!(has.forbidden["shipping"], json!({"payments": 4}));
            assert_eq!(Value::Object(has.request_modes[&pair("orders", "billing")].clone()), mode);
            assert_eq!(target.count(RequestCode::UPDATE_AND_CREATE_TOPIC_LIST), 2);
        } else {
            assert_eq!(target.count(RequestCode::UPDATE_AND_CREATE_TOPIC), 1_501);
            assert_eq!(target.count(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE), 0, "4.x would not answer");
        }

        let again = target.caller.apply(&sha256).await.unwrap();
        let retries = u64::from(version.is_5());
        assert_eq!(again, Applied { offsets: retries, ..Applied::default() }, "nothing is left to do");
    }
}

#[tokio::test]
async fn what_a_broker_does_not_take_is_named_with_its_code() {
    for version in VERSIONS {
        let target = Target::new(version).await;
        let mut wanted = Metadata::default();
        wanted.insert(Entry::Topic(topic("new", 4)));
        let sha256 = target.caller.send_all(&packed(&wanted)).await;
        let code = if version.is_5() {
            RequestCode::UPDATE_AND_CREATE_TOPIC_LIST
        } else {
            RequestCode::UPDATE_AND_CREATE_TOPIC
        };
        target.broker.refuse(code, Some(ResponseCode::SYSTEM_ERROR));
        let refused = target.caller.apply(&sha256).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition);
        assert!(refused.message().starts_with("the broker does not take topic `new`: "), "{refused}");
        assert!(refused.message().contains("system error"), "{refused}");

        // It says yes and does nothing.
        target.broker.refuse(code, Some(ResponseCode::SUCCESS));
        let refused = target.caller.apply(&sha256).await.unwrap_err();
        assert_eq!(refused.message(), "the broker took topic `new` but does not have it so: it is missing");
        target.broker.refuse(code, None);
        target.caller.apply(&sha256).await.unwrap();
    }
}

#[tokio::test]
async fn a_table_that_the_broker_does_not_know_is_no_silence() {
    let target = Target::new(Version::V4_5_0).await;
    let mut wanted = Metadata::default();
    let mode = json!({"topic": "orders", "consumerGroup": "billing", "mode": "POP", "popShareQueueNum": 0});
    wanted.insert(Entry::RequestMode(pair("orders", "billing"), mode.as_object().unwrap().clone()));
    let sha256 = target.caller.send_all(&packed(&wanted)).await;
    let refused = target.caller.apply(&sha256).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(
        refused.message(),
        "version 4.5.0 of the broker does not know all that the bundle's messageRequestMode.json has"
    );
    let mut wanted = Metadata::default();
    wanted.insert(Entry::Forbidden("billing".into(), json!({"orders": 4})));
    let sha256 = target.caller.send_all(&packed(&wanted)).await;
    let refused = target.caller.apply(&sha256).await.unwrap_err();
    assert!(refused.message().contains("subscriptionGroup.json"), "{refused}");
    let none = target.caller.apply(&"0".repeat(64)).await.unwrap_err();
    assert!(none.message().starts_with("no bundle of SHA-256 0000"), "{none}");
}
