//! Broker groups that join where an earlier broker's data lie.

use std::path::{Path, PathBuf};

use lab::e2e::clusters::{self, HostFolders, Shape};
use lab::e2e::drains;
use lab::e2e::groups;
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods;
use lab::e2e::results::exhaustive;
use lab::e2e::scene::{Lane, Scene};
use lab::e2e::snapshot::Snapshot;
use lab::e2e::watch::ensure;
use lab::error::{Context, LabError, Result};
use rocketmq::model::topic::TopicConfig;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// The folder, and what can be done.
const EARLIER_DATA: [&[&str]; 5] = [
    &["error: cannot scale broker groups of `broker` 1 -> 2"],
    &["/store/broker-1-master` of pod `broker-1-master-0` holds the data of an earlier broker"],
    &["caused by: with `--old-data=keep` the new broker starts on them"],
    &["caused by: with `--old-data=aside` the folder is renamed, and stays"],
    &[" is undone: everything is as it was before"],
];

const SLAVE_IS_NAMED: &str = "pod `broker-0-replica-1-0` is a slave: metadata are taken from its master \
                              `broker-0-master-0`, which has them first";

/// The topic that only the earlier broker had.
const EARLIER_TOPIC: &str = "earlier";

#[test]
#[ignore = "needs the lab"]
fn scale_out_touches_an_earlier_brokers_data_only_when_told_to() -> Verdict {
    let about = "A broker group joins where an earlier broker's data lie";
    exhaustive("scale-broker-old-data", about, Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        let folders = HostFolders::make(scene)?;
        let store = folders.broker.join("store/broker-1-master");
        let topics = store.join("config/topics.json");

        scene.step("makes the data of an earlier group");
        clusters::apply(scene, &CLUSTER.yaml_on_host(&folders))?;
        judge.make_topics(kubectl)?;
        let earlier = pods::pod(kubectl, &groups::master(1))?;
        let name = EARLIER_TOPIC.parse().context(|| format!("`{EARLIER_TOPIC}` is no topic name"))?;
        judge.make(&earlier, &[TopicConfig::new(&name, 4)], &[])?;
        delete(scene)?;

        scene.step("refuses");
        clusters::apply(scene, &Shape { groups: 1, replicas: 1, ..CLUSTER }.yaml_on_host(&folders))?;
        let objects = Snapshot::of_cluster(kubectl)?;
        let held = read(&topics)?;
        let ended = kubectl.rocketmq(&scale(&[]))?.expect_code(3)?;
        drains::says_lines(kubectl, &ended, &EARLIER_DATA)?;
        // The pod that found the data, and the Lease, were there meanwhile.
        objects.is_restored(&Snapshot::of_cluster(kubectl)?)?;
        ensure(read(&topics)? == held, || format!("{} was changed", topics.display()))?;

        scene.step("keeps them, and takes the master when a slave is named");
        let keep = ["--from", "broker-0-replica-1-0", "--old-data=keep"];
        let ended = kubectl.rocketmq(&scale(&keep))?.expect_code(0)?;
        drains::says_lines(kubectl, &ended, &[&[SLAVE_IS_NAMED]])?;
        groups::are(kubectl, &judge, 2)?;
        has_topics(kubectl, &judge, true)?;
        delete(scene)?;

        scene.step("puts them aside");
        clusters::apply(scene, &Shape { groups: 1, ..CLUSTER }.yaml_on_host(&folders))?;
        let held = read(&topics)?;
        kubectl.rocketmq(&scale(&["--old-data=aside"]))?.expect_code(0)?;
        groups::are(kubectl, &judge, 2)?;
        has_topics(kubectl, &judge, false)?;
        let aside = aside(&store)?;
        ensure(read(&aside.join("config/topics.json"))? == held, || {
            format!("{} does not hold what was there", aside.display())
        })
    })
}

/// The second group has the topics of the first, and the earlier one's if it was started on that one's data.
fn has_topics(kubectl: &Kubectl, judge: &Judge, kept: bool) -> Result<()> {
    let tables = |group: u32| {
        let pod = pods::pod(kubectl, &groups::master(group))?;
        judge.tables(&groups::name(group), &broker_address(&pod))
    };
    let (first, second) = (tables(0)?, tables(1)?);
    let lacking = first.topics.iter().find(|(name, topic)| second.topics.get(*name) != Some(topic));
    ensure(lacking.is_none(), || format!("the second group has {lacking:?} otherwise"))?;
    ensure(second.topics.contains_key(EARLIER_TOPIC) == kept, || {
        format!("`{EARLIER_TOPIC}` is {}there", if kept { "not " } else { "" })
    })
}

/// Where a store's data went: `<folder>.<token>` beside it.
fn aside(store: &Path) -> Result<PathBuf> {
    let unreadable = || format!("cannot read the folder of {}", store.display());
    let folder = store.parent().unwrap_or(store);
    let name = format!("{}.", store.file_name().unwrap_or_default().to_string_lossy());
    let entries = std::fs::read_dir(folder).context(unreadable)?;
    let mut found = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&name));
    let first = found
        .next()
        .ok_or_else(|| LabError::new(format!("there is no {name}TOKEN in {}", folder.display())))?;
    Ok(first.path())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).context(|| format!("cannot read {}", path.display()))
}

/// Deletes the cluster that was applied last; its data stay.
fn delete(scene: &Scene) -> Result<()> {
    let file = scene.folder().join("cluster.yaml").display().to_string();
    scene.kubectl.rocketmq(&["delete", "-f", &file, "-y"])?.expect_code(0).map(drop)
}

/// The plugin's arguments that scale the cluster to two groups, with more flags.
fn scale<'a>(flags: &[&'a str]) -> Vec<&'a str> {
    [groups::scale_arguments("2").as_slice(), flags].concat()
}
