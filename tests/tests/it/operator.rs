//! The operator's own files, each at its own size.

use lab::cluster::storage::{HOST_PATHS, prepare_host_path};
use lab::e2e::examples::{applies, example, first_name_server, goes, works};
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::watch::ensure;
use lab::error::Result;

use crate::Verdict;

/// The address in the operator's guide, which it tells users to replace by their name server's pod.
const LITERAL_ADDRESS: &str = "192.168.130.33:9876";

#[test]
#[ignore = "needs the lab"]
fn operators_files_give_a_working_cluster() -> Verdict {
    scene("operator", Lane::Side, |scene| {
        operators_guide_gives_a_working_cluster_on_host_paths(scene)?;
        goes(scene, "name-service")?;
        whole_cluster_of_operator_0_3_0_works_and_its_console_is_skipped(scene)
    })
}

fn operators_guide_gives_a_working_cluster_on_host_paths(scene: &Scene) -> Result<()> {
    scene.step("the operator's guide");
    HOST_PATHS.iter().try_for_each(|path| prepare_host_path(path.as_ref()))?;
    applies(scene, &example("operator-0.1/nameservice.yaml")?)?;
    let address = format!("{}:9876", first_name_server(scene)?);
    let broker = example("operator-0.1/broker.yaml")?;
    ensure(broker.contains(LITERAL_ADDRESS), || format!("the example does not name {LITERAL_ADDRESS}"))?;
    applies(scene, &broker.replace(LITERAL_ADDRESS, &address))?;
    works(scene, "4.5.0", "guide")
}

fn whole_cluster_of_operator_0_3_0_works_and_its_console_is_skipped(scene: &Scene) -> Result<()> {
    scene.step("the whole cluster of the operator's 0.3.0");
    let file = example("operator-0.3.0/cluster.yaml")?;
    let here = format!("namespace: {}", scene.kubectl.namespace());
    let said = applies(scene, &file.replace("namespace: default", &here))?;
    ensure(said.contains("Console/") && said.contains("is skipped"), || {
        format!("no warning names the Console:\n{said}")
    })?;
    works(scene, "4.5.0", "cluster-0-3-0")
}
