//! The first start of new masters: registered, readable, and not writable.

use std::time::Duration;

use futures::future::try_join_all;
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::master;
use crate::steps::pods::{Awaited, await_ready};
use crate::wait::{Look, until};
use crate::world::World;

/// A broker that is ready has its permission: it starts with it.
const TELLS_PERMISSION_WITHIN: Duration = Duration::from_secs(30);

/// Waits until new masters are ready, and makes sure that clients cannot write to them yet.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StartBrokers {
    /// Which ones.
    pub masters: Vec<Awaited>,
}

impl<W: World> Step<W> for StartBrokers {
    type Before = ();
    const NAME: &'static str = "start-brokers";

    fn describe(&self) -> Change {
        Change::new(format!(
            "wait until {} new master(s) are ready; clients read from them, but do not write",
            self.masters.len()
        ))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let started = self.masters.iter().map(|awaited| async move {
            await_ready(world, &awaited.stateful_set, awaited.pods, awaited.version.as_deref()).await?;
            await_permission(world, &awaited.stateful_set, Permission::READ).await
        });
        try_join_all(started).await.map(drop)
    }

    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Waits until the broker of a StatefulSet says that it has this permission.
pub(super) async fn await_permission<W: World>(
    world: &W,
    stateful_set: &str,
    permission: Permission,
) -> Result<(), StepError> {
    let what = format!("the broker of StatefulSet/{stateful_set} has brokerPermission {}", permission.bits());
    until(world, &what, TELLS_PERMISSION_WITHIN, || async move {
        let facts = match master(world, stateful_set).await {
            Ok(pod) => world.broker_facts(&pod).await,
            Err(error) => Err(error),
        };
        match facts {
            Ok(facts) if facts.permission == permission.bits() => Look::Holds(()),
            Ok(facts) => Look::NotYet(format!("it is {}", facts.permission)),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
    .await
}
