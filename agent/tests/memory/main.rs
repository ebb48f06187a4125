//! How much memory an agent takes for the largest metadata that a broker can have, measured by the kernel: the agent is a
//! process of its own, so nothing of the fake broker counts.

#![expect(clippy::disallowed_methods, reason = "tests put files where RocketMQ and users would")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in a helper")]

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use agent::metadata::export::BESIDE_AN_ANSWER_BYTES;
use agent::paths::Paths;
use fakes::{BrokerSetup, FakeBroker, FakeNameServer};
use proto::describe::Role;
use proto::pb::control_client::ControlClient;
use proto::pb::inspect_client::InspectClient;
use proto::pb::receive_metadata_request::{Part, Start};
use proto::proof::{ClusterKey, Prover, Transcript, random};
use proto::{PROTOCOL, SESSION_METADATA, pb};
use rocketmq::metadata::{Entry, Subscription};
use rocketmq::model::permission::Permission;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::MAX_FRAME_BYTES;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tonic::Request;
use tonic::transport::Channel;

/// With names of 25 characters they fill a frame of RocketMQ.
const TOPICS: usize = 86_000;
const GROUPS: usize = 20_000;

const KEY: [u8; 32] = [7; 32];
const TOKEN: &str = "1a2b3c4d";

/// The fake brokers are many times as large as the agents: two of these tests at once would wait for each other.
static ALONE: Mutex<()> = Mutex::const_new(());

fn topic_name(number: usize) -> String {
    format!("topic-of-25-letters-{number:05}")
}

fn group_name(number: usize) -> String {
    format!("group-of-25-letters-{number:05}")
}

async fn large_broker() -> FakeBroker {
    large_broker_at(&[], TOPICS).await
}

async fn large_broker_at(name_servers: &[&FakeNameServer], topics: usize) -> FakeBroker {
    let mut setup = BrokerSetup::master(Version::V5_3_3, "demo", "demo-0");
    let addresses: Vec<_> = name_servers.iter().map(|name_server| name_server.address()).collect();
    setup.settings.set("namesrvAddr", addresses.join(";"));
    setup.topics =
        (0..topics).map(|number| TopicConfig::new(&topic_name(number).parse().unwrap(), 4)).collect();
    let broker = FakeBroker::start(setup).await.unwrap();
    for number in 0..GROUPS {
        let group = json!({"groupName": group_name(number), "retryMaxTimes": 16});
        broker.put(Entry::Group(group_name(number), group.as_object().unwrap().clone()));
    }
    broker
}

/// An agent in a process of its own.
struct Process {
    child: Child,
    channel: Channel,
    token: String,
    _root: tempfile::TempDir,
}

impl Process {
    async fn start(broker: &FakeBroker, awaits: &str) -> Self {
        Self::with_list(broker, awaits, &["127.0.0.1:1".to_owned()]).await
    }

