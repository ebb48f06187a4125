//! Leaving masters take no more messages.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use rocketmq::model::permission::Permission;
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::{TELLS_WITHIN, master, masters};
use crate::members::route_matrix;
use crate::wait::{Look, until};
use crate::world::{World, WorldError};

/// A broker registers as soon as its permission changes (`AdminBrokerProcessor.updateBrokerConfig`, all tags), and each
/// 30 s besides (`BrokerConfig.registerNameServerPeriod`).
const SHOWN_WITHIN: Duration = Duration::from_secs(90);

/// Takes the permission to be written to from leaving masters, and waits until every name server says so. Clients hear
/// of it within a route period, so messages come in for a while still.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StopWrites {
    /// Their StatefulSets.
    pub masters: Vec<String>,
    /// The StatefulSet of the name servers; `None` where they have no agents to be asked.
    pub name_servers: Option<String>,
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

impl<W: World> Step<W> for StopWrites {
    type Before = PermissionsBefore;
    const NAME: &'static str = "stop-writes";

    fn describe(&self) -> Change {
        Change::new(format!(
            "let clients read from {} leaving master(s), but not write to them: brokerPermission, and the routes",
            self.masters.len()
        ))
    }

    /// Never done already: a master that somebody closed by hand is kept closed from here on.
    async fn look(&self, world: &W) -> Result<Seen<PermissionsBefore>, StepError> {
        let former = self.permissions(world).await?;
        Ok(Seen::Todo(PermissionsBefore { former }))
    }

    async fn apply(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        let wanted = before.former.iter().map(|(name, former)| (name.clone(), closed(*former))).collect();
        Ok(set(world, permit, &wanted).await?)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let what = "every name server shows the leaving masters without writes";
        until(world, what, SHOWN_WITHIN, || async move {
            let permissions = match self.permissions(world).await {
                Ok(permissions) => permissions,
                Err(error) => return Look::NotYet(error.to_string()),
            };
            match permissions.iter().find(|(_, permission)| permission.is_writable()) {
                Some((name, permission)) => Look::NotYet(format!(
                    "the broker of StatefulSet/{name} has brokerPermission {}",
                    permission.bits()
                )),
                None => self.shown(world).await,
            }
        })
        .await
    }

    async fn undo(&self, world: &W, permit: &Permit, before: &PermissionsBefore) -> Result<(), StepError> {
        // Also for a broker that restarts in this moment.
        until(world, "the leaving masters have their former permission", TELLS_WITHIN, || async move {
            match set(world, permit, &before.former).await {
                Ok(()) => Look::Holds(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
        .await?;
        let what = "every name server shows the masters as they are";
        until(world, what, SHOWN_WITHIN, || self.shown(world)).await
    }
}

impl StopWrites {
    async fn permissions<W: World>(&self, world: &W) -> Result<BTreeMap<String, Permission>, WorldError> {
        let asked = self.masters.iter().map(|name| async move {
            let facts = world.broker_facts(&master(world, name).await?).await?;
            Ok::<_, WorldError>((name.clone(), Permission::from_bits(facts.permission)))
        });
        Ok(try_join_all(asked).await?.into_iter().collect())
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

/// Gives each master its permission, live and over restarts. All of them are tried.
async fn set<W: World>(
    world: &W,
    permit: &Permit,
    wanted: &BTreeMap<String, Permission>,
) -> Result<(), WorldError> {
    let given = wanted.iter().map(|(name, permission)| async move {
        world.set_broker_permission(permit, &master(world, name).await?, *permission).await
    });
    join_all(given).await.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_permission_to_write_is_taken() {
        for (bits, expect) in [(6, 4), (7, 5), (4, 4), (2, 0), (0, 0)] {
            assert_eq!(closed(Permission::from_bits(bits)).bits(), expect, "{bits}");
        }
    }
}
