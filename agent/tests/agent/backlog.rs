//! What somebody still wants of a broker, and brokers that are taken out of a name server's table.

use std::collections::BTreeMap;
use std::time::Duration;

use agent::name_servers::unregister::{UnregisterError, unregister};
use fakes::{BrokerSetup, FakeBroker, FakeNameServer, OnlineGroup};
use proto::describe::Backlog;
use proto::pb;
use rocketmq::metadata::{Entry, Subscription, registration_bytes};
use rocketmq::model::backlog::Kind;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::Map;
use tonic::{Code, Status};

use crate::served::{Served, fence, key, proved, with_key};
use crate::support::{Pod, VERSIONS, broker_at, name_server, topic};

/// `MessageStoreConfig.messageDelayLevel`, all tags.
const DELAYS: &str = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";

struct Draining {
    broker: FakeBroker,
    served: Served,
    _pod: Pod,
    _server: FakeNameServer,
}

impl Draining {
    async fn new(version: Version) -> Self {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        broker.set_setting("messageDelayLevel", DELAYS);
        broker.set_setting("brokerPermission", "4");
        for group in ["billing", "audit", "screens"] {
            broker.put(Entry::Group(group.into(), Map::new()));
        }
        for name in ["%RETRY%billing", "%DLQ%billing", "RMQ_SYS_TRACE_TOPIC", "rmq_sys_REVIVE_LOG_demo"] {
            broker.put(Entry::Topic(of_broker(name, 1)));
        }
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&server]);
        let served = Served::start(&pod).await;
        served.running.until("the broker answers", || served.running.agent.process.borrow().answers).await;
        Self { broker, served, _pod: pod, _server: server }
    }

    async fn ask(&self) -> Result<Backlog, Status> {
        let answer = self.served.inspect().backlog(pb::BacklogRequest {}).await?.into_inner();
        Ok(Backlog::try_from(answer).unwrap())
    }

    /// The rows as text, when all of it is known.
    async fn rows(&self) -> Vec<String> {
        let backlog = self.ask().await.unwrap();
        assert_eq!(backlog.unknown, Vec::<String>::new());
        assert_eq!(backlog.permission, 4);
        backlog
            .rows
            .iter()
            .map(|row| {
                let kind = row.kind.word();
                let who = if row.offline { "offline".to_owned() } else { row.clients.join(",") };
                format!("{kind} {}@{} {} [{who}] {}", row.topic, row.group, row.messages, row.detail)
            })
            .map(|row| row.trim_end().to_owned())
            .collect()
    }

    fn offsets(&self, key: &str, queues: &[(u32, i64)]) {
        let pair = Subscription::from_key(key).unwrap();
        self.broker.put(Entry::Offsets(pair, queues.iter().copied().collect()));
    }

    fn online(&self, group: &str, topics: &[&str], broadcasting: bool) {
        let subscriptions = topics.iter().map(|topic| ((*topic).to_owned(), "*".to_owned())).collect();
        let members = BTreeMap::from([(format!("{group}-1"), None)]);
        self.broker.set_online(
            group,
            Some(OnlineGroup { subscriptions, broadcasting, members, ..OnlineGroup::default() }),
        );
    }
}

/// A topic whose name users cannot give.
fn of_broker(name: &str, queues: u32) -> TopicConfig {
    TopicConfig { topic_name: name.to_owned(), ..topic("any", queues) }
}

