//! The kinds of apache/rocketmq-operator, read from YAML as users have it. Pure: nothing here asks a cluster.

mod changes;
mod document;
mod error;
mod fields;
mod nodes;
mod resize;
mod rules;
mod spec;
mod strict;
mod version;

pub use changes::{FieldChange, changes};
pub use document::{Content, Document, Parsed, parse};
pub use error::InputError;
pub use nodes::{HostNetworkPods, host_network_refusal};
pub use spec::{Broker, Metadata, NameServersOf, NameService, PodOptions, Replication, Storage, UserConfig};
pub use version::version_of_image;

#[cfg(test)]
mod tests;
