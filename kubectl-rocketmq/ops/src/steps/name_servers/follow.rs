//! Brokers come to a list: by a bridge at once, by their own registration later; and leave one.

use std::time::Duration;

use agents::types::{ListMode, NameServerList};
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{Followers, push};
use crate::clients::RoutePeriod;
use crate::members::{broker_pods, required_list};
use crate::wait::{Look, until};
use crate::world::World;

/// 4.9.4 to 5.3.0 re-read their list each 120 s, and code 26 shows a new one before it is applied.
const LIST_REREAD: Duration = Duration::from_secs(120);

/// 5.3.1+ re-read each `updateNameServerAddrPeriod`, which we set to 5 s at creation.
const LIST_REREAD_SHORT: Duration = Duration::from_secs(10);

/// An address-server broker polls each 120 s (up to 4.9.3), a list change is seen 150 s later at most.
const LIST_SETTLES_WITHIN: Duration = Duration::from_secs(240);

/// Gives the recorded list to every agent, which writes it into the file, sets it live and bridges.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BridgeBrokers {
    /// Who follows the list.
    pub followers: Followers,
}

impl<W: World> Step<W> for BridgeBrokers {
    type Before = ();
    const NAME: &'static str = "bridge-brokers";

    fn describe(&self) -> Change {
        let brokers = self.followers.masters.len() + self.followers.slaves.len();
        Change::new(format!(
            "give {brokers} broker(s) the list, in the file and live, and bridge them to the new name servers"
        ))
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let list = required_list(world, &self.followers.cluster).await?;
        push(world, permit, &self.followers, &list).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let list = required_list(world, &self.followers.cluster).await?;
        await_registered(world, &self.followers, &list).await
    }

    /// The list itself is undone by [`super::PublishList`], which gives the former one to every agent.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Gives the shorter list to every agent and waits until no broker uses a leaving name server and clients have
/// had one route period to learn.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RetireNameServers {
    /// Who follows the list.
    pub followers: Followers,
    /// Clients learn of it so soon.
    pub route_period: RoutePeriod,
}

impl<W: World> Step<W> for RetireNameServers {
    type Before = ();
    const NAME: &'static str = "retire-name-servers";

    fn describe(&self) -> Change {
        Change::new("take the leaving name servers out of every broker's list, and wait until none uses them")
    }

    async fn look(&self, _world: &W) -> Result<Seen<()>, StepError> {
        Ok(Seen::Todo(()))
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &()) -> Result<(), StepError> {
        let list = required_list(world, &self.followers.cluster).await?;
        push(world, permit, &self.followers, &list).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let list = required_list(world, &self.followers.cluster).await?;
        await_applied(world, &self.followers, &list, self.route_period).await
    }

    /// The list itself is undone by [`super::PublishList`], which gives the former one to every agent.
    async fn undo(&self, _world: &W, _permit: &Permit, _before: &()) -> Result<(), StepError> {
        Ok(())
    }
}

/// Waits until every broker is registered, by itself or by a bridge, at every name server of the list.
pub(crate) async fn await_registered<W: World>(
    world: &W,
    followers: &Followers,
    list: &NameServerList,
) -> Result<(), StepError> {
    let stateful_sets = &followers.stateful_sets();
    let what = "every broker is registered at every name server of the list";
    until(world, what, LIST_SETTLES_WITHIN, || async move {
        let pods = match broker_pods(world, stateful_sets).await {
            Ok(pods) => pods,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        for pod in &pods {
            match world.describe(pod).await {
                Err(error) => return Look::NotYet(error.to_string()),
                Ok(described) => {
                    if let Some(reason) = described.unregistered_at(list) {
                        return Look::NotYet(format!("pod `{}`: {reason}", pod.name));
                    }
                }
            }
        }
        Look::Holds(())
    })
    .await
}

/// Waits until every broker has really applied the list, and one route period more.
pub(crate) async fn await_applied<W: World>(
    world: &W,
    followers: &Followers,
    list: &NameServerList,
    route_period: RoutePeriod,
) -> Result<(), StepError> {
    let start = world.elapsed();
    let stateful_sets = &followers.stateful_sets();
    until(world, "no broker lists a leaving name server", LIST_SETTLES_WITHIN, || async move {
        let pods = match broker_pods(world, stateful_sets).await {
            Ok(pods) => pods,
            Err(error) => return Look::NotYet(error.to_string()),
        };
        let waited = world.elapsed().saturating_sub(start);
        for pod in &pods {
            let described = match world.describe(pod).await {
                Ok(described) => described,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            if let Some(reason) = described.holds_other_than(list) {
                return Look::NotYet(format!("pod `{}`: {reason}", pod.name));
            }
            let mode = described.list.as_ref().map(|list| list.mode);
            let needed = rereads_within(mode, described.process.version);
            if waited < needed {
                let left = needed.saturating_sub(waited).as_secs();
                return Look::NotYet(format!(
                    "the broker of pod `{}` may use its former list for {left}s more",
                    pod.name
                ));
            }
        }
        Look::Holds(())
    })
    .await?;
    let applied = world.elapsed();
    // After it none of them needs a name server that has left the brokers' lists.
    until(world, "clients have had one route period", route_period.get() * 2, || async move {
        let left = route_period.get().saturating_sub(world.elapsed().saturating_sub(applied));
        if left.is_zero() { Look::Holds(()) } else { Look::NotYet(format!("{}s more", left.as_secs())) }
    })
    .await
}

/// How long after code 25 a broker may still use its former list. Where the agent is the
/// address server, the list it served last tells, so nothing has to be waited for.
fn rereads_within(mode: Option<ListMode>, version_ordinal: u32) -> Duration {
    match mode {
        Some(ListMode::AddressServer) => Duration::ZERO,
        _ if rocketmq::model::version::Version::from_ordinal(version_ordinal)
            .has_name_server_update_period() =>
        {
            LIST_REREAD_SHORT
        }
        _ => LIST_REREAD,
    }
}
