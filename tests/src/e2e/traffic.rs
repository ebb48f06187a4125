//! Traffic by RocketMQ's own Java client, in a pod: `tests/java/Traffic.java` says what it does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::e2e::java::{self, Report, STOP_FILE};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::load::Load;
use crate::e2e::scene::{PODS_WITHIN, Scene};
use crate::e2e::watch::{self, ensure};
use crate::error::Result;
use crate::wait::Look;

/// The topics that traffic runs on unless it is given others.
pub const TOPICS: [&str; 3] = ["orders", "payments", "parcels"];

/// Sends a second over all topics. How many a busy machine makes of it is nobody's promise.
const RATE: u32 = 60;

/// Sends a second of a client that sends few.
const FEW_AT_ONCE: u32 = 220;

/// How long a client that sends all the time may take to print one send more.
const GOES_ON_WITHIN: Duration = Duration::from_secs(30);

/// How long after its last send the client may wait for messages, and print.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// What the client counted so far.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// `warming`, `running`, `draining` or `done`.
    pub state: String,
    /// When it was printed, by the machine's clock.
    pub at_millis: u64,
    /// Sends that ended, well or not.
    pub sent: u64,
    /// Sends that ended with SEND_OK.
    pub acknowledged: u64,
    /// Sends that threw or ended otherwise.
    pub failed: u64,
    /// Numbers that arrived at least once.
    pub received: u64,
    /// Acknowledged numbers that did not arrive, those of a tag that is not subscribed to apart.
    pub missing: u64,
    /// Arrivals of a tag that is not subscribed to.
    pub unasked: u64,
    /// Numbers that were refused once.
    pub refused: u64,
    /// Arrivals of a number that had arrived before.
    pub duplicates: u64,
    /// The longest send.
    pub slowest_millis: u64,
    /// The first failure in the client's words.
    pub first_failure: String,
}

impl Report for Counts {
    fn state(&self) -> &str {
        &self.state
    }
}

/// The lowest offset that arrived in each queue, by group, by `topic:broker:queue`.
pub type Lowest = BTreeMap<String, BTreeMap<String, i64>>;

/// A client under way.
#[derive(Debug)]
pub struct Traffic {
    kubectl: Kubectl,
    pod: String,
    run: String,
    /// When it was last known to send.
    seen: Counts,
}

impl Traffic {
    /// Starts a client that knows `name_servers` only, and waits until it sends.
    ///
    /// # Errors
    /// When it does not get so far.
    pub fn start(scene: &Scene, version: &str, name: &str, name_servers: &[String]) -> Result<Self> {
        Self::start_with(scene, version, name, name_servers, &Load::default())
    }

    /// [`Traffic::start`] with another load.
    ///
    /// # Errors
    /// As [`Traffic::start`].
    pub fn start_with(
        scene: &Scene,
        version: &str,
        name: &str,
        name_servers: &[String],
        load: &Load,
    ) -> Result<Self> {
        let client = Client { version, name, run: run(name), name_servers, load, rate: RATE, count: 0 };
        client.start(scene)
    }

    /// Starts a client that receives what this one sends, and sends nothing; waits until it owns every queue.
    ///
    /// # Errors
    /// As [`Traffic::start`].
    pub fn received_by(
        &self,
        scene: &Scene,
        version: &str,
        name: &str,
        name_servers: &[String],
        load: &Load,
    ) -> Result<Self> {
        let run = self.run.clone();
        Client { version, name, run, name_servers, load, rate: 0, count: 0 }.start(scene)
    }

    /// What it counted so far, once it went on since it was asked last: no send has failed, and more were acknowledged.
    ///
    /// # Errors
    /// When a send failed, or nothing more is sent.
    pub fn goes_on(&mut self) -> Result<&Counts> {
        let what = format!("pod `{}` to send more", self.pod);
        let counts = watch::until(&what, GOES_ON_WITHIN, || match java::report(&self.kubectl, &self.pod) {
            Err(error) => Look::NotYet(error.to_string()),
            Ok(counts) => match (none_failed(&counts), went_on(&self.seen, &counts)) {
                (Err(error), _) => Look::Never(error),
                (_, Err(error)) => Look::NotYet(error.to_string()),
                _ => Look::Ready(counts),
            },
        })?;
        self.seen = counts;
        Ok(&self.seen)
    }

    /// Where its groups began to read at the brokers that its load names, as soon as that is what is wanted.
    ///
    /// # Errors
    /// When it does not come `within`, with what `lacks` said last.
    pub fn lowest(
        &self,
        what: &str,
        within: Duration,
        lacks: impl Fn(&Lowest) -> Option<String>,
    ) -> Result<Lowest> {
        #[derive(Deserialize)]
        struct Line {
            lowest: Lowest,
        }
        let mut lacking = "nothing was read yet".to_owned();
        let found = java::find_in_log(&self.kubectl, &self.pod, what, within, |line| {
            let read: Line = serde_json::from_str(line).ok()?;
            match lacks(&read.lowest) {
                None => Some(read.lowest),
                Some(what) => {
                    lacking = what;
                    None
                }
            }
        });
        found.map_err(|error| error.because(lacking))
    }

