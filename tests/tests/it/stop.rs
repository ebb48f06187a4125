//! Brokers that are stopped: cleanly, and never listed again before they are back. Parts of the clusters of
//! [`crate::four`] and [`crate::node`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use lab::e2e::clusters::{self, BROKER_CONTAINER, HostFolders, name_server_pods};
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::objects::Objects;
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes;
use lab::e2e::scene::{PODS_WITHIN, Scene};
use lab::e2e::watch::{self, Watch, ensure};
use lab::error::Result;
use lab::wait::Look;

/// The broker that is stopped.
pub(crate) const POD: &str = "broker-0-master-0";

/// A broker has 120 s to stop; half of it must be enough.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

/// Java is told to end, then the pod is deleted.
pub(crate) fn stopped_broker_is_not_listed_again_before_it_is_back(
    scene: &Scene,
    judge: &Judge,
    folders: &HostFolders,
) -> Result<()> {
    let kubectl = &scene.kubectl;
    scene.step("sends TERM to Java, without a bridge");
    let listing = Listing::of_the_broker(kubectl)?;
    processes::signal_java(kubectl, &pods::pod(kubectl, POD)?, BROKER_CONTAINER, "TERM")?;
    listing.until_it_is_back(kubectl, judge)?;
    scene.step("deletes the pod, without a bridge");
    deleted_broker_is_not_listed_again_before_it_is_back(scene, judge, folders)
}

/// The pod is deleted while bridges are held, from `size` name servers on; returns how many there are then.
pub(crate) fn broker_deleted_during_a_bridge_is_not_listed_again_before_it_is_back(
    scene: &Scene,
    judge: &Judge,
    folders: &HostFolders,
    size: u32,
) -> Result<u32> {
    scene.step("deletes the pod, during a bridge");
    let size = clusters::scale_out_to_a_bridge(scene, size)?;
    deleted_broker_is_not_listed_again_before_it_is_back(scene, judge, folders)?;
    Ok(size)
}

fn deleted_broker_is_not_listed_again_before_it_is_back(
    scene: &Scene,
    judge: &Judge,
    folders: &HostFolders,
) -> Result<()> {
    let listing = Listing::of_the_broker(&scene.kubectl)?;
    deleted_broker_stops_cleanly(scene, folders)?;
    listing.until_it_is_back(&scene.kubectl, judge)
}

