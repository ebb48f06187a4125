//! Metadata out of a running broker, and who reads it.

use std::collections::{BTreeMap, BTreeSet};

use fakes::{BrokerSetup, FakeBroker, FakeNameServer, OnlineGroup, Received};
use proto::pb;
use rocketmq::metadata::{Entry, Metadata, Origin, Subscription, Table, bundle, registration_bytes};
use rocketmq::model::route::MessageQueue;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::request_code::RequestCode;
use serde_json::json;
use tonic::Code;

use crate::caller::{Caller, sha256};
use crate::served::{fence, proved, with_key};
use crate::support::{Pod, VERSIONS, broker_at, name_server, topic};

/// A running broker with a bit of everything, and its agent.
struct Source {
    broker: FakeBroker,
    pod: Pod,
    caller: Caller,
    _server: FakeNameServer,
}

impl Source {
    async fn new(version: Version) -> Self {
        let server = name_server(version).await;
        let broker = broker_at(version, &[&server]).await;
        let mut ordered = topic("ledger", 1);
        ordered.rest.insert("order".into(), json!(true));
        let uneven = TopicConfig { write_queues: 2, ..topic("uneven", 6) };
        for entry in [ordered, uneven, topic("%RETRY%billing", 1)] {
            broker.put(Entry::Topic(entry));
        }
        for group in ["billing", "TOOLS_CONSUMER"] {
            let fields = json!({"groupName": group, "retryMaxTimes": 3});
            broker.put(Entry::Group(group.into(), fields.as_object().unwrap().clone()));
        }
        if version.is_5() {
            broker.put(Entry::Forbidden("billing".into(), json!({"payments": 4})));
            let mode =
                json!({"topic": "orders", "consumerGroup": "billing", "mode": "POP", "popShareQueueNum": 0});
            let mode = mode.as_object().unwrap().clone();
            broker.put(Entry::RequestMode(pair("orders", "billing"), mode));
        }
        for (topic, group) in [("orders", "billing"), ("gone", "billing"), ("orders", "TOOLS_CONSUMER")] {
            broker.put(Entry::Offsets(pair(topic, group), [(0, 70), (1, 80)].into()));
        }
        let pod = with_key(Pod::of_broker(&broker, Some(version)));
        pod.mount_list(1, &[&server]);
        let caller = Caller::of(&pod).await;
        caller.until_answers().await;
        Self { broker, pod, caller, _server: server }
    }

    fn origin(&self) -> Origin {
        let identity = self.broker.identity();
        let version = self.caller.served.running.agent.process.borrow().version.unwrap();
        Origin { cluster: identity.cluster, broker_name: identity.broker_name, version }
    }
}

fn pair(topic: &str, group: &str) -> Subscription {
    Subscription { topic: topic.into(), group: group.into() }
}

