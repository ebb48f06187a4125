//! The plugin killed with SIGKILL at moments of its journal, and the operation ended from elsewhere.

use lab::e2e::clusters::{self, Shape, scale_arguments};
use lab::e2e::drains::Untouched;
use lab::e2e::journal::Moment;
use lab::e2e::judge::Judge;
use lab::e2e::kill;
use lab::e2e::runs::Runs;
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::traffic::TOPICS;
use lab::error::Result;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

#[test]
#[ignore = "needs the lab"]
fn killed_cli_resumes_and_undoes() -> Verdict {
    scene("killed", Lane::Side, |scene| {
        let judge = Judge::new()?;
        CLUSTER.apply(scene)?;
        judge.make_topics(&scene.kubectl)?;
        killed_cli_undoes(scene, &judge)?;
        killed_cli_resumes(scene, &judge)?;
        killed_cli_undoes_what_was_as_good_as_done(scene, &judge)
    })
}

/// As soon as the StatefulSet's step has begun; from where its Lease must be waited for.
fn killed_cli_undoes(scene: &Scene, judge: &Judge) -> Result<()> {
    let kubectl = &scene.kubectl;
    let before = Untouched::now(kubectl, judge, CLUSTER.groups)?;
    let operation = kill::at(scene, Moment::Started("grow-name-servers"), &scale_arguments("3"))?;
    kill::end_from_elsewhere(kubectl, "undo", &operation)?;
    clusters::is_settled(kubectl, judge, 1)?;
    before.is_back(kubectl, judge, TOPICS[0])
}

/// As soon as bridges are being built.
fn killed_cli_resumes(scene: &Scene, judge: &Judge) -> Result<()> {
    let brokers = Runs::of(&scene.kubectl, judge)?;
    let operation = kill::at(scene, Moment::Started("bridge-brokers"), &scale_arguments("2"))?;
    kill::end(&scene.kubectl, "resume", &operation)?;
    clusters::is_settled(&scene.kubectl, judge, 2)?;
    brokers.are_still(&Runs::of(&scene.kubectl, judge)?)
}

/// Once all routes are proved, and only the record is still to be written.
fn killed_cli_undoes_what_was_as_good_as_done(scene: &Scene, judge: &Judge) -> Result<()> {
    let kubectl = &scene.kubectl;
    let before = Untouched::now(kubectl, judge, CLUSTER.groups)?;
    let back = || kill::once_free(kubectl, &scale_arguments("2"))?.expect_code(0).map(drop);
    let operation = kill::in_time(scene, Moment::Done("prove-routes"), &scale_arguments("3"), back)?;
    kill::end(kubectl, "undo", &operation)?;
    clusters::is_settled(kubectl, judge, 2)?;
    before.is_back(kubectl, judge, TOPICS[0])
}
