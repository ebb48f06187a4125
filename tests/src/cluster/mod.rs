//! A one-node Kubernetes on this machine: real etcd, API server, controller manager, scheduler, kubelet, containerd, DNS.
//!
//! Each start is a fresh cluster. Only what is expensive to make (programs, image layers, certificates) outlives `down`,
//! so whatever state a lab was left in, taking it away by force loses nothing.

mod certificates;
mod components;
mod configuration;
mod kubectl;
mod leftovers;
mod mounts;
mod network;
mod node;
mod ports;
mod start;
pub mod storage;

pub use kubectl::Kubectl;
pub use node::forget_image;
pub use start::up;

use crate::error::{LabError, Result};
use crate::home::Home;
use crate::{process, progress};

/// The address of the node and of the cluster's DNS.
pub const NODE_ADDRESS: &str = "10.254.0.1";
/// The registry that stands in for docker.io.
pub const REGISTRY: &str = "127.0.0.1:15000";

/// Takes the lab down, whatever state it is in. Programs and images stay in the cache.
///
/// # Errors
/// When something of it cannot be removed.
pub fn down(home: &Home) -> Result<()> {
    leftovers::clear(home)
}

/// Whether every component runs and Kubernetes says that its node is ready.
pub fn is_up(home: &Home) -> bool {
    let running = process::running();
    let alive = |name: &str| running.iter().any(|process| process.name == name);
    components::all(home).iter().all(|component| alive(component.name))
        && Kubectl::of_lab(home).node_is_ready().is_ok()
}

/// Prints what runs, one line a component.
///
/// # Errors
/// When the lab is not whole.
pub fn status(home: &Home) -> Result<()> {
    let running = process::running();
    let mut down = Vec::new();
    for component in components::all(home) {
        match running.iter().find(|process| process.name == component.name) {
            Some(process) => {
                progress::answer(format!("{:<20} running  process {}", component.name, process.pid));
            }
            None => {
                progress::answer(format!(
                    "{:<20} down     log {}",
                    component.name,
                    home.log(component.name).display()
                ));
                down.push(component.name);
            }
        }
    }
    if !down.is_empty() {
        return Err(LabError::new(format!("not running: {}", down.join(", "))).hint("cargo lab up"));
    }
    Kubectl::of_lab(home).node_is_ready()?;
    progress::answer(format!("{:<20} Ready    Kubernetes v{}", "node lab", crate::binaries::KUBERNETES));
    progress::answer(format!("{:<20} {}", "kubeconfig", home.kubeconfig().display()));
    Ok(())
}
