//! Kubernetes for the plugin: the operator's kinds, manifests, names; objects, record, journal, Lease, port-forward.

mod api;
pub mod client;
pub mod connection;
mod content;
pub mod error;
mod holder;
pub mod journal;
pub mod kinds;
pub mod lease;
pub mod manifests;
pub mod names;
pub mod objects;
pub mod pods;
pub mod port_forward;
mod reads;
pub mod record;
pub mod secrets;
#[cfg(test)]
mod tests;
mod trouble;
