//! Broker groups that are not let go of as long as somebody wants a message of theirs.

use std::thread;

use lab::e2e::audit::Audit;
use lab::e2e::backlog::{Backlog, Fate, Wanted};
use lab::e2e::clusters::{self, NAME_SERVICE, Shape, name_server_pods};
use lab::e2e::drains::{self, Untouched};
use lab::e2e::groups;
use lab::e2e::judge::{Judge, masters};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::watch::{self, ensure};
use lab::error::{Context, LabError, Result};
use lab::wait::Look;
use rocketmq::model::topic::TopicConfig;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// Two delay levels that last as long as the test needs them, and not for minutes. Transactions are asked for often: their
/// end is what the test waits for.
const SETTINGS: &str = "messageDelayLevel=1s 5s 10s 30s 80s 90s 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h
transactionCheckInterval=10000
transactionCheckMax=100";

/// The group that shall leave.
const LEAVING: u32 = 1;

/// Topics of one queue at each broker: one for each kind of message that holds a drain back.
const KINDS: [&str; 6] = [UNREAD, REFUSED, TIMED, HALF, DELAYED, DEAD];
const UNREAD: &str = "invoices";
const REFUSED: &str = "refunds";
const TIMED: &str = "alarms";
const HALF: &str = "transfers";
const DELAYED: &str = "reminders";
const DEAD: &str = "letters";

/// What a group has not read, a number that nothing else has.
const LEFT_UNREAD: u32 = 37;

/// A drain that has waited so long pauses. None can be over: for 60 s nobody must have written.
const BRIEFLY: [&str; 2] = ["--drain-timeout", "10s"];

#[test]
#[ignore = "needs the lab"]
fn drain_tells_what_holds_it_back_and_leaves_nothing_that_was_not_named() -> Verdict {
    scene("drain", Lane::Long, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        clusters::apply(scene, &CLUSTER.yaml_on_claims_with(SETTINGS))?;
        make_topics(kubectl, &judge)?;
        let audit = Audit::begin(kubectl)?;
        scale_in_is_refused_while_routes_are_not_whole(scene)?;
        let untouched = Untouched::now(kubectl, &judge, 2)?;
        let staying = what_nobody_is_there_to_consume_must_be_counted(scene, &judge)?;
        audit.nothing_was_written()?;
        untouched.is_still(kubectl, &judge, UNREAD)?;

        let going = pauses_with_all_that_holds_it_back(scene, &judge, &untouched)?;
        for backlog in going {
            backlog.finish(scene)?;
        }
        abandons_what_was_counted(scene, &judge, &staying)
    })
}

fn make_topics(kubectl: &Kubectl, judge: &Judge) -> Result<()> {
    let topic = |name: &str| -> Result<TopicConfig> {
        Ok(TopicConfig::new(&name.parse().context(|| format!("`{name}` is no topic name"))?, 1))
    };
    let topics: Vec<TopicConfig> = KINDS.into_iter().map(topic).collect::<Result<_>>()?;
    for master in masters(kubectl)? {
        judge.make(&master, &topics, &[])?;
    }
    judge.await_routes(kubectl)
}

fn make(scene: &Scene, topic: &'static str, messages: u32, fate: Fate) -> Result<Backlog> {
    let wanted = Wanted { topic, broker: groups::name(LEAVING), messages, fate };
    Backlog::make(scene, &Judge::new()?, CLUSTER.version, wanted)
}

/// A name server that no broker knows of is one that a client may be told of.
fn scale_in_is_refused_while_routes_are_not_whole(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("makes a name server without routes");
    let scale = |replicas: usize| -> Result<()> {
        let replicas_flag = format!("--replicas={replicas}");
        kubectl.run(&["scale", "statefulset", NAME_SERVICE, &replicas_flag])?;
        watch::until(&format!("{replicas} name server(s)"), PODS_WITHIN, || match name_server_pods(kubectl) {
            Ok(pods) if pods.len() == replicas && pods.iter().all(|pod| pod.ready) => Look::Ready(()),
            Ok(pods) => Look::NotYet(format!("{pods:?}")),
            Err(error) => Look::NotYet(error.to_string()),
        })
    };
    scale(2)?;
    let refused = drains::is_refused(kubectl, "1", &BRIEFLY, &[&["broker-", "name-service-1"]]);
    scale(1)?;
    refused
}

