//! Broker groups: the plugin killed once a step, in both directions.

use std::time::Instant;

use lab::e2e::clusters::Shape;
use lab::e2e::drains::Untouched;
use lab::e2e::groups;
use lab::e2e::journal::{self, FirstEvent, Moment};
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kill;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods;
use lab::e2e::results::{Table, exhaustive};
use lab::e2e::scene::{Lane, Scene};
use lab::e2e::slow::Slow;
use lab::e2e::traffic::TOPICS;
use lab::e2e::watch::ensure;
use lab::error::{LabError, Result};
use rocketmq::metadata::difference;

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

/// The steps that cannot be taken back, out and in: from the first of them on an operation is not undone.
const NO_RETURN: [&str; 2] = ["open-brokers", "delete-objects"];

#[test]
#[ignore = "needs the lab"]
fn scale_of_broker_groups_resumes_after_every_step() -> Verdict {
    let about = "`scale broker` 2 -> 3 and 3 -> 2, killed once a step, then resumed";
    exhaustive("groups-resume-after-every-step", about, Lane::Side, |scene| {
        let judge = Judge::new()?;
        apply(scene, &judge)?;
        let mut table = Table::default();
        let undisturbed = [moments_of(scene, 3)?, moments_of(scene, 2)?];
        let mut disturbed = [0, 0];
        let mut size = 2;
        // Out and in by turns, so that no scale only leads back; the shorter way is repeated until the longer is through.
        while (0..2).any(|way| disturbed[way] < undisturbed[way].len()) {
            let (way, other) = if size == 2 { (0, 3) } else { (1, 2) };
            let moments = &undisturbed[way];
            let moment = moments.get(disturbed[way]).or(moments.last());
            let moment = moment.ok_or_else(|| LabError::new("a scale has no steps"))?;
            end_after(scene, &mut table, "resume", (size, other), moment, || {
                groups::are(&scene.kubectl, &judge, other)?;
                if other == 3 { has_everything(&scene.kubectl, &judge) } else { Ok(()) }
            })?;
            disturbed[way] += 1;
            size = other;
        }
        Ok(table)
    })
}

#[test]
#[ignore = "needs the lab"]
fn scale_out_of_broker_groups_is_undone_after_every_step() -> Verdict {
    let about = "`scale broker` 2 -> 3, killed once a step, then undone";
    exhaustive("groups-out-undone-after-every-step", about, Lane::Side, |scene| undone(scene, 2, 3))
}

#[test]
#[ignore = "needs the lab"]
fn scale_in_of_broker_groups_is_undone_after_every_step() -> Verdict {
    let about = "`scale broker` 3 -> 2, killed once a step, then undone";
    exhaustive("groups-in-undone-after-every-step", about, Lane::Side, |scene| undone(scene, 3, 2))
}

fn undone(scene: &Scene, from: u32, to: u32) -> Result<Table> {
    let kubectl = &scene.kubectl;
    let judge = Judge::new()?;
    apply(scene, &judge)?;
    // New queues are waited for until it holds them: else a kill could come after the point of no return.
    let _consumer = Slow::start(scene, CLUSTER.version, TOPICS[0], "readers")?;
    let mut table = Table::default();
    // The way to where it begins, then the way itself, undisturbed.
    if from == 3 {
        kubectl.rocketmq(&groups::scale_arguments("3"))?.expect_code(0)?;
    }
    let moments = moments_of(scene, to)?;
    kubectl.rocketmq(&groups::scale_arguments(&from.to_string()))?.expect_code(0)?;
    let untouched = Untouched::now(kubectl, &judge, from)?;
    for moment in moments.iter().take_while(|moment| !NO_RETURN.contains(&moment.step.as_str())) {
        end_after(scene, &mut table, "undo", (from, to), moment, || {
            untouched.is_still(kubectl, &judge, TOPICS[0])
        })?;
    }
    Ok(table)
}

fn apply(scene: &Scene, judge: &Judge) -> Result<()> {
    CLUSTER.apply(scene)?;
    judge.make_topics(&scene.kubectl)
}

/// The moments of an undisturbed scale to `size`: the first event of each step, but for a last one that only its `done`
/// follows, which comes before a kill arrives.
fn moments_of(scene: &Scene, size: u32) -> Result<Vec<FirstEvent>> {
    let kubectl = &scene.kubectl;
    let former = journal::operations(kubectl)?;
    kubectl.rocketmq(&groups::scale_arguments(&size.to_string()))?.expect_code(0)?;
    let operation = journal::operations(kubectl)?.into_iter().find(|id| !former.contains(id));
    let operation = operation.ok_or_else(|| LabError::new("the scale left no journal"))?;
    let all = journal::told(kubectl, &operation)?.len();
    let moments = journal::first_events(kubectl, &operation)?;
    Ok(moments.into_iter().filter(|moment| moment.events + 1 < all).collect())
}

/// Scales, kills the plugin at this moment, ends the operation by `verb`, and looks at what that leaves.
fn end_after(
    scene: &Scene,
    table: &mut Table,
    verb: &str,
    (from, to): (u32, u32),
    moment: &FirstEvent,
    is_right: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step(&format!("at the first event of {}", moment.step));
    let size = to.to_string();
    let operation = kill::at(scene, Moment::Events(moment.events), &groups::scale_arguments(&size))?;
    let told = journal::told(kubectl, &operation)?;
    let start = Instant::now();
    kill::end(kubectl, verb, &operation)?;
    let took = start.elapsed().as_secs();
    is_right()?;
    let last = told.last().map_or("nothing but the plan", String::as_str);
    let left = if verb == "undo" { from } else { to };
    table.row(&[
        &format!("{from} -> {to}"),
        &format!("{}: {last} ({})", told.len(), moment.step),
        &format!("{verb}, {took} s with the wait for the Lease"),
        &format!(
            "{left} group(s), objects, record, registrations, routes and tables as after an undisturbed run"
        ),
    ]);
    Ok(())
}

/// The group that joined has what the first one has.
fn has_everything(kubectl: &Kubectl, judge: &Judge) -> Result<()> {
    let tables = |group: u32| {
        let pod = pods::pod(kubectl, &groups::master(group))?;
        judge.tables(&groups::name(group), &broker_address(&pod))
    };
    let difference = difference(&tables(0)?, &tables(2)?);
    ensure(difference.is_empty(), || format!("the new group differs: {difference:?}"))
}
