//! The fakes keep the rules that real peers were seen to keep, asked through the real client.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fakes::{BrokerSetup, FakeBroker, FakeNameServer};
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::kv::KvEntry;
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::{RegisteredTopics, TopicConfig};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::{Header, Serialization};
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::requests::registration::RegisterBroker;
use rocketmq::remoting::response_code::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DEADLINE: Duration = Duration::from_secs(10);
const BOTH: [Version; 2] = [Version::V4_5_0, Version::V5_3_3];

async fn connect(address: &str) -> Client {
    Client::connect(address, DEADLINE).await.unwrap()
}

fn topic(name: &str, queues: u32) -> TopicConfig {
    TopicConfig::new(&name.parse().unwrap(), queues)
}

/// A broker with a topic, which lists these name servers.
async fn broker(version: Version, name_servers: &[&FakeNameServer]) -> FakeBroker {
    let addresses: Vec<_> = name_servers.iter().map(|name_server| name_server.address()).collect();
    let mut setup = BrokerSetup::master(version, "demo", "demo-0");
    setup.topics.push(topic("orders", 4));
    setup.settings = Properties::from_iter([("namesrvAddr", addresses.join(";"))]);
    FakeBroker::start(setup).await.unwrap()
}

/// What a bridge sends for a broker.
fn bridge(broker: &FakeBroker, version: Version, round: u32) -> RegisterBroker {
    RegisterBroker {
        broker: broker.identity(),
        ha_server_addr: "127.0.0.1:10912".to_owned(),
        version,
        enable_acting_master: None,
        heartbeat_timeout_millis: None,
        zone: None,
        topics: RegisteredTopics::from(&broker.topics()),
        data_version: broker.data_version().sentinel(round),
    }
}

#[tokio::test]
async fn a_broker_registers_and_is_seen_by_every_request() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        assert!(broker.register().await.is_empty());

        let client = connect(&name_server.address()).await;
        let info = client.cluster_info().await.unwrap();
        assert_eq!((info.version, info.value), (version, vec![broker.identity()]));
        let route = client.route("orders").await.unwrap().value.unwrap();
        assert_eq!(route.brokers, [broker.identity()]);
        assert_eq!((route.rows[0].read_queues, route.rows[0].permission), (4, 6));
        assert_eq!(client.route("absent").await.unwrap().value, None);
        let topics = client.topic_list().await.unwrap().value;
        assert!(topics.contains(&"orders".to_owned()) && topics.contains(&"demo-0".to_owned()));
        assert_eq!(client.cluster_topic_list("demo").await.unwrap().value, topics);
        assert!(client.cluster_topic_list("other").await.unwrap().value.is_empty());
        let table = client.route_table().await.unwrap().value;
        assert_eq!(table, name_server.routes());
        assert_eq!(table.rows, broker.topics().rows("demo-0"));
    }
}

#[tokio::test]
async fn a_sentinel_is_stored_until_the_brokers_own_registration_replaces_it() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        let bridging = connect(&name_server.address()).await;
        let registration = bridge(&broker, version, 0);
        let sentinel = registration.data_version;
        let ask =
            || async { bridging.query_data_version(&broker.identity(), &sentinel).await.unwrap().value };

        assert_eq!((ask().await.changed, ask().await.stored), (true, None));
        bridging.register_broker(&registration).await.unwrap();
        assert_eq!((ask().await.changed, ask().await.stored), (false, Some(sentinel)));
        broker.register().await;
        assert_eq!((ask().await.changed, ask().await.stored), (true, Some(broker.data_version())));

        // The entry is the broker's now, so that closing the bridge leaves it.
        drop(bridging);
        name_server.until("the bridge is closed", |state| state.connections().len() == 1).await.unwrap();
        assert_eq!(name_server.listed()[0].data_version, broker.data_version());
        assert_eq!(name_server.routes().brokers, [broker.identity()]);
    }
}

#[tokio::test]
async fn a_closed_channel_removes_the_broker_that_it_registered_last() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        broker.register().await;
        let bridging = connect(&name_server.address()).await;
        bridging.register_broker(&bridge(&broker, version, 0)).await.unwrap();
        drop(bridging);
        name_server.until("the broker is gone", |state| state.routes().brokers.is_empty()).await.unwrap();
        assert!(name_server.routes().rows.is_empty());
    }
}

