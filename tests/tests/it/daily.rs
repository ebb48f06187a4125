//! What one cluster goes through in daily use: applied again, looked at, refused, its metadata brought back, grown and made
//! smaller, and judged by RocketMQ's own tool.

use lab::e2e::apply::{
    apply_is_logged, applying_again_does_nothing, dry_runs_write_nothing, second_cli_is_refused,
};
use lab::e2e::clusters::{BROKER, Shape, addresses, name_server_pods};
use lab::e2e::groups;
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::load::Load;
use lab::e2e::mqadmin::{self, mqadmin_agrees};
use lab::e2e::pods::Pod;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::slaves;
use lab::e2e::traffic::{TOPICS, few_messages};
use lab::e2e::watch::ensure;
use lab::error::Result;

use crate::Verdict;
use crate::metadata::{WITH_ATTRIBUTES, metadata_verbs};
use crate::scale_broker_refused::scale_out_refuses;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// The same, grown by one name server.
const GROWN: Shape = Shape { name_servers: 2, ..CLUSTER };

/// On claims, which few other tests use, and by the plugin as users have it, where it was built.
#[test]
#[ignore = "needs the lab"]
fn cluster_of_5_3_3_in_daily_use() -> Verdict {
    scene("daily", Lane::Side, |scene| {
        let scene = &scene.with(scene.kubectl.as_users_have_it()?);
        let yaml = CLUSTER.yaml_on_claims();
        apply_is_logged(scene, &yaml)?;
        Judge::new()?.make_topics(&scene.kubectl)?;
        applying_again_does_nothing(scene, &yaml)?;
        dry_runs_write_nothing(scene, &GROWN.yaml_on_claims())?;
        scale_out_refuses(scene)?;
        metadata_verbs(scene)?;
        second_cli_is_refused(scene, &GROWN.yaml_on_claims())?;
        slaves_come_with_everything_and_go_without_a_restart(scene)
    })
}

fn slaves_come_with_everything_and_go_without_a_restart(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    // A new slave fails at a topic with attributes and takes no more topics: it reads attributes as orders to change them
    // (`SlaveSynchronize.syncTopicConfig`, 5.3.2 and 5.3.3, apache/rocketmq#9403).
    for topic in WITH_ATTRIBUTES {
        mqadmin::mqadmin(kubectl, &format!("deleteTopic -t {topic} -c {BROKER}"))?;
    }
    scene.step("sends some messages");
    few_messages(scene, GROWN.version, "some", &addresses(kubectl, 1), &Load::default())?;
    let masters = Runs::of(kubectl, &judge)?;

    scene.step("gives each master a slave");
    kubectl.rocketmq(&["scale", "broker", BROKER, "--replicas", "1", "-y"])?.expect_code(0)?;
    let slaves = slaves::first_slaves(kubectl, GROWN.groups)?;
    for slave in &slaves {
        is_listed(kubectl, &judge, slave, true)?;
    }
    slaves::have_everything(kubectl, &judge, GROWN.groups)?;
    scene.step("asks RocketMQ's own tool");
    mqadmin_agrees(kubectl, TOPICS[0])?;

    scene.step("takes the slaves away by applying");
    let file = scene.file("cluster.yaml", &GROWN.yaml_on_claims())?;
    kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    for slave in &slaves {
        is_listed(kubectl, &judge, slave, false)?;
    }
    groups::are(kubectl, &judge, GROWN.groups)?;
    masters.are_still(&Runs::of(kubectl, &judge)?)
}

fn is_listed(kubectl: &Kubectl, judge: &Judge, slave: &Pod, wanted: bool) -> Result<()> {
    for name_server in name_server_pods(kubectl)? {
        let listed = judge.lists(&name_server, &broker_address(slave))?;
        ensure(listed == wanted, || format!("`{}` lists `{}`: {listed}", name_server.name, slave.name))?;
    }
    Ok(())
}
