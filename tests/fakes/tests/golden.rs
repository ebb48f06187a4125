//! The fakes answer Java's own requests as the real peers did that they stand for: with the same code, and the same fields
//! in header and body. The frames are those of `rocketmq/tests/golden`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bytes::BytesMut;
use fakes::{BrokerSetup, FakeBroker, FakeNameServer, OnlineGroup};
use rocketmq::metadata::{Entry, Subscription};
use rocketmq::model::route::MessageQueue;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::json;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value, json as value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const VERSIONS: [&str; 4] = ["4.5.0", "4.9.7", "5.3.3", "5.5.0"];

/// Objects whose keys are names of things and not of fields.
const TABLES: [&str; 12] = [
    "brokerAddrTable",
    "brokerAddrs",
    "clusterAddrTable",
    "groupTopicMap",
    "mqPopTable",
    "mqTable",
    "offsetTable",
    "pullOffsetTable",
    "subscriptionGroupTable",
    "subscriptionTable",
    "timingCount",
    "topicConfigTable",
];

/// What the fakes leave out, and nobody of this project reads.
const LEFT_OUT: [&str; 7] = [
    // Codes 219 and 28: names of entries.
    "table.",
    // Code 307: what the client was set to, and what it did.
    "mqTable.*.",
    "mqPopTable.*.",
    "properties",
    "statusTable",
    "userConsumerInfo",
    "subscriptionSet",
];

fn frame(version: &str, code: RequestCode, kind: &str) -> Frame {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rocketmq/tests/golden");
    let path = golden.join(version).join(format!("{}-{kind}.json.frame", code.0));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Frame::decode(&mut BytesMut::from(&bytes[..])).unwrap().unwrap()
}

fn of_number(version: &str) -> Version {
    version.parse().unwrap()
}

/// Sends a request as it is and gives the answer.
async fn answer(address: &str, request: &Frame) -> Frame {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request.encode().unwrap()).await.unwrap();
    let mut buffer = BytesMut::new();
    loop {
        if let Some(answer) = Frame::decode(&mut buffer).unwrap() {
            return answer;
        }
        assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0, "no answer to {}", request.header.code);
    }
}

/// In how many levels below a field keys are names of things.
fn table_levels(field: &str) -> u32 {
    match field {
        "consumerTable" | "messageRequestModeMap" | "forbiddenTable" => 2,
        _ => u32::from(TABLES.contains(&field)),
    }
}

/// The paths of all fields of a value, of which so many levels are names of things.
fn fields(value: &Value, below: &str, levels: u32, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let name = if levels > 0 || key.parse::<u32>().is_ok() { "*" } else { key.as_str() };
                let path = format!("{below}{name}");
                let further = if levels > 0 { levels - 1 } else { table_levels(key) };
                fields(value, &format!("{path}."), further, found);
                found.insert(path);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, below, 0, found)),
        _ => {}
    }
}

/// What can be compared of an answer.
fn shape(frame: &Frame) -> (i32, BTreeSet<String>, BTreeSet<String>) {
    let mut found = BTreeSet::new();
    if let Ok(body) = json::parse(&frame.body) {
        fields(&body, "", 0, &mut found);
    }
    found.retain(|path| !LEFT_OUT.iter().any(|left_out| path.starts_with(left_out)));
    (frame.header.code, frame.header.ext_fields.keys().cloned().collect(), found)
}

/// How answers differ from the real ones; a request changes what the next one finds.
async fn differences(version: &str, address: &str, codes: &[RequestCode]) -> Vec<String> {
    let mut found = Vec::new();
    for code in codes {
        let fake = shape(&answer(address, &frame(version, *code, "request")).await);
        let real = shape(&frame(version, *code, "answer"));
        if fake != real {
            let (code_of_fake, header, body) = &fake;
            let (code_of_real, real_header, real_body) = &real;
            found.push(format!(
                "{code} of {version}: {code_of_fake} for {code_of_real}; too much {:?} {:?}, missing {:?} {:?}",
                header.difference(real_header).collect::<Vec<_>>(),
                body.difference(real_body).collect::<Vec<_>>(),
                real_header.difference(header).collect::<Vec<_>>(),
                real_body.difference(body).collect::<Vec<_>>(),
            ));
        }
    }
    found
}

/// A broker in the state of the recorded one, see `rocketmq/examples/record`.
async fn broker(version: &str) -> FakeBroker {
    let broker = FakeBroker::start(BrokerSetup::master(of_number(version), "demo", "demo-0")).await.unwrap();
    let orders = TopicConfig { write_queues: 8, ..TopicConfig::new(&"orders".parse().unwrap(), 4) };
    broker.put(Entry::Topic(orders));
    for group in ["billing", "shipping"] {
        broker.put(Entry::Group(group.to_owned(), Map::new()));
        let subscription = Subscription { topic: "orders".to_owned(), group: group.to_owned() };
        broker.put(Entry::Offsets(subscription, BTreeMap::from([(0, 3)])));
    }
    let queue =
        |id| MessageQueue { topic: "orders".to_owned(), broker_name: "demo-0".to_owned(), queue_id: id };
    let held = Some((0..4).map(queue).collect());
    let online = OnlineGroup {
        subscriptions: BTreeMap::from([("orders".to_owned(), "red || blue".to_owned())]),
        broadcasting: false,
        pulls: false,
        members: BTreeMap::from([("127.0.0.1@golden".to_owned(), held)]),
    };
    broker.set_online("shipping", Some(online));
    broker.set_queue("orders", 0, 0, 3);
    broker.set_delivered(1, 1);
    broker.set_timer(BTreeMap::from([("orders".to_owned(), 1)]), 1, 0);
    if of_number(version).has_request_modes() {
        let mode =
            value!({"topic": "orders", "consumerGroup": "billing", "mode": "POP", "popShareQueueNum": 8});
        let subscription = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
        broker.put(Entry::RequestMode(subscription, mode.as_object().unwrap().clone()));
    }
    broker
}

