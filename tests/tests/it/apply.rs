//! One cluster, applied again, grown by `apply`, held against a second CLI, and judged by RocketMQ's own tool.

use std::collections::BTreeMap;
use std::time::Duration;

use lab::e2e::clusters::{self, Shape, broker_pods, name_server_pods};
use lab::e2e::journal::{self, Journals, Moment};
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::mqadmin;
use lab::e2e::plugin::Running;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::traffic::TOPICS;
use lab::e2e::watch::{self, ensure};
use lab::error::Result;
use lab::wait::Look;

use crate::Verdict;

#[test]
fn applied_again_grown_by_apply_and_judged_by_mqadmin_on_4_5_0() -> Verdict {
    scene("apply-4-5-0", Lane::Side, |scene| one_cluster(scene, "4.5.0", Shape::yaml))
}

#[test]
fn applied_again_grown_by_apply_and_judged_by_mqadmin_on_5_3_3() -> Verdict {
    // On claims, which the other tests do not use.
    scene("apply-5-3-3", Lane::Side, |scene| one_cluster(scene, "5.3.3", Shape::yaml_on_claims))
}

fn one_cluster(scene: &Scene, version: &'static str, yaml: fn(&Shape) -> String) -> Result<()> {
    let shape = Shape { version, name_servers: 1, groups: 1, replicas: 1 };
    clusters::apply(scene, &yaml(&shape))?;
    Judge::new()?.make_topics(&scene.kubectl)?;
    applying_again_does_nothing(scene, &yaml(&shape))?;
    second_cli_is_refused(scene, &yaml(&Shape { name_servers: 2, ..shape }))?;
    mqadmin_agrees(&scene.kubectl)
}

/// No object is written, no operation is begun.
fn applying_again_does_nothing(scene: &Scene, yaml: &str) -> Result<()> {
    scene.step("applies again");
    let file = scene.file("again.yaml", yaml)?;
    let (before, operations) = (generations(&scene.kubectl)?, journal::operations(&scene.kubectl)?);
    scene.kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    let (after, now) = (generations(&scene.kubectl)?, journal::operations(&scene.kubectl)?);
    ensure(before == after, || format!("applying again changed objects:\n{before:?}\n{after:?}"))?;
    ensure(operations == now, || format!("applying again began an operation: {now:?}"))
}

/// What each object's writer counts: a Kubernetes status update leaves these alone.
fn generations(kubectl: &Kubectl) -> Result<BTreeMap<String, String>> {
    let kinds = "statefulsets,services,poddisruptionbudgets,configmaps,secrets";
    let list = kubectl.json(&["get", kinds])?;
    let objects = list["items"].as_array().into_iter().flatten();
    Ok(objects
        .map(|object| {
            let metadata = &object["metadata"];
            let name = format!("{}/{}", object["kind"], metadata["name"]);
            // Objects without a generation have no status either, so that each write is a new version.
            let version = metadata.get("generation").unwrap_or(&metadata["resourceVersion"]);
            (name, version.to_string())
        })
        .collect())
}

/// While one CLI scales to 2 by `apply` with a changed size, another is refused with holder and age, and changes nothing.
fn second_cli_is_refused(scene: &Scene, yaml: &str) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("applies a changed size, and scales by a second CLI meanwhile");
    let file = scene.file("grown.yaml", yaml)?;
    let former = journal::operations(kubectl)?;
    let mut journals = Journals::watch(kubectl)?;
    let first = Running::start(kubectl, &["apply", "-f", &file, "-y"], "")?;
    journals.await_moment(Moment::Started("grow-name-servers"), &former)?;
    let second = clusters::scale(kubectl, 3)?.expect_code(3)?;
    let first = first.wait()?.expect_code(0)?;
    for words in ["is changing the cluster, last seen ", "s ago", "nothing was changed"] {
        ensure(second.stderr.contains(words), || format!("no `{words}` in:\n{}", second.stderr))?;
    }
    let wanted = clusters::addresses(kubectl, 2);
    let said = format!("namesrvAddr={}", wanted.join(";"));
    ensure(first.stdout.contains(&said) || first.stderr.contains(&said), || {
        format!("no `{said}` in {first:?}")
    })?;
    let recorded = clusters::recorded_list(kubectl)?;
    ensure(recorded == wanted, || format!("the record holds {recorded:?}"))
}

/// RocketMQ's own tool, in the image, sees every broker and every topic's route at every name server.
fn mqadmin_agrees(kubectl: &Kubectl) -> Result<()> {
    let brokers = broker_pods(kubectl)?;
    for name_server in name_server_pods(kubectl)? {
        let mqadmin = |command: &str| mqadmin::against(kubectl, &name_server, command);
        watch::until("mqadmin to show every broker", Duration::from_secs(60), || {
            let list = match mqadmin("clusterList") {
                Ok(list) => list,
                Err(error) => return Look::Never(error),
            };
            match brokers.iter().find(|broker| !list.contains(&broker_address(broker))) {
                None => Look::Ready(()),
                Some(broker) => Look::NotYet(format!("`{}` is not in\n{list}", broker.name)),
            }
        })?;
        for topic in TOPICS {
            let route = mqadmin(&format!("topicRoute -t {topic}"))?;
            let master = brokers.iter().find(|broker| broker.name.contains("-master-")).map(broker_address);
            ensure(master.is_some_and(|address| route.contains(&address)), || {
                format!("`{}` has no route of `{topic}`:\n{route}", name_server.name)
            })?;
        }
    }
    Ok(())
}
