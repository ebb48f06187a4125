//! Third-party crates as cargo built them, kept between runs: a fresh clone compiles only what is this repository's own.
//!
//! A unit of a crates.io package is fresh by its version, features and profile, which its file names tell by a hash, so
//! nothing stale can come of it. A target folder that clones share would not do: cargo takes files of this repository for
//! fresh by their times, so one clone would run what another was built from.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::error::{Context, Result};
use crate::home::{self, Home};
use crate::{check, progress};

/// Cargo's folders below `target`, one for each profile and platform that a run builds.
const PROFILES: [&str; 3] = ["debug", "lab", "x86_64-unknown-linux-gnu/lab"];
/// What cargo keeps of a unit in each of them.
const PARTS: [&str; 3] = [".fingerprint", "build", "deps"];
/// Marks kept units as whole.
const WHOLE: &str = "whole";

const DEADLINE: Duration = Duration::from_secs(300);

/// Gives a target folder that lacks them the units that an earlier run kept.
///
/// # Errors
/// When cargo or a folder cannot be read, or files cannot be copied.
pub(crate) fn restore(home: &Home) -> Result<()> {
    let (kept, target) = (kept(home)?, check::target_folder()?);
    let is_used = target.join(PROFILES[1]).exists();
    if is_used || !kept.join(WHOLE).exists() {
        return Ok(());
    }
    progress::note("taking over third-party crates that an earlier run has built");
    copy(&kept, &target, |_| true)
}

/// Keeps this run's units for later ones, in place of those of another compiler or lock file.
///
/// # Errors
/// As [`restore`].
pub(crate) fn keep(home: &Home) -> Result<()> {
    let (kept, target) = (kept(home)?, check::target_folder()?);
    if kept.join(WHOLE).exists() {
        return Ok(());
    }
    progress::note("keeping third-party crates for later runs");
    let all = home.crates();
    if all.exists() {
        std::fs::remove_dir_all(&all).context(|| format!("cannot remove {}", all.display()))?;
    }
    let own = own_names()?;
    copy(&target, &kept, |file| !own.contains(&crate_name(file)))?;
    home::write_file(&kept.join(WHOLE), "")
}

/// The folder for units of this compiler and these versions.
fn kept(home: &Home) -> Result<PathBuf> {
    let compiler = Run::new("rustc").arg("-vV").output()?;
    let mut digest = Sha256::new();
    digest.update(compiler);
    for file in ["Cargo.lock", "Cargo.toml"] {
        let path = home::repository().join(file);
        digest.update(std::fs::read(&path).context(|| format!("cannot read {}", path.display()))?);
    }
    Ok(home.crates().join(&format!("{:x}", digest.finalize())[..16]))
}

/// Copies units of which `is_wanted` by their file's name, with their times, which cargo compares. What is there stays.
fn copy(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) -> Result<()> {
    for profile in PROFILES {
        for part in PARTS {
            let (from, to) = (from.join(profile).join(part), to.join(profile).join(part));
            let entries = std::fs::read_dir(&from).into_iter().flatten().flatten();
            let files: Vec<OsString> = entries
                .map(|entry| entry.file_name())
                .filter(|name| is_wanted(&name.to_string_lossy()))
                .collect();
            if files.is_empty() {
                continue;
            }
            home::make_folder(&to)?;
            Run::new("cp")
                .args(["--archive", "--no-clobber", "--reflink=auto", "--target-directory"])
                .arg(&to)
                .args(&files)
                .in_folder(&from)
                .deadline(DEADLINE)
                .output()?;
        }
    }
    Ok(())
}

/// The names of this repository's packages and of everything that is built from them.
fn own_names() -> Result<BTreeSet<String>> {
    let metadata = check::metadata()?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let names = packages.flat_map(|package| {
        let targets = package["targets"].as_array().into_iter().flatten();
        targets.chain([package]).filter_map(|named| named["name"].as_str())
    });
    Ok(names.map(|name| name.replace('-', "_")).collect())
}

/// The crate of a file that cargo has named: `libserde_json-0123456789abcdef.rlib`, or a folder `serde_json-...`.
fn crate_name(file: &str) -> String {
    let stem = file.split('.').next().unwrap_or_default();
    let name = stem.rsplit_once('-').map_or(stem, |(name, _)| name);
    let name = if stem.len() < file.len() { name.strip_prefix("lib").unwrap_or(name) } else { name };
    name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_the_crate_that_they_are_of() {
        for (file, name) in [
            ("libserde_json-01002318ce34158d.rmeta", "serde_json"),
            ("serde_json-01002318ce34158d.d", "serde_json"),
            ("kubectl-rocketmq-01002318ce34158d", "kubectl_rocketmq"),
            ("libc-01002318ce34158d", "libc"),
            ("liblibc-01002318ce34158d.rlib", "libc"),
            ("it-01002318ce34158d", "it"),
        ] {
            assert_eq!(crate_name(file), name, "{file}");
        }
    }

    #[test]
    fn everything_of_this_repository_is_its_own() {
        let own = own_names().unwrap();
        for name in ["rocketmq", "kubectl_rocketmq", "rocketmq_agent", "lab", "it", "tidy", "fakes"] {
            assert!(own.contains(name), "{name} is not in {own:?}");
        }
        assert!(!own.contains("serde"));
    }

    #[test]
    fn units_are_copied_with_their_times_and_without_ones_own() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        let deps = from.join("debug/deps");
        std::fs::create_dir_all(&deps).unwrap();
        for file in ["libserde-1.rlib", "liblab-2.rlib"] {
            std::fs::write(deps.join(file), "").unwrap();
        }
        let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let serde = std::fs::File::open(deps.join("libserde-1.rlib")).unwrap();
        serde.set_modified(time).unwrap();
        copy(&from, &to, |file| crate_name(file) != "lab").unwrap();
        let copied = to.join("debug/deps/libserde-1.rlib").metadata().unwrap();
        assert_eq!(copied.modified().unwrap(), time);
        assert!(!to.join("debug/deps/liblab-2.rlib").exists());
    }
}
