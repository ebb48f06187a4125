//! Container images, built without a daemon and pushed to the lab's registry, which stands in for docker.io.
//! An image is built again when what it is made of changes.

mod agent;
mod buildah;
mod java;
mod rocketmq;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

pub use agent::{Profile, compile as compile_agent, name as agent_name, publish as publish_agent};
pub use rocketmq::{build as rocketmq, prepare as prepare_rocketmq, require_version};

use crate::error::{Context, Result};
use crate::home::{self, Home};
use crate::progress;

/// The sandbox image of the lab's pods.
pub const PAUSE: &str = "docker.io/kubectl-rocketmq-lab/pause:1";

/// Gives the registry the sandbox image.
///
/// # Errors
/// When it cannot be built or pushed.
pub fn pause(home: &Home) -> Result<()> {
    let busybox = busybox()?;
    let recipe = Recipe::new().file(&template("pause.Dockerfile"))?.file(&busybox)?;
    publish(home, PAUSE, &recipe, || {
        let context = fresh_folder(&home.images().join("pause"))?;
        copy(&busybox, &context.join("busybox"))?;
        buildah::build(home, PAUSE, &template("pause.Dockerfile"), &context, &[])
    })
}

/// What an image is made of, as a digest.
#[derive(Debug)]
struct Recipe(Sha256);

impl Recipe {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn text(mut self, text: &str) -> Self {
        self.0.update(text);
        self.0.update([0]);
        self
    }

    fn file(mut self, path: &Path) -> Result<Self> {
        self.0.update(std::fs::read(path).context(|| format!("cannot read {}", path.display()))?);
        self.0.update([0]);
        Ok(self)
    }

    fn digest(&self) -> String {
        format!("{:x}", self.0.clone().finalize())
    }
}

/// Builds and pushes `image`, unless the registry has it and it was made by the same recipe.
fn publish(home: &Home, image: &str, recipe: &Recipe, build: impl FnOnce() -> Result<()>) -> Result<()> {
    let (repository, tag) = repository_and_tag(image);
    let stamp = home.images().join(format!("{}-{tag}.recipe", repository.replace('/', "-")));
    let in_registry = home.registry().join("manifests").join(&repository).join(&tag).exists();
    if in_registry && std::fs::read_to_string(&stamp).is_ok_and(|built| built == recipe.digest()) {
        return Ok(());
    }
    progress::note(format!("building image {image}"));
    home::make_folder(&home.images())?;
    build()?;
    buildah::push(home, image, &format!("{}/{repository}:{tag}", crate::cluster::REGISTRY))?;
    crate::cluster::forget_image(image)?;
    home::write_file(&stamp, recipe.digest())
}

/// `docker.io/apache/rocketmq:5.3.3` is `apache/rocketmq` and `5.3.3`.
fn repository_and_tag(image: &str) -> (String, String) {
    let image = image.strip_prefix("docker.io/").unwrap_or(image);
    let (repository, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    (repository.to_owned(), tag.to_owned())
}

fn template(name: &str) -> PathBuf {
    home::repository().join("tests/images").join(name)
}

fn busybox() -> Result<PathBuf> {
    crate::command::find_on_path("busybox").ok_or_else(|| {
        crate::error::LabError::new("`busybox` is not on PATH").hint("apt-get install busybox-static")
    })
}

fn fresh_folder(path: &Path) -> Result<PathBuf> {
    if path.exists() {
        std::fs::remove_dir_all(path).context(|| format!("cannot remove {}", path.display()))?;
    }
    home::make_folder(path)?;
    Ok(path.to_path_buf())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        home::make_folder(folder)?;
    }
    std::fs::copy(from, to)
        .map(drop)
        .context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_images_repository_is_its_name_without_host_and_tag() {
        let parts = |image| repository_and_tag(image);
        assert_eq!(
            parts("docker.io/apache/rocketmq:5.3.3"),
            ("apache/rocketmq".to_owned(), "5.3.3".to_owned())
        );
        assert_eq!(parts("apache/rocketmq"), ("apache/rocketmq".to_owned(), "latest".to_owned()));
    }

    #[test]
    fn recipes_differ_when_a_part_does() {
        assert_ne!(Recipe::new().text("a").text("b").digest(), Recipe::new().text("ab").digest());
        assert_eq!(Recipe::new().text("a").digest(), Recipe::new().text("a").digest());
    }
}
