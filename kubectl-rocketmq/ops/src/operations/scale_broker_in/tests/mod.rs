//! Plans as text, guards, what becomes of odd worlds, and what holds whatever happens.

mod clients;

use std::collections::BTreeMap;
use std::time::Duration;

use agents::types::Backlog;
use futures::FutureExt;
use k8s::objects::Object;
use rocketmq::model::backlog::{Kind, Row};
use rocketmq::model::permission::Permission;
use saga::{End, OperationKind, Outcome, Refusal, Registry, StepError, Steps};

use super::{DrainOptions, Params, Planned, ScaleBrokerIn, gather, plan};
use crate::clients::RoutePeriod;
use crate::error::{ErrorKind, OpsError};
use crate::fake::{Consumer, DEMO, FakeWorld, applied, holds_whatever_happens, known};
use crate::operations::scale_broker::{ScaleBrokerRequest, goal};
use crate::steps::broker_groups::OldData;
use crate::steps::broker_groups::held::tests::row;
use crate::world::World;

/// The master that leaves in a scale from two groups to one.
const LEAVING: &str = "broker-1-master-0";

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

fn forced(abandon: Option<u64>) -> ScaleBrokerRequest {
    ScaleBrokerRequest { drain: DrainOptions { force: true, abandon, ..DrainOptions::default() }, ..to(1) }
}

fn planned(world: &FakeWorld, request: &ScaleBrokerRequest) -> Result<Planned, OpsError> {
    let known = known(world);
    let goal = goal(&known, request)?.unwrap();
    plan(&gather(world, &known, &goal).now_or_never().unwrap()?, &goal, request)
}

fn params(world: &FakeWorld, request: &ScaleBrokerRequest) -> Params {
    planned(world, request).unwrap().params
}

fn refused(world: &FakeWorld, request: &ScaleBrokerRequest, kind: ErrorKind) -> OpsError {
    let error = planned(world, request).unwrap_err();
    assert_eq!((error.kind, error.state.as_str()), (kind, "nothing was changed"), "{error:?}");
    error
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = ScaleBrokerIn::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    format!("{}\n{}", <ScaleBrokerIn as OperationKind<FakeWorld>>::title(params), lines.join("\n"))
}

/// Messages that wait for a group that is offline, and dead letters.
fn staying() -> Vec<Row> {
    let offline = Row { offline: true, ..row(Kind::Unread, "orders", "audit", 37) };
    vec![offline, row(Kind::DeadLetter, "%DLQ%billing", "billing", 1)]
}

/// A cluster whose leaving master has these rows.
fn with_rows(rows: Vec<Row>) -> FakeWorld {
    applied(DEMO).with(|state| state.broker_mut(LEAVING).backlog.rows = rows)
}

/// An operation and its journal.
#[derive(Default)]
struct Bench {
    journals: saga::MemoryJournals,
    lock: saga::MemoryLock,
    interrupt: saga::Interrupt,
}

impl Bench {
    fn executor<'a>(
        &'a self,
        world: &'a FakeWorld,
    ) -> saga::Executor<'a, FakeWorld, saga::MemoryJournals, saga::MemoryLock> {
        saga::Executor::new(world, &self.journals, &self.lock, &saga::Silent, &self.interrupt)
    }

    async fn run(&self, world: &FakeWorld, params: &Params) -> End {
        let operation = saga::Operation::new::<ScaleBrokerIn>(params).unwrap();
        self.executor(world).run("demo", &operation).await.unwrap()
    }

    async fn undo(&self, world: &FakeWorld, id: &str) -> Result<End, Refusal> {
        self.executor(world).undo(id, &Registry::new().with::<ScaleBrokerIn>()).await
    }

    async fn resume(&self, world: &FakeWorld, id: &str) -> Outcome {
        let registry = Registry::new().with::<ScaleBrokerIn>();
        self.executor(world).resume(id, &registry).await.unwrap().outcome
    }
}

async fn run(world: &FakeWorld, params: &Params) -> Outcome {
    Bench::default().run(world, params).await.outcome
}

/// Runs into a pause, takes it back, and demands that everything is as before.
async fn paused_then_undone(bench: &Bench, world: &FakeWorld, params: &Params) -> StepError {
    let before = world.snapshot();
    let end = bench.run(world, params).await;
    let Outcome::Waiting { failure } = end.outcome else { panic!("{:?}", end.outcome) };
    assert_eq!(world.state().broker_mut(LEAVING).permission, Permission::READ);
    let undone = bench.undo(world, end.journal.id()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Undone { failure: None });
    assert_eq!(world.snapshot(), before);
    failure.error
}

