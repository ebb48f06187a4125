//! Bundles on their way, over lines that are cut, and what agents say of their brokers' metadata.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use data_encoding::HEXLOWER;
use futures::FutureExt;
use proto::describe::{BundleDescription, Role};
use proto::pb::MetadataChunk;
use proto::proof::ClusterKey;
use rocketmq::metadata::TableDigest;
use rocketmq::model::backlog::Kind;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use saga::Permit;
use saga::check::under_permit;
use sha2::{Digest, Sha256};
use tokio::io::DuplexStream;

use super::fake_agent::{Bundles, FakeAgent, PIECE};
use super::some_key;
use crate::{AgentError, Agents, Dial, Member, Peer, Proof};

/// Ten and a half pieces.
fn bytes() -> Vec<u8> {
    (0..10 * PIECE + PIECE / 2).map(|number| u8::try_from(number % 251).unwrap()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn description(bytes: &[u8]) -> BundleDescription {
    BundleDescription {
        sha256: sha256(bytes),
        bytes: bytes.len() as u64,
        topics: TableDigest::default(),
        groups: TableDigest::default(),
        request_modes: TableDigest::default(),
        offsets: 0,
        registration_bytes: 0,
    }
}

fn peer(pod: &str) -> Peer {
    Peer { pod: pod.to_owned(), uid: "uid-1".to_owned(), role: Role::Broker }
}

fn peers() -> (Peer, Peer) {
    let target = Peer { uid: "uid-2".to_owned(), ..peer("target") };
    (peer("source"), target)
}

/// Two agents that hold one key.
#[derive(Clone)]
struct Two {
    source: FakeAgent,
    target: FakeAgent,
    /// So many dials of the target fail.
    unreachable: Arc<AtomicUsize>,
}

impl Two {
    fn new(key: &ClusterKey) -> Self {
        let bundles = Bundles { describes: true, bytes: Arc::new(bytes()), ..Bundles::default() };
        let source = FakeAgent { bundles, ..FakeAgent::new(Some(key)) };
        let bundles = Bundles { describes: true, ..Bundles::default() };
        let target = FakeAgent { bundles, uid: "uid-2".into(), ..FakeAgent::new(Some(key)) };
        Self { source, target, unreachable: Arc::default() }
    }

    fn received(&self) -> Vec<u8> {
        self.target.bundles.received.lock().unwrap().1.clone()
    }
}

impl Dial for Two {
    type Stream = DuplexStream;

    async fn dial(&self, pod: &str, _: u16) -> io::Result<DuplexStream> {
        match pod {
            "source" => Ok(self.source.connect()),
            _ if self
                .unreachable
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                .is_ok() =>
            {
                Err(io::Error::other("no route"))
            }
            _ => Ok(self.target.connect()),
        }
    }
}

/// Relays, and gives what was told to have moved.
async fn relay(two: &Two, key: &ClusterKey) -> (Result<(), AgentError>, Vec<u64>) {
    relay_announced(two, key, &bytes()).await
}

async fn relay_announced(two: &Two, key: &ClusterKey, bytes: &[u8]) -> (Result<(), AgentError>, Vec<u64>) {
    let (agents, key, bundle) = (Agents::new(two.clone()), key.clone(), description(bytes));
    under_permit(move |permit| {
        async move {
            let ((source, target), told) = (peers(), Mutex::new(Vec::new()));
            let member = |peer| Member { peer, key: Some(&key) };
            let moved = |bytes| told.lock().unwrap().push(bytes);
            let came = agents.relay(permit, member(&source), member(&target), &bundle, &moved).await;
            (came, told.into_inner().unwrap())
        }
        .boxed()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_bundle_comes_over_whole_under_the_operations_fence() {
    let key = some_key();
    let two = Two::new(&key);
    let (came, told) = relay(&two, &key).await;
    came.unwrap();
    assert_eq!(two.received(), bytes());
    assert_eq!((told.first(), told.last()), (Some(&0), Some(&10_500)));
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(two.target.fences.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_source_is_cut_off_asks_for_the_rest() {
    let key = some_key();
    let two = Two::new(&key);
    two.source.bundles.cut_after.store(5, Ordering::SeqCst);
    relay(&two, &key).await.0.unwrap();
    assert_eq!(two.received(), bytes());
    assert_eq!(*two.source.bundles.read_from.lock().unwrap(), [0, 4_000]);
    assert_eq!(two.target.dials.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_relay_whose_target_is_cut_off_goes_on_after_the_last_verified_byte() {
    let key = some_key();
    let two = Two::new(&key);
    two.target.bundles.cut_after.store(7, Ordering::SeqCst);
    relay(&two, &key).await.0.unwrap();
    assert_eq!(two.received(), bytes());
    assert_eq!(*two.source.bundles.read_from.lock().unwrap(), [0, 7_000]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_be_reached_is_given_up() {
    let key = some_key();
    let two = Two::new(&key);
    two.unreachable.store(usize::MAX, Ordering::SeqCst);
    let error = relay(&two, &key).await.0.unwrap_err();
    assert_eq!(error.to_string(), "agent of pod `target` cannot be reached");
}

#[tokio::test(start_paused = true)]
async fn a_bundle_that_is_there_is_not_sent_again() {
    let key = some_key();
    let two = Two::new(&key);
    *two.target.bundles.received.lock().unwrap() = (sha256(&bytes()), bytes());
    let (came, told) = relay(&two, &key).await;
    came.unwrap();
    assert_eq!((told, two.source.dials.load(Ordering::SeqCst)), (vec![10_500], 0));
}

#[tokio::test]
async fn pieces_that_the_target_took_after_it_was_asked_are_not_sent_again() {
    let key = some_key();
    let two = Two::new(&key);
    *two.target.bundles.received.lock().unwrap() = (sha256(&bytes()), bytes()[..PIECE].to_vec());
    *two.target.bundles.late.lock().unwrap() = bytes()[PIECE..3 * PIECE].to_vec();
    relay(&two, &key).await.0.unwrap();
    assert_eq!(two.received(), bytes());
    assert_eq!(*two.source.bundles.read_from.lock().unwrap(), [1_000, 3_000]);
}

#[tokio::test]
async fn a_targets_refusal_is_told_in_its_words() {
    let key = some_key();
    let mut two = Two::new(&key);
    two.target.bundles.refuses = Some("the volume is full".to_owned());
    let error = relay(&two, &key).await.0.unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent of pod `target` cannot answer `ReceiveMetadata`: the volume is full"
    );
}

#[tokio::test]
async fn nothing_is_sent_to_an_agent_that_has_not_proved_itself() {
    let key = some_key();
    let mut two = Two::new(&key);
    two.target.key = None;
    let error = relay(&two, &key).await.0.unwrap_err();
    assert!(matches!(error, AgentError::Unproved { .. }), "{error:?}");
    assert!(two.received().is_empty());
}

#[tokio::test]
async fn damaged_bundles_are_refused_with_the_reason() {
    let key = some_key();
    let check = async |damage: fn(&mut MetadataChunk), announced: &[u8], reason: &str| {
        let mut two = Two::new(&key);
        two.source.bundles.damage = damage;
        let error = relay_announced(&two, &key, announced).await.0.unwrap_err();
        let expect = format!("the bundle of the agent of pod `source` is damaged: {reason}");
        assert_eq!(error.to_string(), expect);
    };
    let (usual, mut other) = (bytes(), bytes());
    check(|piece| piece.digest[3] ^= 1, &usual, "the bytes from 0 on are not those of their digest").await;
    check(|piece| piece.offset += 1, &usual, "byte 1 came instead of byte 0").await;
    check(|piece| *piece = MetadataChunk::pack(0, b""), &usual, "0 bytes came at byte 0").await;
    check(|_| {}, &usual[..PIECE / 2], "1000 bytes came at byte 0").await;
    let longer = [usual.as_slice(), b"more"].concat();
    check(|_| {}, &longer, "it ends at byte 10500 of 10504").await;
    other[7] ^= 1;
    let reason = format!("its SHA-256 is {} instead of {}", sha256(&usual), sha256(&other));
    check(|_| {}, &other, &reason).await;
}

async fn send(two: &Two, key: &ClusterKey, bundle: &[u8]) -> Result<String, AgentError> {
    let (agents, key, bundle) = (Agents::new(two.clone()), key.clone(), bundle.to_vec());
    under_permit(move |permit| {
        async move {
            let (_, target) = peers();
            agents.send(permit, Member { peer: &target, key: Some(&key) }, &bundle, &|_| {}).await
        }
        .boxed()
    })
    .await
    .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_bundle_from_here_goes_on_where_it_was_cut_off_too() {
    let key = some_key();
    let two = Two::new(&key);
    let bundle: Vec<u8> = bytes().repeat(300);
    assert!(bundle.len() > 3 << 20);
    two.target.bundles.cut_after.store(2, Ordering::SeqCst);
    assert_eq!(send(&two, &key, &bundle).await.unwrap(), sha256(&bundle));
    assert!(two.received() == bundle);
    assert_eq!(two.target.fences.lock().unwrap().len(), 2);
}

/// Asks the one agent of [`FakeAgent::peer`] something that changes it.
async fn change<T: Send + 'static>(
    key: &ClusterKey,
    call: impl for<'p> Fn(crate::Agent, &'p Permit) -> futures::future::BoxFuture<'p, Result<T, AgentError>>
    + Send
    + Sync
    + 'static,
) -> Result<T, AgentError> {
    change_at(FakeAgent::new(Some(key)), call).await
}

pub(super) async fn change_at<T: Send + 'static>(
    agent: FakeAgent,
    call: impl for<'p> Fn(crate::Agent, &'p Permit) -> futures::future::BoxFuture<'p, Result<T, AgentError>>
    + Send
    + Sync
    + 'static,
) -> Result<T, AgentError> {
    let (key, agents) = (agent.key.clone(), Agents::new(agent));
    let answer = under_permit(move |permit| {
        async move { agents.ask(&FakeAgent::peer(), key.as_ref(), |agent| call(agent, permit)).await }.boxed()
    });
    let answer = answer.await.unwrap()?;
    assert_eq!(answer.proof, Proof::Proved);
    Ok(answer.value)
}

#[tokio::test]
async fn a_permission_that_the_broker_does_not_have_afterwards_is_an_error() {
    let key = some_key();
    let set = |permission: Permission| {
        change(&key, move |agent, permit| {
            async move { agent.set_broker_permission(permit, permission).await }.boxed()
        })
    };
    set(Permission::READ).await.unwrap();
    let error = set(Permission::READ_WRITE).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "agent of pod `demo-0-master-0` cannot answer `SetBrokerPermission`: the broker's permission is R-- after it \
         was set to RW-"
    );
}

#[tokio::test]
async fn what_was_applied_is_counted() {
    let key = some_key();
    let applied =
        change(&key, |agent, permit| async move { agent.apply_metadata(permit, "x").await }.boxed());
    assert_eq!(applied.await.unwrap().topics, 2);
}

#[tokio::test]
async fn brokers_are_unregistered_under_a_fence() {
    let key = some_key();
    let broker = |broker_id| RegisteredBroker {
        cluster: "demo".into(),
        broker_name: "demo-1".into(),
        broker_id,
        address: "10.0.0.1:10911".into(),
    };
    let brokers = [broker(0), broker(1)];
    let unregistered = change(&key, move |agent, permit| {
        let brokers = brokers.clone();
        async move { agent.unregister_brokers(permit, &brokers).await }.boxed()
    });
    unregistered.await.unwrap();
}

#[tokio::test]
async fn a_backlog_is_told_row_by_row() {
    let agents = Agents::new(FakeAgent::new(None));
    let told =
        agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.backlog().await }).await.unwrap();
    assert_eq!(told.value.written, 9);
    let rows: Vec<_> =
        told.value.rows.iter().map(|row| (row.kind, row.topic.as_str(), row.messages)).collect();
    assert_eq!(rows, [(Kind::DeadLetter, "%DLQ%billing", 7)]);
}

#[tokio::test]
async fn pairs_that_are_told_twice_count_once() {
    let agents = Agents::new(FakeAgent::new(None));
    let told = agents
        .ask(&FakeAgent::peer(), None, |agent| async move { agent.subscriptions().await })
        .await
        .unwrap();
    let told: Vec<String> = told.value.iter().map(ToString::to_string).collect();
    assert_eq!(told, ["orders@audit", "orders@billing"]);
}
