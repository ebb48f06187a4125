//! What the machine must have: Debian packages are installed when missing, tool chains are asked for by name.

use std::time::Duration;

use crate::command::{Run, find_on_path};
use crate::error::{LabError, Result};
use crate::home::Home;
use crate::progress;

const APT_DEADLINE: Duration = Duration::from_secs(15 * 60);

/// A Debian package and the files by which its presence is seen. Files, not dpkg's list: a machine may have the same
/// program from elsewhere (containerd from Docker's packages), and installing Debian's would take it away.
struct Package {
    name: &'static str,
    files: &'static [&'static str],
}

const PACKAGES: &[Package] = &[
    Package { name: "etcd-server", files: &["etcd"] },
    Package { name: "containerd", files: &["containerd", "containerd-shim-runc-v2", "ctr"] },
    Package { name: "runc", files: &["runc"] },
    Package {
        name: "containernetworking-plugins",
        files: &["/usr/lib/cni/bridge", "/usr/lib/cni/host-local"],
    },
    Package { name: "buildah", files: &["buildah"] },
    Package { name: "iptables", files: &["iptables", "iptables-save"] },
    Package { name: "conntrack", files: &["conntrack"] },
    Package { name: "busybox-static", files: &["/usr/share/doc/busybox-static"] },
    Package { name: "openssl", files: &["openssl"] },
    Package { name: "iproute2", files: &["ip"] },
    Package { name: "openjdk-17-jdk-headless", files: &["jlink", "javac"] },
    Package { name: "maven", files: &["mvn"] },
];

/// Says so when this process may not do what a lab needs: mounts, network links, containers.
///
/// # Errors
/// When the user is not root.
pub fn require_root() -> Result<()> {
    if nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    Err(LabError::new("the lab needs root: it makes network links, mounts and containers")
        .hint("run it as root, or use a cluster that exists with `--kubeconfig FILE`"))
}

/// Installs the Debian packages that are missing.
///
/// # Errors
/// When a package is missing and cannot be installed; the packages are named.
pub fn ensure(home: &Home) -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if find_on_path("apt-get").is_none() {
        return Err(LabError::new(format!("missing on this machine, which has no apt-get: {names}"))
            .hint("the lab is made for Debian 12; elsewhere install the same programs by hand"));
    }
    progress::note(format!("installing Debian packages: {names}"));
    apt(["update"].as_slice()).logged(&home.log("apt-update"))?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(&missing);
    apt(&arguments).logged(&home.log("apt-install"))
}

/// Says so when Go is missing, with which Kubernetes and the registry are built.
///
/// # Errors
/// When Go is not on PATH.
pub fn require_go() -> Result<()> {
    match find_on_path("go") {
        Some(_) => Ok(()),
        None => Err(LabError::new("`go` is not on PATH; Kubernetes and the registry are built with it")
            .hint("install Go 1.26 or newer from https://go.dev/dl")),
    }
}

fn missing() -> Vec<&'static str> {
    let present = |file: &&str| {
        if file.starts_with('/') { std::path::Path::new(file).exists() } else { find_on_path(file).is_some() }
    };
    PACKAGES.iter().filter(|package| !package.files.iter().all(present)).map(|package| package.name).collect()
}

fn apt(arguments: &[&str]) -> Run {
    Run::new("apt-get").args(arguments).env("DEBIAN_FRONTEND", "noninteractive").deadline(APT_DEADLINE)
}
