//! Agents and Java processes that are killed while a list changes.

use std::time::{Duration, Instant};

use lab::e2e::clusters::{self, BROKER_CONTAINER, Shape, name_server_pods};
use lab::e2e::judge::Judge;
use lab::e2e::pods;
use lab::e2e::processes::{self, BrokerConfWrites};
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::traffic::Traffic;
use lab::e2e::watch::{self, ensure};
use lab::error::{LabError, Result};
use lab::wait::{self, Look};

use crate::Verdict;

#[test]
#[ignore = "needs the lab"]
fn agent_killed_during_a_bridge_restarts_nothing_and_fails_no_send_on_4_5_0() -> Verdict {
    scene("agent-killed-4-5-0", Lane::Side, |scene| agent_killed_during_a_bridge(scene, "4.5.0"))
}

#[test]
#[ignore = "needs the lab"]
fn agent_killed_during_a_bridge_restarts_nothing_and_fails_no_send_on_5_3_3() -> Verdict {
    scene("agent-killed-5-3-3", Lane::Side, |scene| agent_killed_during_a_bridge(scene, "5.3.3"))
}

/// That name server's rows are back within 30 s; Java is not restarted, no send fails.
fn agent_killed_during_a_bridge(scene: &Scene, version: &'static str) -> Result<()> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    Shape { version, name_servers: 1, groups: 1, replicas: 0 }.apply(scene)?;
    judge.make_topics(kubectl)?;
    let traffic = Traffic::start(scene, version, "killed", &clusters::addresses(kubectl, 1))?;

    clusters::scale_out_to_a_bridge(scene)?;
    let truth = judge.truth(kubectl)?;
    let broker = pods::pod(kubectl, "broker-0-master-0")?;
    scene.step("kills the agent");
    processes::kill_agent(&broker)?;
    let new = name_server_pods(kubectl)?.pop().ok_or_else(|| LabError::new("there is no name server"))?;
    let killed = Instant::now();
    let agent = broker.container("rocketmq-agent")?;
    // The connection of the dead agent takes its rows with it, perhaps after the first look: whole counts from when
    // the agent runs again.
    wait::until("the rows of the new name server", Duration::from_secs(30), || {
        let again = pods::pod(kubectl, &broker.name).and_then(|pod| pod.container("rocketmq-agent").cloned());
        match again {
            Ok(now) if now.restarts > agent.restarts => match judge.shows_all(&new, &truth) {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            },
            Ok(_) => Look::NotYet("the agent does not run again".to_owned()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })?;
    scene.step(&format!("rows were back {} ms after the kill", killed.elapsed().as_millis()));

    let now = pods::pod(kubectl, &broker.name)?;
    ensure(now.container(BROKER_CONTAINER)? == broker.container(BROKER_CONTAINER)?, || {
        format!("Java was restarted: {now:?}")
    })?;
    traffic.finish().map(drop)
}

#[test]
#[ignore = "needs the lab"]
fn java_killed_after_each_write_of_broker_conf_comes_back_with_the_new_list() -> Verdict {
    scene("java-killed-at-a-write", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 }.apply(scene)?;
        for (writes, size) in [(1, 2), (2, 3)] {
            let broker = pods::pod(kubectl, "broker-0-master-0")?;
            let conf = BrokerConfWrites::of(&broker)?;
            let killer = std::thread::spawn(move || conf.kill_java_after(writes));
            scene.step(&format!("scales to {size} and kills Java after write {writes}"));
            clusters::scale(kubectl, size)?.expect_code(0)?;
            killer.join().map_err(|_| LabError::new("the thread that kills Java panicked"))??;
            watch::until("Java with the new list", PODS_WITHIN, || {
                let back = pods::pod(kubectl, &broker.name).and_then(|now| {
                    let restarts = now.container(BROKER_CONTAINER)?.restarts;
                    let killed = restarts > broker.container(BROKER_CONTAINER)?.restarts;
                    ensure(killed && now.ready, || format!("not killed and ready again: {now:?}"))?;
                    clusters::lists_are(kubectl, &judge, size)
                });
                match back {
                    Ok(()) => Look::Ready(()),
                    Err(error) => Look::NotYet(error.to_string()),
                }
            })?;
        }
        Ok(())
    })
}
