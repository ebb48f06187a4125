//! Plans as text, and guards.

mod runs;

use futures::FutureExt;
use k8s::names;
use k8s::objects::Object;
use rocketmq::metadata::REGISTRATION_LIMIT;
use rocketmq::model::version::Version;
use saga::{OperationKind, Outcome, Steps};

use super::{Goal, Inventory, OldData, Params, Planned, ScaleBroker, ScaleBrokerRequest, gather, goal, plan};
use crate::clients::RoutePeriod;
use crate::error::{ErrorKind, OpsError};
use crate::fake::{DEMO, FakeWorld, applied, apply_params, known};
use crate::operations::apply::Apply;
use crate::operations::known::Known;
use crate::operations::scale_broker_in::DrainOptions;
use crate::steps::objects::ObjectName;
use crate::world::World;

const TOKEN: &str = "1a2b3c4d";

/// The new master of a scale from two groups to three.
const NEW: &str = "broker-2-master-0";

const LONE: &str = "\
apiVersion: rocketmq.apache.org/v1alpha1
kind: Broker
metadata:
  name: lone
spec:
  size: 1
  nameServers: \"192.0.2.1:9876\"
  replicaPerGroup: 0
  brokerImage: rocketmq:4.5.0
  storageMode: EmptyDir
";

fn to(size: u32) -> ScaleBrokerRequest {
    ScaleBrokerRequest {
        name: "broker".to_owned(),
        size,
        from: None,
        include_ordered: false,
        old_data: OldData::Refuse,
        drain: DrainOptions::default(),
        route_period: RoutePeriod::default(),
    }
}

fn from(pod: &str) -> ScaleBrokerRequest {
    ScaleBrokerRequest { from: Some(pod.to_owned()), ..to(3) }
}

/// The cluster that has a Broker of this name.
fn cluster(world: &FakeWorld, broker: &str) -> Known {
    let all = Known::all(world).now_or_never().unwrap().unwrap();
    all.into_iter().find(|known| known.brokers.iter().any(|document| document.name() == broker)).unwrap()
}

fn looked(world: &FakeWorld, request: &ScaleBrokerRequest) -> Result<(Inventory, Goal), OpsError> {
    let known = cluster(world, &request.name);
    let goal = goal(&known, request)?.unwrap();
    let inventory = gather(world, &known, &goal, request).now_or_never().unwrap()?;
    Ok((inventory, goal))
}

fn planned(world: &FakeWorld, request: &ScaleBrokerRequest) -> Result<Planned, OpsError> {
    let (inventory, goal) = looked(world, request)?;
    plan(&inventory, &goal, request, TOKEN)
}

fn params(world: &FakeWorld, request: &ScaleBrokerRequest) -> Params {
    planned(world, request).unwrap().params
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = ScaleBroker::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    format!("{}\n{}", <ScaleBroker as OperationKind<FakeWorld>>::title(params), lines.join("\n"))
}

fn refused(world: &FakeWorld, request: &ScaleBrokerRequest, kind: ErrorKind) -> OpsError {
    let error = planned(world, request).unwrap_err();
    assert_eq!((error.kind, error.state.as_str()), (kind, "nothing was changed"), "{error:?}");
    error
}

async fn run<K: OperationKind<FakeWorld>>(world: &FakeWorld, params: &K::Params) -> Outcome {
    let operation = saga::Operation::new::<K>(params).unwrap();
    let (journals, lock) = (saga::MemoryJournals::default(), saga::MemoryLock::default());
    let interrupt = saga::Interrupt::new();
    let executor = saga::Executor::new(world, &journals, &lock, &saga::Silent, &interrupt);
    executor.run("demo", &operation).await.unwrap().outcome
}

