//! Plans as text, guards, and what holds whatever happens.

use futures::FutureExt;
use saga::{OperationKind, Steps};

use super::{Params, Planned, ScaleReplicas, ScaleReplicasRequest, gather, goal, plan};
use crate::error::{ErrorKind, OpsError};
use crate::fake::{DEMO, FakeWorld, applied, holds_whatever_happens, known};
use crate::steps::objects::ObjectName;

fn planned(world: &FakeWorld, replicas: u32) -> Result<Planned, OpsError> {
    let known = known(world);
    let request = ScaleReplicasRequest { name: "broker".to_owned(), replicas };
    let goal = goal(&known, &request)?.unwrap();
    plan(&gather(world, &known, &goal).now_or_never().unwrap()?, &goal)
}

fn params(world: &FakeWorld, replicas: u32) -> Params {
    planned(world, replicas).unwrap().params
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = ScaleReplicas::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    format!("{}\n{}", <ScaleReplicas as OperationKind<FakeWorld>>::title(params), lines.join("\n"))
}

fn refused(world: &FakeWorld, replicas: u32) -> OpsError {
    let error = planned(world, replicas).unwrap_err();
    assert_eq!((error.kind, error.state.as_str()), (ErrorKind::Refused, "nothing was changed"), "{error:?}");
    error
}

#[test]
fn the_plan_of_more_slaves() {
    insta::assert_snapshot!(text(&params(&applied(DEMO), 2)), @r"
    scale slaves of each group of `broker` 1 -> 2
    create StatefulSet/broker-0-replica-2
    create StatefulSet/broker-1-replica-2
    wait until the new slaves of `broker` are ready (2 pods)
    wait until 2 new slave(s) have caught up with their masters
    prove the routes: the name server(s) (1), every broker, every topic
    record the new number of 2 slave(s) a group
    ");
}

#[test]
fn the_plan_of_fewer_slaves() {
    let planned = planned(&applied(DEMO), 0).unwrap();
    insta::assert_snapshot!(text(&planned.params), @r"
    scale slaves of each group of `broker` 1 -> 0
    delete the slaves of `broker`: StatefulSet/broker-0-replica-1, StatefulSet/broker-1-replica-1
    take `broker-0:1`, `broker-1:1` out of every name server
    prove the routes: the name server(s) (1), every broker, every topic
    record the new number of 0 slave(s) a group
    ");
    assert_eq!(
        planned.stays,
        [
            "folder /data/rocketmq/broker on the nodes (StatefulSet/broker-0-replica-1)",
            "folder /data/rocketmq/broker on the nodes (StatefulSet/broker-1-replica-1)",
        ]
    );
}

#[test]
fn the_same_number_is_no_goal() {
    let request = ScaleReplicasRequest { name: "broker".to_owned(), replicas: 1 };
    assert_eq!(goal(&known(&applied(DEMO)), &request), Ok(None));
}

#[test]
fn a_synchronous_master_keeps_a_slave() {
    let world = applied(&DEMO.replace("replicationMode: ASYNC", "replicationMode: SYNC"));
    assert_eq!(
        refused(&world, 0).message,
        "slaves of `broker` are not scaled: masters with SYNC replication answer every send with SLAVE_NOT_AVAILABLE \
         when they have no slave"
    );
    assert!(planned(&world, 2).is_ok());
}

#[test]
fn routes_that_are_not_whole_keep_slaves_from_going() {
    let world = || {
        applied(DEMO).with(|state| {
            state.forgotten.insert(("demo-0".to_owned(), "broker-1-master-0".to_owned()));
        })
    };
    let error = refused(&world(), 0);
    assert_eq!(error.message, "slaves of `broker` are not scaled: the routes are not whole");
    assert_eq!(error.causes, ["broker `broker-1:0` is not listed at `demo-0`"]);
    assert_eq!(
        planned(&world(), 2).unwrap().warnings,
        ["the routes are not whole now: broker `broker-1:0` is not listed at `demo-0`"]
    );
}

#[test]
fn objects_in_the_place_of_new_slaves_are_never_taken_over() {
    let mut object = params(&applied(DEMO), 2).filled[0].slaves[0].clone();
    object.labels.clear();
    let world = applied(DEMO).with(|state| {
        state.objects.insert(ObjectName { kind: object.kind, name: object.name.clone() }, object);
    });
    let error = refused(&world, 2);
    assert_eq!(error.message, "slaves of `broker` are not scaled: the place of a new slave is taken");
    assert_eq!(
        error.causes,
        ["StatefulSet/broker-0-replica-2 exists already and was not made by kubectl rocketmq"]
    );
}

#[tokio::test]
async fn slaves_are_there_or_were_never_there_whatever_happens() {
    for replicas in [2, 0] {
        holds_whatever_happens::<ScaleReplicas>(
            params(&applied(DEMO), replicas),
            applied(DEMO),
            FakeWorld::snapshot,
        )
        .await;
    }
}