#[test]
fn the_plan_of_one_group_less() {
    let planned = planned(&applied(DEMO), &to(1)).unwrap();
    insta::assert_snapshot!(text(&planned.params), @r"
    scale broker groups of `broker` 2 -> 1
    let clients read from 1 leaving master(s), but not write to them: brokerPermission, and the routes
    wait until every message of 1 leaving master(s) is consumed, and nobody has written for 60s
    let clients no longer read from 1 leaving master(s), and wait until consumers have let go of them, at most 55s
    delete the slaves of the leaving groups: StatefulSet/broker-1-replica-1
    delete the masters of the leaving groups: StatefulSet/broker-1-master, PodDisruptionBudget/broker-1
    take `broker-1:0`, `broker-1:1` out of every name server
    prove the routes: the name server(s) (1), every broker, every topic
    record the new size of 1
    ");
    assert_eq!(planned.warnings, Vec::<String>::new());
    assert_eq!(
        planned.stays,
        ["master", "replica-1"].map(|member| format!(
            "data in folder /data/rocketmq/broker on the nodes (StatefulSet/broker-1-{member})"
        ))
    );
    assert_eq!(planned.params.followers.masters, ["broker-0-master"]);
}

#[test]
fn the_highest_groups_leave_and_data_in_pods_go() {
    let text_of = DEMO
        .replace("size: 2", "size: 4")
        .replace("replicaPerGroup: 1", "replicaPerGroup: 0")
        .replace("storageMode: HostPath\n  hostPath: /data/rocketmq/broker", "storageMode: EmptyDir");
    let planned = planned(&applied(&text_of), &to(2)).unwrap();
    insta::assert_snapshot!(text(&planned.params), @r"
    scale broker groups of `broker` 4 -> 2
    let clients read from 2 leaving master(s), but not write to them: brokerPermission, and the routes
    wait until every message of 2 leaving master(s) is consumed, and nobody has written for 60s
    let clients no longer read from 2 leaving master(s), and wait until consumers have let go of them, at most 55s
    delete the masters of the leaving groups: StatefulSet/broker-2-master, PodDisruptionBudget/broker-2, StatefulSet/broker-3-master, PodDisruptionBudget/broker-3
    take `broker-2:0`, `broker-3:0` out of every name server
    prove the routes: the name server(s) (1), every broker, every topic
    record the new size of 2
    ");
    assert_eq!(planned.stays, Vec::<String>::new());
    assert_eq!(
        planned.warnings,
        ["2", "3"].map(|group| format!("data in the pods of StatefulSet/broker-{group}-master go with them"))
    );
}

#[test]
fn messages_that_nobody_will_consume_are_named_and_counted() {
    let world = with_rows(staying());
    let error = refused(&world, &to(1), ErrorKind::Refused);
    assert_eq!(
        error.message,
        "broker groups of `broker` are not scaled in: 38 message(s) of those that leave would be lost"
    );
    insta::assert_snapshot!(error.causes.join("\n"), @r"
    nobody is there to consume:
    BROKER    KIND         TOPIC         GROUP    UNREAD  CLIENTS
    broker-1  unread       orders        audit    37      offline
    broker-1  dead-letter  %DLQ%billing  billing  1       -
    what a group has not read its consumers read when they run again
    dead letters stay where they are, also when somebody has read them
    ");
    let force = "kubectl rocketmq scale broker broker --size 1 --force --abandon=38 -n mq";
    assert_eq!(error.hint, Some(format!("to lose them: {force}")));

    let wrong = refused(&world, &forced(Some(99)), ErrorKind::Refused);
    assert_eq!(
        wrong.message,
        "broker groups of `broker` are not scaled in: `--abandon=99` does not fit: 38 message(s) would be abandoned"
    );
    assert_eq!(wrong.hint.as_deref(), Some(force));
    assert_eq!(refused(&applied(DEMO), &forced(Some(1)), ErrorKind::Refused).causes, Vec::<String>::new());
    for abandon in [None, Some(38)] {
        assert_eq!(planned(&world, &forced(abandon)).unwrap().abandons(), 38);
    }
}

#[test]
fn what_somebody_is_there_to_consume_is_waited_for() {
    let world = with_rows(vec![
        row(Kind::Unread, "orders", "billing", 7),
        row(Kind::Delayed, "SCHEDULE_TOPIC_XXXX", "", 1),
        row(Kind::Broadcast, "news", "everybody", 0),
    ]);
    let planned = planned(&world, &to(1)).unwrap();
    assert_eq!(planned.abandons(), 0);
    assert_eq!(
        planned.warnings,
        [
            "group `everybody` reads `news` of `broker-1` by broadcast, so what its members have read is known to \
             them alone: they have 60s after the last message"
        ]
    );
}

#[test]
fn what_must_be_known_and_whole_before_is_refused_by_name() {
    let check = |world: FakeWorld, request: &ScaleBrokerRequest, message: &str, cause: &str| {
        let error = refused(&world, request, ErrorKind::Refused);
        assert_eq!(error.message, format!("broker groups of `broker` are not scaled in: {message}"));
        assert_eq!(error.causes, [cause]);
    };
    let unknown = || {
        applied(DEMO).with(|state| {
            state.broker_mut(LEAVING).backlog.unknown = vec!["the topics: timed out".to_owned()];
        })
    };
    for request in [to(1), forced(None)] {
        check(
            unknown(),
            &request,
            "it is not known whether somebody still wants their messages",
            "`broker-1` does not tell the topics: timed out",
        );
    }
    let forgotten = applied(DEMO).with(|state| {
        state.forgotten.insert(("demo-0".to_owned(), "broker-0-master-0".to_owned()));
    });
    check(
        forgotten,
        &to(1),
        "the routes are not whole, so clients may need those that leave",
        "broker `broker-0:0` is not listed at `demo-0`",
    );
    let foreign = applied(DEMO).with(|state| {
        let object = state.objects.values_mut().find(|object| object.name == "broker-1").unwrap();
        object.labels.clear();
    });
    check(
        foreign,
        &to(1),
        "not everything of them was made by kubectl rocketmq",
        "PodDisruptionBudget/broker-1 is somebody else's",
    );
}

#[test]
fn flags_of_more_groups_are_no_flags_of_fewer() {
    let request = ScaleBrokerRequest { from: Some("broker-0-master-0".to_owned()), ..to(1) };
    let error = refused(&applied(DEMO), &request, ErrorKind::Usage);
    assert_eq!(error.message, "`--from` is for more broker groups, not for fewer");
}

#[tokio::test]
async fn a_cluster_that_was_scaled_in_is_like_one_that_was_made_so() {
    let made = applied(&DEMO.replacen("size: 2", "size: 1", 1));
    let world = applied(DEMO);
    let params = params(&world, &to(1));
    assert_eq!(run(&world, &params).await, Outcome::Done);
    let objects = |world: &FakeWorld| -> BTreeMap<String, Object> {
        let state = world.state();
        let objects = state.objects.values().cloned().map(Object::without_identity);
        objects.map(|object| (object.reference(), object)).collect()
    };
    assert_eq!(objects(&world), objects(&made));
    assert_eq!(known(&world).record.inventory, known(&made).record.inventory);
    assert_eq!(known(&world).followers(), params.followers);
    assert!(world.elapsed().as_secs() >= 60, "nobody may write for two route periods");
}

#[tokio::test]
async fn messages_are_waited_for_and_writes_are_stopped_meanwhile() {
    let left = |messages| Backlog {
        rows: vec![row(Kind::Unread, "orders", "billing", messages)],
        boot_timestamp_millis: 1,
        ..Backlog::default()
    };
    let world = applied(DEMO);
    let params = params(&world, &to(1));
    let empty = Backlog { boot_timestamp_millis: 1, ..Backlog::default() };
    let looks = (1..=30).rev().map(left).chain([empty]);
    world.state().broker_mut(LEAVING).looks = looks.collect();
    assert_eq!(run(&world, &params).await, Outcome::Done);
    // 30 looks with messages, two without; then nobody is there who would have to let go.
    assert_eq!(world.elapsed().as_secs(), 31 * 5);
}

#[tokio::test]
async fn a_broker_that_restarts_in_mid_drain_is_closed_again_and_counted_from_the_start() {
    let world = applied(DEMO);
    let params = params(&world, &to(1));
    let look = |boot: u64, permission: u32| Backlog {
        boot_timestamp_millis: boot,
        permission,
        ..Backlog::default()
    };
    let before = (0..10).map(|_| look(1, 0));
    world.state().broker_mut(LEAVING).looks = before.chain([look(2, 6), look(2, 0)]).collect();
    let bench = Bench::default();
    let end = bench.run(&world, &params).await;
    assert_eq!(end.outcome, Outcome::Done);
    assert_eq!(world.elapsed().as_secs(), 10 * 5 + 60);
}

#[tokio::test]
async fn a_drain_that_takes_too_long_pauses_with_its_table_and_can_be_undone_or_go_on() {
    let world = with_rows(vec![row(Kind::Half, "RMQ_SYS_TRANS_HALF_TOPIC", "CID_RMQ_SYS_TRANS", 1)]);
    let request = ScaleBrokerRequest {
        drain: DrainOptions { timeout: Duration::from_secs(20), ..DrainOptions::default() },
        ..to(1)
    };
    let params = params(&world, &request);
    let bench = Bench::default();
    let error = paused_then_undone(&bench, &world, &params).await;
    assert_eq!(
        error.message,
        "the leaving masters are not drained after 20s; they take no new messages meanwhile"
    );
    insta::assert_snapshot!(error.causes.join("\n"), @r"
    somebody still wants:
    BROKER    KIND  TOPIC                     GROUP              UNREAD  CLIENTS
    broker-1  half  RMQ_SYS_TRANS_HALF_TOPIC  CID_RMQ_SYS_TRANS  1       -
    `broker-1` must have no new message for 40s more
    ");

    let end = bench.run(&world, &params).await;
    assert!(matches!(end.outcome, Outcome::Waiting { .. }));
    world.state().broker_mut(LEAVING).backlog.rows.clear();
    // It is counted from the start, so it takes longer than the time it has.
    assert!(matches!(bench.resume(&world, end.journal.id()).await, Outcome::Waiting { .. }));
    bench.undo(&world, end.journal.id()).await.unwrap();

    let patient = Params { drain_timeout_seconds: 60, ..params };
    assert_eq!(bench.run(&world, &patient).await.outcome, Outcome::Done);
}

#[tokio::test]
async fn only_what_was_counted_is_abandoned() {
    let params = |world: &FakeWorld| params(world, &forced(Some(38)));
    let world = with_rows(staying());
    assert_eq!(run(&world, &params(&world)).await, Outcome::Done);

    // Somebody has sent one more.
    let world = with_rows(staying());
    let counted = Params { drain_timeout_seconds: 120, ..params(&world) };
    world.state().broker_mut(LEAVING).backlog.rows[0].messages += 1;
    let error = paused_then_undone(&Bench::default(), &world, &counted).await;
    assert!(error.causes[0].contains("audit"), "{error}");

    let world = with_rows(Vec::new());
    let none = self::params(&world, &to(1));
    world.state().broker_mut(LEAVING).backlog.rows =
        vec![row(Kind::DeadLetter, "%DLQ%billing", "billing", 1)];
    let error = paused_then_undone(&Bench::default(), &world, &none).await;
    assert_eq!(error.message, "there are dead letters that were not there when the plan was made");
}

#[tokio::test]
async fn the_first_wish_to_stop_ends_a_drain() {
    let world = with_rows(vec![row(Kind::Unread, "orders", "billing", 7)]);
    let params = Params { drain_timeout_seconds: 0, ..params(&world, &to(1)) };
    let (bench, before) = (Bench::default(), world.snapshot());
    let (end, ()) = tokio::join!(bench.run(&world, &params), async {
        while world.elapsed().as_secs() < 300 {
            tokio::task::yield_now().await;
        }
        bench.interrupt.after_step("interrupted");
    });
    assert_eq!(end.outcome, Outcome::Interrupted { reason: "interrupted".to_owned(), in_doubt: None });
    bench.undo(&world, end.journal.id()).await.unwrap();
    assert_eq!(world.snapshot(), before);
}

#[tokio::test]
async fn groups_are_whole_or_gone_everywhere_whatever_happens() {
    let no_slaves = DEMO.replace("replicaPerGroup: 1", "replicaPerGroup: 0").replace("size: 2", "size: 4");
    let lingering = |text: &str| {
        applied(text).with(|state| {
            state.lingers = true;
            // What was before is what undo restores.
            state.broker_mut("broker-1-master-0").permission = Permission::from_bits(7);
            state.broker_mut("broker-1-master-0").backlog.rows = staying();
            state.consumers =
                vec![Consumer::new("billing", 40), Consumer { tells: false, ..Consumer::new("audit", 50) }];
        })
    };
    for (text, request) in [(DEMO, forced(Some(38))), (no_slaves.as_str(), forced(None))] {
        holds_whatever_happens::<ScaleBrokerIn>(
            params(&lingering(text), &request),
            lingering(text),
            FakeWorld::snapshot,
        )
        .await;
    }
}
