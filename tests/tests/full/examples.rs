//! The files of `examples/` that no test of every run applies, each at its own size.

use lab::cluster::storage::{HOST_PATHS, prepare_host_path};
use lab::e2e::examples::{applies, example, works};
use lab::e2e::scene::{Lane, scene};

use crate::Verdict;

#[test]
#[ignore = "needs the lab"]
fn split_files_of_operator_0_3_0_give_a_working_cluster_on_host_paths() -> Verdict {
    scene("operator-0-3-0-split", Lane::Side, |scene| {
        HOST_PATHS.iter().try_for_each(|path| prepare_host_path(path.as_ref()))?;
        applies(scene, &example("operator-0.3.0/nameservice.yaml")?)?;
        applies(scene, &example("operator-0.3.0/broker.yaml")?)?;
        works(scene, "4.5.0", "operator-0-3-0")
    })
}

#[test]
#[ignore = "needs the lab"]
fn example_to_try_gives_a_working_cluster_on_4_5_0() -> Verdict {
    scene("demo-4-5-0", Lane::Side, |scene| {
        applies(scene, &example("demo-4.5.0.yaml")?)?;
        works(scene, "4.5.0", "try-4-5-0")
    })
}
