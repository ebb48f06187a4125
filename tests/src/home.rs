//! Where the lab keeps things: a cache that outlives it, a run folder that `down` removes, and a few machine-wide files.

use std::path::{Path, PathBuf};

use crate::error::{Context, LabError, Result};

/// The machine-wide folder: one lab per machine, because ports, network links and the containerd socket are.
pub const MACHINE: &str = "/run/kubectl-rocketmq-lab";

/// The lab's cache folder and what lies where in it.
#[derive(Clone, Debug)]
pub struct Home {
    cache: PathBuf,
}

impl Home {
    /// The cache folder of this user: `$XDG_CACHE_HOME` or `~/.cache`, then `kubectl-rocketmq-lab`.
    ///
    /// # Errors
    /// When neither `XDG_CACHE_HOME` nor `HOME` is set.
    pub fn from_environment() -> Result<Self> {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        absolute("XDG_CACHE_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
            .map(|caches| Self::at(caches.join("kubectl-rocketmq-lab")))
            .ok_or_else(|| LabError::new("neither XDG_CACHE_HOME nor HOME names a folder"))
    }

    /// A lab whose cache is the folder `cache`.
    pub fn at(cache: PathBuf) -> Self {
        Self { cache }
    }

    /// The cache itself.
    pub fn cache(&self) -> &Path {
        &self.cache
    }

    /// Programs built by the lab.
    pub fn bin(&self) -> PathBuf {
        self.cache.join("bin")
    }

    /// Everything that belongs to the running lab and goes with it: etcd's data, pods, unpacked images.
    pub fn run(&self) -> PathBuf {
        self.cache.join("run")
    }

    /// What the API server logs of each write.
    pub fn audit(&self) -> PathBuf {
        self.run().join("audit")
    }

    /// Log files of components and builds.
    pub fn logs(&self) -> PathBuf {
        self.cache.join("log")
    }

    /// The log file of one component or build.
    pub fn log(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// Certificates and keys of the cluster.
    pub fn pki(&self) -> PathBuf {
        self.cache.join("pki")
    }

    /// Blobs and manifests of the image registry.
    pub fn registry(&self) -> PathBuf {
        self.cache.join("registry")
    }

    /// Third-party crates as cargo built them.
    pub fn crates(&self) -> PathBuf {
        self.cache.join("crates")
    }

    /// What images are built from.
    pub fn images(&self) -> PathBuf {
        self.cache.join("images")
    }

    /// Configuration files of the components.
    pub fn config(&self) -> PathBuf {
        self.cache.join("config")
    }

    /// The kubeconfig of the lab's cluster.
    pub fn kubeconfig(&self) -> PathBuf {
        self.cache.join("kubeconfig")
    }
}

/// The root of this repository's working tree, from which Go sources and image templates are taken.
pub fn repository() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Makes the folder `path` and those above it.
///
/// # Errors
/// When it cannot be made, with its name.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).context(|| format!("cannot make the folder {}", path.display()))
}

/// Writes `content` to `path` by renaming a new file, so that no reader sees half of it.
///
/// # Errors
/// When it cannot be written, with its name.
pub fn write_file(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let new = path.with_file_name(format!("{}.new", path.file_name().unwrap_or_default().to_string_lossy()));
    std::fs::write(&new, content)
        .and_then(|()| std::fs::rename(&new, path))
        .context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        write_file(&path, "old").unwrap();
        write_file(&path, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_repository_holds_this_package() {
        assert!(repository().join("tests/Cargo.toml").is_file());
    }
}
