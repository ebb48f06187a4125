//! A cluster of 4.5.0, applied again, grown by `apply`, held against a second CLI, and judged by RocketMQ's own tool.

use lab::e2e::apply::{applying_again_does_nothing, second_cli_is_refused};
use lab::e2e::clusters::{self, Shape};
use lab::e2e::judge::Judge;
use lab::e2e::mqadmin::mqadmin_agrees;
use lab::e2e::scene::{Lane, scene};
use lab::e2e::traffic::TOPICS;

use crate::Verdict;

#[test]
#[ignore = "needs the lab"]
fn applied_again_grown_by_apply_and_judged_by_mqadmin_on_4_5_0() -> Verdict {
    scene("apply-4-5-0", Lane::Side, |scene| {
        let shape = Shape { version: "4.5.0", name_servers: 1, groups: 1, replicas: 1 };
        clusters::apply(scene, &shape.yaml())?;
        Judge::new()?.make_topics(&scene.kubectl)?;
        applying_again_does_nothing(scene, &shape.yaml())?;
        second_cli_is_refused(scene, &Shape { name_servers: 2, ..shape }.yaml())?;
        mqadmin_agrees(&scene.kubectl, TOPICS[0])
    })
}
