//! Name servers: the plugin killed after every event.

use std::time::Instant;

use lab::e2e::clusters::{self, Shape};
use lab::e2e::journal::{self, Moment};
use lab::e2e::judge::Judge;
use lab::e2e::kill;
use lab::e2e::results::{Table, exhaustive};
use lab::e2e::scene::{Lane, Scene};
use lab::error::{LabError, Result};

use crate::Verdict;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

#[test]
#[ignore = "needs the lab"]
fn scale_of_name_servers_resumes_after_every_event() -> Verdict {
    let about = "`scale nameservice` 1 -> 2 and 2 -> 1, killed after every event, then resumed";
    exhaustive("resumes-after-every-event", about, Lane::Side, |scene| {
        let judge = Judge::new()?;
        let mut table = Table::default();
        let mut size = 1;
        let undisturbed = [events_of(scene, 2)?, events_of(scene, 1)?];
        let mut disturbed = [0, 0];
        // Out and in by turns, so that no scale only leads back; the shorter way is repeated until the longer is through.
        while (0..2).any(|way| disturbed[way] < undisturbed[way]) {
            let (way, other) = if size == 1 { (0, 2) } else { (1, 1) };
            let events = disturbed[way].min(undisturbed[way] - 1);
            end_after(scene, &judge, &mut table, "resume", (size, other), (events, other))?;
            disturbed[way] += 1;
            size = other;
        }
        Ok(table)
    })
}

#[test]
#[ignore = "needs the lab"]
fn scale_out_of_name_servers_is_undone_after_every_event() -> Verdict {
    let about = "`scale nameservice` 1 -> 2, killed after every event, then undone";
    exhaustive("out-undone-after-every-event", about, Lane::Side, |scene| undone(scene, 1, 2))
}

#[test]
#[ignore = "needs the lab"]
fn scale_in_of_name_servers_is_undone_after_every_event() -> Verdict {
    let about = "`scale nameservice` 2 -> 1, killed after every event, then undone";
    exhaustive("in-undone-after-every-event", about, Lane::Side, |scene| undone(scene, 2, 1))
}

fn undone(scene: &Scene, from: u32, to: u32) -> Result<Table> {
    let judge = Judge::new()?;
    Shape { name_servers: from, ..CLUSTER }.apply(scene)?;
    let mut table = Table::default();
    let events = events_of(scene, to)?;
    clusters::scale(&scene.kubectl, from)?.expect_code(0)?;
    for events in 0..events {
        end_after(scene, &judge, &mut table, "undo", (from, to), (events, from))?;
    }
    Ok(table)
}

/// How many events an undisturbed scale to `size` writes before its last, which says that it is over.
fn events_of(scene: &Scene, size: u32) -> Result<usize> {
    let kubectl = &scene.kubectl;
    if clusters::name_server_pods(kubectl)?.is_empty() {
        CLUSTER.apply(scene)?;
    }
    let former = journal::operations(kubectl)?;
    clusters::scale(kubectl, size)?.expect_code(0)?;
    let operation = journal::operations(kubectl)?.into_iter().find(|id| !former.contains(id));
    let operation = operation.ok_or_else(|| LabError::new("the scale left no journal"))?;
    Ok(journal::told(kubectl, &operation)?.len() - 1)
}

/// Scales, kills the plugin after so many events, ends the operation by `verb`, and demands the size that this leaves.
fn end_after(
    scene: &Scene,
    judge: &Judge,
    table: &mut Table,
    verb: &str,
    (from, to): (u32, u32),
    (events, left): (usize, u32),
) -> Result<()> {
    let size = to.to_string();
    let operation = kill::at(scene, Moment::Events(events), &clusters::scale_arguments(&size))?;
    let told = journal::told(&scene.kubectl, &operation)?;
    let start = Instant::now();
    kill::end(&scene.kubectl, verb, &operation)?;
    let took = start.elapsed().as_secs();
    clusters::is_settled(&scene.kubectl, judge, left)?;
    let last = told.last().map_or("nothing but the plan", String::as_str);
    table.row(&[
        &format!("{from} -> {to}"),
        &format!("{}: {last}", told.len()),
        &format!("{verb}, {took} s with the wait for the Lease"),
        &format!("{left} name server(s), lists and routes as after an undisturbed run"),
    ]);
    Ok(())
}