#[tokio::test]
async fn a_broker_answers_java_as_a_real_one() {
    let mut found = Vec::new();
    for version in VERSIONS {
        let broker = broker(version).await;
        let mut codes = vec![
            RequestCode::QUERY_CONSUMER_OFFSET,
            RequestCode::GET_ALL_TOPIC_CONFIG,
            RequestCode::GET_BROKER_CONFIG,
            RequestCode::GET_MAX_OFFSET,
            RequestCode::GET_MIN_OFFSET,
            RequestCode::GET_ALL_CONSUMER_OFFSET,
            RequestCode::GET_ALL_DELAY_OFFSET,
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
            RequestCode::GET_TOPIC_STATS_INFO,
            RequestCode::GET_CONSUMER_CONNECTION_LIST,
            RequestCode::GET_CONSUMER_RUNNING_INFO,
            RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
            RequestCode::UPDATE_CONSUMER_OFFSET,
            RequestCode::UPDATE_AND_CREATE_TOPIC,
            RequestCode::UPDATE_BROKER_CONFIG,
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
        ];
        if of_number(version).is_5() {
            codes.extend([
                RequestCode::UPDATE_AND_CREATE_TOPIC_LIST,
                RequestCode::GET_TIMER_METRICS,
                RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
                RequestCode::SET_MESSAGE_REQUEST_MODE,
                RequestCode::GET_ALL_MESSAGE_REQUEST_MODE,
                RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN,
            ]);
        }
        found.extend(differences(version, &broker.address(), &codes).await);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[tokio::test]
async fn a_name_server_answers_java_as_a_real_one() {
    let mut found = Vec::new();
    for version in VERSIONS {
        let name_server = FakeNameServer::start(of_number(version)).await.unwrap();
        let address = name_server.address();
        // The table of a registration with every topic; the connection stays until the end.
        let registration = frame(version, RequestCode::REGISTER_BROKER, "perms-request");
        let mut registering = TcpStream::connect(&address).await.unwrap();
        registering.write_all(&registration.encode().unwrap()).await.unwrap();
        name_server.until("the broker is listed", |state| !state.listed().is_empty()).await.unwrap();
        let codes = [
            RequestCode::PUT_KV_CONFIG,
            RequestCode::GET_KV_CONFIG,
            RequestCode::GET_KVLIST_BY_NAMESPACE,
            RequestCode::GET_ROUTEINFO_BY_TOPIC,
            RequestCode::GET_BROKER_CLUSTER_INFO,
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER,
            RequestCode::GET_TOPICS_BY_CLUSTER,
            RequestCode::UPDATE_NAMESRV_CONFIG,
            RequestCode::GET_NAMESRV_CONFIG,
            RequestCode::QUERY_DATA_VERSION,
            RequestCode::DELETE_KV_CONFIG,
            RequestCode::UNREGISTER_BROKER,
        ];
        found.extend(differences(version, &address, &codes).await);
        drop(registering);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// About what is not there: the same code, and the same words.
#[tokio::test]
async fn the_fakes_refuse_as_the_real() {
    let mut found = Vec::new();
    for version in VERSIONS {
        let broker = broker(version).await;
        let name_server = FakeNameServer::start(of_number(version)).await.unwrap();
        let status = RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS;
        for (code, address, changes) in [
            (RequestCode::GET_TOPIC_STATS_INFO, broker.address(), &[("topic", "none")][..]),
            (RequestCode::GET_CONSUMER_CONNECTION_LIST, broker.address(), &[("consumerGroup", "none")]),
            (RequestCode::GET_CONSUMER_RUNNING_INFO, broker.address(), &[("clientId", "127.0.0.1@none")]),
            (status, broker.address(), &[("clientAddr", "127.0.0.1@none")]),
            (RequestCode::GET_KV_CONFIG, name_server.address(), &[("key", "none")]),
            (RequestCode::GET_KVLIST_BY_NAMESPACE, name_server.address(), &[("namespace", "NO_SUCH")]),
            (RequestCode::GET_ROUTEINFO_BY_TOPIC, name_server.address(), &[("topic", "none")]),
        ] {
            let mut request = frame(version, code, "request");
            for (key, value) in changes {
                request.header.ext_fields.insert((*key).to_owned(), (*value).to_owned());
            }
            let fake = answer(&address, &request).await;
            let real = frame(version, code, "absent-answer");
            // A hint to documentation follows in the next line.
            let said = |frame: &Frame| {
                let remark = frame.header.remark.clone().unwrap_or_default();
                (ResponseCode(frame.header.code), remark.lines().next().unwrap_or_default().to_owned())
            };
            if said(&fake) != said(&real) {
                found.push(format!("{code} of {version}: {:?} for {:?}", said(&fake), said(&real)));
            }
        }
        // Where in its code a real one has stumbled differs from version to version.
        let mut request = frame(version, status, "request");
        request.header.ext_fields.insert("group".to_owned(), "none".to_owned());
        let fake = answer(&broker.address(), &request).await.header;
        let real = frame(version, status, "offline-answer").header;
        let begins = real.remark.as_deref().unwrap().starts_with(&fake.remark.clone().unwrap());
        if fake.code != real.code || !begins {
            found.push(format!("{status} of {version}: {:?} for {:?}", fake.remark, real.remark));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
