//! Brokers come to a list: by a bridge at once, by their own registration later; and leave one.

use std::time::Duration;

use agents::types::{Describe, ListMode, NameServerList};
use futures::future::join_all;
use rocketmq::model::version::Version;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{Followers, push};
use crate::clients::RoutePeriod;
use crate::members::{broker_pods, required_list};
use crate::wait::{Look, until};
use crate::world::World;

/// 4.9.4 and later read their list again each so often, and code 26 shows a new one before it is applied
/// (`BrokerController.initialize`; since 5.3.1 it is the default of `updateNameServerAddrPeriod`).
const LIST_REREAD: Duration = Duration::from_secs(120);

/// What applying it takes, in which the connections to name servers that have left are closed.
const LIST_APPLIED_WITHIN: Duration = Duration::from_secs(5);

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
    let deadline = LIST_SETTLES_WITHIN.max(longest_reread(world, stateful_sets).await * 2);
    until(world, "no broker lists a leaving name server", deadline, || async move {
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
            let needed = rereads_within(&described);
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

/// How long after code 25 a broker may still use its former list. Where the agent is the address server, the list it
/// served last tells, so nothing has to be waited for. An agent that does not know how often its broker reads the list
/// again, as those from before they told it, stands beside one that does so as seldom as any.
fn rereads_within(described: &Describe) -> Duration {
    let told = Duration::from_millis(described.process.list_period_millis);
    let version = Version::from_ordinal(described.process.version);
    match described.list.as_ref().map(|list| list.mode) {
        Some(ListMode::AddressServer) => Duration::ZERO,
        _ if version.has_name_server_update_period() && !told.is_zero() => told + LIST_APPLIED_WITHIN,
        _ => LIST_REREAD + LIST_APPLIED_WITHIN,
    }
}

/// The longest of all brokers that can be asked now.
async fn longest_reread<W: World>(world: &W, stateful_sets: &[String]) -> Duration {
    let pods = broker_pods(world, stateful_sets).await.unwrap_or_default();
    let described = join_all(pods.iter().map(|pod| world.describe(pod))).await;
    described.iter().flatten().map(rereads_within).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use agents::types::{BrokerList, PROTOCOL, Process, Role};

    use super::*;

    #[test]
    fn a_broker_is_waited_for_as_long_as_it_says_or_as_any_takes() {
        let check = |mode: ListMode, version: Version, list_period_millis: u64, seconds: u64| {
            let described = Describe {
                role: Role::Broker,
                pod_name: "broker-0-master-0".to_owned(),
                pod_uid: String::new(),
                agent_version: String::new(),
                protocol: PROTOCOL,
                cluster: String::new(),
                highest_fence: 0,
                has_key: true,
                desired: None,
                list: Some(BrokerList {
                    mode,
                    file: Vec::new(),
                    live: Vec::new(),
                    live_since_millis: 0,
                    registrations: Vec::new(),
                }),
                gate: None,
                process: Process {
                    answers: true,
                    problem: String::new(),
                    version: version.ordinal(),
                    boot_timestamp_millis: 0,
                    list_period_millis,
                },
                volume: None,
                metadata: None,
            };
            let waited = rereads_within(&described);
            assert_eq!(waited, Duration::from_secs(seconds), "{mode:?} {version} {list_period_millis}");
        };
        use ListMode::{AddressServer, NamesrvAddr};
        check(NamesrvAddr, Version::V5_3_3, 5_000, 10);
        check(NamesrvAddr, Version::V5_3_3, 120_000, 125);
        check(NamesrvAddr, Version::V5_3_1, 600_000, 605);
        // An older agent, or a broker that has not been asked yet.
        check(NamesrvAddr, Version::V5_3_3, 0, 125);
        // A line of the user's file that the broker does not know.
        check(NamesrvAddr, Version::V4_9_4, 5_000, 125);
        check(AddressServer, Version::V4_5_0, 0, 0);
        check(AddressServer, Version::V5_3_3, 120_000, 0);
    }
}
