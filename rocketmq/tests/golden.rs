//! Frames that real name servers and brokers of 4.5.0 and 5.3.3, and real `mqadmin`, have sent over the wire (see
//! `examples/record.rs`), read by this crate. The cluster was `demo` with the broker `demo-0` and a topic `orders`
//! with 4 read and 8 write queues; of offsets and request modes 5 queues, of the group `billing` among others.

#![expect(clippy::disallowed_methods, reason = "the frames are files")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq::metadata::export::{Options, Tables};
use rocketmq::metadata::{Origin, Subscription};
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::kv::KvEntry;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::{RegisteredBroker, TopicRow};
use rocketmq::model::topic::{RegisteredTopics, TopicConfig, TopicTable};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::{Header, Serialization};
use rocketmq::remoting::json;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::requests::registration::RegisterBroker;
use serde_json::{Value, json as value};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

/// The recorded versions, with the address of the broker of each.
const RECORDED: [(Version, &str); 2] =
    [(Version::V4_5_0, "127.0.0.1:21911"), (Version::V5_3_3, "127.0.0.1:22911")];
const BOTH: [Serialization; 2] = [Serialization::Json, Serialization::Binary];

fn folder(version: Version) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version.to_string())
}

fn decode_whole(bytes: &[u8], name: &str) -> Frame {
    let mut buffer = BytesMut::from(bytes);
    let frame = Frame::decode(&mut buffer).unwrap().unwrap_or_else(|| panic!("{name} is cut"));
    assert!(buffer.is_empty(), "{name} goes on");
    frame
}

fn golden(version: Version, code: RequestCode, kind: &str, serialization: Serialization) -> Frame {
    let suffix = match serialization {
        Serialization::Json => "json",
        Serialization::Binary => "binary",
    };
    let path = folder(version).join(format!("{}-{kind}.{suffix}.frame", code.0));
    let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    decode_whole(&bytes, &path.display().to_string())
}

/// A client whose peer answers each request with what a real peer answered.
fn replay(version: Version, serialization: Serialization) -> Client {
    let (here, there) = duplex(1 << 20);
    tokio::spawn(answer_all(there, version, serialization));
    Client::on_stream(here, "golden", Duration::from_secs(10))
}

async fn answer_all(mut stream: DuplexStream, version: Version, serialization: Serialization) {
    let mut buffer = BytesMut::new();
    loop {
        while let Some(request) = Frame::decode(&mut buffer).unwrap() {
            let mut answer = golden(version, RequestCode(request.header.code), "answer", serialization);
            answer.header.opaque = request.header.opaque;
            stream.write_all(&answer.encode().unwrap()).await.unwrap();
        }
        if stream.read_buf(&mut buffer).await.unwrap() == 0 {
            return;
        }
    }
}

fn demo_broker(address: &str) -> RegisteredBroker {
    RegisteredBroker {
        cluster: "demo".to_owned(),
        broker_name: "demo-0".to_owned(),
        broker_id: 0,
        address: address.to_owned(),
    }
}

fn orders_row() -> TopicRow {
    TopicRow {
        topic: "orders".to_owned(),
        broker_name: "demo-0".to_owned(),
        read_queues: 4,
        write_queues: 8,
        permission: 6,
    }
}

fn order_conf() -> KvEntry {
    KvEntry {
        namespace: "ORDER_TOPIC_CONFIG".to_owned(),
        key: "orders".to_owned(),
        value: "demo-0:4".to_owned(),
    }
}

#[test]
fn every_frame_is_read_and_written_back_with_the_same_meaning() {
    for (version, _) in RECORDED {
        let mut frames = 0;
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
        assert!(frames > 50, "{frames} frames of {version}");
    }
}

