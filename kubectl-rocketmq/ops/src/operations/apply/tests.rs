//! Plans as text, guards, and what holds whatever happens.

use futures::FutureExt;
use k8s::kinds::parse;
use saga::{OperationKind, Steps};

use super::{Apply, Params, Planned, PlannedChange, check_for_collisions, gather, plan};
use crate::error::OpsError;
use crate::fake::{DEMO, FakeWorld, applied, apply_params, holds_whatever_happens};
use crate::steps::objects::ObjectName;

const OTHERS: &str = "\
apiVersion: rocketmq.apache.org/v1alpha1
kind: Broker
metadata:
  name: lone
spec:
  size: 1
  nameServers: \"192.0.2.1:9876\"
  replicationMode: ASYNC
  replicaPerGroup: 0
  brokerImage: rocketmq:4.5.0
  storageMode: EmptyDir
";

fn planned(world: &FakeWorld, text: &str) -> Result<Planned, OpsError> {
    let parsed = parse(text).unwrap();
    let inventory = gather(world, &parsed).now_or_never().unwrap()?;
    plan(&inventory, &parsed, "rocketmq-agent:0.1.0", None)
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = Apply::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    format!("{}\n{}", <Apply as OperationKind<FakeWorld>>::title(params), lines.join("\n"))
}

fn refused(world: &FakeWorld, text: &str) -> String {
    let error = planned(world, text).unwrap_err();
    assert_eq!(error.state, "nothing was changed");
    error.message
}

