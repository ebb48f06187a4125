//! Name servers 1 -> 3 -> 1 under traffic, on both ways in which a live list changes: parts of the clusters of
//! [`crate::five`] and [`crate::four`].

use std::thread;
use std::time::Duration;

use lab::e2e::clusters::{self, name_server_pods};
use lab::e2e::gaps::Gaps;
use lab::e2e::judge::{Judge, Truth};
use lab::e2e::load::Load;
use lab::e2e::pods::Pod;
use lab::e2e::scene::Scene;
use lab::e2e::traffic::few_messages;
use lab::e2e::watch::{self, Watch};
use lab::error::{LabError, Result};

/// How long routes are watched after the last bridge ended.
const AFTER_BRIDGES: Duration = Duration::from_secs(15);

/// Until when the last bridge must have ended: 4.x polls its list each 120 s and registers each 30 s.
const BRIDGES_WITHIN: Duration = Duration::from_secs(225);

/// Routes that are watched while something changes.
pub(crate) struct Routes {
    gaps: Gaps,
    whole: Vec<Watch>,
}

impl Routes {
    /// Watches one topic's route, fifty times a second, and all routes, each second, at the first `size` name servers: at
    /// those that are there from now on, at others once they show the topic's route, until [`Routes::of_new_ones`] is asked.
    pub(crate) fn watch(scene: &Scene, truth: &Truth, topic: &str, size: u32) -> Result<Self> {
        let kubectl = &scene.kubectl;
        let gaps = Gaps::watch(kubectl, truth, topic, size)?;
        let staying: Vec<Pod> = name_server_pods(kubectl)?.into_iter().take(size as usize).collect();
        Ok(Self { gaps, whole: vec![stay_whole(staying, truth.clone())?] })
    }

    /// All routes, each second, at those that have come: whole from the first look on.
    pub(crate) fn of_new_ones(&mut self, scene: &Scene, truth: &Truth) -> Result<()> {
        let new = name_server_pods(&scene.kubectl)?.into_iter().skip(1).collect();
        self.whole.push(stay_whole(new, truth.clone())?);
        Ok(())
    }

    /// Nothing was missing at one look.
    pub(crate) fn end(self, scene: &Scene) -> Result<()> {
        let looks = self.gaps.end()?;
        let whole: Vec<usize> = self.whole.into_iter().map(Watch::end).collect::<Result<_>>()?;
        scene.step(&format!("one route was whole at {looks} looks, all of them at {whole:?}"));
        Ok(())
    }
}

/// Compares cluster info and all routes of these name servers with what the brokers hold, each second.
fn stay_whole(name_servers: Vec<Pod>, truth: Truth) -> Result<Watch> {
    let judge = Judge::new()?;
    Ok(Watch::start(Duration::from_secs(1), move || {
        name_servers.iter().try_for_each(|pod| judge.shows_all(pod, &truth))
    }))
}

/// 1 -> 3. Routes are watched from before it on.
pub(crate) fn scales_out(scene: &Scene, judge: &Judge, topic: &str) -> Result<Routes> {
    let kubectl = &scene.kubectl;
    scene.step("scales name servers 1 -> 3");
    let truth = judge.truth(kubectl)?;
    let mut routes = Routes::watch(scene, &truth, topic, 3)?;
    clusters::scale(kubectl, 3)?.expect_code(0)?;
    routes.of_new_ones(scene, &truth)?;
    judge.compare(kubectl, &truth)?;
    Ok(routes)
}

/// 3 -> 1. The routes of the one that stays are watched from before it on.
pub(crate) fn scales_in(scene: &Scene, judge: &Judge, topic: &str) -> Result<Routes> {
    let kubectl = &scene.kubectl;
    scene.step("scales name servers 3 -> 1");
    let routes = Routes::watch(scene, &judge.truth(kubectl)?, topic, 1)?;
    clusters::scale(kubectl, 1)?.expect_code(0)?;
    judge.compare(kubectl, &judge.truth(kubectl)?)?;
    Ok(routes)
}

/// A fresh producer and a fresh consumer send and receive, through each new name server alone, on the topics that it is given.
pub(crate) fn a_client_that_knows_one_new_name_server_only_works(
    scene: &Scene,
    version: &'static str,
    topics: impl Fn(u32) -> Vec<String> + Sync,
) -> Result<()> {
    scene.step("starts clients that know one new name server each");
    let works = |ordinal: u32| {
        let name_server = [clusters::address(&scene.kubectl, ordinal)];
        let load = Load { topics: topics(ordinal), ..Load::default() };
        few_messages(scene, version, &format!("fresh-{ordinal}"), &name_server, &load)
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| works(2));
        works(1)?;
        joined(other)?.map(drop)
    })
}

/// What a thread came to.
pub(crate) fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> Result<T> {
    thread.join().map_err(|_| LabError::new("a thread of the test panicked"))
}

/// The brokers' own registrations replace the bridges', and until 15 s after the last one nothing was missing at one look.
pub(crate) fn bridge_ends_without_a_gap(scene: &Scene, routes: Routes) -> Result<()> {
    scene.step("waits for the end of the last bridge");
    clusters::await_no_bridges(&scene.kubectl, BRIDGES_WITHIN)?;
    watch::pass("the time after the last bridge", AFTER_BRIDGES)?;
    routes.end(scene)
}
