//! Bundles as somebody might make them who means no good, packed by the `tar` of this machine from a good one.

use std::path::{Path, PathBuf};

use rocketmq::metadata::{Metadata, Origin, bundle};
use rocketmq::model::topic::TopicConfig;
use serde_json::json;

use crate::command::Run;
use crate::error::{Context, LabError, Result};
use crate::home;

/// A bundle that must be refused.
#[derive(Debug)]
pub struct Hostile {
    /// What is wrong with it.
    pub what: &'static str,
    /// Where it lies.
    pub file: String,
    /// What must be said of it.
    pub reason: String,
}

/// Entries that `tar` adds at the end of a good bundle: what makes the file, more of `tar`'s arguments, its name, the
/// reason.
const ADDED: [(&str, &str, &[&str], &str, &str); 6] = [
    (
        "a symbolic link",
        "ln -s /etc/passwd topics.json",
        &["--format=ustar"],
        "topics.json",
        "bundle has `topics.json`, which is a symbolic link; only regular files are taken",
    ),
    (
        "a pipe",
        "mkfifo topics.json",
        &["--format=ustar"],
        "topics.json",
        "bundle has `topics.json`, which is a pipe; only regular files are taken",
    ),
    (
        "a folder",
        "mkdir topics.json",
        &["--format=ustar"],
        "topics.json",
        "bundle has `topics.json/`, which is a folder; only regular files are taken",
    ),
    (
        "a way out of the folder",
        "echo x > x",
        &["--format=ustar", "-P", "--transform=s,^x$,../../x,"],
        "x",
        "bundle has `../../x`, which is no file of a bundle",
    ),
    (
        "an absolute path",
        "echo x > x",
        &["--format=ustar", "-P", "--transform=s,^x$,/etc/x,"],
        "x",
        "bundle has `/etc/x`, which is no file of a bundle",
    ),
    (
        "a file twice",
        "echo '{}' > topics.json",
        &["--format=ustar"],
        "topics.json",
        "bundle has topics.json twice",
    ),
];

/// Makes them from the good bundle in `good`, in folders below `folder`.
///
/// # Errors
/// When one cannot be made.
pub fn bundles(good: &Path, folder: &Path) -> Result<Vec<Hostile>> {
    let bytes = std::fs::read(good).context(|| format!("cannot read {}", good.display()))?;
    let mut all = vec![
        written(folder, "one that is cut off", &bytes[..bytes.len() / 2], CUT_OFF)?,
        written(folder, "one with another byte", &changed(&bytes)?, CHANGED)?,
        written(folder, "something else", b"topics", CUT_OFF)?,
        written(folder, "a broker's own topic", &with_own_topic()?, OWN_TOPIC)?,
        with_extensions(good, folder)?,
    ];
    for (number, (what, make, arguments, name, reason)) in ADDED.into_iter().enumerate() {
        let place = folder.join(format!("added-{number}"));
        home::make_folder(&place)?;
        Run::new("sh").args(["-c", make]).in_folder(&place).output()?;
        let file = folder.join(format!("added-{number}.tar"));
        std::fs::copy(good, &file).context(|| format!("cannot write {}", file.display()))?;
        let mut run = Run::new("tar").arg("--append").arg("--file").arg(&file).arg("--directory").arg(&place);
        run = run.args(arguments).arg(name);
        run.output()?;
        all.push(Hostile { what, file: file.display().to_string(), reason: reason.to_owned() });
    }
    Ok(all)
}

/// The same files, whose names extensions of `tar` carry.
fn with_extensions(good: &Path, folder: &Path) -> Result<Hostile> {
    let (place, file) = (folder.join("extended"), folder.join("extended.tar"));
    home::make_folder(&place)?;
    Run::new("tar").arg("--extract").arg("--file").arg(good).arg("--directory").arg(&place).output()?;
    let create = ["--create", "--format=pax", "--pax-option=path:=manifest.json", "manifest.json"];
    Run::new("tar").arg("--file").arg(&file).args(create).in_folder(&place).output()?;
    let reason = "which is a PAX extension; only regular files are taken".to_owned();
    Ok(Hostile { what: "a name that an extension carries", file: file.display().to_string(), reason })
}

const CUT_OFF: &str = "bundle is cut off: it ends in the middle";
const CHANGED: &str = "bundle is damaged: topics.json has another SHA-256 than its manifest says";
const OWN_TOPIC: &str = "also holds what broker `broker-0` made for itself, so it cannot be imported";

fn written(folder: &Path, what: &'static str, bytes: &[u8], reason: &str) -> Result<Hostile> {
    let file: PathBuf = folder.join(format!("{}.tar", what.replace(' ', "-")));
    home::write_file(&file, bytes)?;
    Ok(Hostile { what, file: file.display().to_string(), reason: reason.to_owned() })
}

/// The same with another letter in a topic's settings.
fn changed(bytes: &[u8]) -> Result<Vec<u8>> {
    let field = b"readQueueNums";
    let at = bytes.windows(field.len()).position(|window| window == field);
    let at = at.ok_or_else(|| LabError::new("the good bundle holds no topic"))?;
    let mut changed = bytes.to_vec();
    changed[at] = b'R';
    Ok(changed)
}

/// A bundle with the topic that lets clients make topics: sound in itself.
fn with_own_topic() -> Result<Vec<u8>> {
    let topic: TopicConfig =
        serde_json::from_value(json!({"topicName": "TBW102"})).context(|| "TBW102 is no topic")?;
    let version = "5.3.3".parse().context(|| "5.3.3 is no version")?;
    let origin = Origin { cluster: "broker".to_owned(), broker_name: "broker-0".to_owned(), version };
    let metadata = Metadata { topics: [(topic.topic_name.clone(), topic)].into(), ..Metadata::default() };
    let mut bytes = Vec::new();
    bundle::write(&mut bytes, &metadata, &origin, 1).context(|| "no bundle can be written")?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_refused_for_its_own_reason() {
        let folder = tempfile::tempdir().unwrap();
        let good = folder.path().join("good.tar");
        let origin = Origin {
            cluster: "broker".to_owned(),
            broker_name: "broker-0".to_owned(),
            version: "5.3.3".parse().unwrap(),
        };
        let topic = TopicConfig::new(&"orders".parse().unwrap(), 4);
        let metadata = Metadata { topics: [(topic.topic_name.clone(), topic)].into(), ..Metadata::default() };
        let mut bytes = Vec::new();
        bundle::write(&mut bytes, &metadata, &origin, 1).unwrap();
        std::fs::write(&good, &bytes).unwrap();
        bundle::read(bytes.as_slice()).unwrap();

        for hostile in bundles(&good, folder.path()).unwrap() {
            let read = bundle::read(std::fs::read(&hostile.file).unwrap().as_slice());
            match read {
                // What is wrong with it is not its form.
                Ok((manifest, _)) => assert!(!manifest.sanitised, "{hostile:?}"),
                Err(error) => assert!(error.to_string().contains(&hostile.reason), "{hostile:?}: {error}"),
            }
        }
    }
}