#[tokio::test]
async fn answers_of_name_servers_are_read() {
    for (version, address) in RECORDED {
        for serialization in BOTH {
            let client = replay(version, serialization);
            let info = client.cluster_info().await.unwrap();
            assert_eq!((info.version, info.value), (version, vec![demo_broker(address)]));
            let route = client.route("orders").await.unwrap().value.unwrap();
            assert_eq!((route.rows, route.brokers), (vec![orders_row()], vec![demo_broker(address)]));
            assert_eq!(route.order_topic_conf, None, "orderMessageEnable is off");
            let topics = client.topic_list().await.unwrap().value;
            for topic in ["orders", "demo", "demo-0", "TBW102"] {
                assert!(topics.contains(&topic.to_owned()), "{topic} in {topics:?}");
            }
            assert_eq!(client.cluster_topic_list("demo").await.unwrap().value, topics);

            let order = order_conf();
            client.put_kv(&order).await.unwrap();
            let value = client.get_kv(&order.namespace, &order.key).await.unwrap().value;
            assert_eq!(value.as_deref(), Some("demo-0:4"));
            assert_eq!(client.kv_list(&order.namespace).await.unwrap().value, [order]);
            client.delete_kv("NO_SUCH", "none").await.unwrap();
            let settings = client.name_server_config().await.unwrap().value;
            assert!(settings.get("kvConfigPath").is_some_and(|path| path.ends_with("kvConfig.json")));

            let sentinel = DataVersion::default().sentinel(0);
            let stored = client.query_data_version(&demo_broker(address), &sentinel).await.unwrap().value;
            assert!(stored.stored.is_some_and(|stored| !stored.is_sentinel() && stored.counter > 0));
            client.unregister_broker(&demo_broker(address)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn answers_of_brokers_are_read() {
    for (version, address) in RECORDED {
        for serialization in BOTH {
            let client = replay(version, serialization);
            let info = client.runtime_info().await.unwrap();
            assert_eq!(info.version, version);
            assert!(info.value.boot_timestamp_millis().is_some_and(|millis| millis > 1_700_000_000_000));
            assert_eq!(info.value.rate_of_10_seconds("putTps"), Some(0.0));
            let described = format!("V{}", version.to_string().replace('.', "_"));
            assert_eq!(info.value.table["brokerVersionDesc"], described);

            let config = client.broker_config().await.unwrap().value;
            let port = address.rsplit(':').next();
            for (key, expected) in [
                ("brokerClusterName", Some("demo")),
                ("brokerName", Some("demo-0")),
                ("brokerId", Some("0")),
                ("brokerIP1", Some("127.0.0.1")),
                ("listenPort", port),
                ("brokerPermission", Some("6")),
                ("updateNameServerAddrPeriod", version.has_name_server_update_period().then_some("120000")),
            ] {
                assert_eq!(config.settings.get(key), expected, "{key} of {version}");
            }
            assert!(config.data_version.is_some_and(|version| version.timestamp > 1_700_000_000_000));

            let groups = client.subscription_groups().await.unwrap().value;
            assert_eq!(groups.groups["TOOLS_CONSUMER"]["groupName"], "TOOLS_CONSUMER");
            assert_eq!(groups.groups["TOOLS_CONSUMER"]["retryMaxTimes"], 16);
            client.update_broker_config(&Properties::new()).await.unwrap();
            client.create_topic(&TopicConfig::new(&"orders".parse().unwrap(), 4)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn offsets_and_request_modes_are_read() {
    for (version, _) in RECORDED {
        for serialization in BOTH {
            let client = replay(version, serialization);
            let billing = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
            let offsets = client.consumer_offsets().await.unwrap();
            let queues = &offsets.value[&billing];
            assert_eq!((offsets.version, queues), (version, &(0..5).map(|queue| (queue, 0)).collect()));
            assert!(offsets.value.contains_key(&Subscription::to_retries_of("billing")));
            if version.has_request_modes() {
                let modes = client.message_request_modes().await.unwrap().value;
                assert_eq!(
                    (&modes[&billing]["mode"], &modes[&billing]["popShareQueueNum"]),
                    (&value!("POP"), &value!(8))
                );
            }
        }
    }
}

#[test]
fn tables_are_sanitised_to_what_users_made() {
    for (version, _) in RECORDED {
        let body = |code| golden(version, code, "answer", Serialization::Json).body;
        let origin = Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version };
        let options = Options { sanitised: true, ordered: false };
        let mut tables = Tables::new(origin, options, 7);
        let (mut topics, mut groups) = (Vec::new(), Vec::new());
        tables.topics(&body(RequestCode::GET_ALL_TOPIC_CONFIG), &mut topics).unwrap();
        tables.groups(&body(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG), &mut groups).unwrap();
        let topics: Value = serde_json::from_slice(&topics).unwrap();
        let answered = json::parse(&body(RequestCode::GET_ALL_TOPIC_CONFIG)).unwrap();
        let orders = &answered["topicConfigTable"]["orders"];
        assert_eq!(topics["topicConfigTable"], value!({ "orders": orders }), "{version}");
        let groups: Value = serde_json::from_slice(&groups).unwrap();
        assert_eq!(groups["subscriptionGroupTable"], value!({}), "{version}");
    }
}

#[tokio::test]
async fn a_topic_table_is_kept_whole() {
    for (version, _) in RECORDED {
        for serialization in BOTH {
            let table = replay(version, serialization).all_topic_config().await.unwrap().value;
            assert!(table.rows("demo-0").contains(&orders_row()));
            let answered = golden(version, RequestCode::GET_ALL_TOPIC_CONFIG, "answer", serialization).body;
            let mut written = serde_json::to_value(&table).unwrap();
            let mut answered = json::parse(&answered).unwrap();
            // Absent and 0, absent and empty are the same to Java.
            for value in [&mut written, &mut answered] {
                let fields = value.as_object_mut().unwrap();
                fields.remove("topicQueueMappingDetailMap");
                fields["dataVersion"].as_object_mut().unwrap().remove("stateVersion");
            }
            assert_eq!(json::canonical(&written), json::canonical(&answered));
        }
    }
}

/// The registration that a real broker sent, as this crate's value.
fn registration(version: Version, frame: &Frame) -> RegisterBroker {
    let field = |name: &str| frame.header.ext_fields.get(name).cloned();
    let body = json::parse(&frame.body).unwrap();
    let topics: TopicTable = serde_json::from_value(body["topicConfigSerializeWrapper"].clone()).unwrap();
    RegisterBroker {
        broker: RegisteredBroker {
            cluster: field("clusterName").unwrap(),
            broker_name: field("brokerName").unwrap(),
            broker_id: field("brokerId").unwrap().parse().unwrap(),
            address: field("brokerAddr").unwrap(),
        },
        ha_server_addr: field("haServerAddr").unwrap(),
        version,
        enable_acting_master: field("enableActingMaster").map(|text| text == "true"),
        heartbeat_timeout_millis: field("heartbeatTimeoutMillis").map(|text| text.parse().unwrap()),
        zone: field("__ZONE_NAME"),
        data_version: topics.data_version,
        topics: RegisteredTopics::from(&topics.registered(Permission::READ_WRITE, version)),
    }
}

#[tokio::test]
async fn a_registration_says_what_a_brokers_own_says() {
    for (version, address) in RECORDED {
        for serialization in BOTH {
            let real = golden(version, RequestCode::REGISTER_BROKER, "request", serialization);
            let registration = registration(version, &real);
            assert_eq!(registration.broker, demo_broker(address));
            let ours = sent(|client| async move { drop(client.register_broker(&registration).await) }).await;
            let mut expected = real.header.ext_fields.clone();
            expected.insert("bodyCrc32".to_owned(), "0".to_owned());
            assert_eq!(ours.header.ext_fields, expected);
            assert_eq!(ours.header.version, real.header.version);
            assert_eq!(essence(&ours.body), essence(&real.body));

            // And the real name server's answer to it.
            let client = replay(version, serialization);
            let answer = client.register_broker(&self::registration(version, &real)).await.unwrap();
            assert_eq!((answer.version, answer.value.master_addr), (version, None));
        }
    }
}

/// The parts of a registration's body that name servers store.
fn essence(body: &[u8]) -> (String, DataVersion) {
    let body = json::parse(body).unwrap();
    let wrapper = &body["topicConfigSerializeWrapper"];
    let version = serde_json::from_value(wrapper["dataVersion"].clone()).unwrap();
    assert_eq!(body["filterServerList"], Value::Array(Vec::new()));
    (json::canonical(&wrapper["topicConfigTable"]), version)
}

#[tokio::test]
async fn requests_have_the_fields_that_java_sends() {
    for (version, address) in RECORDED {
        for serialization in BOTH {
            let real = |code| golden(version, code, "request", serialization);
            let known = |code| real(code).header.ext_fields;

            let broker = demo_broker(address);
            let query = sent(|client| async move {
                drop(client.query_data_version(&broker, &DataVersion::default().sentinel(0)).await);
            })
            .await;
            assert_eq!(query.header.ext_fields, known(RequestCode::QUERY_DATA_VERSION));
            let broker = demo_broker(address);
            let gone = sent(|client| async move { drop(client.unregister_broker(&broker).await) }).await;
            assert_eq!(gone.header.ext_fields, known(RequestCode::UNREGISTER_BROKER));
            let put = sent(|client| async move { drop(client.put_kv(&order_conf()).await) }).await;
            assert_eq!(put.header.ext_fields, known(RequestCode::PUT_KV_CONFIG));
            let delete = sent(|client| async move { drop(client.delete_kv("NO_SUCH", "none").await) }).await;
            assert_eq!(delete.header.ext_fields, known(RequestCode::DELETE_KV_CONFIG));

            let topic = TopicConfig { write_queues: 8, ..TopicConfig::new(&"orders".parse().unwrap(), 4) };
            let create = sent(|client| async move { drop(client.create_topic(&topic).await) }).await;
            let mut expected = known(RequestCode::UPDATE_AND_CREATE_TOPIC);
            // `mqadmin` of 5.x says so too where an absent field means the same.
            expected.retain(|key, value| key != "force" && !value.is_empty());
            assert_eq!(create.header.ext_fields, expected);

            let settings = Properties::from_iter([("brokerPermission", "6")]);
            let update =
                sent(|client| async move { drop(client.update_broker_config(&settings).await) }).await;
            assert_eq!(
                Properties::from_java(std::str::from_utf8(&update.body).unwrap()),
                Properties::from_java(
                    std::str::from_utf8(&real(RequestCode::UPDATE_BROKER_CONFIG).body).unwrap()
                )
            );
        }
    }
}

/// What a client sends: its first request, answered by a refusal.
async fn sent<F: Future<Output = ()> + Send + 'static>(ask: impl FnOnce(Client) -> F) -> Frame {
    let (here, mut there) = duplex(1 << 20);
    let asking = tokio::spawn(ask(Client::on_stream(here, "nobody", Duration::from_secs(10))));
    let mut buffer = BytesMut::new();
    let request = loop {
        if let Some(request) = Frame::decode(&mut buffer).unwrap() {
            break request;
        }
        assert_ne!(there.read_buf(&mut buffer).await.unwrap(), 0);
    };
    let header = Header::response(
        &request.header,
        rocketmq::remoting::response_code::ResponseCode::SYSTEM_BUSY,
        Version::V5_3_3,
    );
    let refusal = Frame { serialization: Serialization::Json, header, body: Bytes::new() };
    there.write_all(&refusal.encode().unwrap()).await.unwrap();
    asking.await.unwrap();
    request
}