#[tokio::test]
async fn rows_change_only_with_the_data_version() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        let bridging = connect(&name_server.address()).await;
        bridging.register_broker(&bridge(&broker, version, 0)).await.unwrap();

        broker.put_topic(topic("orders", 8));
        broker.put_topic(topic("later", 2));
        let queues = |topic: &str| {
            name_server.routes().rows.iter().find(|row| row.topic == topic).map(|row| row.read_queues)
        };
        bridging.register_broker(&bridge(&broker, version, 0)).await.unwrap();
        assert_eq!(queues("orders"), Some(4));
        assert_eq!(queues("later"), version.is_5().then_some(2), "5.x adds rows that are missing");
        bridging.register_broker(&bridge(&broker, version, 1)).await.unwrap();
        assert_eq!((queues("orders"), queues("later")), (Some(8), Some(2)));
    }
}

#[tokio::test]
async fn version_5_refuses_a_first_registration_with_one_topic() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        let mut registration = bridge(&broker, version, 0);
        let mut topics = broker.topics();
        topics.topics.retain(|name, _| name == "orders");
        registration.topics = RegisteredTopics::from(&topics);
        let refused = connect(&name_server.address()).await.register_broker(&registration).await.err();
        let code = refused.and_then(|error| error.response_code());
        assert_eq!(code, version.is_5().then_some(ResponseCode::SYSTEM_ERROR));
    }
}

#[tokio::test]
async fn a_registration_is_kept_with_all_that_it_said() {
    let name_server = FakeNameServer::start(Version::V5_3_3).await.unwrap();
    let broker = broker(Version::V5_3_3, &[]).await;
    let registration = RegisterBroker {
        enable_acting_master: Some(true),
        heartbeat_timeout_millis: Some(10_000),
        zone: Some("east".to_owned()),
        ..bridge(&broker, Version::V5_3_3, 0)
    };
    connect(&name_server.address()).await.register_broker(&registration).await.unwrap();
    let [seen] = name_server.registrations().try_into().unwrap();
    assert_eq!(seen.version, Version::V5_3_3);
    assert_eq!((seen.enable_acting_master, seen.heartbeat_timeout_millis), (Some(true), Some(10_000)));
    assert_eq!(seen.zone.as_deref(), Some("east"));
    assert_eq!(RegisteredTopics::from(&seen.topics), registration.topics);
    assert!(seen.topics.data_version.is_sentinel());
}

#[tokio::test]
async fn a_body_is_read_by_the_version_of_the_request() {
    let name_server = FakeNameServer::start(Version::V4_5_0).await.unwrap();
    let broker = broker(Version::V4_5_0, &[]).await;
    let ancient = bridge(&broker, Version::from_ordinal(35), 0);
    connect(&name_server.address()).await.register_broker(&ancient).await.unwrap();
    assert!(name_server.routes().rows.is_empty());
}

#[tokio::test]
async fn a_slave_learns_its_master_and_brings_no_rows() {
    let name_server = FakeNameServer::start(Version::V4_5_0).await.unwrap();
    let master = broker(Version::V4_5_0, &[&name_server]).await;
    let mut setup = BrokerSetup::master(Version::V4_5_0, "demo", "demo-0");
    setup.broker_id = 1;
    setup.topics.push(topic("of-the-slave", 1));
    let slave = FakeBroker::start(setup).await.unwrap();
    let client = connect(&name_server.address()).await;
    let registration = bridge(&slave, Version::V4_5_0, 0);

    assert_eq!(client.register_broker(&registration).await.unwrap().value.master_addr, None);
    master.register().await;
    let answer = client.register_broker(&registration).await.unwrap().value;
    assert_eq!(answer.master_addr, Some(master.address()));
    assert!(answer.ha_server_addr.is_some());
    assert!(name_server.routes().rows.iter().all(|row| row.topic != "of-the-slave"));
    assert_eq!(name_server.routes().brokers, [master.identity(), slave.identity()]);
}