#[tokio::test]
async fn each_kind_is_a_row_until_it_is_drained() {
    for version in VERSIONS {
        let it = Draining::new(version).await;
        assert_eq!(it.rows().await, Vec::<String>::new(), "{version}");

        // Nobody knows of any group that reads it.
        it.broker.set_queue("orders", 0, 2, 10);
        assert_eq!(it.rows().await, Vec::<String>::new());
        it.offsets("orders@billing", &[(0, 7)]);
        assert_eq!(it.rows().await, ["unread orders@billing 3 [offline]"]);
        it.online("billing", &["%RETRY%billing"], false);
        let unwanted = "unread orders@billing 3 [billing-1@127.0.0.1:40000] no member subscribes to it";
        assert_eq!(it.rows().await, [unwanted]);
        it.online("billing", &["orders", "%RETRY%billing"], false);
        assert_eq!(it.rows().await, ["unread orders@billing 3 [billing-1@127.0.0.1:40000]"]);
        it.offsets("orders@billing", &[(0, 10)]);
        assert_eq!(it.rows().await, Vec::<String>::new());

        // Subscribed to, and no offset yet; then a queue that the topic does not have any more.
        it.online("audit", &["orders"], false);
        assert_eq!(it.rows().await, ["unread orders@audit 8 [audit-1@127.0.0.1:40000]"]);
        it.offsets("orders@audit", &[(0, 10), (6, 1)]);
        it.broker.set_queue("orders", 6, 0, 3);
        let beyond = [
            "unread orders@audit 2 [audit-1@127.0.0.1:40000]",
            "unread orders@billing 3 [billing-1@127.0.0.1:40000]",
        ];
        assert_eq!(it.rows().await, beyond);
        it.offsets("orders@audit", &[(6, 3)]);
        it.offsets("orders@billing", &[(6, 3)]);
        it.broker.set_online("billing", None);

        // Retries belong to the group of their name, without any offset.
        it.broker.set_queue("%RETRY%billing", 0, 0, 1);
        assert_eq!(it.rows().await, ["retry %RETRY%billing@billing 1 [offline]"]);
        it.offsets("%RETRY%billing@billing", &[(0, 1)]);
        it.broker.put(Entry::Topic(of_broker("%RETRY%billing_orders", 1)));
        it.broker.set_queue("%RETRY%billing_orders", 0, 0, 2);
        assert_eq!(it.rows().await, ["retry %RETRY%billing_orders@billing 2 [offline]"]);
        it.offsets("%RETRY%billing_orders@billing", &[(0, 2)]);

        // A level that never delivered has no offset.
        it.broker.set_queue("SCHEDULE_TOPIC_XXXX", 16, 0, 2);
        assert_eq!(it.rows().await, ["delayed SCHEDULE_TOPIC_XXXX@ 2 [] level 17 (1h)"]);
        it.broker.set_delivered(17, 2);

        it.broker.set_queue("RMQ_SYS_TRANS_HALF_TOPIC", 0, 0, 4);
        let half = |left| {
            let row = "half RMQ_SYS_TRANS_HALF_TOPIC@CID_RMQ_SYS_TRANS";
            format!("{row} {left} [] transactions without an end")
        };
        assert_eq!(it.rows().await, [half(4)]);
        it.offsets("RMQ_SYS_TRANS_HALF_TOPIC@CID_RMQ_SYS_TRANS", &[(0, 3)]);
        assert_eq!(it.rows().await, [half(1)]);
        it.offsets("RMQ_SYS_TRANS_HALF_TOPIC@CID_RMQ_SYS_TRANS", &[(0, 4)]);

        it.broker.set_queue("rmq_sys_REVIVE_LOG_demo", 0, 0, 6);
        let pop =
            "pop rmq_sys_REVIVE_LOG_demo@CID_RMQ_SYS_REVIVE_GROUP 6 [] not acknowledged, or not settled yet";
        assert_eq!(it.rows().await, [pop]);
        it.offsets("rmq_sys_REVIVE_LOG_demo@CID_RMQ_SYS_REVIVE_GROUP", &[(0, 6)]);

        it.broker.set_queue("%LMQ%device", 0, 0, 5);
        it.offsets("%LMQ%device@audit", &[(0, 1)]);
        assert_eq!(it.rows().await, ["lmq %LMQ%device@audit 4 [audit-1@127.0.0.1:40000]"]);
        it.offsets("%LMQ%device@audit", &[(0, 5)]);

        // Whatever a group that keeps its offsets itself has stored is of another time.
        it.broker.set_queue("payments", 0, 0, 9);
        it.offsets("payments@screens", &[(0, 1)]);
        it.online("screens", &["payments"], true);
        let broadcast = "broadcast payments@screens 0 [screens-1@127.0.0.1:40000] its members keep their offsets themselves";
        assert_eq!(it.rows().await, [broadcast]);
        it.broker.set_online("screens", None);
        it.offsets("payments@screens", &[(0, 9)]);

        it.broker.set_queue("%DLQ%billing", 0, 3, 5);
        assert_eq!(it.rows().await, ["dead-letter %DLQ%billing@billing 2 []"]);
        it.broker.set_queue("%DLQ%billing", 0, 5, 5);

        // Of no interest to anybody.
        it.broker.set_queue("RMQ_SYS_TRACE_TOPIC", 0, 0, 99);
        it.offsets("RMQ_SYS_TRACE_TOPIC@billing", &[(0, 1)]);
        it.offsets("orders@TOOLS_CONSUMER", &[(0, 1)]);
        assert_eq!(it.rows().await, Vec::<String>::new(), "{version}");
    }
}

