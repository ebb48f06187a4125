//! Plans as text, guards, and what holds whatever happens.

use std::collections::BTreeSet;

use futures::FutureExt;
use saga::{OperationKind, Steps};

use super::{Delete, DeleteCluster, Params, Planned, Target, gather, plan};
use crate::error::OpsError;
use crate::fake::{DEMO, FakeWorld, applied, holds_whatever_happens, known};

fn target(name_service: bool, brokers: &[&str]) -> Target {
    let brokers = brokers.iter().map(|name| (*name).to_owned()).collect();
    Target { name_service, brokers, config_maps: BTreeSet::new() }
}

fn planned(world: &FakeWorld, target: &Target) -> Result<Planned, OpsError> {
    plan(&gather(world, &known(world)).now_or_never().unwrap().unwrap(), target)
}

fn text<K: OperationKind<FakeWorld, Params = Params>>(params: &Params) -> String {
    let steps: Steps<FakeWorld> = K::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    format!("{}\n{}", K::title(params), lines.join("\n"))
}

#[test]
fn the_plan_of_a_whole_cluster() {
    let planned = planned(&applied(DEMO), &target(true, &["broker"])).unwrap();
    assert!(planned.whole);
    insta::assert_snapshot!(text::<DeleteCluster>(&planned.params), @r"
    delete cluster `demo`
    delete the brokers: StatefulSet/broker-0-master, StatefulSet/broker-0-replica-1, StatefulSet/broker-1-master, StatefulSet/broker-1-replica-1
    delete the name servers: StatefulSet/demo
    delete the objects around them: PodDisruptionBudget/broker-0, PodDisruptionBudget/broker-1, PodDisruptionBudget/demo, Service/demo
    delete the record of cluster `demo`
    ");
    assert_eq!(planned.stays.len(), 4);
    assert_eq!(planned.stays[0], "folder /data/rocketmq/broker on the nodes (StatefulSet/broker-0-master)");
    assert_eq!(planned.loses_data_of, ["StatefulSet/demo"]);
}

#[test]
fn the_plan_of_a_broker() {
    let planned = planned(&applied(DEMO), &target(false, &["broker"])).unwrap();
    assert!(!planned.whole);
    insta::assert_snapshot!(text::<Delete>(&planned.params), @r"
    delete broker/broker of cluster `demo`
    delete the brokers: StatefulSet/broker-0-master, StatefulSet/broker-0-replica-1, StatefulSet/broker-1-master, StatefulSet/broker-1-replica-1
    delete the objects around them: PodDisruptionBudget/broker-0, PodDisruptionBudget/broker-1
    take what is gone out of the record
    ");
}

#[test]
fn name_servers_that_serve_brokers_stay() {
    let error = planned(&applied(DEMO), &target(true, &[])).unwrap_err();
    assert_eq!(error.message, "NameService/demo still serves Broker/broker");
    assert_eq!(error.hint.as_deref(), Some("kubectl rocketmq delete broker broker -n mq"));
}

#[tokio::test]
async fn a_deleted_cluster_is_gone_whatever_happens() {
    let params = planned(&applied(DEMO), &target(true, &["broker"])).unwrap().params;
    // A kill between the journal's end and the key's deletion leaves the key, which harms nothing.
    holds_whatever_happens::<DeleteCluster>(params, applied(DEMO), |world| world.snapshot().without_keys())
        .await;
}

#[tokio::test]
async fn deleted_brokers_are_gone_whatever_happens() {
    let params = planned(&applied(DEMO), &target(false, &["broker"])).unwrap().params;
    holds_whatever_happens::<Delete>(params, applied(DEMO), FakeWorld::snapshot).await;
}

#[tokio::test]
async fn key_and_lock_go_with_the_cluster() {
    let world = applied(DEMO);
    let params = planned(&world, &target(true, &["broker"])).unwrap().params;
    let operation = saga::Operation::new::<DeleteCluster>(&params).unwrap();
    let (journals, lock) = (saga::MemoryJournals::default(), saga::MemoryLock::default());
    let interrupt = saga::Interrupt::new();
    let executor = saga::Executor::new(&world, &journals, &lock, &saga::Silent, &interrupt);
    assert_eq!(executor.run("demo", &operation).await.unwrap().outcome, saga::Outcome::Done);
    assert_eq!(world.snapshot(), FakeWorld::default().snapshot());
}
