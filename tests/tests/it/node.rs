//! One broker of 5.3.3 with its data in folders of the node: stopped, killed, deleted.

use std::time::Duration;

use lab::e2e::clusters::{self, HostFolders, SELDOM_REGISTRATION, Shape};
use lab::e2e::judge::Judge;
use lab::e2e::pods;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::snapshot::Snapshot;
use lab::error::Result;

use crate::stop::POD;
use crate::{Verdict, agents, delete, stop};

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 };

/// How often its broker registers itself, see [`SELDOM_REGISTRATION`].
const PERIOD: Duration = Duration::from_secs(60);

/// How long a bridge must be held at least from the beginning of `scale` on.
const HELD: Duration = Duration::from_secs(45);

#[test]
#[ignore = "needs the lab"]
fn stopped_killed_and_deleted_broker_comes_back_as_it_was_on_5_3_3() -> Verdict {
    scene("node", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let judge = Judge::new()?;
        let folders = HostFolders::make(scene)?;
        let unmanaged = Snapshot::of_namespace(kubectl)?;
        clusters::apply(scene, &CLUSTER.yaml_on_host(&folders))?;

        // A container that is restarted often is restarted late, and a new pod begins anew.
        stop::stopped_broker_is_not_listed_again_before_it_is_back(scene, &judge, &folders)?;
        agents::java_killed_after_each_write_of_broker_conf_comes_back_with_the_new_list(scene, &judge, 1)?;
        let again = CLUSTER.yaml_on_host_with(&folders, SELDOM_REGISTRATION);
        delete::delete_leaves_data(scene, &judge, &folders, &unmanaged, (CLUSTER.version, &again))?;

        let scale = || {
            clusters::await_turn(&judge, &pods::pod(kubectl, POD)?, PERIOD, HELD)?;
            clusters::scale(kubectl, 2)?.expect_code(0)
        };
        let (_, traffic) = agents::with_traffic_at_the_bridge(scene, CLUSTER.version, scale)?;
        agents::agent_killed_during_a_bridge_restarts_nothing_and_fails_no_send(
            scene,
            &judge,
            CLUSTER.version,
            traffic,
            POD,
        )?;

        broker_deleted_during_a_bridge(scene, &judge, &folders)
    })
}

fn broker_deleted_during_a_bridge(scene: &Scene, judge: &Judge, folders: &HostFolders) -> Result<()> {
    clusters::await_turn(judge, &pods::pod(&scene.kubectl, POD)?, PERIOD, HELD)?;
    let size =
        stop::broker_deleted_during_a_bridge_is_not_listed_again_before_it_is_back(scene, judge, folders, 2)?;
    stop::a_deleted_broker_comes_back_with_the_current_list(scene, judge, size)
}
