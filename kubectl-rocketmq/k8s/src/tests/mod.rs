//! The calls of this crate on a Kubernetes API in memory.

mod fake_api;
mod journals;
mod leases;
mod objects;
mod reads;
