//! A real client and a real server over memory, without Kubernetes.

mod fake_agent;
mod metadata;
mod tables;

use std::io;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use proto::ProtocolRange;
use proto::describe::BrokerList;
use proto::proof::{ClusterKey, random};
use rocketmq::model::name_server::{NameServerEntry, NameServerList};
use saga::{
    Change, Executor, Interrupt, MemoryJournals, MemoryLock, Operation, OperationKind, Outcome, Permit, Seen,
    Silent, Step, StepError, Steps,
};
use tokio::io::DuplexStream;

use crate::tests::fake_agent::FakeAgent;
use crate::{AgentError, Agents, Dial, Proof};

fn some_key() -> ClusterKey {
    ClusterKey::from_bytes(random().unwrap()).unwrap()
}

#[tokio::test]
async fn both_sides_prove_and_one_connection_serves_every_call() {
    let key = some_key();
    let agent = FakeAgent::new(Some(&key));
    let agents = Agents::new(agent.clone());
    let peer = FakeAgent::peer();
    let facts =
        agents.ask(&peer, Some(&key), |agent| async move { agent.broker_facts().await }).await.unwrap();
    assert_eq!((facts.value.version.as_str(), facts.proof), ("5.3.3", Proof::Proved));
    let rows =
        agents.ask(&peer, Some(&key), |agent| async move { agent.broker_topics().await }).await.unwrap();
    assert_eq!(rows.value.identity.broker_name, "demo-0");
    let rows: Vec<String> = rows.value.rows.into_iter().map(|row| row.topic).collect();
    assert_eq!(rows, ["topic-0", "topic-1", "topic-2"]);
    assert_eq!(agent.dials.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn without_the_same_key_on_both_sides_answers_are_marked_unproved() {
    let (ours, theirs) = (some_key(), some_key());
    let check = async |caller: Option<&ClusterKey>, agent: Option<&ClusterKey>, reason: &str| {
        let agents = Agents::new(FakeAgent::new(agent));
        let answer =
            agents.ask(&FakeAgent::peer(), caller, |agent| async move { agent.connections().await }).await;
        assert_eq!(answer.unwrap().proof, Proof::Unproved(reason.to_owned()));
    };
    check(None, Some(&ours), "the cluster's key is not there or may not be read").await;
    check(Some(&ours), None, "the agent has no key").await;
    check(Some(&ours), Some(&theirs), "what answers does not hold the cluster's key").await;
}

#[tokio::test]
async fn a_key_that_comes_later_is_proved_on_a_new_connection() {
    let key = some_key();
    let agents = Agents::new(FakeAgent::new(Some(&key)));
    let before = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.connections().await }).await;
    assert_ne!(before.unwrap().proof, Proof::Proved);
    let after =
        agents.ask(&FakeAgent::peer(), Some(&key), |agent| async move { agent.connections().await }).await;
    assert_eq!(after.unwrap().proof, Proof::Proved);
}

#[tokio::test]
async fn another_protocol_is_refused_with_both_ranges() {
    let agent = FakeAgent { protocol: ProtocolRange { lowest: 7, highest: 9 }, ..FakeAgent::new(None) };
    let agents = Agents::new(agent);
    let error = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.connections().await }).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "agent 0.0.7 of pod `demo-0-master-0` speaks protocol 7 to 9, this version of kubectl rocketmq speaks 1 to 1"
    );
}

#[tokio::test]
async fn the_agent_of_a_pod_made_anew_is_another_one() {
    let agents = Agents::new(FakeAgent { uid: "uid-2".into(), ..FakeAgent::new(None) });
    let error = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.connections().await }).await;
    assert!(matches!(error, Err(AgentError::OtherPod { .. })), "{error:?}");
}

#[tokio::test]
async fn an_error_of_the_agent_is_told_without_its_control_characters() {
    let agents = Agents::new(FakeAgent::new(None));
    let error = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.describe().await }).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "agent of pod `demo-0-master-0` cannot answer `Describe`: cannot\\u{1b}[31m look\\nat myself"
    );
}

