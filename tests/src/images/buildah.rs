//! Buildah: images from Dockerfiles without a daemon and without a registry's policy files on the machine.

use std::path::Path;
use std::time::Duration;

use crate::command::Run;
use crate::error::Result;
use crate::home::Home;
use crate::images::template;

const DEADLINE: Duration = Duration::from_secs(10 * 60);

/// Builds `image` from `dockerfile` with the files of `context`.
///
/// # Errors
/// When buildah fails.
pub(super) fn build(
    home: &Home,
    image: &str,
    dockerfile: &Path,
    context: &Path,
    arguments: &[(&str, &str)],
) -> Result<()> {
    let mut run = buildah(home, "build")
        .args(["--quiet", "--isolation", "chroot", "--pull-never", "--tag", image, "--file"])
        .arg(dockerfile);
    for (name, value) in arguments {
        run = run.arg("--build-arg").arg(format!("{name}={value}"));
    }
    run.arg(context).output().map(drop)
}

/// Pushes `image` to `destination` on loopback, and drops the local copy: it would only take room.
///
/// # Errors
/// When buildah fails.
pub(super) fn push(home: &Home, image: &str, destination: &str) -> Result<()> {
    buildah(home, "push")
        .args(["--quiet", "--tls-verify=false", image, &format!("docker://{destination}")])
        .output()?;
    buildah(home, "rmi").arg(image).output().map(drop)
}

/// Whether the local copy of `image` is there.
pub(super) fn has(home: &Home, image: &str) -> bool {
    buildah(home, "inspect").args(["--type", "image", image]).output().is_ok()
}

fn buildah(home: &Home, command: &str) -> Run {
    let storage = home.cache().join("buildah");
    let run = Run::new("buildah")
        .arg("--storage-driver=vfs")
        .arg(format!("--root={}", storage.display()))
        .arg(format!("--runroot={}", home.run().join("buildah").display()))
        .arg(command)
        .deadline(DEADLINE);
    // Debian's package of the policy file is only recommended by buildah's.
    match command {
        "build" | "push" => run.arg(format!("--signature-policy={}", template("policy.json").display())),
        _ => run,
    }
}
