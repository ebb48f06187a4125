//! Takes away whatever a lab left: living components, orphaned containers, mounts, links, NAT rules, folders.
//! It asks none of them for help, so it works after an orderly run and after `kill -9` of any part.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::{components, configuration, mounts, network};
use crate::error::{Context, Result};
use crate::home::{self, Home, MACHINE};
use crate::process::{self, Component, table};
use crate::wait::{self, Look};

/// Removes the lab of this machine, whichever cache folder it was started from.
///
/// # Errors
/// When something of it stays.
pub(super) fn clear(home: &Home) -> Result<()> {
    let mut homes = vec![home.clone()];
    homes.extend(owner().filter(|owner| owner.cache() != home.cache()));
    process::end_all()?;
    end_processes("the end of processes without a pid file", |pid| {
        let arguments = table::arguments(pid);
        homes.iter().flat_map(components::all).any(|component| is_component(&arguments, &component))
    })?;
    end_containers(&homes)?;
    let state = configuration::containerd_state();
    for home in &homes {
        mounts::unmount_below(&home.run())?;
    }
    mounts::remove_folder(&state)?;
    network::clear()?;
    for home in &homes {
        mounts::remove_folder(&home.run())?;
    }
    let path = owner_path();
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Whether a lab left anything here.
pub(super) fn exist(home: &Home) -> bool {
    owner_path().exists() || home.run().exists() || configuration::containerd_state().exists()
}

/// The cache folder from which the lab of this machine was started, if there is one.
pub(super) fn owner() -> Option<Home> {
    std::fs::read_to_string(owner_path()).ok().map(|path| Home::at(PathBuf::from(path.trim())))
}

/// Remembers from which cache folder the lab is being started.
///
/// # Errors
/// When it cannot be written.
pub(super) fn claim(home: &Home) -> Result<()> {
    home::write_file(&owner_path(), home.cache().display().to_string())
}

fn owner_path() -> PathBuf {
    Path::new(MACHINE).join("owner")
}

/// A start that was killed may have started a component without writing its pid file. The arguments name the lab's
/// folders, so equal ones are proof enough.
fn is_component(arguments: &[String], component: &Component) -> bool {
    arguments.split_first().is_some_and(|(program, rest)| {
        component.program.as_os_str() == program.as_str() && rest == component.arguments
    })
}

/// Containers outlive containerd, and their shims too: the shims are known by the socket in their arguments, the
/// processes inside by a root file system that lies in the lab's folder.
fn end_containers(homes: &[Home]) -> Result<()> {
    let socket = configuration::containerd_state().join("containerd.sock").display().to_string();
    let roots: Vec<String> =
        homes.iter().map(|home| format!("{}/", configuration::containerd_root(home).display())).collect();
    end_processes("the containers' end", |pid| is_shim(pid, &socket) || is_contained(pid, &roots))
}

/// Ends all processes that are the lab's, also those that one of them starts meanwhile.
fn end_processes(what: &str, is_ours: impl Fn(u32) -> bool) -> Result<()> {
    wait::until(what, Duration::from_secs(60), || {
        let left: Vec<u32> = table::all()
            .into_iter()
            .filter(|pid| table::stat(*pid).is_some_and(|stat| !stat.is_zombie) && is_ours(*pid))
            .collect();
        table::kill(&left);
        match left.first() {
            None => Look::Ready(()),
            Some(pid) => Look::NotYet(format!("`{}` (process {pid}) is still there", table::name(*pid))),
        }
    })
}

fn is_shim(pid: u32, socket: &str) -> bool {
    let arguments = table::arguments(pid);
    arguments.first().is_some_and(|program| program.contains("containerd-shim"))
        && arguments.iter().any(|argument| argument == socket)
}

fn is_contained(pid: u32, roots: &[String]) -> bool {
    let Ok(mountinfo) = std::fs::read_to_string(format!("/proc/{pid}/mountinfo")) else { return false };
    root_mount(&mountinfo).is_some_and(|root| roots.iter().any(|folder| root.contains(folder)))
}

/// The line of the mount that is the process's root: an overlay names its layers in it.
fn root_mount(mountinfo: &str) -> Option<&str> {
    mountinfo.lines().find(|line| line.split(' ').nth(4) == Some("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_root() {
        let mountinfo = "1 0 0:1 / /proc rw - proc proc rw
1523 1477 0:61 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/cache/run/containerd/io/1/fs,upperdir=/cache/run/containerd/io/2/fs
";
        assert!(root_mount(mountinfo).unwrap().contains("upperdir=/cache/run/containerd/"));
        assert_eq!(root_mount("1 0 0:1 / /proc rw - proc proc rw\n"), None);
    }

    #[test]
    fn a_component_is_known_by_all_of_its_arguments() {
        let component = components::dns(&Home::at("/cache".into()));
        let arguments =
            ["/cache/bin/kubelab", "dns", "--kubeconfig=/cache/kubeconfig", "--listen=10.254.0.1:53"]
                .map(str::to_owned);
        assert!(is_component(&arguments, &component));
        assert!(!is_component(&arguments[..3], &component));
        assert!(!is_component(&[], &component));
    }

    #[test]
    fn this_test_is_neither_shim_nor_container_of_the_lab() {
        assert!(!is_shim(std::process::id(), "/run/kubectl-rocketmq-lab/containerd/containerd.sock"));
        assert!(!is_contained(std::process::id(), &["/no/such/folder/".to_owned()]));
    }
}