#[tokio::test]
async fn a_broker_unregisters_and_its_last_address_takes_the_rows() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let broker = broker(version, &[&name_server]).await;
        broker.register().await;
        assert!(broker.unregister().await.is_empty());
        name_server.until("the broker is gone", |state| state.routes().brokers.is_empty()).await.unwrap();
        assert!(name_server.routes().rows.is_empty());
    }
}

#[tokio::test]
async fn kv_entries_are_put_read_and_deleted_and_go_to_brokers() {
    let name_server = FakeNameServer::start(Version::V5_3_3).await.unwrap();
    let client = connect(&name_server.address()).await;
    let entry = KvEntry {
        namespace: "ORDER_TOPIC_CONFIG".to_owned(),
        key: "orders".to_owned(),
        value: "demo-0:4".to_owned(),
    };
    let get = || async { client.get_kv(&entry.namespace, &entry.key).await.unwrap().value };
    assert_eq!(get().await, None);
    assert!(client.kv_list(&entry.namespace).await.unwrap().value.is_empty());
    client.put_kv(&entry).await.unwrap();
    assert_eq!(get().await, Some(entry.value.clone()));
    assert_eq!(client.kv_list(&entry.namespace).await.unwrap().value, std::slice::from_ref(&entry));
    assert_eq!(name_server.kv(), std::slice::from_ref(&entry));

    let broker = broker(Version::V5_3_3, &[&name_server]).await;
    let answer = client.register_broker(&bridge(&broker, Version::V5_3_3, 0)).await.unwrap().value;
    assert_eq!(answer.order_topics["orders"], "demo-0:4");
    let conf = || async { client.route("orders").await.unwrap().value.unwrap().order_topic_conf };
    assert_eq!(conf().await, None, "orderMessageEnable is off");
    let settings = Properties::from_iter([("orderMessageEnable", "true")]);
    client.update_name_server_config(&settings).await.unwrap();
    assert_eq!(conf().await, Some(entry.value.clone()));

    client.delete_kv(&entry.namespace, &entry.key).await.unwrap();
    assert_eq!(get().await, None);
}

#[tokio::test]
async fn settings_change_live() {
    let name_server = FakeNameServer::start(Version::V4_5_0).await.unwrap();
    let client = connect(&name_server.address()).await;
    client.update_name_server_config(&Properties::from_iter([("clusterTest", "true")])).await.unwrap();
    assert_eq!(client.name_server_config().await.unwrap().value.get("clusterTest"), Some("true"));

    let broker = broker(Version::V5_3_3, &[&name_server]).await;
    let client = connect(&broker.address()).await;
    let changes = Properties::from_iter([("namesrvAddr", "a:9876;b:9876"), ("brokerPermission", "4")]);
    let before = broker.data_version();
    client.update_broker_config(&changes).await.unwrap();
    assert_eq!(broker.live_list(), ["a:9876", "b:9876"]);
    assert_eq!(broker.data_version(), DataVersion { counter: before.counter + 1, ..before });
    let config = client.broker_config().await.unwrap().value;
    assert_eq!(config.settings.get("namesrvAddr"), Some("a:9876;b:9876"));
    assert_eq!(config.settings.get("brokerName"), Some("demo-0"));
    assert_eq!(config.data_version, Some(broker.data_version()));
}

#[tokio::test]
async fn a_broker_tells_its_work_topics_and_groups() {
    let broker = broker(Version::V4_5_0, &[]).await;
    let client = connect(&broker.address()).await;
    let info = client.runtime_info().await.unwrap();
    assert_eq!(info.version, Version::V4_5_0);
    assert!(info.value.boot_timestamp_millis().is_some());
    client.create_topic(&topic("created", 3)).await.unwrap();
    let table = client.all_topic_config().await.unwrap().value;
    assert_eq!(table, broker.topics());
    assert_eq!(table.topics["created"].write_queues, 3);
    let groups = client.subscription_groups().await.unwrap().value.groups;
    assert_eq!(groups["TOOLS_CONSUMER"]["retryMaxTimes"], 16);
}