#[tokio::test]
async fn a_sanitised_export_is_what_another_broker_shall_have_with_offset_0_for_each_queue() {
    for version in VERSIONS {
        for include_ordered in [false, true] {
            let source = Source::new(version).await;
            let seeds = [
                pair("%RETRY%billing", "billing"),
                pair("%RETRY%shipping", "shipping"),
                pair("gone", "billing"),
                pair("ledger", "billing"),
                pair("orders", "billing"),
                pair("uneven", "billing"),
            ];
            let prepared = source.caller.prepare(true, include_ordered, &seeds).await.unwrap();
            let bytes = source.caller.read(&prepared.bundle.sha256, 0).await.unwrap();
            assert_eq!((sha256(&bytes), bytes.len() as u64), (prepared.bundle.sha256, prepared.bundle.bytes));

            let (manifest, exported) = bundle::read(bytes.as_slice()).unwrap();
            assert!(manifest.sanitised);
            let (mut expected, left_out) =
                source.broker.metadata().sanitised(&source.origin(), include_ordered);
            let zeros = |queues: u32| (0..queues).map(|queue| (queue, 0)).collect::<BTreeMap<_, _>>();
            expected.offsets = [
                (pair("%RETRY%billing", "billing"), zeros(1)),
                (pair("%RETRY%shipping", "shipping"), zeros(1)),
                (pair("orders", "billing"), zeros(4)),
                (pair("uneven", "billing"), zeros(6)),
            ]
            .into();
            if include_ordered {
                expected.offsets.insert(pair("ledger", "billing"), zeros(1));
            }
            assert_eq!(exported, expected, "{version}");
            assert_eq!(prepared.ordered_topics, left_out);
            assert_eq!(left_out.is_empty(), include_ordered);
            let digests = expected.digests();
            assert_eq!(prepared.bundle.topics, digests.topics);
            assert_eq!(prepared.bundle.groups, digests.groups);
            assert_eq!(prepared.bundle.request_modes, digests.request_modes);
            assert_eq!(prepared.bundle.offsets, expected.offsets.len() as u64);
            assert_eq!(prepared.bundle.registration_bytes, registration_bytes(expected.topics.values()));
            assert_eq!((prepared.cluster.as_str(), prepared.broker_name.as_str()), ("demo", "demo-0"));
            assert_eq!(prepared.version, version.ordinal());
        }
    }
}