#[tokio::test]
async fn the_timer_wheel_is_a_row_of_the_larger_count() {
    let it = Draining::new(Version::V5_3_3).await;
    let row = |messages: u64, topics: &str| {
        [format!("timer rmq_sys_wheel_timer@ {messages} [] {topics}").trim_end().to_owned()]
    };
    let timed = BTreeMap::from([("orders".to_owned(), 3), ("payments".to_owned(), 4)]);
    it.broker.set_timer(timed, 3, 0);
    assert_eq!(it.rows().await, row(7, "payments 4, orders 3"));
    it.broker.set_timer(BTreeMap::new(), 3, 2);
    assert_eq!(it.rows().await, row(5, ""));
    it.broker.set_timer(BTreeMap::new(), 0, -1);
    assert_eq!(it.rows().await, Vec::<String>::new());
    it.broker.set_setting("timerWheelEnable", "false");
    assert_eq!(it.rows().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_was_written_is_what_clients_sent() {
    for version in VERSIONS {
        let it = Draining::new(version).await;
        let before = it.ask().await.unwrap();
        for (name, max) in [
            ("%RETRY%billing", 7),
            ("%DLQ%billing", 8),
            ("RMQ_SYS_TRACE_TOPIC", 9),
            ("SCHEDULE_TOPIC_XXXX", 1),
        ] {
            it.broker.set_queue(name, 0, 0, max);
        }
        assert_eq!(it.ask().await.unwrap().written, before.written, "{version}");
        it.broker.set_queue("orders", 3, 5, 20);
        it.broker.set_queue("payments", 0, 1, 1);
        assert_eq!(it.ask().await.unwrap().written, before.written + 21, "{version}");
        assert!(before.boot_timestamp_millis > 0);
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_unknown_and_the_rest_is_told() {
    let it = Draining::new(Version::V5_3_3).await;
    it.broker.set_queue("orders", 0, 0, 10);
    it.broker.set_queue("SCHEDULE_TOPIC_XXXX", 0, 0, 2);
    it.offsets("orders@billing", &[(0, 7)]);
    for (code, what, rows) in [
        (RequestCode::GET_TOPIC_STATS_INFO, "topic `orders`: ", &[Kind::Delayed][..]),
        (RequestCode::GET_ALL_CONSUMER_OFFSET, "the offsets of groups: ", &[Kind::Delayed]),
        (RequestCode::GET_ALL_TOPIC_CONFIG, "the topics: ", &[Kind::Delayed]),
        (
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
            "the subscription groups: ",
            &[Kind::Unread, Kind::Delayed],
        ),
        (RequestCode::GET_CONSUMER_CONNECTION_LIST, "group `billing`: ", &[Kind::Unread, Kind::Delayed]),
        (RequestCode::GET_ALL_DELAY_OFFSET, "the offsets of delay levels: ", &[Kind::Unread]),
        (RequestCode::GET_MAX_OFFSET, "delay level 1 (1s): ", &[Kind::Unread]),
        (RequestCode::GET_TIMER_METRICS, "the timer wheel: ", &[Kind::Unread, Kind::Delayed]),
    ] {
        it.broker.refuse(code, Some(ResponseCode::SYSTEM_BUSY));
        let backlog = it.ask().await.unwrap();
        let told =
            backlog.unknown.iter().any(|words| words.starts_with(what) && words.contains("system busy"));
        assert!(told, "{code}: {:?}", backlog.unknown);
        let kinds: Vec<Kind> = backlog.rows.iter().map(|row| row.kind).collect();
        assert_eq!(kinds, rows, "{code}");
        it.broker.refuse(code, None);
    }
    // Who is connected is not known then, which is not the same as nobody.
    it.broker.refuse(RequestCode::GET_CONSUMER_CONNECTION_LIST, Some(ResponseCode::SYSTEM_BUSY));
    assert!(!it.ask().await.unwrap().rows[0].offline);
    it.broker.refuse(RequestCode::GET_CONSUMER_CONNECTION_LIST, None);

    for setting in ["popConsumerKVServiceEnable", "transRocksDBEnable"] {
        it.broker.set_setting(setting, "true");
        let unknown = it.ask().await.unwrap().unknown;
        assert!(unknown.len() == 1 && unknown[0].contains(setting), "{unknown:?}");
        it.broker.set_setting(setting, "false");
    }
}

#[tokio::test]
async fn a_look_that_is_of_two_processes_or_two_permissions_is_none() {
    let it = Draining::new(Version::V5_3_3).await;
    it.broker.reboot_after(RequestCode::GET_TOPIC_STATS_INFO);
    let refused = it.ask().await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "the broker restarted meanwhile"));
    assert_eq!(it.rows().await, Vec::<String>::new(), "the next look is of one process again");

    it.broker.set_after(RequestCode::GET_TOPIC_STATS_INFO, "brokerPermission", "6");
    let refused = it.ask().await.unwrap_err();
    assert_eq!(refused.message(), "the broker's permission changed from R-- to RW- meanwhile");
}

#[tokio::test]
async fn a_slave_and_a_name_server_have_no_backlog() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let slave = BrokerSetup { broker_id: 1, ..BrokerSetup::master(version, "demo", "demo-0") };
    let broker = FakeBroker::start(slave).await.unwrap();
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&server]);
    for pod in [pod, Pod::of_name_server(&server)] {
        let served = Served::start(&pod).await;
        served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
        let refused = served.inspect().backlog(pb::BacklogRequest {}).await.unwrap_err();
        assert_eq!(refused.code(), Code::FailedPrecondition, "{refused}");
    }
}

