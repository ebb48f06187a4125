//! Broker groups that are not let go of as long as somebody wants a message of theirs.

use lab::e2e::backlog::{Backlog, Fate, Wanted};
use lab::e2e::clusters::{self, NAME_SERVICE, Shape, name_server_pods};
use lab::e2e::drains::{self, Untouched};
use lab::e2e::groups;
use lab::e2e::judge::{Judge, masters};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::watch::{self, ensure};
use lab::error::{Context, Result};
use lab::wait::Look;
use rocketmq::model::topic::TopicConfig;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

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
const BRIEFLY: [&str; 2] = ["--drain-timeout", "20s"];

#[test]
fn drain_tells_what_holds_it_back_and_leaves_nothing_that_was_not_named() -> Verdict {
    scene("drain", Lane::Long, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        clusters::apply(scene, &CLUSTER.yaml_on_claims())?;
        make_topics(kubectl, &judge)?;
        let untouched = Untouched::now(kubectl, &judge, 2)?;
        scale_in_is_refused_while_routes_are_not_whole(scene)?;
        untouched.is_still(kubectl, &judge, UNREAD)?;

        scene.step("leaves messages unread by a group that is offline");
        let unread = make(scene, &judge, UNREAD, LEFT_UNREAD, Fate::Unread)?;
        let group = unread.wanted().group();
        let row = [UNREAD, &group, "37", "offline"];
        drains::is_refused(kubectl, "1", &BRIEFLY, &[&row])?;
        untouched.is_still(kubectl, &judge, UNREAD)?;
        unread.finish(scene)?;

        // Each is delayed for longer than its own part of the test, and none for much longer than the next ones.
        let refused = pauses(scene, &judge, &untouched, REFUSED, Fate::Retry(8), "SCHEDULE_TOPIC_XXXX")?;
        let timed = pauses(scene, &judge, &untouched, TIMED, Fate::Timer(240), "timer")?;
        let half = pauses(scene, &judge, &untouched, HALF, Fate::Half, "RMQ_SYS_TRANS_HALF_TOPIC")?;
        refused.finish(scene)?;
        // Nothing was ever delivered at this level.
        let delayed = pauses(scene, &judge, &untouched, DELAYED, Fate::Delayed(7), "SCHEDULE_TOPIC_XXXX")?;
        for backlog in [timed, half, delayed] {
            backlog.finish(scene)?;
        }

        scene.step("leaves a dead letter");
        make(scene, &judge, DEAD, 1, Fate::Dead)?;
        let dead_letters = ["%DLQ%letters-readers", "1"];
        drains::is_refused(kubectl, "1", &BRIEFLY, &[&dead_letters])?;
        untouched.is_still(kubectl, &judge, DEAD)?;
        what_is_left_must_be_counted(scene, &judge, &untouched)
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

fn make(scene: &Scene, judge: &Judge, topic: &'static str, messages: u32, fate: Fate) -> Result<Backlog> {
    let wanted = Wanted { topic, broker: groups::name(LEAVING), messages, fate };
    Backlog::make(scene, judge, CLUSTER.version, wanted)
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

/// Makes one message of this fate, demands that the drain pauses and names it, and undoes the operation.
fn pauses(
    scene: &Scene,
    judge: &Judge,
    untouched: &Untouched,
    topic: &'static str,
    fate: Fate,
    named: &str,
) -> Result<Backlog> {
    let kubectl = &scene.kubectl;
    scene.step(&format!("{fate:?}"));
    let backlog = make(scene, judge, topic, 1, fate)?;
    let operation = drains::is_paused(kubectl, "1", &BRIEFLY, &[&[named, "1"]])?;
    drains::takes_writes(kubectl, judge, LEAVING, topic, false)?;
    drains::takes_writes(kubectl, judge, 0, topic, true)?;
    drains::undo(kubectl, &operation)?;
    untouched.is_still(kubectl, judge, topic)?;
    Ok(backlog)
}

/// Of a group that is offline and of dead letters nobody will come for: they are abandoned by whoever knows their number.
fn what_is_left_must_be_counted(scene: &Scene, judge: &Judge, untouched: &Untouched) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("leaves messages unread once more, and counts wrong");
    make(scene, judge, UNREAD, LEFT_UNREAD, Fate::Unread)?;
    let wrong = ["--force", "--abandon=99"];
    drains::is_refused(kubectl, "1", &wrong, &[&["99"], &["38"]])?;
    untouched.is_still(kubectl, judge, UNREAD)?;

    scene.step("abandons them");
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
