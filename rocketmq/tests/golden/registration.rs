//! Registrations as brokers send them, and as this crate makes them of a broker's answers.

use std::collections::BTreeMap;

use rocketmq::metadata::walk;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::topic::{RegisteredTopics, TopicTable};
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::json;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::requests::registration::RegisterBroker;
use serde_json::{Value, json as value};

use crate::frames::{Recorded, recorded, sent};

/// What a real broker says of itself, with these topics.
fn registration(
    recorded: Recorded,
    frame: &Frame,
    topics: (DataVersion, RegisteredTopics),
) -> RegisterBroker {
    let field = |name: &str| frame.header.ext_fields.get(name).cloned();
    RegisterBroker {
        broker: RegisteredBroker {
            cluster: field("clusterName").unwrap(),
            broker_name: field("brokerName").unwrap(),
            broker_id: field("brokerId").unwrap().parse().unwrap(),
            address: field("brokerAddr").unwrap(),
        },
        ha_server_addr: field("haServerAddr").unwrap(),
        version: recorded.version,
        enable_acting_master: field("enableActingMaster").map(|text| text == "true"),
        heartbeat_timeout_millis: field("heartbeatTimeoutMillis").map(|text| text.parse().unwrap()),
        zone: field("__ZONE_NAME"),
        data_version: topics.0,
        topics: topics.1,
    }
}

/// The topics of a registration.
fn own_topics(recorded: Recorded, frame: &Frame) -> (DataVersion, RegisteredTopics) {
    let body = json::parse(&frame.body).unwrap();
    let topics: TopicTable = serde_json::from_value(body["topicConfigSerializeWrapper"].clone()).unwrap();
    let registered = topics.registered(Permission::READ_WRITE, recorded.version);
    (registered.data_version, RegisteredTopics::from(&registered))
}

/// Compares what this crate sends with what the broker sent; `topics` reads the topics of a body.
async fn assert_says_the_same<T: PartialEq + std::fmt::Debug>(
    registration: RegisterBroker,
    real: &Frame,
    topics: impl Fn(&[u8]) -> T,
) {
    let ours = sent(|client| async move { drop(client.register_broker(&registration).await) }).await;
    let mut expected = real.header.ext_fields.clone();
    expected.insert("bodyCrc32".to_owned(), "0".to_owned());
    assert_eq!(ours.header.ext_fields, expected);
    assert_eq!(ours.header.version, real.header.version);
    assert_eq!(topics(&ours.body), topics(&real.body));
}

/// The topics of a body, whole.
fn whole(body: &[u8]) -> String {
    let body = json::parse(body).unwrap();
    assert_eq!(body["filterServerList"], Value::Array(Vec::new()));
    json::canonical(&body["topicConfigSerializeWrapper"]["topicConfigTable"])
}

/// What name servers keep of each topic (`RouteInfoManager.createAndUpdateQueueData`, all tags).
fn kept(body: &[u8]) -> BTreeMap<String, [Value; 4]> {
    let body = json::parse(body).unwrap();
    let topics = body["topicConfigSerializeWrapper"]["topicConfigTable"].as_object().unwrap();
    let fields = ["readQueueNums", "writeQueueNums", "perm", "topicSysFlag"];
    topics.iter().map(|(name, topic)| (name.clone(), fields.map(|field| topic[field].clone()))).collect()
}

fn stored_version(body: &[u8]) -> DataVersion {
    let body = json::parse(body).unwrap();
    serde_json::from_value(body["topicConfigSerializeWrapper"]["dataVersion"].clone()).unwrap()
}

#[tokio::test]
async fn a_registration_says_what_a_brokers_own_says() {
    for recorded in recorded() {
        let real = recorded.frame(RequestCode::REGISTER_BROKER, "request");
        let registration = registration(recorded, &real, own_topics(recorded, &real));
        assert_eq!(registration.broker, recorded.demo_broker());
        assert_eq!(stored_version(&registration.body()), stored_version(&real.body));
        assert_says_the_same(registration.clone(), &real, whole).await;

        // And the real name server's answer to it.
        let answer = recorded.replay().register_broker(&registration).await.unwrap();
        assert_eq!((answer.version, answer.value.master_addr), (recorded.version, None));
    }
}

/// From the answer to code 21 of the same time, as a bridge makes it. A broker that may not both read and write registers
/// topics without their order and attributes (`BrokerController.registerBrokerAll`, all tags), which no name server keeps.
#[tokio::test]
async fn what_a_table_becomes_is_what_the_broker_registers_of_it() {
    for recorded in recorded() {
        let table = recorded.frame(RequestCode::GET_ALL_TOPIC_CONFIG, "perms-answer").body;
        for (kind, permission) in [("perms", 6), ("readonly", 4), ("writeonly", 2)] {
            let real = recorded.frame(RequestCode::REGISTER_BROKER, &format!("{kind}-request"));
            let permission = Permission::from_bits(permission);
            let topics = walk::registration(&table, permission, recorded.version).unwrap();
            let registration = registration(recorded, &real, topics);
            if kind == "perms" {
                assert_says_the_same(registration.clone(), &real, whole).await;
            }
            assert_says_the_same(registration, &real, kept).await;
        }
    }
}

/// What the brokers themselves register of topics with each permission, beside the rule that the product has of it.
#[test]
fn a_brokers_permission_replaces_that_of_topics_before_5_and_limits_it_from_then_on() {
    for recorded in recorded() {
        let permissions = |kind: &str| {
            let frame = recorded.frame(RequestCode::REGISTER_BROKER, &format!("{kind}-request"));
            let body = json::parse(&frame.body).unwrap();
            ["closed", "writes", "reads", "inherits"].map(|topic| {
                body["topicConfigSerializeWrapper"]["topicConfigTable"][topic]["perm"].as_u64().unwrap()
            })
        };
        let is_5 = recorded.version.is_5();
        assert_eq!(permissions("perms"), [0, 2, 4, 7]);
        assert_eq!(permissions("slave"), [0, 2, 4, 7]);
        assert_eq!(permissions("readonly"), if is_5 { [0, 0, 4, 4] } else { [4; 4] });
        assert_eq!(permissions("writeonly"), if is_5 { [0, 2, 0, 2] } else { [2; 4] });
    }
}

#[tokio::test]
async fn a_slave_registers_like_its_master_and_is_told_of_it() {
    for recorded in recorded() {
        let real = recorded.frame(RequestCode::REGISTER_BROKER, "slave-request");
        let table = recorded.frame(RequestCode::GET_ALL_TOPIC_CONFIG, "slave-answer").body;
        let topics = walk::registration(&table, Permission::READ_WRITE, recorded.version).unwrap();
        let registration = registration(recorded, &real, topics);
        let broker =
            RegisteredBroker { broker_id: 1, address: recorded.slave.to_owned(), ..recorded.demo_broker() };
        assert_eq!(registration.broker, broker);
        assert_says_the_same(registration.clone(), &real, whole).await;

        let answer = recorded.replay_kind("slave-answer").register_broker(&registration).await.unwrap().value;
        assert_eq!(answer.master_addr.as_deref(), Some(recorded.address));
        let (host, port) = recorded.address.split_once(':').unwrap();
        let ha_port = port.parse::<u16>().unwrap() + 1;
        assert_eq!(answer.ha_server_addr, Some(format!("{host}:{ha_port}")));
        assert_eq!(Value::Object(answer.order_topics), value!({"orders": "demo-0:4"}));
    }
}
