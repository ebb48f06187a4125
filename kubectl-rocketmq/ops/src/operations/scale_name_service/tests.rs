//! Plans as text, guards, and what holds both ways whatever happens.

use std::time::Duration;

use agents::types::KvEntry;
use futures::FutureExt;
use rocketmq::model::version::Version;
use saga::{OperationKind, Steps};

use super::{Params, ScaleNameService, gather, plan};
use crate::clients::RoutePeriod;
use crate::error::OpsError;
use crate::fake::{DEMO, FakeWorld, applied, holds_whatever_happens, known};
use crate::world::World;

fn demo(size: u32) -> FakeWorld {
    applied(&DEMO.replacen("size: 1", &format!("size: {size}"), 1)).with(|state| {
        let entry = KvEntry {
            namespace: "ORDER_TOPIC_CONFIG".into(),
            key: "orders".into(),
            value: "broker-0:8".into(),
        };
        for ordinal in 0..size {
            state.kv.insert(format!("demo-{ordinal}"), vec![entry.clone()]);
        }
    })
}

fn planned(world: &FakeWorld, size: u32) -> Result<super::Planned, OpsError> {
    plan(&gather(world, &known(world), size).now_or_never().unwrap()?, size, RoutePeriod::default())
}

fn params(world: &FakeWorld, size: u32) -> Params {
    planned(world, size).unwrap().params.unwrap()
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = ScaleNameService::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    let title = <ScaleNameService as OperationKind<FakeWorld>>::title(params);
    format!("{title}\n{}", lines.join("\n"))
}

#[test]
fn the_plan_out() {
    insta::assert_snapshot!(text(&params(&demo(1), 3)), @r"
    scale name servers of `demo` 1 -> 3
    start 2 more name server(s) in StatefulSet/demo (1 -> 3)
    copy the KV configuration of name server demo-0 to the new one(s)
    record the list of 3 name server(s) that brokers follow
    give 4 broker(s) the list, in the file and live, and bridge them to the new name servers
    prove the routes: the name server(s) (3), every broker, every topic
    record the new size of 3
    ");
}

#[test]
fn the_plan_in() {
    insta::assert_snapshot!(text(&params(&demo(3), 1)), @r"
    scale name servers of `demo` 3 -> 1
    prove the routes: the name server(s) that stay (1), every broker, every topic
    record the list of 1 name server(s) that brokers follow
    take the leaving name servers out of every broker's list, and wait until none uses them
    prove the routes: the name server(s) (1), every broker, every topic
    stop the last 2 name server(s) of StatefulSet/demo (3 -> 1)
    record the new size of 1
    ");
}

#[test]
fn the_size_it_has_is_nothing_to_do() {
    let planned = planned(&demo(3), 3).unwrap();
    assert_eq!((planned.params, planned.warnings.len()), (None, 0));
}

#[test]
fn the_last_name_server_is_never_removed() {
    assert_eq!(
        planned(&demo(3), 0).unwrap_err().message,
        "the size must be at least 1: the last name server of a cluster is never removed"
    );
}

#[test]
fn scale_in_is_refused_while_those_that_stay_do_not_know_everything() {
    let world = demo(3).with(|state| {
        state.forgotten.insert(("demo-0".to_owned(), "broker-1-master-0".to_owned()));
    });
    let error = planned(&world, 1).unwrap_err();
    assert_eq!(
        error.message,
        "name servers of `demo` are not scaled: the name servers that stay do not know everything"
    );
    assert_eq!(error.causes, ["broker `broker-1:0` is not listed at `demo-0`"]);
    assert_eq!(error.hint.as_deref(), Some("kubectl rocketmq status demo -n mq"));
}

#[test]
fn scale_out_is_refused_while_a_broker_cannot_be_given_the_list() {
    let world = demo(1).with(|state| {
        state.silent.insert("broker-0-master-0".to_owned(), "no route".to_owned());
    });
    let error = planned(&world, 3).unwrap_err();
    assert_eq!(
        error.causes,
        [
            "broker pod `broker-0-master-0` could not be asked: agent of pod `broker-0-master-0` cannot be reached: no route"
        ]
    );
}

#[test]
fn clients_of_leaving_name_servers_are_told() {
    let world = demo(3).with(|state| {
        let remotes = ["10.9.9.9:1", "10.9.9.9:2", "127.0.0.1:3"].map(str::to_owned).into();
        state.connections.insert("demo-2".to_owned(), remotes);
        state.connections.insert("demo-0".to_owned(), vec!["10.9.9.8:1".to_owned()]);
    });
    assert_eq!(
        planned(&world, 1).unwrap().warnings,
        [
            "10.9.9.9 has 2 connection(s) to leaving name server `demo-2` and is no broker: it must list a name server \
         that stays"
        ]
    );
}

#[test]
fn more_name_servers_than_nodes_are_refused_on_the_nodes_network() {
    let text = DEMO.replacen("  nameServiceImage", "  hostNetwork: true\n  nameServiceImage", 1);
    let error = planned(&applied(&text), 3).unwrap_err();
    assert!(error.message.contains("need 3 nodes; 1 is schedulable"), "{}", error.message);
}

async fn check_all(from: u32, to: u32) {
    let params = params(&demo(from), to);
    holds_whatever_happens::<ScaleNameService>(params, demo(from), FakeWorld::snapshot).await;
}

#[tokio::test]
async fn out_and_in_end_whole_or_like_no_run_whatever_happens() {
    check_all(1, 3).await;
    check_all(3, 1).await;
    check_all(2, 3).await;
}

#[tokio::test]
async fn name_servers_go_when_brokers_have_read_their_list_again_and_clients_their_routes() {
    let waits = async |list_period_millis: u64, version: Version, route_period: u64| {
        let world =
            demo(2).with(|state| (state.list_period_millis, state.version) = (list_period_millis, version));
        let route_period = RoutePeriod::new(Duration::from_secs(route_period)).unwrap();
        let inventory = gather(&world, &known(&world), 1).await.unwrap();
        let params = plan(&inventory, 1, route_period).unwrap().params.unwrap();
        let operation = saga::Operation::new::<ScaleNameService>(&params).unwrap();
        let (journals, lock) = (saga::MemoryJournals::default(), saga::MemoryLock::default());
        let interrupt = saga::Interrupt::default();
        let executor = saga::Executor::new(&world, &journals, &lock, &saga::Silent, &interrupt);
        let end = executor.run("demo", &operation).await.unwrap();
        assert_eq!(end.outcome, saga::Outcome::Done);
        world.elapsed().as_secs()
    };
    let checks = [
        (5_000, Version::V5_3_3, 30, 40),
        (5_000, Version::V5_3_3, 60, 70),
        (120_000, Version::V5_3_3, 30, 155),
        (600_000, Version::V5_3_3, 30, 635),
        (0, Version::V5_3_3, 30, 155),
        (0, Version::V4_5_0, 30, 30),
    ];
    for (list_period_millis, version, route_period, least) in checks {
        let waited = waits(list_period_millis, version, route_period).await;
        assert!((least..least + 15).contains(&waited), "{waited}s with {list_period_millis} ms of {version}");
    }
}