#[tokio::test]
async fn a_raw_export_is_everything_as_it_is() {
    for version in VERSIONS {
        let source = Source::new(version).await;
        let prepared = source.caller.prepare(false, false, &[]).await.unwrap();
        let bytes = source.caller.read(&prepared.bundle.sha256, 0).await.unwrap();
        let (manifest, exported) = bundle::read(bytes.as_slice()).unwrap();
        assert!(!manifest.sanitised);
        assert_eq!(exported, source.broker.metadata(), "{version}");
        let seeds = [pair("orders", "billing")];
        let refused = source.caller.prepare(false, false, &seeds).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}

#[tokio::test]
async fn a_bundle_is_read_from_any_byte_on_also_in_the_agents_next_life_until_another_takes_its_place() {
    let source = Source::new(Version::V5_3_3).await;
    let first = source.caller.prepare(true, false, &[]).await.unwrap().bundle.sha256;
    let whole = source.caller.read(&first, 0).await.unwrap();
    assert_eq!(source.caller.read(&first, 700).await.unwrap(), whole[700..]);
    assert_eq!(source.caller.read(&first, whole.len() as u64).await.unwrap(), b"");
    let Source { caller, pod, broker, .. } = source;
    drop(caller);

    let caller = Caller::of(&pod).await;
    caller.until_answers().await;
    assert_eq!(caller.read(&first, 0).await.unwrap(), whole);
    broker.put_topic(topic("later", 1));
    let second = caller.prepare(true, false, &[]).await.unwrap().bundle.sha256;
    assert_ne!(first, second);
    assert_eq!(caller.read(&first, 0).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(caller.read("../state.json", 0).await.unwrap_err().code(), Code::InvalidArgument);
    let names = agent::atomic_file::names_in(pod.config.paths.state_folder()).unwrap();
    assert_eq!(names, [format!("export.{second}.tar").as_str(), "state.json"]);
}

#[tokio::test]
async fn pairs_that_come_twice_or_in_disorder_are_refused_and_nothing_is_left() {
    let source = Source::new(Version::V5_3_3).await;
    for seeds in [
        [pair("orders", "billing"), pair("orders", "billing")],
        [pair("payments", "billing"), pair("orders", "billing")],
    ] {
        let refused = source.caller.prepare(true, false, &seeds).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("the pairs are not in order: `orders@billing`"), "{refused}");
        let names = agent::atomic_file::names_in(source.pod.config.paths.state_folder()).unwrap();
        assert_eq!(names, ["state.json"]);
    }
}

/// The moment that a `dataVersion` tells, in its 13 digits.
fn written_at(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let (_, rest) = text.split_once("\"timestamp\":").unwrap();
    rest[..13].to_owned()
}

#[tokio::test]
async fn who_only_looks_gets_what_a_bundle_would_hold_and_nothing_is_written() {
    for version in VERSIONS {
        let source = Source::new(version).await;
        let (caller, folder) = (&source.caller, source.pod.config.paths.state_folder());
        let names = || agent::atomic_file::names_in(folder).unwrap();
        let seeds = [pair("%RETRY%billing", "billing"), pair("orders", "billing")];
        for (sanitised, ordered, seeds) in [(true, false, &seeds[..]), (true, true, &[]), (false, true, &[])]
        {
            let options = pb::ExportOptions { sanitised, ordered };
            let before = names();
            let (mut files, summary) = caller.read_tables(options, seeds, false).await;
            let (none, alone) = caller.read_tables(options, seeds, true).await;
            assert_eq!(names(), before);
            assert_eq!((none, &alone), (BTreeMap::new(), &summary));

            let prepared = caller.prepare(sanitised, ordered, seeds).await.unwrap();
            let spooled = caller.read(&prepared.bundle.sha256, 0).await.unwrap();
            let (own, theirs) = (written_at(&files[&Table::Topics]), written_at(&spooled));
            for file in files.values_mut() {
                *file = String::from_utf8(file.split_off(0)).unwrap().replace(&own, &theirs).into();
            }
            let mut packed = Vec::new();
            bundle::pack(&mut packed, &source.origin(), sanitised, &files).unwrap();
            assert!(packed == spooled, "{version} {options:?}");
            let mut expected = prepared.clone();
            (expected.bundle.sha256, expected.bundle.bytes) = (String::new(), 0);
            assert_eq!(summary, expected);
        }
        assert_eq!(names().len(), 2, "the state and the last bundle: {:?}", names());
    }
}

#[tokio::test]
async fn a_bundle_that_is_being_brought_to_others_stays_whoever_looks_meanwhile() {
    let source = Source::new(Version::V5_3_3).await;
    let sha256 = source.caller.prepare(true, false, &[]).await.unwrap().bundle.sha256;
    let whole = source.caller.read(&sha256, 0).await.unwrap();
    source.broker.put_topic(topic("later", 1));
    for only_summary in [true, false] {
        let options = pb::ExportOptions { sanitised: false, ordered: true };
        source.caller.read_tables(options, &[], only_summary).await;
    }
    assert_eq!(source.caller.read(&sha256, 700).await.unwrap(), whole[700..]);
}

#[tokio::test]
async fn a_bundle_is_written_for_a_proved_operation_with_the_highest_fence_alone() {
    let source = Source::new(Version::V5_3_3).await;
    let (caller, mut control) = (&source.caller, source.caller.served.control());
    let request = |number| {
        let options = Some(pb::ExportOptions { sanitised: true, ordered: false });
        futures::stream::iter([pb::PrepareExportRequest {
            options,
            fence: number,
            subscriptions: Vec::new(),
        }])
    };
    let unproved = control.prepare_export(request(fence(2))).await.unwrap_err();
    assert_eq!(unproved.code(), Code::Unauthenticated);
    let unfenced = control.prepare_export(proved(&caller.token, request(None))).await.unwrap_err();
    assert_eq!(unfenced.code(), Code::InvalidArgument);
    control.prepare_export(proved(&caller.token, request(fence(2)))).await.unwrap();
    let late = control.prepare_export(proved(&caller.token, request(fence(1)))).await.unwrap_err();
    assert_eq!(late.code(), Code::Aborted);
}

#[tokio::test]
async fn a_new_broker_starts_with_exactly_what_was_exported() {
    for version in VERSIONS {
        let source = Source::new(version).await;
        let seeds = [pair("orders", "billing")];
        let prepared = source.caller.prepare(true, false, &seeds).await.unwrap();
        let bytes = source.caller.read(&prepared.bundle.sha256, 0).await.unwrap();

        let placeholder = broker_at(version, &[]).await;
        let mut pod = with_key(Pod::of_broker(&placeholder, Some(version)));
        pod.config.awaited_metadata = Some("1a2b3c4d".parse().unwrap());
        pod.mount_list(1, &[&source._server]);
        let caller = Caller::of(&pod).await;
        let sha256 = caller.send_all(&bytes).await;
        caller.commit("1a2b3c4d", &sha256, pb::commit_metadata_request::OldData::Refuse).await.unwrap();
        caller.until_open().await;

        let mut setup = BrokerSetup::master(version, "demo", "demo-1");
        setup.config = Some(pod.config.paths.store_configuration());
        let started = FakeBroker::start(setup).await.unwrap();
        let origin = Origin { broker_name: "demo-1".into(), ..source.origin() };
        let (has, _) = started.metadata().sanitised(&origin, true);
        let (_, exported) = bundle::read(bytes.as_slice()).unwrap();
        assert_eq!(has, exported, "{version}");
    }
}

#[tokio::test]
async fn subscriptions_are_those_with_offsets_and_those_of_groups_that_are_online() {
    for version in VERSIONS {
        let source = Source::new(version).await;
        for number in 0..3_000 {
            source.broker.put(Entry::Offsets(pair(&format!("topic-{number}"), "billing"), [(0, 1)].into()));
        }
        let subscriptions = ["payments", "%RETRY%billing"].map(|topic| (topic.to_owned(), "*".to_owned()));
        let online = OnlineGroup { subscriptions: subscriptions.into(), ..OnlineGroup::default() };
        source.broker.set_online("billing", Some(online));
        let mut pieces = source
            .caller
            .served
            .inspect()
            .subscriptions(pb::SubscriptionsRequest {})
            .await
            .unwrap()
            .into_inner();
        let mut found = BTreeSet::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            found.extend(piece.subscriptions.into_iter().map(Subscription::from));
        }
        let Metadata { offsets, .. } = source.broker.metadata();
        let mut expected: BTreeSet<_> = offsets.into_keys().collect();
        assert_eq!(expected.len(), 3_003);
        expected.extend([pair("payments", "billing"), pair("%RETRY%billing", "billing")]);
        assert_eq!(found, expected, "{version}");
    }
}

