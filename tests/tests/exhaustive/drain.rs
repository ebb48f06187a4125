//! Broker groups that are drained while their broker dies.

use std::time::Duration;

use lab::e2e::clusters::{BROKER_CONTAINER, Shape, name_server_pods};
use lab::e2e::drains;
use lab::e2e::groups;
use lab::e2e::journal::{self, Journals, Moment};
use lab::e2e::judge::Judge;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::plugin::Running;
use lab::e2e::pods;
use lab::e2e::processes;
use lab::e2e::results::exhaustive;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene};
use lab::e2e::traffic::TOPICS;
use lab::e2e::watch::{self, Watch, ensure};
use lab::error::Result;
use lab::wait::Look;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// The group that shall leave.
const LEAVING: u32 = 1;

/// For two periods of clients' routes nobody must have written to a broker that ran all the time.
const QUIET: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the lab"]
fn broker_killed_in_mid_drain_takes_no_writes_and_is_counted_from_the_start() -> Verdict {
    let about = "A broker dies while it is drained";
    exhaustive("drain-broker-killed", about, Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        CLUSTER.apply(scene)?;
        judge.make_topics(kubectl)?;
        let former = journal::operations(kubectl)?;
        let mut journals = Journals::watch(kubectl)?;
        let running = Running::start(kubectl, &groups::scale_arguments("1"), "")?;
        if let Err(error) = killed_in_mid_drain(scene, &judge, &mut journals, &former) {
            // It may have ended by itself.
            let said = running.kill().map(|ended| ended.stderr).unwrap_or_default();
            return Err(error.with_output(&said));
        }
        running.wait()?.expect_code(0)?;
        groups::are(kubectl, &judge, 1)
    })
}

fn killed_in_mid_drain(
    scene: &Scene,
    judge: &Judge,
    journals: &mut Journals,
    former: &[String],
) -> Result<()> {
    let kubectl = &scene.kubectl;
    journals.await_moment(Moment::Started("drain"), former)?;
    let master = pods::pod(kubectl, &groups::master(LEAVING))?;
    let booted = judge.boot_timestamp(&master)?;
    let closed = stays_closed(kubectl)?;
    scene.step("kills the broker's Java");
    // The container ends with it, and with the container this command in one way or another: the restart is the proof.
    let _ = processes::signal_java(kubectl, &master, BROKER_CONTAINER, "KILL");
    let back = watch::until("the broker's next run", PODS_WITHIN, || match judge.boot_timestamp(&master) {
        Ok(now) if now > booted => Look::Ready(now),
        Ok(_) => Look::NotYet("it is the former one still".to_owned()),
        Err(error) => Look::NotYet(error.to_string()),
    })?;
    watch::until("the permission that the drain had set", PODS_WITHIN, || {
        match drains::takes_writes(kubectl, judge, LEAVING, TOPICS[0], false) {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })?;
    journals.await_moment(Moment::Done("drain"), former)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let looks = closed.end()?;
    // The broker's clock is this machine's.
    let counted = u64::try_from(now).unwrap_or_default().saturating_sub(back);
    scene.step(&format!("drained {counted} ms after its restart, closed at {looks} looks"));
    ensure(u128::from(counted) >= QUIET.as_millis(), || {
        format!("the drain ended {counted} ms after the broker was restarted")
    })
}

/// At no look does a name server show the group as one that takes writes.
fn stays_closed(kubectl: &Kubectl) -> Result<Watch> {
    let judge = Judge::new()?;
    let name_servers = name_server_pods(kubectl)?;
    Ok(Watch::start(Duration::from_millis(200), move || {
        for name_server in &name_servers {
            let shown = judge.shown_master(name_server, TOPICS[0], &groups::name(LEAVING))?;
            ensure(!shown.as_ref().is_some_and(|shown| shown.permission.is_writable()), || {
                format!("name server `{}` shows {shown:?}", name_server.name)
            })?;
        }
        Ok(())
    }))
}