    /// Stops sending, waits for what is under way, and demands: it went on until then, no send failed, and no acknowledged
    /// message is missing.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn finish(self) -> Result<Counts> {
        let counts = self.end()?;
        went_on(&self.seen, &counts)?;
        Ok(counts)
    }

    /// Waits until so many different messages have arrived, and ends it.
    ///
    /// # Errors
    /// When they do not all arrive, or others do.
    pub fn finish_at(self, messages: u64) -> Result<Counts> {
        let what = format!("{messages} messages at pod `{}`", self.pod);
        java::await_report(&self.kubectl, &self.pod, &what, ENDS_WITHIN, |counts: &Counts| {
            counts.received >= messages
        })?;
        let counts = self.end()?;
        ensure(counts.received == messages, || format!("{messages} were sent: {counts:?}"))?;
        Ok(counts)
    }

    fn end(&self) -> Result<Counts> {
        java::stop(&self.kubectl, &self.pod)?;
        let counts = java::await_state(&self.kubectl, &self.pod, &["done"], ENDS_WITHIN)?;
        check(&counts)?;
        Ok(counts)
    }
}

/// A fresh producer and a fresh consumer send and receive on every topic of a load.
///
/// # Errors
/// When one message fails or does not arrive.
pub fn few_messages(
    scene: &Scene,
    version: &str,
    name: &str,
    name_servers: &[String],
    load: &Load,
) -> Result<Counts> {
    // Each topic has at most 8 queues at each of 2 groups here; the producer takes them in turn.
    let messages = 32 * load.topics.len();
    let client =
        Client { version, name, run: run(name), name_servers, load, rate: FEW_AT_ONCE, count: messages };
    let pod = client.create(scene)?;
    let counts: Counts = java::await_state(&scene.kubectl, &pod, &["done"], PODS_WITHIN)?;
    check(&counts)?;
    ensure(load.tags.is_some() || counts.received == messages as u64, || {
        format!("{messages} were to be sent: {counts:?}")
    })?;
    Ok(counts)
}

/// Without sends nothing is shown of a time.
fn went_on(before: &Counts, now: &Counts) -> Result<()> {
    ensure(now.acknowledged > before.acknowledged, || {
        format!("nothing was sent since {}: {now:?}", before.at_millis)
    })
}

fn none_failed(counts: &Counts) -> Result<()> {
    ensure(counts.failed == 0, || format!("{} sends failed: {counts:?}", counts.failed))
}

fn check(counts: &Counts) -> Result<()> {
    none_failed(counts)?;
    ensure(counts.missing == 0, || {
        format!("{} acknowledged messages were lost: {counts:?}", counts.missing)
    })?;
    ensure(counts.unasked == 0, || format!("{} messages have another tag: {counts:?}", counts.unasked))
}

/// A name of its own for each run: data of the node may hold an earlier one's messages.
fn run(name: &str) -> String {
    format!("{name}-{}", jiff::Timestamp::now().as_millisecond())
}

/// A client before it is started.
struct Client<'a> {
    version: &'a str,
    name: &'a str,
    run: String,
    name_servers: &'a [String],
    load: &'a Load,
    rate: u32,
    /// Messages; 0 = until it is stopped.
    count: usize,
}

impl Client<'_> {
    /// Creates it and waits until it runs.
    fn start(&self, scene: &Scene) -> Result<Traffic> {
        let pod = self.create(scene)?;
        let seen = java::await_state(&scene.kubectl, &pod, &["running"], PODS_WITHIN)?;
        Ok(Traffic { kubectl: scene.kubectl.clone(), pod, run: self.run.clone(), seen })
    }

    fn create(&self, scene: &Scene) -> Result<String> {
        let pod = format!("traffic-{}", self.name);
        let arguments = format!(
            "'nameServers={}' run={} rate={} count={} stopFile={STOP_FILE} {}",
            self.name_servers.join(";"),
            self.run,
            self.rate,
            self.count,
            self.load.arguments()
        );
        java::create(scene, self.version, "Traffic", &pod, &arguments)?;
        Ok(pod)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(acknowledged: u64, failed: u64) -> Counts {
        Counts {
            state: "running".to_owned(),
            at_millis: 0,
            sent: acknowledged + failed,
            acknowledged,
            failed,
            received: 0,
            missing: 0,
            unasked: 0,
            refused: 0,
            duplicates: 0,
            slowest_millis: 0,
            first_failure: String::new(),
        }
    }

    #[test]
    fn traffic_that_stands_still_shows_nothing() {
        went_on(&counts(7, 0), &counts(8, 0)).unwrap();
        assert!(went_on(&counts(7, 0), &counts(7, 2)).is_err());
        assert!(none_failed(&counts(9, 0)).is_ok() && none_failed(&counts(9, 1)).is_err());
    }
}