fn holding(client: &str, queues: &[(&str, u32)]) -> proto::describe::Holding {
    let queues_by_broker = queues.iter().map(|(broker, queues)| ((*broker).to_owned(), *queues)).collect();
    proto::describe::Holding { client: client.to_owned(), queues_by_broker }
}

#[tokio::test]
async fn consumers_tell_which_queues_of_this_broker_nobody_holds() {
    for version in VERSIONS {
        let source = Source::new(version).await;
        let queue = |broker_name: &str, queue_id| MessageQueue {
            topic: "orders".into(),
            broker_name: broker_name.into(),
            queue_id,
        };
        let group = |members: &[(&str, Option<Vec<MessageQueue>>)], broadcasting| OnlineGroup {
            subscriptions: [("orders".to_owned(), "*".to_owned()), ("elsewhere".to_owned(), "*".to_owned())]
                .into(),
            broadcasting,
            pulls: false,
            members: members.iter().map(|(id, held)| ((*id).to_owned(), held.clone())).collect(),
        };
        let ask = async || -> Vec<proto::describe::OnlineGroup> {
            let answer =
                source.caller.served.inspect().consumers(pb::ConsumersRequest::default()).await.unwrap();
            answer.into_inner().groups.into_iter().map(Into::into).collect()
        };
        assert_eq!(ask().await, [], "nobody is online");

        let (one, other) = (vec![queue("demo-0", 0), queue("demo-1", 1)], vec![queue("demo-0", 2)]);
        let half = group(&[("one", Some(one)), ("other", Some(other)), ("silent", None)], false);
        source.broker.set_online("billing", Some(half));
        // What nobody says to hold may be held all the same by those who say of which queues they know an offset.
        let silent: &[&str] =
            if version.waits_on_callbacks() { &["one", "other", "silent"] } else { &["silent"] };
        let expected = proto::describe::OnlineGroup {
            group: "billing".into(),
            clients: ["one", "other", "silent"].map(str::to_owned).into(),
            silent_clients: silent.iter().map(|id| (*id).to_owned()).collect(),
            unheld_queues: vec!["orders:1".into(), "orders:3".into()],
            holdings: vec![
                holding("one", &[("demo-0", 1), ("demo-1", 1)]),
                holding("other", &[("demo-0", 1)]),
            ],
        };
        assert_eq!(ask().await, [expected], "{version}");

        let all: Vec<_> = (0..4).map(|id| queue("demo-0", id)).collect();
        source.broker.set_online("billing", Some(group(&[("one", Some(all.clone()))], false)));
        assert_eq!(ask().await[0].unheld_queues, [""; 0]);

        let broadcasting = group(&[("one", Some(vec![queue("demo-0", 0)])), ("silent", None)], true);
        source.broker.set_online("billing", Some(broadcasting));
        let told = &ask().await[0];
        assert_eq!(
            (&told.unheld_queues[..], &told.silent_clients[..]),
            (&[][..], &["silent".to_owned()][..])
        );
        assert_eq!(told.holdings, [holding("one", &[("demo-0", 1)])]);

        // Pull consumers answer, but with an empty table, whatever they read.
        let pulls = group(&[("one", Some(Vec::new())), ("other", Some(all))], false);
        source.broker.set_online("billing", Some(OnlineGroup { pulls: true, ..pulls }));
        let told = &ask().await[0];
        assert_eq!(told.silent_clients, ["one"]);
        assert_eq!(told.holdings, [holding("other", &[("demo-0", 4)])]);
        source.broker.set_online("billing", Some(group(&[("idle", Some(Vec::new()))], false)));
        assert_eq!(ask().await[0].holdings, [holding("idle", &[])]);
    }
}