/// Of a group that is offline and of dead letters nobody will come for: a scale is refused until somebody knows their
/// number.
fn what_nobody_is_there_to_consume_must_be_counted(scene: &Scene, judge: &Judge) -> Result<Backlog> {
    let kubectl = &scene.kubectl;
    scene.step("leaves messages unread by a group that is offline, and a dead letter");
    let unread = make(scene, UNREAD, LEFT_UNREAD, Fate::Unread)?;
    make(scene, DEAD, 1, Fate::Dead)?;
    ensure(unread_at(kubectl, judge, &unread)? == u64::from(LEFT_UNREAD), || {
        "the broker has not what was sent to it".to_owned()
    })?;
    let group = unread.wanted().group();
    let rows: [&[&str]; 2] = [&[UNREAD, &group, "37", "offline"], &["%DLQ%letters-readers", "1"]];
    drains::is_refused(kubectl, "1", &BRIEFLY, &rows)?;
    drains::is_refused(kubectl, "1", &["--force", "--abandon=99"], &[&["99"], &["38"]])?;
    Ok(unread)
}

/// One pause names everything, with the group and the number; undone, it leaves everything as it was. Returns what will
/// go by itself.
fn pauses_with_all_that_holds_it_back(
    scene: &Scene,
    judge: &Judge,
    untouched: &Untouched,
) -> Result<Vec<Backlog>> {
    let kubectl = &scene.kubectl;
    scene.step("leaves a transaction open");
    let half = make(scene, HALF, 1, Fate::Half)?;
    scene.step("has messages refused, delayed and timed");
    // Side by side: what comes after a minute and a half must be there when the last is made.
    let fates = [(REFUSED, Fate::Retry(5)), (DELAYED, Fate::Delayed(6)), (TIMED, Fate::Timer(90))];
    let mut going = thread::scope(|threads| {
        let makes = fates.map(|(topic, fate)| threads.spawn(move || make(scene, topic, 1, fate)));
        let made = makes.into_iter().map(|made| {
            made.join().unwrap_or_else(|_| Err(LabError::new("a thread that makes messages panicked")))
        });
        made.collect::<Result<Vec<Backlog>>>()
    })?;
    going.push(half);

    scene.step("pauses");
    let flags = [&BRIEFLY[..], &["--force", "--abandon=38"]].concat();
    let rows: [&[&str]; 6] = [
        &[UNREAD, "invoices-readers", "37", "offline"],
        &["%DLQ%letters-readers", "1"],
        &["SCHEDULE_TOPIC_XXXX", "1", "level 5 (80s)"],
        &["SCHEDULE_TOPIC_XXXX", "1", "level 6 (90s)"],
        &["timer", "1"],
        &["RMQ_SYS_TRANS_HALF_TOPIC", "1"],
    ];
    let operation = drains::is_paused(kubectl, "1", &flags, &rows)?;
    drains::takes_writes(kubectl, judge, LEAVING, REFUSED, false)?;
    drains::takes_writes(kubectl, judge, 0, REFUSED, true)?;
    scene.step("undoes it");
    drains::undo(kubectl, &operation)?;
    untouched.is_still(kubectl, judge, REFUSED)?;
    Ok(going)
}

/// The number that was counted at first is still the number: neither the pause nor its end took one away.
fn abandons_what_was_counted(scene: &Scene, judge: &Judge, unread: &Backlog) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("abandons what nobody is there to consume");
    let left = unread_at(kubectl, judge, unread)?;
    ensure(left == u64::from(LEFT_UNREAD), || format!("of {LEFT_UNREAD} unread messages {left} are left"))?;
    let claims = drains::claims_of(kubectl, LEAVING)?;
    ensure(!claims.is_empty(), || "the group that shall leave has no claim".to_owned())?;
    let right = drains::arguments("1", &["--force", "--abandon=38"]);
    let ended = kubectl.rocketmq(&right)?.expect_code(0)?;
    for claim in &claims {
        drains::says_lines(kubectl, &ended, &[&[claim]])?;
    }
    groups::are(kubectl, judge, 1)?;
    let left = drains::claims_of(kubectl, LEAVING)?;
    ensure(left == claims, || format!("of {claims:?} only {left:?} stayed"))
}

/// How many messages the leaving broker says are unread.
fn unread_at(kubectl: &Kubectl, judge: &Judge, unread: &Backlog) -> Result<u64> {
    judge.unread(&pods::pod(kubectl, &groups::master(LEAVING))?, &unread.wanted().subscription(), 0)
}
