//! Clusters that are taken down: what goes, and what stays.

use lab::e2e::clusters::{self, HostFolders, Shape};
use lab::e2e::journal;
use lab::e2e::judge::Judge;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::scene::{Lane, scene};
use lab::e2e::watch::ensure;
use lab::error::Result;

use crate::Verdict;

/// What a cluster is made of, journals apart.
const KINDS: &str = "statefulsets,services,pods,poddisruptionbudgets,secrets,leases,configmaps";

#[test]
#[ignore = "needs the lab"]
fn delete_leaves_data() -> Verdict {
    scene("delete-leaves-data", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let folders = HostFolders::make(scene)?;
        let yaml = Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 }.yaml_on_host(&folders);
        let unmanaged = objects(kubectl)?;
        clusters::apply(scene, &yaml)?;
        Judge::new()?.make_topics(kubectl)?;
        let file = scene.file("cluster.yaml", &yaml)?;

        scene.step("asks: without a terminal and without --yes nothing is deleted");
        let before = objects(kubectl)?;
        let asked = kubectl.rocketmq(&["delete", "-f", &file])?.expect_code(3)?;
        let text = format!("{}{}", asked.stdout, asked.stderr);
        for goes in ["StatefulSet/name-service", "StatefulSet/broker-0-master"] {
            ensure(text.contains(goes), || format!("`{goes}` is not in the plan:\n{text}"))?;
        }
        let stays = folders.broker.display().to_string();
        ensure(text.contains(&stays), || format!("`{stays}` is not named as staying:\n{text}"))?;
        let after = objects(kubectl)?;
        ensure(before == after, || format!("a refused delete changed {before:?} to {after:?}"))?;

        scene.step("deletes");
        kubectl.rocketmq(&["delete", "-f", &file, "-y"])?.expect_code(0)?;
        let left = objects(kubectl)?;
        ensure(left == unmanaged, || format!("left behind: {left:?}"))?;
        ensure(!journal::operations(kubectl)?.is_empty(), || "the journals are gone".to_owned())?;
        let topics = folders.broker.join("store/broker-0-master/config/topics.json");
        ensure(topics.is_file(), || format!("{} is gone", topics.display()))?;

        scene.step("applies again and finds the data");
        clusters::apply(scene, &yaml)?;
        Judge::new()?.has_topics(kubectl)
    })
}

/// Every object of a namespace but journals, by kind and name.
fn objects(kubectl: &Kubectl) -> Result<Vec<String>> {
    let list = kubectl.run(&["get", KINDS, "-o", "name", "-l", "app.kubernetes.io/component!=journal"])?;
    Ok(list.lines().map(str::to_owned).collect())
}
