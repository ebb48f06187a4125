//! The plugin killed with SIGKILL at moments of its journal, and the operation ended from elsewhere.

use lab::e2e::clusters::{self, Shape};
use lab::e2e::journal::Moment;
use lab::e2e::judge::Judge;
use lab::e2e::kill;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::error::Result;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// After `started` of the StatefulSet step, of the bridge step, and after `done` of the route matrix.
const MOMENTS: [Moment; 3] =
    [Moment::Started("grow-name-servers"), Moment::Started("bridge-brokers"), Moment::Done("prove-routes")];

#[test]
fn killed_cli_resumes_and_undoes() -> Verdict {
    scene("killed-cli", Lane::Long, |scene| {
        let judge = Judge::new()?;
        CLUSTER.apply(scene)?;
        killed_cli_undoes(scene, &judge)?;
        killed_cli_resumes(scene, &judge)
    })
}

fn killed_cli_undoes(scene: &Scene, judge: &Judge) -> Result<()> {
    for moment in MOMENTS {
        let operation = kill::at(scene, moment, &clusters::scale_arguments("3"))?;
        kill::end(&scene.kubectl, "undo", &operation)?;
        clusters::is_settled(&scene.kubectl, judge, CLUSTER.name_servers)?;
    }
    Ok(())
}

fn killed_cli_resumes(scene: &Scene, judge: &Judge) -> Result<()> {
    for (moment, size) in MOMENTS.into_iter().zip(2..) {
        let operation = kill::at(scene, moment, &clusters::scale_arguments(&size.to_string()))?;
        kill::end(&scene.kubectl, "resume", &operation)?;
        clusters::is_settled(&scene.kubectl, judge, size)?;
    }
    Ok(())
}