    async fn with_list(broker: &FakeBroker, awaits: &str, list: &[String]) -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), Role::Broker, "pod-0", "pod");
        for file in [&paths.record, &paths.key, &paths.user_lines] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        fs::create_dir_all(&paths.volume).unwrap();
        fs::create_dir_all(paths.configuration.parent().unwrap()).unwrap();
        fs::write(&paths.key, KEY).unwrap();
        let port = broker.socket_address().port();
        fs::write(&paths.configuration, format!("listenPort={port}\n")).unwrap();
        let list: Vec<_> = list.iter().map(|address| json!({"address": address, "podIP": ""})).collect();
        fs::write(&paths.record, json!({"generation": 1, "list": list}).to_string()).unwrap();

        // Free a moment ago, and not given out again soon.
        let port = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port();
        let child = Command::new(env!("CARGO_BIN_EXE_rocketmq-agent"))
            .arg("run")
            .args([
                "--role=broker",
                "--cluster=demo",
                "--pod-name=pod-0",
                "--pod-uid=uid-0",
                "--stateful-set=pod",
            ])
            .args(["--pod-ip=127.0.0.1", "--broker-cluster=demo", "--broker-name=demo-0", "--broker-id=0"])
            .args(["--broker-role=ASYNC_MASTER", "--rocketmq-version=5.3.3", "--log=warn"])
            .arg(format!("--await-metadata={awaits}"))
            .arg(format!("--port={port}"))
            .arg(format!("--root={}", root.path().display()))
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let endpoint = Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
        let channel = until("the agent listens", async || endpoint.connect().await.ok()).await;
        let token = prove(&channel).await;
        Self { child, channel, token, _root: root }
    }

    fn inspect(&self) -> InspectClient<Channel> {
        InspectClient::new(self.channel.clone())
    }

    async fn until_described(&self, what: &str, holds: impl Fn(&pb::DescribeResponse) -> bool) {
        until(what, async || {
            let described = self.inspect().describe(pb::DescribeRequest {}).await.unwrap().into_inner();
            holds(&described).then_some(())
        })
        .await;
    }

    fn proved<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert(SESSION_METADATA, self.token.parse().unwrap());
        request
    }

    /// The most memory that it ever had.
    fn peak_bytes(&self) -> u64 {
        let status = Path::new("/proc").join(self.child.id().unwrap().to_string()).join("status");
        let status = fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() * 1024
    }
}

/// Asks again and again, two minutes at most. The machine may have more to do.
async fn until<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let wait = async {
        let mut pace = tokio::time::interval(Duration::from_millis(20));
        loop {
            pace.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(120), wait).await;
    assert!(waited.is_ok(), "{what} did not come to hold");
    waited.unwrap()
}

async fn prove(channel: &Channel) -> String {
    let mut inspect = InspectClient::new(channel.clone());
    let caller_nonce = random().unwrap().to_vec();
    let hello = pb::HelloRequest { caller_nonce: caller_nonce.clone(), protocol: Some(PROTOCOL.into()) };
    let answer = inspect.hello(hello).await.unwrap().into_inner();
    let transcript = Transcript {
        caller_nonce,
        agent_nonce: answer.agent_nonce.clone(),
        pod_uid: answer.pod_uid,
        caller_protocol: PROTOCOL,
        agent_protocol: answer.protocol.unwrap().into(),
    };
    let key = ClusterKey::from_bytes(KEY).unwrap();
    let caller_proof = transcript.prove(&key, Prover::Caller).to_vec();
    let proof = pb::ProveRequest { agent_nonce: answer.agent_nonce, caller_proof };
    inspect.prove(proof).await.unwrap().into_inner().session_token
}

const SANITISED: pb::ExportOptions = pb::ExportOptions { sanitised: true, ordered: false };

/// A pair for each topic, and each group's retries, in order and message by message.
fn seeds() -> Vec<Vec<pb::Subscription>> {
    let mut pairs: Vec<_> =
        (0..GROUPS).map(|number| Subscription::to_retries_of(&group_name(number))).collect();
    pairs.extend(
        (0..TOPICS)
            .map(|number| Subscription { topic: topic_name(number), group: group_name(number % GROUPS) }),
    );
    pairs.chunks(2_000).map(|pairs| pairs.iter().cloned().map(Into::into).collect()).collect()
}

async fn prepared(source: &Process, fence: Option<pb::Fence>) -> pb::BundleDescription {
    let first = pb::PrepareExportRequest { options: Some(SANITISED), fence, subscriptions: Vec::new() };
    let rest = seeds().into_iter().map(|subscriptions| pb::PrepareExportRequest {
        subscriptions,
        ..pb::PrepareExportRequest::default()
    });
    let requests = source.proved(futures::stream::iter(std::iter::once(first).chain(rest)));
    let mut control = ControlClient::new(source.channel.clone());
    control.prepare_export(requests).await.unwrap().into_inner().bundle.unwrap()
}

