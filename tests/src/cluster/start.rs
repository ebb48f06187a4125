//! Starts a fresh cluster, component after component as each can be used by the next.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::cluster::{
    Kubectl, NODE_ADDRESS, REGISTRY, certificates, components, configuration, is_up, leftovers, network,
    ports, storage,
};
use crate::error::{LabError, Result};
use crate::home::{self, Home, MACHINE};
use crate::lock::LabLock;
use crate::process::{self, Component};
use crate::wait::{self, Look};
use crate::{images, progress};

// A cold page cache and a busy machine make a start slow; seconds are usual.
const DEADLINE: Duration = Duration::from_secs(120);

/// Brings the lab up, unless it is up as it should be; repairs what a former lab left.
///
/// # Errors
/// When a component does not start (with its log's end), a port is busy, or a lab of another cache folder runs.
pub fn up(home: &Home, _lock: &LabLock) -> Result<()> {
    refuse_a_foreign_lab(home)?;
    let recipe = recipe(home);
    let recipe_path = Path::new(MACHINE).join("recipe");
    if std::fs::read_to_string(&recipe_path).is_ok_and(|running| running == recipe) && is_up(home) {
        progress::note("the lab is up");
        return storage::ensure(home);
    }
    if leftovers::exist(home) || !process::running().is_empty() {
        progress::note("clearing away what a former lab left");
    }
    leftovers::clear(home)?;
    let start = std::time::Instant::now();
    start_all(home)?;
    home::write_file(&recipe_path, recipe)?;
    progress::note(format!("the lab is up after {:.1} s", start.elapsed().as_secs_f32()));
    Ok(())
}

fn refuse_a_foreign_lab(home: &Home) -> Result<()> {
    match leftovers::owner() {
        Some(owner) if owner.cache() != home.cache() && !process::running().is_empty() => Err(LabError::new(
            format!("another lab is running on this machine, started from {}", owner.cache().display()),
        )
        .hint("cargo lab down")),
        _ => Ok(()),
    }
}

fn start_all(home: &Home) -> Result<()> {
    prepare(home)?;
    let kubectl = Kubectl::of_lab(home);
    let (etcd, registry, containerd) =
        (components::etcd(home), components::registry(home), components::containerd(home));
    let (api_server, kubelet, dns) =
        (components::api_server(home), components::kubelet(home), components::dns(home));
    for component in [&etcd, &registry, &containerd, &api_server] {
        start(home, component)?;
    }
    wait_for_address(home, &registry, REGISTRY)?;
    images::pause(home)?;
    wait_for(home, "the API server", &[&etcd, &api_server], || kubectl.api_is_ready())?;
    for component in [&components::controller_manager(home), &components::scheduler(home), &kubelet, &dns] {
        start(home, component)?;
    }
    wait_for(home, "the node", &[&containerd, &kubelet], || kubectl.node_is_ready())?;
    wait_for(home, "the default service account", &[&api_server], || {
        kubectl.run(&["get", "serviceaccount", "default"]).map(drop)
    })?;
    wait_for_address(home, &dns, &format!("{NODE_ADDRESS}:53"))?;
    storage::empty_host_paths()?;
    storage::ensure(home)?;
    components::all(home).iter().try_for_each(|component| component.check_alive(home))
}

fn prepare(home: &Home) -> Result<()> {
    for folder in [home.run(), home.logs(), home.registry(), home.run().join("etcd")] {
        home::make_folder(&folder)?;
    }
    process::prepare()?;
    leftovers::claim(home)?;
    certificates::ensure(home)?;
    configuration::write(home)?;
    network::make_node_link()?;
    components::addresses().iter().try_for_each(|(component, address)| ports::check_free(component, address))
}

fn start(home: &Home, component: &Component) -> Result<()> {
    progress::note(format!("starting {}", component.name));
    component.start(home)
}

/// Waits until `ready` says no error, and fails at once when one of `needed` ends meanwhile.
fn wait_for(
    home: &Home,
    what: &str,
    needed: &[&Component],
    mut ready: impl FnMut() -> Result<()>,
) -> Result<()> {
    let waited = wait::until(what, DEADLINE, || {
        if let Err(error) = needed.iter().try_for_each(|component| component.check_alive(home)) {
            return Look::Never(error);
        }
        match ready() {
            Ok(()) => Look::Ready(()),
            Err(error) => Look::NotYet(error.to_string()),
        }
    });
    match needed.last() {
        Some(component) => waited.map_err(|error| error.with_log(&home.log(component.name))),
        None => waited,
    }
}

fn wait_for_address(home: &Home, component: &Component, address: &str) -> Result<()> {
    wait_for(home, component.name, &[component], || {
        let parsed: SocketAddr = address
            .parse()
            .map_err(|error| LabError::new(format!("{address} is no address")).because(error))?;
        TcpStream::connect_timeout(&parsed, Duration::from_secs(1))
            .map(drop)
            .map_err(|error| LabError::new(format!("{address} does not answer")).because(error))
    })
}

/// A digest of what the components are started with: a running lab of another recipe is started anew.
fn recipe(home: &Home) -> String {
    let mut digest = Sha256::new();
    for (path, content) in configuration::files(home) {
        digest.update(path.as_os_str().as_encoded_bytes());
        digest.update(content);
    }
    for component in components::all(home) {
        digest.update(format!("{component:?}"));
        let stamp = home.bin().join(format!("{}.recipe", component.program.display()));
        digest.update(std::fs::read(stamp).unwrap_or_default());
    }
    format!("{:x}", digest.finalize())
}
