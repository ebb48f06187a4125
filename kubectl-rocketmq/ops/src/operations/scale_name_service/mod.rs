//! Scales the name servers of a cluster, without a restart of a broker and with whole routes at every moment.
//!
//! | out | undo |
//! |---|---|
//! | `grow-name-servers` raises the StatefulSet, waits until all are ready and published | lowers it |
//! | `copy-kv-config` gives the new ones the KV configuration | – (they go) |
//! | `publish-list` writes the longer list into the record | the former list: record, files, live |
//! | `bridge-brokers` gives it to every agent, which bridges at once | – (the list's undo does it) |
//! | `prove-routes` compares every name server with every broker | – (reads) |
//! | `write-record` notes the new size | the former size |
//!
//! | in | undo |
//! |---|---|
//! | `prove-routes` of those that stay | – (reads) |
//! | `publish-list` writes the shorter list into the record | the former list: record, files, live |
//! | `retire-name-servers` gives it to every agent, waits until nobody uses the leaving ones | – (the list's undo does it) |
//! | `prove-routes` of those that stay | – (reads) |
//! | `shrink-name-servers` lowers the StatefulSet | raises it, gives the KV configuration |
//! | `write-record` notes the new size | the former size |

mod inventory;
mod plan;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use saga::{OperationKind, Steps};
use serde::{Deserialize, Serialize};

pub use inventory::{Inventory, gather};
pub use plan::{Planned, plan};

use crate::clients::RoutePeriod;
use crate::steps::name_servers::{
    BridgeBrokers, CopyKvConfig, Followers, GrowNameServers, ListSource, PublishList, RetireNameServers,
    ShrinkNameServers,
};
use crate::steps::prove::{Moment, ProveRoutes};
use crate::steps::record::WriteRecord;
use crate::world::World;

/// The kind of operation.
#[derive(Debug, Clone, Copy)]
pub struct ScaleNameService;

/// What the journal stores of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Params {
    /// The brokers, and their cluster.
    pub followers: Followers,
    /// The StatefulSet of the name servers.
    pub stateful_set: String,
    /// How many there are.
    pub from: u32,
    /// How many there shall be.
    pub to: u32,
    /// Whether the list gets longer.
    pub grows: bool,
    /// Where the new list comes from.
    pub source: ListSource,
    /// How often clients fetch their routes. A journal from before it was asked for means RocketMQ's default.
    #[serde(default)]
    pub client_route_period_seconds: RoutePeriod,
    /// The NameService with its new size, as YAML, under its key in the record.
    pub document: (String, String),
}

impl<W: World> OperationKind<W> for ScaleNameService {
    type Params = Params;
    const NAME: &'static str = "scale-name-service";

    fn title(params: &Params) -> String {
        format!("scale name servers of `{}` {} -> {}", params.followers.cluster, params.from, params.to)
    }

    fn steps(params: &Params) -> Steps<W> {
        let Params { followers, stateful_set, from, to, grows, source, document, .. } = params.clone();
        let route_period = params.client_route_period_seconds;
        let prove = |moment| ProveRoutes {
            followers: followers.clone(),
            stateful_set: stateful_set.clone(),
            size: to,
            moment,
        };
        let publish = PublishList { followers: followers.clone(), source, route_period };
        let record = WriteRecord {
            cluster: followers.cluster.clone(),
            documents: BTreeMap::from([(document.0, Some(document.1))]),
            joins: BTreeSet::new(),
            leaves: BTreeSet::new(),
            sentence: format!("record the new size of {to}"),
        };
        if grows {
            vec![
                Box::new(GrowNameServers { stateful_set: stateful_set.clone(), from, to }),
                Box::new(CopyKvConfig { stateful_set: stateful_set.clone(), from, to }),
                Box::new(publish),
                Box::new(BridgeBrokers { followers: followers.clone() }),
                Box::new(prove(Moment::After)),
                Box::new(record),
            ]
        } else {
            vec![
                Box::new(prove(Moment::Before)),
                Box::new(publish),
                Box::new(RetireNameServers { followers: followers.clone(), route_period }),
                Box::new(prove(Moment::After)),
                Box::new(ShrinkNameServers { stateful_set: stateful_set.clone(), from, to }),
                Box::new(record),
            ]
        }
    }
}
