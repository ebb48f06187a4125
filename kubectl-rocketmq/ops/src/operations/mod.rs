//! The operations, each in its folder: inventory (reads), plan (pure), and the list of steps that its stored
//! parameters make.

pub mod apply;
pub mod delete;
pub(crate) mod groups;
pub mod import_metadata;
pub mod known;
pub mod scale_broker;
pub mod scale_broker_in;
pub mod scale_name_service;
pub mod scale_replicas;

use saga::Registry;

use crate::world::World;

/// Every kind of operation, so that a journal can be resumed and undone on any machine.
#[must_use]
pub fn registry<W: World>() -> Registry<W> {
    Registry::new()
        .with::<apply::Apply>()
        .with::<scale_name_service::ScaleNameService>()
        .with::<scale_broker::ScaleBroker>()
        .with::<scale_broker_in::ScaleBrokerIn>()
        .with::<scale_replicas::ScaleReplicas>()
        .with::<delete::Delete>()
        .with::<delete::DeleteCluster>()
        .with::<import_metadata::ImportMetadata>()
}
