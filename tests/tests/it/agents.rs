//! Agents and Java processes that are killed while a list changes: parts of the clusters of [`crate::four`] and
//! [`crate::node`].

use std::thread;
use std::time::{Duration, Instant};

use lab::e2e::clusters::{self, BROKER_CONTAINER};
use lab::e2e::judge::Judge;
use lab::e2e::load::Load;
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes::{self, BrokerConfWrites};
use lab::e2e::scene::{PODS_WITHIN, Scene};
use lab::e2e::traffic::{Traffic, few_messages};
use lab::e2e::watch::{self, ensure};
use lab::error::{LabError, Result};
use lab::wait::{self, Look};

use crate::scale::joined;

/// The first name server that joins.
const JOINS: u32 = 1;

/// Starts traffic that knows the name server alone that joins first, while `scale` lets it join: the client must not lose
/// the time for which a bridge is held. It asks for routes each second, so that it meets each gap.
pub(crate) fn with_traffic_at_the_bridge<T>(
    scene: &Scene,
    version: &'static str,
    scale: impl FnOnce() -> Result<T>,
) -> Result<(T, Traffic)> {
    let name_server = [clusters::address(&scene.kubectl, JOINS)];
    let load = Load { quick: true, ..Load::default() };
    thread::scope(|scope| {
        let traffic = scope.spawn(|| Traffic::start_with(scene, version, "bridged", &name_server, &load));
        let scaled = scale()?;
        Ok((scaled, joined(traffic)??))
    })
}

/// Kills the agent that holds a broker's bridge at the only name server that `traffic` knows: no send fails, its rows are
/// back within 30 s, from then on a fresh client works with it, and Java is not restarted.
pub(crate) fn agent_killed_during_a_bridge_restarts_nothing_and_fails_no_send(
    scene: &Scene,
    judge: &Judge,
    version: &'static str,
    mut traffic: Traffic,
    broker: &str,
) -> Result<()> {
    let kubectl = &scene.kubectl;
    let (broker, joined) =
        (pods::pod(kubectl, broker)?, pods::pod(kubectl, &format!("{}-{JOINS}", clusters::NAME_SERVICE))?);
    let truth = judge.truth(kubectl)?;
    ensure(judge.is_bridged(&joined, &broker)?, || {
        format!("pod `{}` is not bridged to name server `{}`", broker.name, joined.name)
    })?;
    scene.step("kills the agent");
    processes::kill_agent(&broker)?;
    rows_are_back(scene, &broker, || judge.shows_all(&joined, &truth))?;
    traffic.goes_on()?;

    scene.step("starts a client that knows that name server only");
    let name_server = [clusters::address(kubectl, JOINS)];
    few_messages(scene, version, "after-the-kill", &name_server, &Load::default())?;
    let now = pods::pod(kubectl, &broker.name)?;
    ensure(now.container(BROKER_CONTAINER)? == broker.container(BROKER_CONTAINER)?, || {
        format!("Java was restarted: {now:?}")
    })?;
    let counts = traffic.finish()?;
    scene.step(&format!("sent and received {counts:?}"));
    Ok(())
}

/// The connection of the dead agent takes its rows with it, perhaps after the first look: whole counts from when the agent
/// runs again.
fn rows_are_back(scene: &Scene, broker: &Pod, are_whole: impl Fn() -> Result<()>) -> Result<()> {
    let killed = Instant::now();
    let agent = broker.container("rocketmq-agent")?;
    wait::until("the rows of the new name server", Duration::from_secs(30), || {
        let again = pods::pod(&scene.kubectl, &broker.name)
            .and_then(|pod| pod.container("rocketmq-agent").cloned())
            .and_then(|now| {
                ensure(now.restarts > agent.restarts, || "the agent does not run again".to_owned())
            })
            .and_then(|()| are_whole());
        match again {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })?;
    scene.step(&format!("rows were back {} ms after the kill", killed.elapsed().as_millis()));
    Ok(())
}

/// From `size` name servers on. The list of 5.x is in `broker.conf`, which the agent writes, and then Java.
pub(crate) fn java_killed_after_each_write_of_broker_conf_comes_back_with_the_new_list(
    scene: &Scene,
    judge: &Judge,
    size: u32,
) -> Result<()> {
    let kubectl = &scene.kubectl;
    for (writes, size) in [(1, size + 1), (2, size + 2)] {
        let broker = pods::pod(kubectl, "broker-0-master-0")?;
        let conf = BrokerConfWrites::of(&broker)?;
        let killer = thread::spawn(move || conf.kill_java_after(writes));
        scene.step(&format!("scales to {size} and kills Java after write {writes}"));
        clusters::scale(kubectl, size)?.expect_code(0)?;
        killer.join().map_err(|_| LabError::new("the thread that kills Java panicked"))??;
        watch::until("Java with the new list", PODS_WITHIN, || {
            let back = pods::pod(kubectl, &broker.name).and_then(|now| {
                let restarts = now.container(BROKER_CONTAINER)?.restarts;
                let killed = restarts > broker.container(BROKER_CONTAINER)?.restarts;
                ensure(killed && now.ready, || format!("not killed and ready again: {now:?}"))?;
                clusters::lists_are(kubectl, judge, size)
            });
            match back {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })?;
    }
    Ok(())
}
