//! The files of `examples/`, each at its own size.

use std::sync::{Mutex, PoisonError};

use lab::cluster::storage::{HOST_PATHS, prepare_host_path};
use lab::e2e::clusters::name_server_pods;
use lab::e2e::judge::Judge;
use lab::e2e::load::Load;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::traffic::few_messages;
use lab::e2e::watch::ensure;
use lab::error::{Context, LabError, Result};
use lab::home;

use crate::Verdict;

/// The address in the operator's guide, which it tells users to replace by their name server's pod.
const LITERAL_ADDRESS: &str = "192.168.130.33:9876";

/// The node's own ports and folders, which the operator's examples use: one test has them at a time.
static NODE: Mutex<()> = Mutex::new(());

#[test]
fn examples_on_host_paths_give_a_working_cluster() -> Verdict {
    let _alone = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    scene("examples-on-host-paths", Lane::Side, |scene| {
        HOST_PATHS.iter().try_for_each(|path| prepare_host_path(path.as_ref()))?;
        scene.step("the operator's guide");
        applies(scene, &example("operator-0.1/nameservice.yaml")?)?;
        let address = format!("{}:9876", first_name_server(scene)?);
        let broker = example("operator-0.1/broker.yaml")?;
        ensure(broker.contains(LITERAL_ADDRESS), || format!("the example does not name {LITERAL_ADDRESS}"))?;
        applies(scene, &broker.replace(LITERAL_ADDRESS, &address))?;
        works(scene, "4.5.0", "guide")?;
        goes(scene, "name-service")?;

        scene.step("the operator's 0.3.0");
        applies(scene, &example("operator-0.3.0/nameservice.yaml")?)?;
        applies(scene, &example("operator-0.3.0/broker.yaml")?)?;
        works(scene, "4.5.0", "operator-0-3-0")
    })
}

#[test]
fn example_of_a_whole_cluster_of_operator_0_3_0_gives_a_working_cluster() -> Verdict {
    let _alone = NODE.lock().unwrap_or_else(PoisonError::into_inner);
    scene("example-cluster-0-3-0", Lane::Side, |scene| {
        let file = example("operator-0.3.0/cluster.yaml")?;
        let here = format!("namespace: {}", scene.kubectl.namespace());
        let said = applies(scene, &file.replace("namespace: default", &here))?;
        ensure(said.contains("Console/") && said.contains("is skipped"), || {
            format!("no warning names the Console:\n{said}")
        })?;
        works(scene, "4.5.0", "cluster-0-3-0")
    })
}

#[test]
fn examples_to_try_give_a_working_cluster() -> Verdict {
    scene("examples-to-try", Lane::Side, |scene| {
        for (file, version) in [("demo.yaml", "5.3.3"), ("demo-4.5.0.yaml", "4.5.0")] {
            scene.step(file);
            applies(scene, &example(file)?)?;
            works(scene, version, &format!("try-{}", version.replace('.', "-")))?;
            goes(scene, "demo")?;
        }
        Ok(())
    })
}

fn example(name: &str) -> Result<String> {
    let path = home::repository().join("examples").join(name);
    std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))
}

/// Deletes a cluster, brokers first. Data in pods goes with them, so the cluster's name is asked for.
fn goes(scene: &Scene, cluster: &str) -> Result<()> {
    for object in ["broker/broker", &format!("nameservice/{cluster}")] {
        let confirmed = format!("--confirm={cluster}");
        scene.kubectl.rocketmq(&["delete", object, "-y", &confirmed])?.expect_code(0)?;
    }
    Ok(())
}

fn applies(scene: &Scene, yaml: &str) -> Result<String> {
    let file = scene.file("example.yaml", yaml)?;
    let ended = scene.kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    Ok(ended.stdout + &ended.stderr)
}

fn first_name_server(scene: &Scene) -> Result<String> {
    let pods = name_server_pods(&scene.kubectl)?;
    pods.first().map(|pod| pod.ip.clone()).ok_or_else(|| LabError::new("there is no name server"))
}

/// Healthy, and a client that knows the first name server sends and receives on every topic.
fn works(scene: &Scene, version: &str, name: &str) -> Result<()> {
    scene.kubectl.rocketmq(&["status"])?.expect_code(0)?;
    Judge::new()?.make_topics(&scene.kubectl)?;
    // These brokers have the default: a send that waited for 200 ms is refused, and this machine makes sends wait.
    let load = Load { busy_retries: 20, ..Load::default() };
    let name_server = format!("{}:9876", first_name_server(scene)?);
    few_messages(scene, version, name, &[name_server], &load).map(drop)
}
