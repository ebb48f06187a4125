//! Which run of which broker this is, so that a restart is seen however short it was.

use std::collections::BTreeMap;

use crate::e2e::clusters::{BROKER_CONTAINER, broker_pods};
use crate::e2e::judge::Judge;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::{self, ContainerRun};
use crate::e2e::watch::ensure;
use crate::error::Result;

/// The runs of every broker's container and of the RocketMQ in it.
#[derive(Debug)]
pub struct Runs {
    containers: BTreeMap<String, ContainerRun>,
    boots: BTreeMap<String, u64>,
}

impl Runs {
    /// Of the cluster's brokers.
    ///
    /// # Errors
    /// When they cannot be listed, or one does not answer.
    pub fn of(kubectl: &Kubectl, judge: &Judge) -> Result<Self> {
        let brokers = broker_pods(kubectl)?;
        Ok(Self {
            containers: pods::runs(&brokers, BROKER_CONTAINER)?,
            boots: judge.boot_timestamps(&brokers)?,
        })
    }

    /// Demands that each of these runs is among those of `now`, which may be more.
    ///
    /// # Errors
    /// When a broker was restarted or is gone.
    pub fn are_still(&self, now: &Self) -> Result<()> {
        let still = self.containers.iter().all(|(pod, run)| now.containers.get(pod) == Some(run))
            && self.boots.iter().all(|(pod, boot)| now.boots.get(pod) == Some(boot));
        ensure(still, || format!("a broker was restarted:\nbefore {self:?}\nafter {now:?}"))
    }
}
