//! Name servers 1 -> 3 -> 1 under traffic.

use std::time::{Duration, Instant};

use lab::e2e::clusters::{self, Shape, name_server_pods};
use lab::e2e::judge::{Judge, Truth};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::traffic::{Traffic, fresh_client};
use lab::e2e::watch::{self, Watch};
use lab::error::Result;
use lab::wait::Look;

use crate::Verdict;

/// How long traffic runs before a change.
const BEFORE: Duration = Duration::from_secs(60);

/// How long traffic runs after a change.
const AFTER: Duration = Duration::from_secs(90);

/// How long routes are watched after the last bridge ended.
const AFTER_BRIDGES: Duration = Duration::from_secs(15);

/// Until when the last bridge must have ended: 4.x polls its list each 120 s and registers each 30 s.
const BRIDGES_WITHIN: Duration = Duration::from_secs(225);

#[test]
#[ignore = "needs the lab"]
fn name_servers_scale_in_place_without_a_restart_or_a_failed_send_on_4_5_0() -> Verdict {
    scene("scale-4-5-0", Lane::Main, |scene| scales_in_place(scene, "4.5.0"))
}

#[test]
#[ignore = "needs the lab"]
fn name_servers_scale_in_place_without_a_restart_or_a_failed_send_on_5_3_3() -> Verdict {
    scene("scale-5-3-3", Lane::Main, |scene| scales_in_place(scene, "5.3.3"))
}

fn scales_in_place(scene: &Scene, version: &'static str) -> Result<()> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    scene.step("applies one name server and two groups with a replica each");
    Shape { version, name_servers: 1, groups: 2, replicas: 1 }.apply(scene)?;
    judge.make_topics(kubectl)?;
    let before = Runs::of(kubectl, &judge)?;

    scene.step("runs traffic");
    let traffic = Traffic::start(scene, version, "out", &clusters::addresses(kubectl, 1))?;
    watch::pass("the time of traffic before the change", BEFORE)?;

    scene.step("scales 1 -> 3");
    clusters::scale(kubectl, 3)?.expect_code(0)?;
    let scaled = Instant::now();
    let routes = routes_stay_whole(kubectl, judge.truth(kubectl)?)?;
    a_client_that_knows_one_new_name_server_only_works(scene, version)?;
    bridge_ends_without_a_gap(scene, routes)?;
    clusters::lists_are(kubectl, &judge, 3)?;

    scene.step("runs traffic that lists all three name servers");
    let all = Traffic::start(scene, version, "in", &clusters::addresses(kubectl, 3))?;
    watch::pass("the time of traffic after the change", AFTER.saturating_sub(scaled.elapsed()))?;
    scene.step(&format!("sent and received {:?}", traffic.finish()?));
    watch::pass("the time of traffic before the change", BEFORE)?;

    scene.step("scales 3 -> 1");
    clusters::scale(kubectl, 1)?.expect_code(0)?;
    let routes = routes_stay_whole(kubectl, judge.truth(kubectl)?)?;
    watch::pass("the time of traffic after the change", AFTER)?;
    let looks = routes.end()?;
    scene.step(&format!("routes were whole at {looks} looks; sent and received {:?}", all.finish()?));
    clusters::lists_are(kubectl, &judge, 1)?;
    before.are_still(&Runs::of(kubectl, &judge)?)?;

    a_deleted_broker_comes_back_with_the_current_list(scene, &judge)
}

/// Compares cluster info and all routes of every name server with what the brokers hold, each second.
fn routes_stay_whole(kubectl: &Kubectl, truth: Truth) -> Result<Watch> {
    let judge = Judge::new()?;
    let name_servers = name_server_pods(kubectl)?;
    Ok(Watch::start(Duration::from_secs(1), move || {
        name_servers.iter().try_for_each(|pod| judge.shows_all(pod, &truth))
    }))
}

/// A fresh producer and a fresh consumer send and receive on every topic, through each new name server in turn.
fn a_client_that_knows_one_new_name_server_only_works(scene: &Scene, version: &'static str) -> Result<()> {
    for ordinal in [1, 2] {
        let name = format!("fresh-{ordinal}");
        fresh_client(scene, version, &name, &clusters::address(&scene.kubectl, ordinal))?;
    }
    Ok(())
}

/// The brokers' own registrations replace the bridges', and until 15 s after the last one nothing was missing at one look.
fn bridge_ends_without_a_gap(scene: &Scene, routes: Watch) -> Result<()> {
    scene.step("waits for the end of the last bridge");
    clusters::await_no_bridges(&scene.kubectl, BRIDGES_WITHIN)?;
    watch::pass("the time after the last bridge", AFTER_BRIDGES)?;
    let looks = routes.end()?;
    scene.step(&format!("routes were whole at {looks} looks"));
    Ok(())
}

fn a_deleted_broker_comes_back_with_the_current_list(scene: &Scene, judge: &Judge) -> Result<()> {
    let kubectl = &scene.kubectl;
    let broker = pods::pod(kubectl, "broker-1-master-0")?;
    scene.step("deletes a broker's pod by hand");
    kubectl.run(&["delete", "pod", &broker.name, "--wait=false"])?;
    pods::await_successor(kubectl, &broker)?;
    // Its own first registration and, on 4.x, its first fetch of the list.
    watch::until("the current list everywhere", PODS_WITHIN, || {
        match clusters::lists_are(kubectl, judge, 1) {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
}
