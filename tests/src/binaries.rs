//! Programs that the lab builds from Go modules at pinned versions: Kubernetes with a DNS, the image registry and,
//! where the machine has none, kubectl. A program is built again when its sources here change.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::command::{Run, find_on_path};
use crate::error::{Context, Result};
use crate::home::{self, Home};
use crate::{packages, progress};

/// The version of Kubernetes; `tests/go/kubelab/go.mod` holds the same.
pub const KUBERNETES: &str = "1.34.4";

// Kubernetes takes five minutes on two cores from nothing; slow disks and networks get their share.
const BUILD_DEADLINE: Duration = Duration::from_secs(45 * 60);

/// A program built from `tests/go/<module>`.
#[derive(Clone, Copy, Debug)]
struct Program {
    name: &'static str,
    module: &'static str,
    says: &'static str,
}

/// Kubernetes first: it takes longest, and compiles what the others need too.
const PROGRAMS: [Program; 2] = [
    Program { name: "kubelab", module: "kubelab", says: "Kubernetes (minutes the first time)" },
    Program { name: "labregistry", module: "labregistry", says: "the image registry" },
];
const KUBECTL: Program = Program { name: "kubectl", module: "labkubectl", says: "kubectl" };

/// Builds what is missing or out of date.
///
/// # Errors
/// When Go is missing or a build fails, with the end of its log.
pub fn ensure(home: &Home) -> Result<()> {
    for program in PROGRAMS {
        build(home, program)?;
    }
    ensure_kubectl(home)
}

/// Builds kubectl if this machine has none.
///
/// # Errors
/// When Go is missing or the build fails, with the end of its log.
pub fn ensure_kubectl(home: &Home) -> Result<()> {
    match find_on_path("kubectl") {
        Some(_) => Ok(()),
        None => build(home, KUBECTL),
    }
}

/// The kubectl to use: the machine's, else the lab's own.
pub fn kubectl(home: &Home) -> PathBuf {
    find_on_path("kubectl").unwrap_or_else(|| home.bin().join(KUBECTL.name))
}

/// PATH with the lab's own programs at its end, so that a kubectl is found on every machine.
pub fn path_variable(home: &Home, first: &[PathBuf]) -> Result<std::ffi::OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = first.iter().cloned().chain(std::env::split_paths(&path)).chain([home.bin()]);
    std::env::join_paths(folders).context(|| "cannot make PATH")
}

fn build(home: &Home, program: Program) -> Result<()> {
    let source = home::repository().join("tests/go").join(program.module);
    let target = home.bin().join(program.name);
    let stamp = home.bin().join(format!("{}.recipe", program.name));
    let recipe = recipe(&source)?;
    if target.is_file() && std::fs::read_to_string(&stamp).is_ok_and(|built| built == recipe) {
        return Ok(());
    }
    packages::require_go()?;
    home::make_folder(&home.bin())?;
    home::make_folder(&home.logs())?;
    progress::note(format!("building {} from Go modules", program.says));
    let new = home.bin().join(format!("{}.new", program.name));
    Run::new("go")
        .args(["build", "-trimpath", "-buildvcs=false", "-ldflags", &linker_flags(KUBERNETES), "-o"])
        .arg(&new)
        .arg(".")
        .in_folder(&source)
        .env("CGO_ENABLED", "0")
        .deadline(BUILD_DEADLINE)
        .logged(&home.log(&format!("build-{}", program.name)))?;
    std::fs::rename(&new, &target).context(|| format!("cannot write {}", target.display()))?;
    home::write_file(&stamp, recipe)
}

/// Kubernetes refuses to run as version 0.0.0, which an unstamped build would say.
fn linker_flags(version: &str) -> String {
    let mut parts = version.split('.');
    let (major, minor) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let package = "k8s.io/component-base/version";
    format!(
        "-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}"
    )
}

/// A digest of everything that the program is made of.
fn recipe(source: &Path) -> Result<String> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(source)
        .context(|| format!("cannot read {}", source.display()))?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let mut digest = Sha256::new();
    digest.update(KUBERNETES);
    for file in files {
        digest.update(std::fs::read(&file).context(|| format!("cannot read {}", file.display()))?);
    }
    Ok(format!("{:x}", digest.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_stamped_as_kubernetes_does() {
        assert_eq!(
            linker_flags("1.34.4"),
            "-s -w -X k8s.io/component-base/version.gitVersion=v1.34.4 \
             -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=34"
        );
    }

    #[test]
    fn the_pinned_module_is_the_version_that_is_stamped() {
        let file = home::repository().join("tests/go/kubelab/go.mod");
        assert!(std::fs::read_to_string(file).unwrap().contains(&format!("k8s.io/kubernetes v{KUBERNETES}")));
    }

    #[test]
    fn a_changed_source_is_another_recipe() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("main.go"), "package main").unwrap();
        let before = recipe(folder.path()).unwrap();
        std::fs::write(folder.path().join("main.go"), "package lab").unwrap();
        assert_ne!(recipe(folder.path()).unwrap(), before);
    }
}
