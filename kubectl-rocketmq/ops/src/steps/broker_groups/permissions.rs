//! Leaving masters take no more messages, and in the end give none.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::let_go::await_let_go;
use super::{TELLS_WITHIN, master, masters};
use crate::clients::RoutePeriod;
use crate::members::route_matrix;
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// A broker registers as soon as its permission changes (`AdminBrokerProcessor.updateBrokerConfig`, all tags), and each
/// 30 s besides (`BrokerConfig.registerNameServerPeriod`).
const SHOWN_WITHIN: Duration = Duration::from_secs(90);

/// Masters that leave, and who shows clients what they may do there.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LeavingMasters {
    /// Their StatefulSets.
    pub masters: Vec<String>,
    /// The StatefulSet of the name servers; `None` where they have no agents to be asked.
    pub name_servers: Option<String>,
}

/// Takes the permission to be written to from leaving masters, and waits until every name server says so. Clients hear
/// of it within a route period, so messages come in for a while still.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StopWrites(pub LeavingMasters);

/// Takes every permission from leaving masters, waits until every name server says so, and until consumers have let go of
/// their queues while their brokers are still there: until they say so, or have had the time that they need.
///
/// A client of 4.x that holds queues of a broker which is gone connects to it for each of them, to pull and to store
/// its offset, 3 s each time (`NettyClientConfig.connectTimeoutMillis`) on the threads that all its queues share
/// (`PullMessageService`, `MQClientFactoryScheduledThread`): seen with 4.5.0, it consumed nothing for over a minute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopReads {
    /// Who leaves.
    pub leaving: LeavingMasters,
    /// The broker groups that they are, by which clients know them.
    pub groups: BTreeSet<String>,
    /// The StatefulSets of the other masters of the cluster: a consumer of which a leaving one knows nothing, because it
    /// was started anew for example, is known to them.
    pub staying: Vec<String>,
    /// Consumers learn so soon that they have to.
    pub route_period: RoutePeriod,
}

/// What clients were permitted before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionsBefore {
    /// `brokerPermission` by the StatefulSet of the master.
    pub former: BTreeMap<String, Permission>,
}

/// The same without the permission to write.
pub(super) fn closed(permission: Permission) -> Permission {
    let write = Permission::READ_WRITE.bits() & !Permission::READ.bits();
    Permission::from_bits(permission.bits() & !write)
}

/// The same without the permission to read and write.
fn shut(permission: Permission) -> Permission {
    Permission::from_bits(permission.bits() & !Permission::READ_WRITE.bits())
}

impl<W: World> Step<W> for StopWrites {
    type Before = PermissionsBefore;
    const NAME: &'static str = "stop-writes";

    fn describe(&self) -> Change {
        Change::new(format!(
            "let clients read from {} leaving master(s), but not write to them: brokerPermission, and the routes",
            self.0.masters.len()
        ))
    }

    /// Never done already: a master that somebody closed by hand is kept closed from here on.
    async fn look(&self, world: &W) -> Result<Seen<PermissionsBefore>, StepError> {
        self.0.look(world).await
    }

    async fn apply(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        set(world, permit, before, closed).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let what = "every name server shows the leaving masters without writes";
        self.0.are_shown(world, what, closed).await
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        self.0.restore(world, permit, before).await
    }
}

impl<W: World> Step<W> for StopReads {
    type Before = PermissionsBefore;
    const NAME: &'static str = "stop-reads";

    fn describe(&self) -> Change {
        Change::new(format!(
            "let clients no longer read from {} leaving master(s), and wait until consumers have let go of them, at \
             most {}s",
            self.leaving.masters.len(),
            self.route_period.moved_within().as_secs()
        ))
    }

    async fn look(&self, world: &W) -> Result<Seen<PermissionsBefore>, StepError> {
        self.leaving.look(world).await
    }

    async fn apply(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        set(world, permit, before, shut).await
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let what = "every name server shows the leaving masters without reads";
        self.leaving.are_shown(world, what, shut).await?;
        await_let_go(world, self).await
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        self.leaving.restore(world, permit, before).await
    }
}

impl LeavingMasters {
    async fn look<W: World>(&self, world: &W) -> Result<Seen<PermissionsBefore>, StepError> {
        let former = self.permissions(world).await?;
        Ok(Seen::Todo(PermissionsBefore { former }))
    }

    async fn permissions<W: World>(&self, world: &W) -> Result<BTreeMap<String, Permission>, WorldError> {
        let asked = self.masters.iter().map(|name| async move {
            let facts = world.broker_facts(&master(world, name).await?).await?;
            Ok::<_, WorldError>((name.clone(), Permission::from_bits(facts.permission)))
        });
        Ok(try_join_all(asked).await?.into_iter().collect())
    }

    /// Waits until no master has more than it may have, and every name server shows so.
    async fn are_shown<W: World>(
        &self,
        world: &W,
        what: &str,
        limited: fn(Permission) -> Permission,
    ) -> Result<(), StepError> {
        until(world, what, SHOWN_WITHIN, || async move {
            let permissions = match self.permissions(world).await {
                Ok(permissions) => permissions,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            match permissions.iter().find(|(_, permission)| limited(**permission) != **permission) {
                Some((name, permission)) => Look::NotYet(format!(
                    "the broker of StatefulSet/{name} has brokerPermission {}",
                    permission.bits()
                )),
                None => self.shown(world).await,
            }
        })
        .await
    }

    async fn restore<W: World>(
        &self,
        world: &W,
        permit: &Permit,
        before: &PermissionsBefore,
    ) -> Result<(), StepError> {
        // Also for a broker that restarts in this moment.
        until(world, "the leaving masters have their former permission", TELLS_WITHIN, || async move {
            match set(world, permit, before, |former| former).await {
                Ok(()) => Look::Holds(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await?;
        let what = "every name server shows the masters as they are";
        until(world, what, SHOWN_WITHIN, || self.shown(world)).await
    }

    /// Whether every name server has the rows that the masters register now. Rows that only a name server has are of
    /// topics that were deleted: nobody can write to those.
    async fn shown<W: World>(&self, world: &W) -> Look<()> {
        let Some(name_servers) = &self.name_servers else { return Look::Holds(()) };
        let matrix = async {
            masters(world, &self.masters).await?;
            route_matrix(world, &world.pods(name_servers).await?, &self.masters).await
        };
        match matrix.await {
            Ok(matrix) if matrix.is_whole() => Look::Holds(()),
            Ok(matrix) => Look::NotYet(matrix.summary()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    }
}

/// Gives each master what is left of its former permission, live and over restarts. All of them are tried.
async fn set<W: World>(
    world: &W,
    permit: &Permit,
    before: &PermissionsBefore,
    limited: fn(Permission) -> Permission,
) -> Result<(), StepError> {
    let given = before.former.iter().map(|(name, former)| async move {
        world.set_broker_permission(permit, &master(world, name).await?, limited(*former)).await
    });
    Ok(join_all(given).await.into_iter().collect::<Result<(), WorldError>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_permission_to_write_is_taken_and_then_that_to_read() {
        for (bits, closed_to, shut_to) in [(6, 4, 0), (7, 5, 1), (4, 4, 0), (2, 0, 0), (0, 0, 0)] {
            let permission = Permission::from_bits(bits);
            assert_eq!((closed(permission).bits(), shut(permission).bits()), (closed_to, shut_to), "{bits}");
        }
    }
}