#[test]
fn the_plan_of_one_more_group() {
    insta::assert_snapshot!(text(&params(&applied(DEMO), &to(3))), @r"
    scale broker groups of `broker` 2 -> 3
    create PodDisruptionBudget/broker-2
    create StatefulSet/broker-2-master
    give 1 new master(s) the 1 topic(s) and 1 subscription group(s) of pod `broker-0-master-0`, before their first start
    wait until 1 new master(s) are ready; clients read from them, but do not write
    compare topics and subscription groups of the new master(s) with those of pod `broker-0-master-0`, and add what they lack
    create StatefulSet/broker-2-replica-1
    wait until the new slaves of `broker` are ready (1 pods)
    wait until consumers hold the queues of the new master(s), or 55s where a client cannot tell
    let clients write to 1 new master(s): brokerPermission (4 -> 6)
    prove the routes: the name server(s) (1), every broker, every topic
    let pods of StatefulSet/broker-2-master start without waiting for metadata from now on
    record the new size of 3
    ");
}

#[test]
fn the_plan_of_two_more_groups_without_slaves() {
    let world = applied(&DEMO.replace("replicaPerGroup: 1", "replicaPerGroup: 0"));
    insta::assert_snapshot!(text(&params(&world, &to(4))), @r"
    scale broker groups of `broker` 2 -> 4
    create PodDisruptionBudget/broker-2
    create StatefulSet/broker-2-master
    create PodDisruptionBudget/broker-3
    create StatefulSet/broker-3-master
    give 2 new master(s) the 1 topic(s) and 1 subscription group(s) of pod `broker-0-master-0`, before their first start
    wait until 2 new master(s) are ready; clients read from them, but do not write
    compare topics and subscription groups of the new master(s) with those of pod `broker-0-master-0`, and add what they lack
    wait until consumers hold the queues of the new master(s), or 55s where a client cannot tell
    let clients write to 2 new master(s): brokerPermission (4 -> 6)
    prove the routes: the name server(s) (1), every broker, every topic
    let pods of StatefulSet/broker-2-master, StatefulSet/broker-3-master start without waiting for metadata from now on
    record the new size of 4
    ");
}

/// Brokers on name servers of others.
async fn lone() -> FakeWorld {
    let world = FakeWorld::default().with(|state| {
        state.version = Version::V4_5_0;
        state.answering.insert("192.0.2.1:9876".to_owned());
    });
    let made = run::<Apply>(&world, &apply_params(&world, LONE)).await;
    assert_eq!(made, Outcome::Done);
    world
}

#[tokio::test]
async fn groups_on_name_servers_of_others_are_proved_by_their_agents() {
    let world = lone().await;
    let params = params(&world, &ScaleBrokerRequest { name: "lone".to_owned(), ..to(2) });
    let text = text(&params);
    assert!(
        text.contains("\nprove that every broker is registered at every name server of its list\n"),
        "{text}"
    );
    assert_eq!(run::<ScaleBroker>(&world, &params).await, Outcome::Done);
}

#[test]
fn new_groups_run_the_agent_and_the_version_of_those_from_before() {
    let params = params(&applied(DEMO), &to(3));
    let [group] = params.groups.as_slice() else { panic!("{params:?}") };
    assert_eq!(group.version.as_deref(), Some("5.3.3"));
    let agent = &group.waiting_master.content["spec"]["template"]["spec"]["initContainers"][0];
    assert_eq!(agent["image"], "rocketmq-agent:0.1.0");
    assert_eq!(params.source.masters, ["broker-0-master", "broker-1-master"]);
    assert_eq!(params.followers.masters, ["broker-0-master", "broker-1-master", "broker-2-master"]);
    assert_eq!(params.followers.slaves.len(), 3);
}

#[test]
fn only_another_size_is_a_goal() {
    let known = known(&applied(DEMO));
    assert_eq!(goal(&known, &to(2)), Ok(None));
    let sizes = |size| goal(&known, &to(size)).unwrap().map(|goal| (goal.from, goal.to));
    assert_eq!((sizes(1), sizes(3)), (Some((2, 1)), Some((2, 3))));
    let none = goal(&known, &to(0)).unwrap_err();
    assert_eq!(none.kind, ErrorKind::Usage);
    assert_eq!(none.message, "the size must be at least 1: the last group of a Broker is never removed");
    assert_eq!(none.hint.as_deref(), Some("kubectl rocketmq delete broker/broker -n mq"));
}

#[test]
fn metadata_come_from_the_pod_that_is_named_else_from_the_brokers_own_choice() {
    let check = |scale_pod_name: &str, request: &ScaleBrokerRequest, source: &str, warning: Option<&str>| {
        let text = DEMO.replacen("  brokerImage", &format!("  {scale_pod_name}\n  brokerImage"), 1);
        let planned = planned(&applied(&text), request).unwrap();
        assert_eq!(names::pod(&planned.params.source.stateful_set, 0), source);
        assert_eq!(planned.warnings, Vec::from_iter(warning));
    };
    check("", &to(3), "broker-0-master-0", None);
    check("", &from("broker-1-master-0"), "broker-1-master-0", None);
    let slave = "pod `broker-1-replica-1-0` is a slave: metadata are taken from its master `broker-1-master-0`, which \
                 has them first";
    check("", &from("broker-1-replica-1-0"), "broker-1-master-0", Some(slave));
    check("scalePodName: broker-1-master-0", &to(3), "broker-1-master-0", None);
    check("scalePodName: broker-1-master-0", &from("broker-0-master-0"), "broker-0-master-0", None);
    let elsewhere = "Broker/broker: `spec.scalePodName` is `demo-0-master-0`, which is no broker of cluster `demo`: \
                     metadata are taken from `broker-0-master-0`";
    check("scalePodName: demo-0-master-0", &to(3), "broker-0-master-0", Some(elsewhere));
}

#[tokio::test]
async fn a_source_that_is_no_broker_of_the_cluster_or_does_not_answer_is_refused() {
    let check = |world: FakeWorld, pod: &str, kind: ErrorKind, message: &str| {
        assert_eq!(refused(&world, &from(pod), kind).message, message);
    };
    let demo = || applied(DEMO);
    check(demo(), "absent-0", ErrorKind::Failed, "there is no pod `absent-0` in namespace `mq`");
    check(demo(), "demo-0", ErrorKind::Usage, "pod `demo-0` is a name server: only brokers hold metadata");
    let lone = lone().await;
    let other = demo().with(|state| {
        state.objects.extend(lone.state().objects.clone());
        state.records.extend(lone.state().records.clone());
    });
    check(
        other,
        "lone-0-master-0",
        ErrorKind::Refused,
        "pod `lone-0-master-0` is of cluster `lone`, not of `demo`",
    );
    let trouble = demo().with(|state| {
        state.troubles.insert("broker-1-master-0".to_owned(), "CrashLoopBackOff".to_owned());
    });
    check(
        trouble,
        "broker-1-master-0",
        ErrorKind::Failed,
        "pod `broker-1-master-0` is not ready, so its broker cannot be asked",
    );
    // Not only the source: another master may be the only one that knows a group.
    let silent = demo().with(|state| {
        state.silent.insert("broker-1-master-0".to_owned(), "no route".to_owned());
    });
    check(
        silent,
        "broker-0-master-0",
        ErrorKind::Failed,
        "agent of pod `broker-1-master-0` cannot be reached: no route",
    );
}

#[test]
fn metadata_of_an_older_broker_are_refused() {
    let world = applied(DEMO).with(|state| state.version = Version::V4_5_0);
    assert_eq!(
        refused(&world, &to(3), ErrorKind::Refused).message,
        "broker groups of `broker` are not scaled: pod `broker-0-master-0` runs RocketMQ 4.5.0, and the new ones 5.3.3"
    );
}

#[test]
fn objects_in_the_place_of_new_ones_are_never_taken_over() {
    let made = params(&applied(DEMO), &to(3));
    let check = |change: fn(&mut Object), cause: &str| {
        let world = applied(DEMO).with(|state| {
            let mut object = made.groups[0].waiting_master.clone();
            change(&mut object);
            state.objects.insert(ObjectName { kind: object.kind, name: object.name.clone() }, object);
        });
        let error = refused(&world, &to(3), ErrorKind::Refused);
        assert_eq!(
            error.message,
            "broker groups of `broker` are not scaled: the place of a new group is taken"
        );
        assert_eq!(error.causes, [cause]);
    };
    check(
        |object| object.labels.clear(),
        "StatefulSet/broker-2-master exists already and was not made by kubectl rocketmq",
    );
    check(|_| {}, "StatefulSet/broker-2-master exists already, although the record does not know of it");
}

#[test]
fn a_name_that_is_registered_already_is_refused() {
    let world = applied(DEMO).with(|state| {
        let mut stray = params(&applied(DEMO), &to(3)).groups[0].master.clone();
        stray.name = "stray".to_owned();
        state.objects.insert(ObjectName { kind: stray.kind, name: stray.name.clone() }, stray);
    });
    let address = {
        let pods = world.pods("stray").now_or_never().unwrap().unwrap();
        format!("{}:10911", pods[0].ip.clone().unwrap())
    };
    let error = refused(&world, &to(3), ErrorKind::Refused);
    assert_eq!(error.message, "broker groups of `broker` are not scaled: `broker-2` is registered already");
    assert_eq!(
        error.causes,
        [format!("name server `demo-0` lists `broker-2` at {address}, cluster `broker`")]
    );
    assert_eq!(error.hint.as_deref(), Some("kubectl rocketmq status demo -n mq"));
}

#[test]
fn more_topics_than_a_registration_carries_are_refused() {
    let (mut inventory, goal) = looked(&applied(DEMO), &to(3)).unwrap();
    inventory.export.bundle.topics.entries = 84_000;
    inventory.export.bundle.registration_bytes = REGISTRATION_LIMIT;
    assert!(plan(&inventory, &goal, &to(3), TOKEN).is_ok());
    inventory.export.bundle.registration_bytes += 1;
    let error = plan(&inventory, &goal, &to(3), TOKEN).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert_eq!(
        error.message,
        "broker groups of `broker` are not scaled: with 84000 topics the registration of a new broker would have \
         15728641 bytes, above the limit of 15 MiB"
    );
    assert_eq!(error.hint.as_deref(), Some("delete topics that nobody uses"));
}

#[test]
fn more_brokers_than_nodes_are_refused_on_the_nodes_network() {
    let world = applied(DEMO).with(|state| {
        for record in state.records.values_mut() {
            let document = record.documents.get_mut("broker/broker").unwrap();
            *document = document.replacen("  size: 2", "  hostNetwork: true\n  size: 2", 1);
        }
    });
    let error = refused(&world, &to(3), ErrorKind::Refused);
    assert!(error.message.contains("need 6 nodes; 1 is schedulable"), "{}", error.message);
}

#[test]
fn routes_that_are_not_whole_before_are_told() {
    let world = applied(DEMO).with(|state| {
        state.forgotten.insert(("demo-0".to_owned(), "broker-1-master-0".to_owned()));
    });
    assert_eq!(
        planned(&world, &to(3)).unwrap().warnings,
        ["the routes are not whole now: broker `broker-1:0` is not listed at `demo-0`"]
    );
}
