//! What the CLI asks: the proof, the fence, and the answers.

use std::fs;
use std::time::Duration;

use agent::args::Service;
use agent::healthcheck;
use fakes::FakeNameServer;
use proto::pb;
use proto::proof::ClusterKey;
use rocketmq::model::kv::KvEntry;
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;
use rocketmq::remoting::request_code::RequestCode;
use tonic::Code;

use crate::served::{Served, fence, key, proved, with_key};
use crate::support::{Pod, broker_at, list, name_server, topic};

#[tokio::test]
async fn a_change_needs_a_proved_connection_and_a_fence_that_is_not_lower() {
    let version = Version::V5_3_3;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let pod = with_key(Pod::of_broker(&broker, Some(version)));
    pod.mount_list(1, &[&old]);
    let served = Served::start(&pod).await;
    let agent = &served.running.agent;
    served.running.until("the gate is open", || agent.gate.borrow().open).await;
    served.running.until("the broker answers", || agent.process.borrow().answers).await;
    let change = |number, generation, name_servers: &[&FakeNameServer]| pb::SetNameServersRequest {
        fence: fence(number),
        list: Some(list(generation, name_servers).into()),
    };
    let mut control = served.control();

    let unproved = control.set_name_servers(change(5, 2, &[&old, &new])).await.unwrap_err();
    assert_eq!(unproved.code(), Code::Unauthenticated);
    let forged =
        control.set_name_servers(proved(&"00".repeat(32), change(5, 2, &[&old, &new]))).await.unwrap_err();
    assert_eq!(forged.code(), Code::Unauthenticated);

    let token = served.prove(&key()).await.unwrap();
    let no_fence = pb::SetNameServersRequest { fence: None, ..change(5, 2, &[&old, &new]) };
    assert_eq!(
        control.set_name_servers(proved(&token, no_fence)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    let done =
        control.set_name_servers(proved(&token, change(5, 2, &[&old, &new]))).await.unwrap().into_inner();
    let list_now = done.list.unwrap();
    assert_eq!((list_now.file, list_now.live.len()), (vec![old.address(), new.address()], 2));
    assert_eq!(broker.live_list(), [old.address(), new.address()]);

    let lower = control.set_name_servers(proved(&token, change(4, 3, &[&old]))).await.unwrap_err();
    assert_eq!(
        (lower.code(), lower.message()),
        (Code::Aborted, "operation `op-4` has fence 4, but operation `op-5` came with 5")
    );
    let older = control.set_name_servers(proved(&token, change(6, 2, &[&old]))).await.unwrap_err();
    assert_eq!(older.code(), Code::FailedPrecondition);
    assert_eq!(served.running.agent.describe().highest_fence, 6);
}

#[tokio::test]
async fn a_broker_that_falls_silent_under_a_change_gets_the_list_later() {
    let version = Version::V5_3_3;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let pod = with_key(Pod::of_broker(&broker, Some(version)));
    pod.mount_list(1, &[&old]);
    let served = Served::start(&pod).await;
    let agent = &served.running.agent;
    served.running.until("the broker answers", || agent.process.borrow().answers).await;
    let token = served.prove(&key()).await.unwrap();

    broker.set_silent(true);
    let change = pb::SetNameServersRequest { fence: fence(1), list: Some(list(2, &[&old, &new]).into()) };
    let done = served.control().set_name_servers(proved(&token, change)).await.unwrap().into_inner();
    assert_eq!(done.list.unwrap().file, [old.address(), new.address()]);
    assert_eq!(broker.live_list(), [old.address()]);

    broker.set_silent(false);
    let both = [old.address(), new.address()];
    broker.until("the list is live", |state| state.live_list() == both).await.unwrap();
}

#[tokio::test]
async fn a_caller_with_another_key_is_refused_and_an_agent_without_key_takes_no_changes() {
    let server = name_server(Version::V5_3_3).await;
    let pod = with_key(Pod::of_name_server(&server));
    let served = Served::start(&pod).await;
    let other = ClusterKey::from_bytes([8; 32]).unwrap();
    assert_eq!(served.prove(&other).await.unwrap_err().code(), Code::Unauthenticated);
    let token = served.prove(&key()).await.unwrap();

    fs::remove_file(&pod.config.paths.key).unwrap();
    let change = pb::PutKvConfigRequest { fence: fence(1), entries: Vec::new() };
    let refused = served.control().put_kv_config(proved(&token, change)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("key is not mounted"), "{refused}");
    assert!(!served.inspect().describe(pb::DescribeRequest {}).await.unwrap().into_inner().has_key);
}

#[tokio::test]
async fn a_caller_of_another_protocol_is_told_both_ranges() {
    let server = name_server(Version::V5_3_3).await;
    let served = Served::start(&Pod::of_name_server(&server)).await;
    let protocol = Some(pb::ProtocolRange { lowest: 8, highest: 9 });
    let hello = pb::HelloRequest { caller_nonce: vec![0; 32], protocol };
    let refused = served.inspect().hello(hello).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("speaks protocol 1 to 1, the caller 8 to 9"), "{refused}");
}

#[tokio::test]
async fn reads_need_the_proof_only_with_host_network() {
    let server = name_server(Version::V5_3_3).await;
    let mut pod = with_key(Pod::of_name_server(&server));
    let open = Served::start(&pod).await;
    assert_eq!(open.inspect().describe(pb::DescribeRequest {}).await.unwrap().into_inner().pod_name, "pod-0");

    pod.config.host_network = true;
    let shared = Served::start(&pod).await;
    let refused = shared.inspect().describe(pb::DescribeRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let token = shared.prove(&key()).await.unwrap();
    shared.inspect().describe(proved(&token, pb::DescribeRequest {})).await.unwrap();
}

#[tokio::test]
async fn a_brokers_rows_and_facts_are_those_that_it_registers() {
    for version in [Version::V4_5_0, Version::V5_3_3] {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        for number in 0..1_500 {
            broker.put_topic(topic(&format!("topic-{number}"), 1));
        }
        broker.set_setting("brokerPermission", "4");
        assert!(broker.register().await.is_empty());
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&server]);
        let served = Served::start(&pod).await;
        served.running.until("the broker answers", || served.running.agent.process.borrow().answers).await;

        let mut chunks =
            served.inspect().broker_topics(pb::BrokerTopicsRequest {}).await.unwrap().into_inner();
        let first = chunks.message().await.unwrap().unwrap().broker.unwrap();
        assert_eq!(rocketmq::model::route::RegisteredBroker::from(first), broker.identity(), "{version}");
        let mut rows = Vec::new();
        while let Some(chunk) = chunks.message().await.unwrap() {
            rows.extend(chunk.rows.into_iter().map(rocketmq::model::route::TopicRow::from));
        }
        assert_eq!(rows, server.routes().rows, "{version}");

        let facts = served.inspect().broker_facts(pb::BrokerFactsRequest {}).await.unwrap().into_inner();
        let identity = broker.identity();
        assert_eq!((facts.broker_name, facts.address), (identity.broker_name, identity.address));
        assert_eq!((facts.version, facts.permission), (version.to_string(), Permission::READ.bits()));
        assert_eq!(facts.topics as usize, broker.topics().topics.len());
        let wrong = served.inspect().routes(pb::RoutesRequest::default()).await.unwrap_err();
        assert_eq!(wrong.code(), Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn a_name_servers_routes_come_whole_and_without_rows_if_asked() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let _broker = broker_at(version, &[&server]).await;
    let served = Served::start(&Pod::of_name_server(&server)).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    for brokers_only in [true, false] {
        let request = pb::RoutesRequest { brokers_only };
        let mut chunks = served.inspect().routes(request).await.unwrap().into_inner();
        let mut table = rocketmq::model::route::RouteTable::default();
        while let Some(chunk) = chunks.message().await.unwrap() {
            table.brokers.extend(chunk.brokers.into_iter().map(Into::into));
            table.rows.extend(chunk.rows.into_iter().map(Into::into));
        }
        let mut whole = server.routes();
        if brokers_only {
            whole.rows.clear();
        }
        assert_eq!(table, whole);
    }
}

#[tokio::test]
async fn kv_entries_are_put_and_read_back() {
    let server = name_server(Version::V5_3_3).await;
    let pod = with_key(Pod::of_name_server(&server));
    let served = Served::start(&pod).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    let token = served.prove(&key()).await.unwrap();
    let entry =
        KvEntry { namespace: "ORDER_TOPIC_CONFIG".into(), key: "orders".into(), value: "demo-0:4".into() };
    let change = pb::PutKvConfigRequest { fence: fence(1), entries: vec![entry.clone().into()] };
    served.control().put_kv_config(proved(&token, change)).await.unwrap();
    assert_eq!(server.kv(), [entry]);
    assert_eq!(server.received_of(RequestCode::GET_KV_CONFIG).len(), 1);
}

#[tokio::test]
async fn whoever_is_connected_to_the_name_server_is_named() {
    let server = name_server(Version::V5_3_3).await;
    let mut pod = Pod::of_name_server(&server);
    pod.config.paths.tcp_tables = ["/proc/net/tcp".into(), "/proc/net/tcp6".into()];
    let served = Served::start(&pod).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    let client = tokio::net::TcpStream::connect(server.socket_address()).await.unwrap();
    let answer = served.inspect().connections(pb::ConnectionsRequest {}).await.unwrap().into_inner();
    let own = client.local_addr().unwrap().to_string();
    assert!(answer.remote_addresses.contains(&own), "{own} in {:?}", answer.remote_addresses);
}

/// How long a probe waits here for what does not come.
const PATIENCE: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_pod_is_seen_to_be_ready_by_a_probe_that_began_before() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    let served = Served::start(&pod).await;
    let agent = &served.running.agent;
    let (ready, ()) =
        tokio::join!(healthcheck::check(Service::Ready, served.port, Duration::from_secs(20)), async {
            // As long as the gate is closed the first answer is no.
            let gate = healthcheck::check(Service::Startup, served.port, PATIENCE).await;
            assert!(gate.is_err() && !agent.gate.borrow().open);
            pod.mount_list(1, &[&server]);
        });
    assert!(ready.is_ok(), "{ready:?}");
}

#[tokio::test]
async fn probes_see_the_gate_rocketmq_and_the_agent() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    let served = Served::start(&pod).await;
    let until = async |service: Service, healthy: bool| {
        while healthcheck::check(service, served.port, PATIENCE).await.is_ok() != healthy {
            tokio::task::yield_now().await;
        }
    };
    until(Service::Live, true).await;
    until(Service::Startup, false).await;
    until(Service::Ready, false).await;
    pod.mount_list(1, &[&server]);
    until(Service::Startup, true).await;
    until(Service::Ready, true).await;
    drop(broker);
    until(Service::Ready, false).await;
    until(Service::Live, true).await;
    until(Service::Startup, true).await;
}
