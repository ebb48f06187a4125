//! Storage for pods that ask for more than an empty folder: volumes of the class `rocketmq-storage`, and the host
//! paths that the operator's guide uses.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cluster::{Kubectl, mounts};
use crate::error::{Context, Result};
use crate::home::{self, Home};

/// The class that the operator's examples ask for.
pub const CLASS: &str = "rocketmq-storage";
/// The host paths of the operator's examples.
pub const HOST_PATHS: [&str; 2] = ["/data/rocketmq/nameserver", "/data/rocketmq/broker"];

/// User and group of RocketMQ's images.
const ROCKETMQ_USER: u32 = 3000;
const VOLUMES: usize = 24;
/// Marks a folder as made by the lab, so that only such a one is ever emptied.
const MARKER: &str = ".kubectl-rocketmq-lab";

/// Makes the class and its volumes; a volume that was used and given back is made anew, empty.
///
/// # Errors
/// When Kubernetes refuses, or a folder cannot be made.
pub fn ensure(home: &Home) -> Result<()> {
    let kubectl = Kubectl::of_lab(home);
    let present = kubectl.run(&["get", "persistentvolumes", "-o", "json"])?;
    let present: Value =
        serde_json::from_str(&present).context(|| "kubectl's list of volumes is not JSON")?;
    let names = (0..VOLUMES).map(|number| format!("lab-{number:02}"));
    let wanted: Vec<(String, Option<String>)> = names
        .map(|name| {
            let phase = phase(&present, &name);
            (name, phase)
        })
        .collect();
    let mut objects = vec![class()];
    for (name, phase) in wanted {
        if matches!(phase.as_deref(), Some("Available" | "Bound" | "Pending")) {
            continue;
        }
        if phase.is_some() {
            kubectl.run(&["delete", "persistentvolume", &name])?;
        }
        let folder = home.run().join("volumes").join(&name);
        mounts::remove_folder(&folder)?;
        home::make_folder(&folder)?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777))
            .context(|| format!("cannot open {} to all", folder.display()))?;
        objects.push(volume(&name, &folder));
    }
    kubectl.apply(&json!({ "apiVersion": "v1", "kind": "List", "items": objects }).to_string())
}

/// Makes `path` a folder that RocketMQ's user can write, as the operator's guide asks for each node.
///
/// # Errors
/// When it cannot be made or given to that user.
pub fn prepare_host_path(path: &Path) -> Result<()> {
    home::make_folder(path)?;
    chown(path, Some(ROCKETMQ_USER), Some(ROCKETMQ_USER))
        .context(|| format!("cannot give {} to user {ROCKETMQ_USER}", path.display()))
}

/// Prepares the guide's host paths, empty where the lab made them: a fresh cluster must not find an old one's data.
///
/// # Errors
/// When a folder cannot be made or emptied.
pub(super) fn empty_host_paths() -> Result<()> {
    for path in HOST_PATHS.map(PathBuf::from) {
        let marker = path
            .with_file_name(format!("{MARKER}.{}", path.file_name().unwrap_or_default().to_string_lossy()));
        if marker.exists() {
            mounts::remove_folder(&path)?;
        } else if path.exists() {
            continue;
        }
        prepare_host_path(&path)?;
        home::write_file(&marker, "this folder was made by `cargo lab up` and is emptied by it\n")?;
    }
    Ok(())
}

fn phase(volumes: &Value, name: &str) -> Option<String> {
    let volume = volumes["items"].as_array()?.iter().find(|item| item["metadata"]["name"] == name)?;
    Some(volume["status"]["phase"].as_str().unwrap_or("Pending").to_owned())
}

fn class() -> Value {
    json!({
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": { "name": CLASS },
        "provisioner": "kubernetes.io/no-provisioner",
        "volumeBindingMode": "WaitForFirstConsumer",
    })
}

fn volume(name: &str, folder: &Path) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": { "name": name },
        "spec": {
            "storageClassName": CLASS,
            "capacity": { "storage": "100Gi" },
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": { "path": folder, "type": "Directory" },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_that_was_given_back_is_seen() {
        let volumes = json!({ "items": [
            { "metadata": { "name": "lab-00" }, "status": { "phase": "Released" } },
            { "metadata": { "name": "lab-01" } },
        ] });
        assert_eq!(phase(&volumes, "lab-00").as_deref(), Some("Released"));
        assert_eq!(phase(&volumes, "lab-01").as_deref(), Some("Pending"));
        assert_eq!(phase(&volumes, "lab-02"), None);
    }
}
