//! What the lab does to its node past Kubernetes.

use crate::cluster::configuration;
use crate::command::Run;
use crate::error::Result;

/// Makes the node forget `image`, so that the next pod pulls it anew even with `imagePullPolicy: IfNotPresent`.
/// Containers that run are not touched.
///
/// # Errors
/// When containerd does not answer.
pub fn forget_image(image: &str) -> Result<()> {
    let socket = configuration::containerd_state().join("containerd.sock");
    if !socket.exists() {
        return Ok(());
    }
    Run::new("ctr")
        .arg("--address")
        .arg(socket)
        .args(["--namespace", "k8s.io", "images", "remove", "--sync", image])
        .output()
        .map(drop)
}