#[test]
fn the_plan_of_a_new_cluster() {
    insta::assert_snapshot!(text(&apply_params(&FakeWorld::default(), DEMO)), @r"
    create cluster `demo` with brokers `broker`
    create the key of the cluster's agents
    record what is applied
    create Service/demo
    create PodDisruptionBudget/demo
    create StatefulSet/demo
    wait until the name servers are ready (1 pods)
    record the list of 1 name server(s) that brokers follow
    create PodDisruptionBudget/broker-0
    create StatefulSet/broker-0-master
    create StatefulSet/broker-0-replica-1
    create PodDisruptionBudget/broker-1
    create StatefulSet/broker-1-master
    create StatefulSet/broker-1-replica-1
    wait until the brokers of `broker` are ready (4 pods)
    prove the routes: the name server(s) (1), every broker, every topic
    ");
}

#[test]
fn the_plan_of_brokers_on_name_servers_of_others() {
    let world = FakeWorld::default().with(|state| {
        state.answering.insert("192.0.2.1:9876".to_owned());
    });
    insta::assert_snapshot!(text(&apply_params(&world, OTHERS)), @r"
    create brokers `lone` on name servers of others
    create the key of the cluster's agents
    record what is applied
    record the list of 1 name server(s) that brokers follow
    create PodDisruptionBudget/lone-0
    create StatefulSet/lone-0-master
    wait until the brokers of `lone` are ready (1 pods)
    prove that every broker is registered at every name server of its list
    ");
}

#[test]
fn brokers_join_the_cluster_whose_name_servers_they_list() {
    let world = applied(DEMO);
    let text_of = OTHERS.replace("192.0.2.1:9876", "demo-0.demo:9876");
    let planned = planned(&world, &text_of).unwrap();
    let [PlannedChange::Create(params)] = planned.changes.as_slice() else { panic!("{planned:?}") };
    assert_eq!(params.followers.cluster, "demo");
    assert_eq!(params.followers.masters, ["broker-0-master", "broker-1-master", "lone-0-master"]);
    assert_eq!(
        planned.warnings,
        [
            "Broker/lone: the addresses of `spec.nameServers` are name servers of NameService/demo: its brokers follow \
         every change of them"
        ]
    );
}

#[test]
fn applying_again_changes_nothing() {
    let planned = planned(&applied(DEMO), DEMO).unwrap();
    assert!(planned.changes.is_empty());
    assert_eq!(planned.unchanged, ["nameservice/demo", "broker/broker"]);
}

#[test]
fn a_changed_size_of_a_name_service_is_a_scale() {
    let planned = planned(&applied(DEMO), &DEMO.replacen("size: 1", "size: 3", 1)).unwrap();
    assert_eq!(planned.changes, [PlannedChange::Scale { cluster: "demo".to_owned(), size: 3 }]);
}

#[test]
fn a_changed_size_of_a_broker_is_a_scale_after_that_of_its_name_servers() {
    for size in [4, 1] {
        let text = DEMO.replacen("size: 1", "size: 3", 1).replacen("size: 2", &format!("size: {size}"), 1);
        let planned = planned(&applied(DEMO), &text).unwrap();
        let cluster = "demo".to_owned();
        assert_eq!(
            planned.changes,
            [
                PlannedChange::Scale { cluster: cluster.clone(), size: 3 },
                PlannedChange::ScaleBroker { cluster, broker: "broker".to_owned(), size },
            ]
        );
        assert!(planned.unchanged.is_empty(), "{:?}", planned.unchanged);
    }
}

#[test]
fn a_changed_number_of_slaves_is_a_scale() {
    let planned =
        planned(&applied(DEMO), &DEMO.replacen("replicaPerGroup: 1", "replicaPerGroup: 2", 1)).unwrap();
    let (cluster, broker) = ("demo".to_owned(), "broker".to_owned());
    assert_eq!(planned.changes, [PlannedChange::ScaleReplicas { cluster, broker, replicas: 2 }]);
}

#[test]
fn other_changes_are_refused_by_the_names_of_their_fields() {
    let check = |from: &str, to: &str, expect: &str| {
        assert_eq!(refused(&applied(DEMO), &DEMO.replacen(from, to, 1)), expect);
    };
    check(
        "size: 2\n  nameServers: \"\"\n  replicationMode: ASYNC\n  replicaPerGroup: 1",
        "size: 3\n  nameServers: \"\"\n  replicationMode: ASYNC\n  replicaPerGroup: 2",
        "Broker/broker: a change of `spec.size` and `spec.replicaPerGroup` at once is not supported",
    );
    check(
        "brokerImage: rocketmq:5.3.3",
        "brokerImage: rocketmq:5.4.0",
        "Broker/broker: a change of `spec.brokerImage` is not supported yet",
    );
    check(
        "size: 1\n  nameServiceImage: rocketmq:5.3.3",
        "size: 3\n  nameServiceImage: rocketmq:5.4.0",
        "NameService/demo: a change of `spec.nameServiceImage` is not supported yet",
    );
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_made() {
    let old =
        FakeWorld::default().with(|state| state.kubernetes = Err("Kubernetes v1.28.0 is too old".to_owned()));
    assert_eq!(refused(&old, DEMO), "Kubernetes v1.28.0 is too old");
    let nowhere = FakeWorld::default().with(|state| state.namespace_exists = false);
    assert_eq!(refused(&nowhere, DEMO), "namespace `mq` does not exist");
    let on_nodes = DEMO.replacen("  brokerImage", "  hostNetwork: true\n  brokerImage", 1);
    let message = refused(&FakeWorld::default(), &on_nodes);
    assert!(message.contains("need 4 nodes; 1 is schedulable"), "{message}");
    assert_eq!(
        refused(&FakeWorld::default(), OTHERS),
        "Broker/lone: `192.0.2.1:9876` of `spec.nameServers` is no name server of namespace `mq` and does not answer"
    );
}

#[test]
fn objects_of_somebody_else_are_never_taken_over() {
    let params = apply_params(&FakeWorld::default(), DEMO);
    let world = FakeWorld::default().with(|state| {
        let mut object = params.objects().find(|object| object.name == "broker-0-master").unwrap().clone();
        object.labels.clear();
        state.objects.insert(ObjectName { kind: object.kind, name: object.name.clone() }, object);
    });
    let error = check_for_collisions(&world, &params).now_or_never().unwrap().unwrap_err();
    assert_eq!(
        error.causes,
        ["StatefulSet/broker-0-master exists already and was not made by kubectl rocketmq"]
    );
}

#[tokio::test]
async fn another_version_than_the_tag_says_is_an_error_that_names_the_flag() {
    let world = FakeWorld::default();
    let params = apply_params(&world, &DEMO.replace("rocketmq:5.3.3", "rocketmq:5.1.4"));
    let operation = saga::Operation::new::<Apply>(&params).unwrap();
    let (journals, lock) = (saga::MemoryJournals::default(), saga::MemoryLock::default());
    let interrupt = saga::Interrupt::new();
    let executor = saga::Executor::new(&world, &journals, &lock, &saga::Silent, &interrupt);
    let end = executor.run("demo", &operation).await.unwrap();
    let saga::Outcome::Undone { failure: Some(failure) } = end.outcome else { panic!("{:?}", end.outcome) };
    assert_eq!(
        failure.error.causes,
        ["RocketMQ in pod `demo-0` is 5.3.3, but 5.1.4 was expected: say it with `--rocketmq-version 5.3.3`"]
    );
    assert_eq!(world.snapshot(), FakeWorld::default().snapshot());
}

#[tokio::test]
async fn a_pod_that_does_not_come_up_ends_with_its_reason_and_nothing_left() {
    let trouble = "container `broker`: ErrImagePull: not found";
    let world = FakeWorld::default().with(|state| {
        state.troubles.insert("broker-1-master-0".to_owned(), trouble.to_owned());
    });
    let before = world.snapshot();
    let operation = saga::Operation::new::<Apply>(&apply_params(&world, DEMO)).unwrap();
    let (journals, lock) = (saga::MemoryJournals::default(), saga::MemoryLock::default());
    let interrupt = saga::Interrupt::new();
    let executor = saga::Executor::new(&world, &journals, &lock, &saga::Silent, &interrupt);
    let end = executor.run("demo", &operation).await.unwrap();
    let saga::Outcome::Undone { failure: Some(failure) } = end.outcome else { panic!("{:?}", end.outcome) };
    assert_eq!(failure.error.causes, [format!("pod `broker-1-master-0`: {trouble}")]);
    assert_eq!(world.snapshot(), before);
}

#[tokio::test]
async fn a_new_cluster_is_whole_or_was_never_there_whatever_happens() {
    let params = apply_params(&FakeWorld::default(), DEMO);
    holds_whatever_happens::<Apply>(params, FakeWorld::default(), FakeWorld::snapshot).await;
}

#[tokio::test]
async fn brokers_in_a_cluster_are_whole_or_were_never_there_whatever_happens() {
    let text_of = OTHERS.replace("192.0.2.1:9876", "").replace("4.5.0", "5.3.3");
    let params = apply_params(&applied(DEMO), &text_of);
    holds_whatever_happens::<Apply>(params, applied(DEMO), FakeWorld::snapshot).await;
}