/// The summary, and how many bytes came before it.
async fn tables(source: &Process) -> (pb::BundleDescription, usize) {
    use pb::read_tables_response::Part;

    let first = pb::ReadTablesRequest { options: Some(SANITISED), ..pb::ReadTablesRequest::default() };
    let rest = seeds()
        .into_iter()
        .map(|subscriptions| pb::ReadTablesRequest { subscriptions, ..pb::ReadTablesRequest::default() });
    let requests = futures::stream::iter(std::iter::once(first).chain(rest));
    let mut messages = source.inspect().read_tables(requests).await.unwrap().into_inner();
    let mut bytes = 0;
    loop {
        match messages.message().await.unwrap().unwrap().part.unwrap() {
            Part::Piece(piece) => bytes += piece.chunk.unwrap().unpack().unwrap().len(),
            Part::Summary(summary) => return (summary.bundle.unwrap(), bytes),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_takes_one_answer_and_the_stated_bound_for_86_000_topics_and_20_000_groups() {
    let _alone = ALONE.lock().await;
    let bound = MAX_FRAME_BYTES as u64 + BESIDE_AN_ANSWER_BYTES;
    let broker = large_broker().await;
    let looked = Process::start(&broker, "").await;
    looked.until_described("the broker answers", |it| it.process.as_ref().unwrap().answers).await;
    let before = looked.peak_bytes();
    let (summary, bytes) = tables(&looked).await;
    let taken = looked.peak_bytes() - before;
    assert!(taken <= bound, "the look took {taken} bytes, {bound} are allowed");
    drop(looked);

    let source = Process::start(&broker, "").await;
    source.until_described("the broker answers", |it| it.process.as_ref().unwrap().answers).await;
    let before = source.peak_bytes();
    let fence = Some(pb::Fence { operation_id: "op-1".into(), number: 1 });
    let bundle = prepared(&source, fence.clone()).await;
    assert!(bytes as u64 > bundle.bytes - (8 << 10), "{bytes} of {} bytes", bundle.bytes);
    assert_eq!((summary.topics, summary.offsets), (bundle.topics.clone(), bundle.offsets));
    assert_eq!(bundle.topics.as_ref().unwrap().entries, TOPICS as u64);
    assert_eq!((bundle.groups.as_ref().unwrap().entries, bundle.offsets), (20_000, 106_000));
    let request = pb::ReadExportRequest { sha256: bundle.sha256.clone(), offset: 0 };
    let mut pieces = source.inspect().read_export(request).await.unwrap().into_inner();
    let start = Start { fence, sha256: bundle.sha256, bytes: bundle.bytes };
    let mut parts = vec![Part::Start(start.clone())];
    while let Some(piece) = pieces.message().await.unwrap() {
        parts.push(Part::Chunk(piece));
    }
    let taken = source.peak_bytes() - before;
    assert!(taken <= bound, "the export took {taken} bytes, {bound} are allowed");
    drop(source);

    let target = Process::start(&broker, TOKEN).await;
    target.until_described("the gate waits", |it| !it.gate.as_ref().unwrap().waiting_for.is_empty()).await;
    let before = target.peak_bytes();
    let requests = parts.into_iter().map(|part| pb::ReceiveMetadataRequest { part: Some(part) });
    let requests = futures::stream::iter(requests.collect::<Vec<_>>());
    let mut control = ControlClient::new(target.channel.clone());
    let received = control.receive_metadata(target.proved(requests)).await.unwrap().into_inner();
    assert_eq!(received.verified_bytes, start.bytes);
    let commit = pb::CommitMetadataRequest {
        fence: start.fence,
        token: TOKEN.into(),
        sha256: start.sha256,
        old_data: pb::commit_metadata_request::OldData::Refuse.into(),
        permission: Permission::READ.bits(),
    };
    control.commit_metadata(target.proved(commit)).await.unwrap();
    target.until_described("the gate is open", |it| it.gate.as_ref().unwrap().open).await;
    let taken = target.peak_bytes() - before;
    assert!(taken <= BESIDE_AN_ANSWER_BYTES, "the import took {taken} bytes");
}

/// What rows may hold beside the one answer that they are read from.
const BESIDE_ROWS_BYTES: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rows_and_facts_of_86_000_topics_take_a_bounded_share_of_the_container() {
    let _alone = ALONE.lock().await;
    let broker = large_broker().await;
    let agent = Process::start(&broker, "").await;
    agent.until_described("the broker answers", |it| it.process.as_ref().unwrap().answers).await;
    let before = agent.peak_bytes();
    let facts = agent.inspect().broker_facts(pb::BrokerFactsRequest {}).await.unwrap().into_inner();
    assert!(facts.topics >= TOPICS as u64, "{} topics", facts.topics);
    let mut chunks = agent.inspect().broker_topics(pb::BrokerTopicsRequest {}).await.unwrap().into_inner();
    let mut rows = 0;
    while let Some(chunk) = chunks.message().await.unwrap() {
        rows += chunk.rows.len() as u64;
    }
    assert_eq!(rows, facts.topics);
    let taken = agent.peak_bytes() - before;
    let bound = MAX_FRAME_BYTES as u64 + BESIDE_ROWS_BYTES;
    assert!(taken <= bound, "they took {taken} bytes, {bound} are allowed");
}

/// A quarter of what a registration carries: the fake name servers hold each table as values.
const REGISTERED_TOPICS: usize = 20_000;

/// What an agent may hold while two bridges open at once, each with the whole table; a quarter of most of its container.
const TWO_BRIDGES_BYTES: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bridges_that_open_at_once_take_a_bounded_share_of_the_container() {
    let _alone = ALONE.lock().await;
    let version = Version::V5_3_3;
    let old = FakeNameServer::start(version).await.unwrap();
    let new = [FakeNameServer::start(version).await.unwrap(), FakeNameServer::start(version).await.unwrap()];
    let broker = large_broker_at(&[&old], REGISTERED_TOPICS).await;
    until("the broker is registered", async || broker.register().await.is_empty().then_some(())).await;
    let list = [old.address(), new[0].address(), new[1].address()].map(|address| address.to_string());
    let agent = Process::with_list(&broker, "", &list).await;
    until("both list the broker", async || {
        new.iter().all(|name_server| !name_server.listed().is_empty()).then_some(())
    })
    .await;
    let taken = agent.peak_bytes();
    assert!(taken <= TWO_BRIDGES_BYTES, "they took {taken} bytes");
}

/// What a look may hold: where each topic's queues end, who is connected, and 10,000 rows, beside the one answer that
/// it keeps, the offsets. The agent's container has 256 MiB.
const BESIDE_THE_OFFSETS_BYTES: u64 = 48 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_look_at_the_backlog_of_as_much_takes_a_bounded_share_of_the_container() {
    let _alone = ALONE.lock().await;
    let broker = large_broker().await;
    for number in 0..TOPICS {
        let (topic, group) = (topic_name(number), group_name(number % GROUPS));
        broker.set_queue(&topic, 3, 0, 10);
        broker.put(Entry::Offsets(Subscription { topic, group }, (0..4).map(|queue| (queue, 9)).collect()));
    }
    let agent = Process::start(&broker, "").await;
    agent.until_described("the broker answers", |it| it.process.as_ref().unwrap().answers).await;
    let before = agent.peak_bytes();
    let mut inspect = agent.inspect().max_decoding_message_size(64 << 20);
    let backlog = inspect.backlog(pb::BacklogRequest {}).await.unwrap().into_inner();
    assert_eq!((backlog.rows.len(), backlog.written), (10_000, 860_000));
    assert_eq!(backlog.unknown, ["76000 more rows with 76000 messages: only 10000 are told"]);
    let taken = agent.peak_bytes() - before;
    let bound = MAX_FRAME_BYTES as u64 + BESIDE_THE_OFFSETS_BYTES;
    assert!(taken <= bound, "the look took {taken} bytes, {bound} are allowed");
}