#[tokio::test]
async fn a_message_above_the_limit_is_an_error() {
    let agents = Agents::new(FakeAgent::new(None));
    let error = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.routes().await }).await;
    let error = error.unwrap_err();
    assert!(matches!(&error, AgentError::Answered { code: tonic::Code::OutOfRange, .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_does_not_answer_is_given_up_at_the_deadline() {
    let agents = Agents::new(FakeAgent::new(None));
    let error = agents.ask(&FakeAgent::peer(), None, |agent| async move { agent.kv_config().await }).await;
    assert_eq!(
        error.unwrap_err().to_string(),
        "agent of pod `demo-0-master-0` did not answer `KvConfig` within 20s"
    );
}

/// Streams that end before a byte has passed, so many times.
#[derive(Clone)]
struct Flaky(FakeAgent);

impl Dial for Flaky {
    type Stream = DuplexStream;

    async fn dial(&self, pod: &str, port: u16) -> io::Result<DuplexStream> {
        if self.0.breaks.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err()
        {
            return self.0.dial(pod, port).await;
        }
        self.0.dials.fetch_add(1, Ordering::SeqCst);
        Ok(tokio::io::duplex(64).0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_is_made_anew_a_bounded_number_of_times() {
    let key = some_key();
    let agent = FakeAgent::new(Some(&key));
    let agents = Agents::new(Flaky(agent.clone()));
    agent.breaks.store(2, Ordering::SeqCst);
    let answer =
        agents.ask(&FakeAgent::peer(), Some(&key), |agent| async move { agent.connections().await }).await;
    assert_eq!(answer.unwrap().proof, Proof::Proved);
    assert_eq!(agent.dials.load(Ordering::SeqCst), 3);

    let agents = Agents::new(Flaky(agent.clone()));
    agent.breaks.store(usize::MAX, Ordering::SeqCst);
    let lost =
        agents.ask(&FakeAgent::peer(), Some(&key), |agent| async move { agent.connections().await }).await;
    assert!(lost.unwrap_err().is_lost());
    assert_eq!(agent.dials.load(Ordering::SeqCst), 3 + 4);
}

/// An operation of one step that gives a list to the agent, since only the executor makes a permit.
struct GiveList;

struct World {
    agents: Agents<FakeAgent>,
    key: Option<ClusterKey>,
    given: Mutex<Option<Result<BrokerList, AgentError>>>,
}

impl Step<World> for GiveList {
    type Before = ();
    const NAME: &'static str = "give-list";

    fn describe(&self) -> Change {
        Change::new("give a list")
    }

    async fn look(&self, _: &World) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &World, permit: &Permit, (): &()) -> Result<(), StepError> {
        let entry = NameServerEntry { address: "demo-0.demo.mq.svc:9876".into(), pod_ip: String::new() };
        let list = NameServerList { generation: 2, name_servers: vec![entry] };
        let given = world
            .agents
            .ask(&FakeAgent::peer(), world.key.as_ref(), |agent| {
                let list = list.clone();
                async move { agent.set_name_servers(permit, &list).await }
            })
            .await;
        *world.given.lock().unwrap() = Some(given.map(|answer| answer.value));
        Ok(())
    }

    async fn confirm(&self, _: &World) -> Result<(), StepError> {
        Ok(())
    }

    async fn undo(&self, _: &World, _: &Permit, (): &()) -> Result<(), StepError> {
        Ok(())
    }
}

struct Giving;

impl OperationKind<World> for Giving {
    type Params = ();
    const NAME: &'static str = "giving";

    fn title((): &()) -> String {
        "give a list".to_owned()
    }

    fn steps((): &()) -> Steps<World> {
        vec![Box::new(GiveList)]
    }
}

async fn give(agent: FakeAgent, key: Option<ClusterKey>) -> Result<BrokerList, AgentError> {
    let world = World { agents: Agents::new(agent), key, given: Mutex::default() };
    let (journals, lock, interrupt) = (MemoryJournals::default(), MemoryLock::default(), Interrupt::new());
    let executor = Executor::new(&world, &journals, &lock, &Silent, &interrupt);
    let end = executor.run("demo", &Operation::new::<Giving>(&()).unwrap()).await.unwrap();
    assert_eq!(end.outcome, Outcome::Done);
    world.given.into_inner().unwrap().unwrap()
}

#[tokio::test]
async fn a_change_carries_the_session_and_the_fence_of_its_operation() {
    let key = some_key();
    let agent = FakeAgent::new(Some(&key));
    let list = give(agent.clone(), Some(key)).await.unwrap();
    assert_eq!(list.live, ["demo-0.demo.mq.svc:9876"]);
    let fences = agent.fences.lock().unwrap();
    assert_eq!(fences.len(), 1);
    assert_eq!(fences[0].number, 1);
    assert!(fences[0].operation_id.starts_with("op-"));
}

#[tokio::test]
async fn nothing_is_changed_through_an_agent_that_has_not_proved_itself() {
    let agent = FakeAgent::new(None);
    let error = give(agent.clone(), Some(some_key())).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "nothing is changed through the agent of pod `demo-0-master-0`: the agent has no key"
    );
    assert!(agent.fences.lock().unwrap().is_empty());
}