/// Clients of Java wait with the threads of their callbacks from 5.2.0 on, and are asked what they have in memory.
#[tokio::test]
async fn client_that_does_not_answer_is_asked_about_one_group_and_then_left_alone() {
    let (queues, offsets) =
        (RequestCode::GET_CONSUMER_RUNNING_INFO, RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS);
    for (version, code, other) in [(Version::V4_9_4, queues, offsets), (Version::V5_2_0, offsets, queues)] {
        let source = Source::new(version).await;
        let group = OnlineGroup {
            subscriptions: [("orders".to_owned(), "*".to_owned())].into(),
            broadcasting: true,
            members: [("silent".to_owned(), None), ("one".to_owned(), Some(Vec::new()))].into(),
            ..OnlineGroup::default()
        };
        let audit = json!({"groupName": "audit"}).as_object().unwrap().clone();
        source.broker.put(Entry::Group("audit".into(), audit));
        for name in ["audit", "billing"] {
            source.broker.set_online(name, Some(group.clone()));
        }
        let ask = async |only_online| {
            let request = pb::ConsumersRequest { only_online };
            source.caller.served.inspect().consumers(request).await.unwrap().into_inner().groups
        };
        let named =
            ["audit", "billing"].map(|group| pb::OnlineGroup { group: group.into(), ..Default::default() });
        assert_eq!(ask(true).await, named);
        for _ in 0..2 {
            let groups = ask(false).await;
            assert_eq!(groups.len(), 2);
            for group in groups {
                assert_eq!(group.silent_clients, ["silent"]);
                assert_eq!(group.holdings.len(), 1);
            }
        }
        let asked = source.broker.received_of(code);
        let told = |id: &str| {
            let is_of =
                |request: &&Received| [request.field("clientId"), request.field("clientAddr")].contains(&id);
            asked.iter().filter(is_of).count()
        };
        assert_eq!((told("silent"), told("one")), (1, 4), "{version}");
        assert_eq!(source.broker.received_of(other), [], "{version}");
    }
}
