//! A consumer that is online and does not get on: `tests/java/Slow.java`.

use std::time::Duration;

use serde::Deserialize;

use crate::e2e::clusters;
use crate::e2e::java::{self, Report, STOP_FILE};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods;
use crate::e2e::scene::{PODS_WITHIN, Scene};
use crate::error::Result;

/// How long after the sign the last message may be taken.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// The consumer.
#[derive(Debug)]
pub struct Slow {
    kubectl: Kubectl,
    pod: String,
}

/// What it counted so far.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Counts {
    /// `starting`, `reading` once it owns every queue, or `done`.
    pub state: String,
    /// Messages that it has taken.
    pub taken: u64,
}

impl Report for Counts {
    fn state(&self) -> &str {
        &self.state
    }
}

impl Slow {
    /// Starts one, and waits until it owns every queue of its topic.
    ///
    /// # Errors
    /// When it does not get so far.
    pub fn start(scene: &Scene, version: &str, topic: &str, group: &str) -> Result<Self> {
        let pod = format!("slow-{group}");
        let arguments = format!(
            "'nameServers={}' run={pod} topic={topic} group={group} stopFile={STOP_FILE}",
            clusters::addresses(&scene.kubectl, 1).join(";")
        );
        java::create(scene, version, "Slow", &pod, &arguments)?;
        java::await_state::<Counts>(&scene.kubectl, &pod, &["reading"], PODS_WITHIN)?;
        Ok(Self { kubectl: scene.kubectl.clone(), pod })
    }

    /// Its address, as a broker sees it.
    ///
    /// # Errors
    /// When its pod is gone.
    pub fn address(&self) -> Result<String> {
        Ok(pods::pod(&self.kubectl, &self.pod)?.ip)
    }

    /// Lets it get on; it takes messages until it is ended.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn hurry(&self) -> Result<()> {
        java::stop(&self.kubectl, &self.pod)
    }

    /// Waits until it has taken everything, which it has when nothing came for a while.
    ///
    /// # Errors
    /// When it does not end.
    pub fn finish(self) -> Result<Counts> {
        java::await_state(&self.kubectl, &self.pod, &["done"], ENDS_WITHIN)
    }
}
