//! Traffic by RocketMQ's own Java client, in a pod: `tests/java/Traffic.java` says what it does.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::e2e::java::{self, Report, STOP_FILE};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::load::Load;
use crate::e2e::scene::{PODS_WITHIN, Scene};
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, Result};
use crate::wait::Look;

/// The topics that traffic runs on unless it is given others.
pub const TOPICS: [&str; 3] = ["orders", "payments", "parcels"];

/// Sends a second over all topics, with room over the 200 that a measurement needs.
const RATE: u32 = 220;

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
    started: Counts,
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

    /// What it counted so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn counts(&self) -> Result<Counts> {
        java::report(&self.kubectl, &self.pod)
    }

    /// Where its groups began to read at the brokers that its load names.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn lowest(&self) -> Result<Lowest> {
        #[derive(Deserialize)]
        struct Line {
            lowest: Lowest,
        }
        // The whole log: it is printed when it changes, which may be long ago.
        let log = self.kubectl.run(&["logs", &self.pod])?;
        let Some(line) = log.lines().rev().find(|line| line.starts_with("{\"lowest\"")) else {
            return Ok(Lowest::new());
        };
        let read: Line = serde_json::from_str(line)
            .context(|| format!("pod `{}` printed what are no offsets: {line}", self.pod))?;
        Ok(read.lowest)
    }

    /// Stops sending, waits for what is under way, and demands: no send failed, no acknowledged message is missing, and
    /// at least 200 sends a second were made.
    ///
    /// # Errors
    /// When one of these does not hold.
    pub fn finish(self) -> Result<Counts> {
        let counts = self.end()?;
        let millis = counts.at_millis.saturating_sub(self.started.at_millis).max(1);
        let rate = (counts.sent - self.started.sent) * 1000 / millis;
        ensure(rate >= 200, || format!("only {rate} sends a second: {counts:?}"))?;
        Ok(counts)
    }

    /// Waits until so many different messages have arrived, and ends it.
    ///
    /// # Errors
    /// When they do not all arrive, or others do.
    pub fn finish_at(self, messages: u64) -> Result<Counts> {
        watch::until(&format!("{messages} messages at pod `{}`", self.pod), ENDS_WITHIN, || {
            match self.counts() {
                Ok(counts) if counts.received >= messages => Look::Ready(()),
                Ok(counts) => Look::NotYet(format!("{counts:?}")),
                Err(error) => Look::NotYet(error.to_string()),
            }
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

/// A fresh producer and a fresh consumer that know one name server only send and receive on every topic.
///
/// # Errors
/// When one message fails or does not arrive.
pub fn fresh_client(scene: &Scene, version: &str, name: &str, name_server: &str) -> Result<Counts> {
    few_messages(scene, version, name, &[name_server.to_owned()], &Load::default())
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
    let client = Client { version, name, run: run(name), name_servers, load, rate: RATE, count: messages };
    let pod = client.create(scene)?;
    let counts: Counts = java::await_state(&scene.kubectl, &pod, &["done"], PODS_WITHIN)?;
    check(&counts)?;
    ensure(load.tags.is_some() || counts.received == messages as u64, || {
        format!("{messages} were to be sent: {counts:?}")
    })?;
    Ok(counts)
}

fn check(counts: &Counts) -> Result<()> {
    ensure(counts.failed == 0, || format!("{} sends failed: {counts:?}", counts.failed))?;
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
        let started = java::await_state(&scene.kubectl, &pod, &["running"], PODS_WITHIN)?;
        Ok(Traffic { kubectl: scene.kubectl.clone(), pod, run: self.run.clone(), started })
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
