//! One cluster of 4.5.0, whose brokers fetch their list: name servers scale under traffic, agents and brokers stop.

use std::thread;
use std::time::Duration;

use lab::e2e::clusters::{self, DEFAULT_REGISTRATION, HostFolders, Shape};
use lab::e2e::judge::Judge;
use lab::e2e::load::Load;
use lab::e2e::out_and_in::{AFTER, BEFORE};
use lab::e2e::pods;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::traffic::{TOPICS, Traffic};
use lab::e2e::watch;
use lab::error::Result;

use crate::scale::{self, Routes, joined};
use crate::stop::POD;
use crate::{Verdict, agents, stop};

const CLUSTER: Shape = Shape { version: "4.5.0", name_servers: 1, groups: 2, replicas: 1 };

/// How often its brokers fetch their list (`BrokerController.initialize`, up to 4.9.3).
const PERIOD: Duration = Duration::from_secs(120);

/// How long a bridge must be held at least from the beginning of `scale` on.
const HELD: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the lab"]
fn name_servers_scale_in_place_without_a_restart_or_a_failed_send_on_4_5_0() -> Verdict {
    scene("four", Lane::Long, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        let folders = HostFolders::make(scene)?;
        scene.step("applies one name server and two groups with a slave each");
        clusters::apply(scene, &CLUSTER.yaml_on_host_with(&folders, DEFAULT_REGISTRATION))?;
        stop::stopped_broker_is_not_listed_again_before_it_is_back(scene, &judge, &folders)?;
        judge.make_topics(kubectl)?;
        scales_in_place(scene, &judge)?;

        clusters::await_turn(&judge, &pods::pod(kubectl, POD)?, PERIOD, HELD)?;
        let size = stop::broker_deleted_during_a_bridge_is_not_listed_again_before_it_is_back(
            scene, &judge, &folders, 1,
        )?;
        stop::a_deleted_broker_comes_back_with_the_current_list(scene, &judge, size)
    })
}

/// 1 -> 3 -> 1.
fn scales_in_place(scene: &Scene, judge: &Judge) -> Result<()> {
    let kubectl = &scene.kubectl;
    let before = Runs::of(kubectl, judge)?;
    scene.step("runs traffic");
    let mut traffic = Traffic::start(scene, CLUSTER.version, "out", &clusters::addresses(kubectl, 1))?;
    watch::pass("the time of traffic before the change", BEFORE)?;
    traffic.goes_on()?;

    let scale = || {
        clusters::await_turn(judge, &pods::pod(kubectl, POD)?, PERIOD, HELD)?;
        scale::scales_out(scene, judge, TOPICS[0])
    };
    let (routes, bridged) = agents::with_traffic_at_the_bridge(scene, CLUSTER.version, scale)?;
    traffic.goes_on()?;
    // The agent that is killed now takes its rows with it.
    routes.end(scene)?;
    agents::agent_killed_during_a_bridge_restarts_nothing_and_fails_no_send(
        scene,
        judge,
        CLUSTER.version,
        bridged,
        POD,
    )?;
    traffic.goes_on()?;
    // The retry topic of the client that came last, which bridges tell a little later.
    judge.await_routes(kubectl)?;
    let routes = Routes::watch(scene, &judge.truth(kubectl)?, TOPICS[0], 3)?;

    let all_three = clusters::addresses(kubectl, 3);
    let mut all = thread::scope(|scope| {
        let all = scope.spawn(|| Traffic::start(scene, CLUSTER.version, "all", &all_three));
        scale::a_client_that_knows_one_new_name_server_only_works(scene, CLUSTER.version, |_| {
            Load::default().topics
        })?;
        joined(all)?
    })?;
    scale::bridge_ends_without_a_gap(scene, routes)?;
    clusters::lists_are(kubectl, judge, 3)?;
    scene.step(&format!("the client of the first name server sent and received {:?}", traffic.finish()?));
    all.goes_on()?;

    let routes = scale::scales_in(scene, judge, TOPICS[0])?;
    all.goes_on()?;
    watch::pass("the time of traffic after the change", AFTER)?;
    routes.end(scene)?;
    scene.step(&format!("the client of all three sent and received {:?}", all.finish()?));
    clusters::lists_are(kubectl, judge, 1)?;
    judge.await_routes(kubectl)?;
    before.are_still(&Runs::of(kubectl, judge)?)
}
