//! The words for what agents say.

pub use proto::describe::{
    Applied, Backlog, BrokerFacts, BrokerList, BundleDescription, Commit, Describe, ExportOptions, Gate,
    Holding, ListMode, MetadataState, OldData, OnlineGroup, Owner, PreparedExport, Process, Registration,
    Role, Volume,
};
pub use proto::proof::ClusterKey;
pub use proto::{PROTOCOL, ProtocolRange};
pub use rocketmq::metadata::{Subscription, TableDigest};
pub use rocketmq::model::kv::KvEntry;
pub use rocketmq::model::name_server::{NameServerEntry, NameServerList};
pub use rocketmq::model::route::{BrokerRows, RegisteredBroker, RouteTable, TopicRow};