#[tokio::test]
async fn a_broker_registers_after_a_while_with_what_it_then_has() {
    let name_server = FakeNameServer::start(Version::V4_5_0).await.unwrap();
    let broker = broker(Version::V4_5_0, &[&name_server]).await;
    broker.set_setting("brokerPermission", "4");
    broker.register_after(Duration::from_millis(30));
    broker.put_topic(topic("meanwhile", 1));
    name_server.until("the broker is there", |state| !state.listed().is_empty()).await.unwrap();
    let rows = name_server.routes().rows;
    assert!(rows.iter().any(|row| row.topic == "meanwhile"));
    assert!(rows.iter().all(|row| row.permission == Permission::READ.bits()));
}

#[tokio::test]
async fn fakes_can_hang_refuse_cut_connections_and_forget() {
    let name_server = FakeNameServer::start(Version::V5_3_3).await.unwrap();
    let broker = broker(Version::V5_3_3, &[&name_server]).await;
    broker.register().await;
    name_server.expire(&broker.address());
    assert!(name_server.listed().is_empty());

    let client = connect(&broker.address()).await;
    broker.refuse(RequestCode::GET_BROKER_CONFIG, Some(ResponseCode::SYSTEM_BUSY));
    let refused = client.broker_config().await.unwrap_err();
    assert_eq!(refused.response_code(), Some(ResponseCode::SYSTEM_BUSY));
    broker.refuse(RequestCode::GET_BROKER_CONFIG, None);
    client.broker_config().await.unwrap();

    broker.set_silent(true);
    let hasty = client.with_deadline(Duration::from_millis(50));
    assert!(hasty.runtime_info().await.unwrap_err().to_string().contains("did not answer"));
    broker.until("the request has come", |state| state.received().len() == 3).await.unwrap();
    assert_eq!(broker.received_of(RequestCode::GET_BROKER_RUNTIME_INFO).len(), 1);

    broker.close_connections();
    client.closed().await;
}

#[tokio::test]
async fn a_fake_that_is_stopped_can_be_started_again_at_its_address() {
    let name_server = FakeNameServer::start(Version::V4_5_0).await.unwrap();
    let broker = broker(Version::V4_5_0, &[]).await;
    assert!(broker.register_at(&[name_server.address()]).await.is_empty());
    let client = connect(&name_server.address()).await;

    let setup = BrokerSetup::master(Version::V4_5_0, "demo", "demo-0");
    let address = broker.stop().await;
    name_server.until("the broker is gone", |state| state.listed().is_empty()).await.unwrap();
    let again = FakeBroker::start_at(address, setup).await.unwrap();
    assert_eq!(again.address(), address.to_string());

    let address = name_server.stop().await;
    client.closed().await;
    let again = FakeNameServer::start_at(address, Version::V4_5_0).await.unwrap();
    assert!(connect(&again.address()).await.cluster_info().await.unwrap().value.is_empty());
}

#[tokio::test]
async fn both_serializations_are_read_and_the_fakes_own_is_written() {
    let broker = broker(Version::V4_5_0, &[]).await;
    for own in [Serialization::Json, Serialization::Binary] {
        broker.set_serialization(own);
        for serialization in [Serialization::Json, Serialization::Binary] {
            let mut stream = TcpStream::connect(broker.address()).await.unwrap();
            let mut header = Header::request(RequestCode::GET_ALL_TOPIC_CONFIG, Version::V4_5_0);
            header.opaque = 7;
            let request = Frame { serialization, header, body: Bytes::new() };
            stream.write_all(&request.encode().unwrap()).await.unwrap();
            let mut buffer = BytesMut::new();
            let answer = loop {
                if let Some(answer) = Frame::decode(&mut buffer).unwrap() {
                    break answer;
                }
                assert_ne!(stream.read_buf(&mut buffer).await.unwrap(), 0);
            };
            assert_eq!((answer.serialization, answer.header.opaque), (own, 7));
        }
        let table = connect(&broker.address()).await.all_topic_config().await.unwrap().value;
        assert_eq!(table, broker.topics());
    }
}

#[tokio::test]
async fn unknown_requests_are_treated_as_real_peers_do() {
    for version in BOTH {
        let name_server = FakeNameServer::start(version).await.unwrap();
        let client = connect(&name_server.address()).await.with_deadline(Duration::from_millis(100));
        let error = client.runtime_info().await.unwrap_err();
        let expected = version.is_5().then_some(ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        assert_eq!(error.response_code(), expected, "{error}");
    }
}
