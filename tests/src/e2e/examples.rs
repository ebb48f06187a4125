//! The files of `examples/`.

use crate::e2e::clusters::name_server_pods;
use crate::e2e::judge::Judge;
use crate::e2e::load::Load;
use crate::e2e::scene::Scene;
use crate::e2e::traffic::few_messages;
use crate::error::{Context, LabError, Result};
use crate::home;

/// A file of `examples/`, with the CPU request of this suite's other pods: the lab's one node has room for few of the
/// operator's, and under load pods get the cores in the ratio of their requests.
///
/// # Errors
/// When it cannot be read.
pub fn example(name: &str) -> Result<String> {
    let path = home::repository().join("examples").join(name);
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    Ok(text.replace(r#"cpu: "250m""#, r#"cpu: "20m""#))
}

/// Applies documents, and returns everything that is printed.
///
/// # Errors
/// When `apply` does not end with 0.
pub fn applies(scene: &Scene, yaml: &str) -> Result<String> {
    let file = scene.file("example.yaml", yaml)?;
    let ended = scene.kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    Ok(ended.stdout + &ended.stderr)
}

/// Deletes a cluster, brokers first. Data in pods goes with them, so the cluster's name is asked for.
///
/// # Errors
/// When `delete` does not end with 0.
pub fn goes(scene: &Scene, cluster: &str) -> Result<()> {
    for object in ["broker/broker", &format!("nameservice/{cluster}")] {
        let confirmed = format!("--confirm={cluster}");
        scene.kubectl.rocketmq(&["delete", object, "-y", &confirmed])?.expect_code(0)?;
    }
    Ok(())
}

/// The address of the first name server's pod.
///
/// # Errors
/// When there is none.
pub fn first_name_server(scene: &Scene) -> Result<String> {
    let pods = name_server_pods(&scene.kubectl)?;
    pods.first().map(|pod| pod.ip.clone()).ok_or_else(|| LabError::new("there is no name server"))
}

/// Demands that the cluster is healthy, and that a client which knows the first name server sends and receives on every
/// topic.
///
/// # Errors
/// When one of them does not hold.
pub fn works(scene: &Scene, version: &str, name: &str) -> Result<()> {
    scene.kubectl.rocketmq(&["status"])?.expect_code(0)?;
    Judge::new()?.make_topics(&scene.kubectl)?;
    // These brokers have the default: a send that waited for 200 ms is refused, and this machine makes sends wait.
    let load = Load { busy_retries: 20, ..Load::default() };
    let name_server = format!("{}:9876", first_name_server(scene)?);
    few_messages(scene, version, name, &[name_server], &load).map(drop)
}