/// A broker's pod that was deleted by hand has started with the list of so many name servers, as record and file have it.
pub(crate) fn a_deleted_broker_comes_back_with_the_current_list(
    scene: &Scene,
    judge: &Judge,
    size: u32,
) -> Result<()> {
    let kubectl = &scene.kubectl;
    // Its own first registration and, on 4.x, its first fetch of the list.
    watch::until("the current list at the broker", PODS_WITHIN, || {
        let current =
            pods::pod(kubectl, POD).and_then(|broker| clusters::lists_of(kubectl, judge, &[broker], size));
        match current {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
}

/// Exit code 0 or 143 (Java's at TERM), RocketMQ's `abort` file gone, in less than half the grace period.
fn deleted_broker_stops_cleanly(scene: &Scene, folders: &HostFolders) -> Result<()> {
    let abort = folders.broker.join("store/broker-0-master/abort");
    ensure(abort.is_file(), || format!("{} is not there while the broker runs", abort.display()))?;
    let mut objects = Objects::watch(&scene.kubectl, &["pod", POD])?;
    objects.find("the broker's pod", PODS_WITHIN, |_| Some(()))?;

    let start = Instant::now();
    scene.kubectl.run(&["delete", "pod", POD, "--wait=false"])?;
    let code = objects.find("the exit code of the broker", PODS_WITHIN, |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let broker = statuses.iter().find(|status| status["name"] == BROKER_CONTAINER)?;
        broker["state"]["terminated"]["exitCode"].as_i64()
    })?;
    let took = start.elapsed();
    // The pod is still there, so that no successor can have made it anew.
    let left_abort = abort.exists();
    scene.step(&format!("the broker ended with {code} after {} ms", took.as_millis()));
    ensure([0, 143].contains(&code), || format!("the broker ended with {code}"))?;
    ensure(!left_abort, || format!("the broker left {}", abort.display()))?;
    ensure(took < STOPS_WITHIN, || format!("the broker took {} s to stop", took.as_secs()))
}

/// Who lists the broker, from before it is stopped until it is back.
struct Listing {
    watch: Watch,
    stopped: Arc<Mutex<Stopped>>,
    booted: u64,
}

impl Listing {
    /// Looks ten times a second at every name server. Once one has dropped the broker, it must not list that address again
    /// before a RocketMQ that answers there has started.
    fn of_the_broker(kubectl: &Kubectl) -> Result<Self> {
        let judge = Judge::new()?;
        let broker = pods::pod(kubectl, POD)?;
        let booted = judge.boot_timestamp(&broker)?;
        let name_servers = name_server_pods(kubectl)?;
        let stopped = Arc::new(Mutex::new(Stopped::booted_at(booted)));
        let seen = Arc::clone(&stopped);
        let watch = Watch::start(Duration::from_millis(100), move || {
            let mut listed = BTreeMap::new();
            for name_server in &name_servers {
                listed.insert(name_server.name.clone(), judge.lists(name_server, &broker_address(&broker))?);
            }
            let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
            let mut stopped = seen.lock().unwrap_or_else(PoisonError::into_inner);
            // A broker that is gone lets a connection wait for long, so it is asked only when that matters.
            let says = stopped.is_listed_again(&listed).then(|| judge.boot_timestamp(&broker).ok()).flatten();
            stopped.saw(now, &listed, says)
        });
        Ok(Self { watch, stopped, booted })
    }

    /// Waits until every name server lists the broker that started later, and nothing else of it.
    fn until_it_is_back(self, kubectl: &Kubectl, judge: &Judge) -> Result<()> {
        watch::until("the broker to be back", PODS_WITHIN, || match pods::pod(kubectl, POD) {
            Err(error) => Look::NotYet(error.to_string()),
            Ok(broker) if !broker.ready => Look::NotYet("it is not ready".to_owned()),
            Ok(broker) if !is_back(judge, &broker, self.booted) => {
                Look::NotYet("it has not restarted".to_owned())
            }
            Ok(_) => Look::Ready(()),
        })?;
        judge.await_routes(kubectl)?;
        self.watch.end()?;
        self.stopped.lock().unwrap_or_else(PoisonError::into_inner).end()
    }
}

fn is_back(judge: &Judge, broker: &Pod, booted: u64) -> bool {
    judge.boot_timestamp(broker).is_ok_and(|now| now > booted)
}

/// What was seen of a broker that is stopped, at its former address.
#[derive(Debug)]
struct Stopped {
    booted: u64,
    dropped: BTreeSet<String>,
    /// Since when a name server lists it again, and by whom; a starting broker registers itself before it answers.
    listed_again: Option<(u64, String)>,
    is_back: bool,
}

impl Stopped {
    fn booted_at(booted: u64) -> Self {
        Self { booted, dropped: BTreeSet::new(), listed_again: None, is_back: false }
    }

    fn is_listed_again(&self, listed: &BTreeMap<String, bool>) -> bool {
        !self.is_back && listed.iter().any(|(name, lists)| *lists && self.dropped.contains(name))
    }

    /// Who listed the broker until `now`, and when the RocketMQ that answers there started, if one does. All times are in
    /// milliseconds by this machine's clock, which is the broker's.
    fn saw(&mut self, now: u64, listed: &BTreeMap<String, bool>, says: Option<u64>) -> Result<()> {
        if self.is_listed_again(listed) && self.listed_again.is_none() {
            let who: Vec<&str> =
                listed.iter().filter(|(_, lists)| **lists).map(|(name, _)| name.as_str()).collect();
            self.listed_again = Some((now, who.join(", ")));
        }
        self.dropped.extend(listed.iter().filter(|(_, lists)| !**lists).map(|(name, _)| name.clone()));
        let Some(((since, _), started)) = self.listed_again.as_ref().zip(says) else {
            return Ok(());
        };
        ensure(started > self.booted && started <= *since, || self.untrue(Some(started)))?;
        self.is_back = true;
        Ok(())
    }

    /// Whoever was listed again has answered.
    fn end(&self) -> Result<()> {
        ensure(self.listed_again.is_none() || self.is_back, || self.untrue(None))
    }

    fn untrue(&self, started: Option<u64>) -> String {
        let says = started.map_or_else(
            || "nobody answers there".to_owned(),
            |started| {
                format!("the one that answers there started at {started}, the former at {}", self.booted)
            },
        );
        format!("the stopped broker was listed again, {:?}: {says}", self.listed_again)
    }
}

#[test]
fn a_broker_is_told_from_a_stopped_one_by_its_start() {
    // Each look: when, whether it is listed, and when the one that answers started.
    type LookAt = (u64, bool, Option<u64>);
    let judged = |looks: &[LookAt]| {
        let mut stopped = Stopped::booted_at(100);
        looks
            .iter()
            .try_for_each(|(now, lists, says)| {
                stopped.saw(*now, &BTreeMap::from([("name-service-0".to_owned(), *lists)]), *says)
            })
            .and_then(|()| stopped.end())
            .is_ok()
    };
    let up = (200, true, None);
    let gone = (300, false, None);
    assert!(judged(&[up, gone]), "it comes back elsewhere");
    assert!(judged(&[up, gone, (500, true, Some(450))]));
    assert!(judged(&[up, gone, (500, true, None), (600, true, Some(450))]), "it registers before it answers");
    // A bridge that brings a dead broker back, for however short, until the next one has started or not.
    assert!(!judged(&[up, gone, (400, true, None), (500, true, Some(450))]));
    assert!(!judged(&[up, gone, (400, true, None), (410, false, None), (500, true, Some(450))]));
    assert!(!judged(&[up, gone, (400, true, None), (410, false, None)]));
    assert!(!judged(&[up, gone, (400, true, Some(100))]), "the stopped one answers still");
}
