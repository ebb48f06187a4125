//! One cluster of 5.3.3: name servers and broker groups scale out and in under one traffic.

use std::thread;
use std::time::Instant;

use lab::e2e::clusters::{self, DEFAULT_REGISTRATION, Shape};
use lab::e2e::full_metadata::topic_name;
use lab::e2e::judge::Judge;
use lab::e2e::load::Load;
use lab::e2e::out_and_in::{AFTER, BEFORE, OutAndIn};
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::traffic::{TOPICS, Traffic};
use lab::e2e::watch;
use lab::error::Result;

use crate::Verdict;
use crate::scale::{self, joined};

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 1 };

#[test]
#[ignore = "needs the lab"]
fn name_servers_and_broker_groups_scale_under_one_traffic_without_a_failed_send_on_5_3_3() -> Verdict {
    scene("five", Lane::Main, scales_everything)
}

fn scales_everything(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    scene.step("applies one name server and two groups with a slave each");
    clusters::apply(scene, &CLUSTER.yaml_with(DEFAULT_REGISTRATION))?;
    judge.make_topics(kubectl)?;
    let mut groups = OutAndIn::begin(scene, &judge, CLUSTER.version)?;
    let before = Runs::of(kubectl, &judge)?;
    watch::pass("the time of traffic before the change", BEFORE)?;
    groups.go_on()?;

    let routes = scale::scales_out(scene, &judge, &topic_name(0))?;
    let bridges = clusters::bridges(kubectl)?;
    groups.go_on()?;
    scene.step(&format!("{bridges} bridges are held when a group joins"));
    thread::scope(|scope| {
        let fresh = scope.spawn(|| {
            scale::a_client_that_knows_one_new_name_server_only_works(scene, CLUSTER.version, of_its_own)
        });
        groups.scale_out()?;
        joined(fresh)?
    })?;
    let scaled = Instant::now();
    groups.go_on()?;

    scene.step("starts traffic that lists all three name servers");
    let all_three = clusters::addresses(kubectl, 3);
    let plain = Load { topics: (0..3).map(topic_name).collect(), ..Load::default() };
    let (late, mut all) = thread::scope(|scope| {
        let all = scope.spawn(|| Traffic::start_with(scene, CLUSTER.version, "all", &all_three, &plain));
        let late = groups.read_every_first_message(&all_three)?;
        Ok((late, joined(all)??))
    })?;
    scale::bridge_ends_without_a_gap(scene, routes)?;
    clusters::lists_are(kubectl, &judge, 3)?;
    watch::pass("the time of traffic after the change", AFTER.saturating_sub(scaled.elapsed()))?;
    groups.go_on()?;
    all.goes_on()?;

    groups.scale_in()?;
    groups.go_on()?;
    all.goes_on()?;

    let routes = scale::scales_in(scene, &judge, &topic_name(0))?;
    groups.go_on()?;
    all.goes_on()?;
    watch::pass("the time of traffic after the change", AFTER)?;
    routes.end(scene)?;
    groups.finish(late)?;
    scene.step(&format!("the client of all three sent and received {:?}", all.finish()?));
    clusters::lists_are(kubectl, &judge, 1)?;
    judge.await_routes(kubectl)?;
    before.are_still(&Runs::of(kubectl, &judge)?)
}

/// Topics that nobody else sends to: the groups of clients that are gone would miss messages, and no broker group leaves
/// before they are read.
fn of_its_own(name_server: u32) -> Vec<String> {
    let topics = if name_server == 1 { &TOPICS[..1] } else { &TOPICS[1..] };
    topics.iter().map(|topic| (*topic).to_owned()).collect()
}
