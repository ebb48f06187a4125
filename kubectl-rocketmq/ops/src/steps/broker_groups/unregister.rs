//! Brokers that are gone are gone from every name server.

use std::time::Duration;

use agents::types::RegisteredBroker;
use futures::future::{join_all, try_join_all};
use k8s::pods::Pod;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// Long enough for a name server that restarts.
const UNLISTED_WITHIN: Duration = Duration::from_secs(120);

/// Takes brokers whose processes are gone out of the tables of all name servers. Most have left by themselves; one that
/// was killed would be shown for 120 s still (`RouteInfoManager.scanNotActiveBroker`, all tags).
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UnregisterBrokers {
    /// The StatefulSet of the name servers.
    pub name_servers: String,
    /// The cluster, as RocketMQ names it.
    pub cluster: String,
    /// Name and id of each broker.
    pub brokers: Vec<(String, u64)>,
}

impl<W: World> Step<W> for UnregisterBrokers {
    type Before = ();
    const NAME: &'static str = "unregister-brokers";

    fn describe(&self) -> Change {
        let names: Vec<String> = self.brokers.iter().map(|(name, id)| format!("`{name}:{id}`")).collect();
        Change::new(format!("take {} out of every name server", names.join(", ")))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        until(world, "no name server lists the brokers that have left", UNLISTED_WITHIN, || async move {
            match self.unregister(world, permit).await {
                Ok(()) => Look::Holds(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        until(world, "no name server lists the brokers that have left", UNLISTED_WITHIN, || async move {
            let name_servers = match world.pods(&self.name_servers).await {
                Ok(name_servers) => name_servers,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            match try_join_all(name_servers.iter().map(|pod| self.listed(world, pod))).await {
                Ok(listed) => match listed.into_iter().flatten().next() {
                    None => Look::Holds(()),
                    Some(broker) => Look::NotYet(format!(
                        "`{}:{}` is listed at {}",
                        broker.broker_name, broker.broker_id, broker.address
                    )),
                },
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await
    }

    /// Of a broker that is gone there is nothing to restore; one that runs registers by itself.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

impl UnregisterBrokers {
    /// Those that a name server still lists, at whatever address.
    async fn listed<W: World>(
        &self,
        world: &W,
        name_server: &Pod,
    ) -> Result<Vec<RegisteredBroker>, WorldError> {
        let goes = |broker: &RegisteredBroker| {
            broker.cluster == self.cluster
                && self
                    .brokers
                    .iter()
                    .any(|(name, id)| (name, id) == (&broker.broker_name, &broker.broker_id))
        };
        Ok(world.routes(name_server).await?.brokers.into_iter().filter(goes).collect())
    }

    /// Every name server is told, also when another one does not answer.
    async fn unregister<W: World>(&self, world: &W, permit: &Permit) -> Result<(), WorldError> {
        let name_servers = world.pods(&self.name_servers).await?;
        let told = name_servers.iter().map(|name_server| async move {
            let listed = self.listed(world, name_server).await?;
            if listed.is_empty() {
                return Ok(());
            }
            world.unregister_brokers(permit, name_server, &listed).await
        });
        join_all(told).await.into_iter().collect()
    }
}
