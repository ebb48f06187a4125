//! The desired list in the record: written there first, so that whoever was away ends at it.

use agents::types::{NameServerEntry, NameServerList};
use saga::{Change, Permit, Seen, Step, StepError};
use serde::{Deserialize, Serialize};

use super::follow::{await_applied, await_registered};
use super::{Followers, push};
use crate::clients::RoutePeriod;
use crate::members::{broker_pods, recorded_list, required_record};
use crate::world::World;

/// Where the addresses of a list come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ListSource {
    /// The stable DNS names of the first pods of a StatefulSet.
    Dns {
        /// StatefulSet and headless Service.
        stateful_set: String,
        /// Their namespace.
        namespace: String,
        /// How many pods.
        size: u32,
    },
    /// The addresses of the first pods of a StatefulSet: with hostNetwork.
    PodIp {
        /// The StatefulSet.
        stateful_set: String,
        /// How many pods.
        size: u32,
    },
    /// Name servers that this plugin does not manage.
    Literal {
        /// `host:port` each.
        addresses: Vec<String>,
    },
}

impl ListSource {
    fn len(&self) -> usize {
        match self {
            Self::Dns { size, .. } | Self::PodIp { size, .. } => *size as usize,
            Self::Literal { addresses } => addresses.len(),
        }
    }

    async fn entries<W: World>(&self, world: &W) -> Result<Vec<NameServerEntry>, StepError> {
        let (stateful_set, size) = match self {
            Self::Dns { stateful_set, size, .. } | Self::PodIp { stateful_set, size } => {
                (stateful_set, *size)
            }
            Self::Literal { addresses } => {
                let entry =
                    |address: &String| NameServerEntry { address: address.clone(), pod_ip: String::new() };
                return Ok(addresses.iter().map(entry).collect());
            }
        };
        let pods = world.pods(stateful_set).await?;
        let mut entries = Vec::new();
        for ordinal in 0..size {
            let name = k8s::names::pod(stateful_set, ordinal);
            let ip =
                pods.iter().find(|pod| pod.name == name).and_then(|pod| pod.ip.clone()).ok_or_else(|| {
                    StepError::new(format!(
                        "pod `{name}` has no address yet; a partial list is never published"
                    ))
                })?;
            let address = match self {
                Self::Dns { namespace, .. } => {
                    k8s::names::name_server_address(stateful_set, ordinal, namespace)
                }
                _ => format!("{ip}:{}", k8s::names::NAME_SERVER_PORT),
            };
            entries.push(NameServerEntry { address, pod_ip: ip });
        }
        Ok(entries)
    }
}

/// Writes a list into the record, under a new generation. From then on every agent that starts, or was away,
/// ends at it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PublishList {
    /// Who follows it.
    pub followers: Followers,
    /// What is in it.
    pub source: ListSource,
    /// Clients learn of it so soon.
    pub route_period: RoutePeriod,
}

/// The list before a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ListBefore {
    /// The name servers of the record; `None` if it had none.
    pub former: Option<Vec<NameServerEntry>>,
}

impl<W: World> Step<W> for PublishList {
    type Before = ListBefore;
    const NAME: &'static str = "publish-list";

    fn describe(&self) -> Change {
        Change::new(format!("record the list of {} name server(s) that brokers follow", self.source.len()))
    }

    async fn look(&self, world: &W) -> Result<Seen<ListBefore>, StepError> {
        let wanted = self.source.entries(world).await?;
        let former = recorded_list(world, &self.followers.cluster).await?.map(|list| list.name_servers);
        Ok(if former.as_ref() == Some(&wanted) { Seen::Done } else { Seen::Todo(ListBefore { former }) })
    }

    async fn apply(&self, world: &W, permit: &Permit, _before: &ListBefore) -> Result<(), StepError> {
        let wanted = self.source.entries(world).await?;
        publish(world, permit, &self.followers, wanted).await.map(drop)
    }

    async fn confirm(&self, world: &W) -> Result<(), StepError> {
        let addresses = |entries: &[NameServerEntry]| -> Vec<String> {
            entries.iter().map(|entry| entry.address.clone()).collect()
        };
        let wanted = addresses(&self.source.entries(world).await?);
        match recorded_list(world, &self.followers.cluster).await? {
            Some(list) if addresses(&list.name_servers) == wanted => Ok(()),
            _ => Err(StepError::new(format!(
                "the record of cluster `{}` does not hold the list that was written",
                self.followers.cluster
            ))),
        }
    }

    /// Brings the former list back everywhere: record, files, live lists. Only then may the steps before stop the
    /// name servers that leave with it.
    async fn undo(&self, world: &W, permit: &Permit, before: &ListBefore) -> Result<(), StepError> {
        let Some(former) = before.former.clone() else {
            return forget(world, permit, &self.followers.cluster).await;
        };
        let leaving = self.source.len() > former.len();
        let list = publish(world, permit, &self.followers, former).await?;
        push(world, permit, &self.followers, &list).await?;
        if leaving {
            await_applied(world, &self.followers, &list, self.route_period).await?;
        }
        await_registered(world, &self.followers, &list).await
    }
}

/// Writes a list into the record under a generation above every one that the record or an agent has, unless the
/// record has this list already.
async fn publish<W: World>(
    world: &W,
    permit: &Permit,
    followers: &Followers,
    entries: Vec<NameServerEntry>,
) -> Result<NameServerList, StepError> {
    let mut record = required_record(world, &followers.cluster).await?;
    if let Some(list) = record.name_servers.as_ref().filter(|list| list.name_servers == entries) {
        return Ok(list.clone());
    }
    let mut highest = record.name_servers.as_ref().map_or(0, |list| list.generation);
    for pod in broker_pods(world, &followers.stateful_sets()).await? {
        // An agent that cannot be asked now takes its generation from the record when it is back.
        if let Ok(described) = world.describe(&pod).await {
            highest = highest.max(described.desired.map_or(0, |list| list.generation));
        }
    }
    let list = NameServerList { generation: highest + 1, name_servers: entries };
    record.name_servers = Some(list.clone());
    world.write_record(permit, &record).await?;
    Ok(list)
}

/// Takes the first list of a cluster out of its record again. The brokers that follow it are gone by then.
async fn forget<W: World>(world: &W, permit: &Permit, cluster: &str) -> Result<(), StepError> {
    let Some(mut record) = world.record(cluster).await? else { return Ok(()) };
    if record.name_servers.take().is_some() {
        world.write_record(permit, &record).await?;
    }
    Ok(())
}
