//! Slaves that come and go.

use lab::e2e::clusters::{BROKER, Shape, addresses, name_server_pods};
use lab::e2e::groups;
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::load::Load;
use lab::e2e::pods;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, scene};
use lab::e2e::traffic::few_messages;
use lab::e2e::watch::ensure;
use lab::error::Result;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

#[test]
fn slaves_come_with_everything_and_go_without_a_restart() -> Verdict {
    scene("replicas", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        CLUSTER.apply(scene)?;
        judge.make_topics(kubectl)?;
        few_messages(scene, CLUSTER.version, "some", &addresses(kubectl, 1), &Load::default())?;
        let masters = Runs::of(kubectl, &judge)?;

        scene.step("gives each master a slave");
        kubectl.rocketmq(&["scale", "broker", BROKER, "--replicas", "1", "-y"])?.expect_code(0)?;
        let slaves = slaves(kubectl)?;
        for slave in &slaves {
            is_listed(kubectl, &judge, slave, true)?;
        }
        have_everything(kubectl)?;

        scene.step("takes the slaves away by applying");
        let file = scene.file("cluster.yaml", &CLUSTER.yaml())?;
        kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
        for slave in &slaves {
            is_listed(kubectl, &judge, slave, false)?;
        }
        groups::are(kubectl, &judge, CLUSTER.groups)?;
        masters.are_still(&Runs::of(kubectl, &judge)?)
    })
}

fn slaves(kubectl: &Kubectl) -> Result<Vec<pods::Pod>> {
    let slave = |group: u32| pods::pod(kubectl, &format!("{}-replica-1-0", groups::name(group)));
    (0..CLUSTER.groups).map(slave).collect()
}

fn is_listed(kubectl: &Kubectl, judge: &Judge, slave: &pods::Pod, wanted: bool) -> Result<()> {
    for name_server in name_server_pods(kubectl)? {
        let listed = judge.lists(&name_server, &broker_address(slave))?;
        ensure(listed == wanted, || format!("`{}` lists `{}`: {listed}", name_server.name, slave.name))?;
    }
    Ok(())
}

/// Nobody sends any more, so a slave that has caught up lacks nothing.
fn have_everything(kubectl: &Kubectl) -> Result<()> {
    let status = kubectl.rocketmq(&["status", "-o", "json"])?.expect_code(0)?.stdout;
    let page: serde_json::Value = serde_json::from_str(&status)
        .map_err(|error| lab::error::LabError::new(format!("status prints no JSON: {error}\n{status}")))?;
    let page = page.pointer("/items/0").unwrap_or(&page);
    let rows = page["brokers"]["rows"].as_array().cloned().unwrap_or_default();
    let lags: Vec<_> =
        rows.iter().filter(|row| row["role"] == "slave").map(|row| row["lagBytes"].clone()).collect();
    ensure(lags == [0, 0], || format!("slaves lack {lags:?} bytes:\n{status}"))
}