#[tokio::test]
async fn a_long_list_of_clients_is_cut() {
    let it = Draining::new(Version::V5_3_3).await;
    it.broker.set_queue("orders", 0, 0, 1);
    let members = (0..30).map(|number| (format!("c{number:02}"), None)).collect();
    let subscriptions = BTreeMap::from([("orders".to_owned(), "*".to_owned())]);
    it.broker.set_online("billing", Some(OnlineGroup { subscriptions, members, ..OnlineGroup::default() }));
    let clients = it.ask().await.unwrap().rows.remove(0).clients;
    assert_eq!((clients.len(), clients[0].as_str()), (21, "c00@127.0.0.1:40000"));
    assert_eq!(clients[20], "and 10 more");
}

#[tokio::test]
async fn facts_tell_how_much_is_replicated_and_registered() {
    for broker_id in [0, 1] {
        let version = Version::V5_3_3;
        let server = name_server(version).await;
        let mut setup = BrokerSetup { broker_id, ..BrokerSetup::master(version, "demo", "demo-0") };
        setup.topics = vec![topic("orders", 4)];
        let broker = FakeBroker::start(setup).await.unwrap();
        broker.set_commit_log_max_offset(1 << 40);
        let pod = Pod::of_broker(&broker, Some(version));
        pod.mount_list(1, &[&server]);
        let served = Served::start(&pod).await;
        served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
        let facts = served.inspect().broker_facts(pb::BrokerFactsRequest {}).await.unwrap().into_inner();
        assert_eq!(facts.commit_log_max_offset, 1 << 40);
        let whole = registration_bytes(broker.topics().topics.values());
        assert_eq!(facts.registration_bytes, if broker_id == 0 { whole } else { 0 });
    }
}

fn request(brokers: &[RegisteredBroker]) -> pb::UnregisterBrokersRequest {
    pb::UnregisterBrokersRequest {
        fence: fence(1),
        brokers: brokers.iter().cloned().map(Into::into).collect(),
    }
}

#[tokio::test]
async fn brokers_that_are_gone_leave_the_table_and_others_stay() {
    for version in VERSIONS {
        let server = name_server(version).await;
        let gone = broker_at(version, &[&server]).await;
        let mut other = BrokerSetup::master(version, "demo", "demo-1");
        other.topics = vec![topic("orders", 4)];
        other.settings.set("namesrvAddr", server.address());
        let other = FakeBroker::start(other).await.unwrap();
        assert!(other.register().await.is_empty());
        let pod = with_key(Pod::of_name_server(&server));
        let served = Served::start(&pod).await;
        served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
        let loaded = || *served.running.agent.loaded.borrow();
        served.running.until("the state is loaded", loaded).await;

        let moved = RegisteredBroker { address: "10.0.0.9:10911".into(), ..other.identity() };
        let request = request(&[gone.identity(), moved]);
        let unproved = served.control().unregister_brokers(request.clone()).await.unwrap_err();
        assert_eq!(unproved.code(), Code::Unauthenticated);
        let token = served.prove(&key()).await.unwrap();
        // What is done already is done again without harm.
        for _ in 0..2 {
            served.control().unregister_brokers(proved(&token, request.clone())).await.unwrap();
            assert_eq!(server.routes().brokers, [other.identity()], "{version}");
        }
        assert_eq!(server.received_of(RequestCode::UNREGISTER_BROKER).len(), 1);
    }
}

#[tokio::test]
async fn a_broker_that_stays_in_the_table_is_an_error() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    // It says that it will do it later, and does not.
    server.refuse(RequestCode::UNREGISTER_BROKER, Some(ResponseCode::SUCCESS));
    let client = Client::connect(&server.address(), Duration::from_secs(10)).await.unwrap();
    let left = unregister(&client, &[broker.identity()], Duration::ZERO).await.unwrap_err();
    let words = left.to_string();
    assert!(matches!(left, UnregisterError::StillListed(..)));
    assert!(words.starts_with("`demo-0` with id 0 at 127.0.0.1:"), "{words}");
}

#[tokio::test]
async fn nothing_is_unregistered_beside_a_broker() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = with_key(Pod::of_broker(&broker, Some(version)));
    pod.mount_list(1, &[&server]);
    let served = Served::start(&pod).await;
    served.running.until("it answers", || served.running.agent.process.borrow().answers).await;
    let token = served.prove(&key()).await.unwrap();
    let refused =
        served.control().unregister_brokers(proved(&token, request(&[broker.identity()]))).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(server.routes().brokers, [broker.identity()]);
}
