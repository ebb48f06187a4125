//! Brokers that are stopped: cleanly, and never listed again before they are back.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use lab::e2e::clusters::{self, BROKER_CONTAINER, HostFolders, Shape, name_server_pods};
use lab::e2e::judge::{Judge, broker_address};
use lab::e2e::kubectl::Kubectl;
use lab::e2e::objects::Objects;
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::watch::{self, Watch, ensure};
use lab::error::Result;
use lab::wait::Look;

use crate::Verdict;

/// The one broker of these tests.
const POD: &str = "broker-0-master-0";

/// A broker has 120 s to stop; half of it must be enough.
const STOPS_WITHIN: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs the lab"]
fn stopped_broker_is_not_listed_again_before_it_is_back_on_4_5_0() -> Verdict {
    scene("stopped-4-5-0", Lane::Side, |scene| stopped_broker_is_not_listed_again(scene, "4.5.0"))
}

#[test]
#[ignore = "needs the lab"]
fn stopped_broker_is_not_listed_again_before_it_is_back_on_5_3_3() -> Verdict {
    scene("stopped-5-3-3", Lane::Side, |scene| stopped_broker_is_not_listed_again(scene, "5.3.3"))
}

fn stopped_broker_is_not_listed_again(scene: &Scene, version: &'static str) -> Result<()> {
    let kubectl = &scene.kubectl;
    let folders = HostFolders::make(scene)?;
    let shape = Shape { version, name_servers: 1, groups: 1, replicas: 0 };
    clusters::apply(scene, &shape.yaml_on_host(&folders))?;

    scene.step("sends TERM to Java, without a bridge");
    let listing = Listing::of_the_broker(kubectl)?;
    processes::signal_java(kubectl, &pods::pod(kubectl, POD)?, BROKER_CONTAINER, "TERM")?;
    listing.until_it_is_back(kubectl)?;

    scene.step("deletes the pod, without a bridge");
    let listing = Listing::of_the_broker(kubectl)?;
    deleted_broker_stops_cleanly(scene, &folders)?;
    listing.until_it_is_back(kubectl)?;

    scene.step("deletes the pod, during a bridge");
    clusters::scale_out_to_a_bridge(scene)?;
    let listing = Listing::of_the_broker(kubectl)?;
    deleted_broker_stops_cleanly(scene, &folders)?;
    listing.until_it_is_back(kubectl)
}

/// Exit code 0 or 143 (Java's at TERM), RocketMQ's `abort` file gone, in less than half the grace period.
fn deleted_broker_stops_cleanly(scene: &Scene, folders: &HostFolders) -> Result<()> {
    let abort = folders.broker.join("store/broker-0-master/abort");
    ensure(abort.is_file(), || format!("{} is not there while the broker runs", abort.display()))?;
    let mut objects = Objects::watch(&scene.kubectl, &["pod", POD])?;
    objects.find("the broker's pod", PODS_WITHIN, |_| Some(()))?;

    let start = Instant::now();
    // Waits until the pod is gone. Its successor makes `abort` anew, but not within the moment of the next look.
    scene.kubectl.run(&["delete", "pod", POD])?;
    let left_abort = abort.exists();
    let took = start.elapsed();

    let code = objects.find("the exit code of the broker", PODS_WITHIN, |pod| {
        let statuses = pod["status"]["containerStatuses"].as_array()?;
        let broker = statuses.iter().find(|status| status["name"] == BROKER_CONTAINER)?;
        broker["state"]["terminated"]["exitCode"].as_i64()
    })?;
    scene.step(&format!("the broker ended with {code} after {} ms", took.as_millis()));
    ensure([0, 143].contains(&code), || format!("the broker ended with {code}"))?;
    ensure(!left_abort, || format!("the broker left {}", abort.display()))?;
    ensure(took < STOPS_WITHIN, || format!("the broker took {} s to stop", took.as_secs()))
}

/// A starting broker registers itself a moment before it answers. So long may one that is listed again be silent; a
/// stopped one is silent for longer, or tells when it started.
const SILENT_AT_MOST: Duration = Duration::from_secs(3);

/// Who lists the broker, from before it is stopped until it is back.
struct Listing {
    watch: Watch,
    booted: u64,
}

impl Listing {
    /// Looks ten times a second at every name server. Once one has dropped the broker, it must not list that address again
    /// unless a RocketMQ answers there that started later.
    fn of_the_broker(kubectl: &Kubectl) -> Result<Self> {
        let judge = Judge::new()?;
        let broker = pods::pod(kubectl, POD)?;
        let booted = judge.boot_timestamp(&broker)?;
        let name_servers = name_server_pods(kubectl)?;
        let mut dropped = BTreeSet::new();
        let mut silent_since = None;
        let watch = Watch::start(Duration::from_millis(100), move || {
            let mut listed_again = Vec::new();
            for name_server in &name_servers {
                if !judge.lists(name_server, &broker_address(&broker))? {
                    dropped.insert(name_server.name.clone());
                } else if dropped.contains(&name_server.name) {
                    listed_again.push(name_server.name.as_str());
                }
            }
            if listed_again.is_empty() {
                silent_since = None;
                return Ok(());
            }
            let says = judge.boot_timestamp(&broker);
            let stopped = match &says {
                Ok(now) => *now <= booted,
                Err(_) => silent_since.get_or_insert_with(Instant::now).elapsed() > SILENT_AT_MOST,
            };
            ensure(!stopped, || {
                format!("{listed_again:?} list the stopped broker {} again, {says:?}", broker.ip)
            })
        });
        Ok(Self { watch, booted })
    }

    /// Waits until every name server lists the broker that started later.
    fn until_it_is_back(self, kubectl: &Kubectl) -> Result<()> {
        let judge = Judge::new()?;
        let name_servers = name_server_pods(kubectl)?;
        watch::until("the broker at every name server", PODS_WITHIN, || match pods::pod(kubectl, POD) {
            Err(error) => Look::NotYet(error.to_string()),
            Ok(broker) if !broker.ready => Look::NotYet("it is not ready".to_owned()),
            Ok(broker) if !is_back(&judge, &broker, self.booted) => {
                Look::NotYet("it has not restarted".to_owned())
            }
            Ok(broker) => {
                let absent = name_servers
                    .iter()
                    .find(|pod| !judge.lists(pod, &broker_address(&broker)).unwrap_or_default());
                absent.map_or(Look::Ready(()), |pod| Look::NotYet(format!("`{}` does not list it", pod.name)))
            }
        })?;
        self.watch.end().map(drop)
    }
}

fn is_back(judge: &Judge, broker: &Pod, booted: u64) -> bool {
    judge.boot_timestamp(broker).is_ok_and(|now| now > booted)
}
