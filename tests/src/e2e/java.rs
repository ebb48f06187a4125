//! Programs of `tests/java`, by RocketMQ's own client, each in a pod of its own. They print a JSON object a second that
//! has a `state`, and their last one before they end.

use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::command::Run;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::objects::Objects;
use crate::e2e::scene::Scene;
use crate::e2e::stream::{Found, Stream};
use crate::e2e::watch::ensure;
use crate::error::{Context, LabError, Result};
use crate::home::{self, Home};

/// Where a program looks for the sign to stop.
pub(crate) const STOP_FILE: &str = "/tmp/stop";

/// The container of a program's pod.
const CONTAINER: &str = "client";

/// The label of a program's pod and ConfigMap, which are no part of the cluster that is tested.
pub(super) const CLIENT: (&str, &str) = ("lab", "client");

/// What a program prints each second.
pub(crate) trait Report: DeserializeOwned + Debug {
    /// How far it is, in its own word.
    fn state(&self) -> &str;
}

/// Creates a pod that runs the class of a version's client.
pub(crate) fn create(scene: &Scene, version: &str, class: &str, pod: &str, arguments: &str) -> Result<()> {
    let classes = compile(version, class)?;
    scene.kubectl.run(&["create", "configmap", pod, &format!("--from-file={}", classes.display())])?;
    scene.kubectl.run(&["label", "configmap", pod, &format!("{}={}", CLIENT.0, CLIENT.1)])?;
    // Java 9 and later read JDK_JAVA_OPTIONS; 8, which needs no opens, does not know it.
    let opens = "--add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED \
                 --add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-exports=java.base/sun.nio.ch=ALL-UNNAMED";
    scene.kubectl.apply(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": pod, "labels": {CLIENT.0: CLIENT.1}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": CONTAINER,
                "image": format!("apache/rocketmq:{version}"),
                "imagePullPolicy": "IfNotPresent",
                "resources": {"requests": {"cpu": "20m"}},
                "env": [{"name": "JDK_JAVA_OPTIONS", "value": opens}],
                "command": ["sh", "-c", format!(
                    "exec java -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xmx128m \
                     -cp \"/classes:$ROCKETMQ_HOME/lib/*\" {class} {arguments}"
                )],
                "volumeMounts": [{"name": "classes", "mountPath": "/classes"}],
            }],
            "volumes": [{"name": "classes", "configMap": {"name": pod}}],
        },
    }))
}

/// Class files of Java 8, for images that still have it.
const JAVAC: [&str; 5] = ["--release", "8", "-nowarn", "-Xlint:-options", "-d"];

/// One compiler at a time: tests that begin together want the same class.
static COMPILER: Mutex<()> = Mutex::new(());

/// The folder of a class and those that it names, compiled against the jars of a version: next to them, once for all tests
/// and runs until a source changes. `kubectl` puts class files into a ConfigMap's binary data, whose keys do not take the
/// `$` of an inner class.
fn compile(version: &str, class: &str) -> Result<PathBuf> {
    let folder = Home::from_environment()?.images().join(format!("rocketmq-{version}"));
    let jars = folder.join("lib");
    ensure(jars.is_dir(), || format!("there are no jars of RocketMQ {version} in {}", jars.display()))
        .map_err(|error| error.hint(format!("run `cargo lab images {version}`")))?;
    let sources = home::repository().join("tests/java");
    let classes = folder.join(format!("{class}-{}", recipe(&sources)?));
    let _alone = COMPILER.lock().unwrap_or_else(PoisonError::into_inner);
    if classes.is_dir() {
        return Ok(classes);
    }
    let new = tempfile::tempdir_in(&folder).context(|| format!("cannot write to {}", folder.display()))?;
    Run::new("javac")
        .args(JAVAC)
        .arg(new.path())
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .arg("-sourcepath")
        .arg(&sources)
        .arg(sources.join(format!("{class}.java")))
        .output()?;
    // Another process may have been faster, with the same classes.
    match std::fs::rename(new.path(), &classes) {
        Err(error) if !classes.is_dir() => {
            Err(LabError::new(format!("cannot write {}", classes.display())).because(error))
        }
        _ => Ok(classes),
    }
}

/// A digest of what classes are made from, the jars apart, which lie in the same folder.
fn recipe(sources: &Path) -> Result<String> {
    let unreadable = || format!("cannot read {}", sources.display());
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(sources).context(unreadable)?.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut digest = Sha256::new();
    digest.update(JAVAC.join(" "));
    for file in files {
        digest.update(std::fs::read(&file).context(unreadable)?);
    }
    let digest = format!("{:x}", digest.finalize());
    Ok(digest.chars().take(16).collect())
}

/// Gives a program the sign to stop.
pub(crate) fn stop(kubectl: &Kubectl, pod: &str) -> Result<()> {
    kubectl.sh(pod, CONTAINER, &format!(": > {STOP_FILE}")).map(drop)
}

/// Waits until a program is in one of these states.
pub(crate) fn await_state<R: Report>(
    kubectl: &Kubectl,
    pod: &str,
    states: &[&str],
    deadline: Duration,
) -> Result<R> {
    let what = format!("pod `{pod}` to be {}", states.join(" or "));
    await_report(kubectl, pod, &what, deadline, |report: &R| states.contains(&report.state()))
}

/// Waits until a program reports what is wanted.
pub(crate) fn await_report<R: Report>(
    kubectl: &Kubectl,
    pod: &str,
    what: &str,
    deadline: Duration,
    wanted: impl Fn(&R) -> bool,
) -> Result<R> {
    find_in_log(kubectl, pod, what, deadline, |line| read_report(line)?.ok().filter(&wanted))
}

/// The first that `find` finds in the lines of a program's log, those that it has printed and those that it prints.
pub(crate) fn find_in_log<T>(
    kubectl: &Kubectl,
    pod: &str,
    what: &str,
    deadline: Duration,
    mut find: impl FnMut(&str) -> Option<T>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    Objects::watch(kubectl, &["pod", pod])?.find(what, deadline, |pod| {
        // It has a log from then on.
        pod["status"]["phase"].as_str().filter(|phase| *phase != "Pending").map(drop)
    })?;
    loop {
        let log = Stream::start(kubectl, &["logs", "--follow", pod], |stdout: BufReader<_>, send| {
            for line in stdout.lines().map_while(std::result::Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        })?;
        let tail = || kubectl.run(&["logs", pod, "--tail=60"]).unwrap_or_default();
        let found = log.find(what, end, |line: &String| find(line));
        if let Found::One(found) = found.map_err(|error| error.with_output(&tail()))? {
            return Ok(found);
        }
        // A log that ends before its program was cut off on its way.
        if matches!(phase(kubectl, pod)?.as_str(), "Failed" | "Succeeded") {
            return Err(LabError::new(format!("pod `{pod}` has ended")).because(what).with_output(&tail()));
        }
    }
}

fn phase(kubectl: &Kubectl, pod: &str) -> Result<String> {
    kubectl.run(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"])
}

/// The last that a program printed of its state.
pub(crate) fn report<R: Report>(kubectl: &Kubectl, pod: &str) -> Result<R> {
    let log = kubectl.run(&["logs", pod, "--tail=100"])?;
    let last = log.lines().rev().find_map(read_report);
    last.unwrap_or_else(|| Err(LabError::new(format!("pod `{pod}` has counted nothing")).with_output(&log)))
}

/// The report in a line, if it is one.
fn read_report<R: Report>(line: &str) -> Option<Result<R>> {
    let report = || serde_json::from_str(line).context(|| format!("this is no report: {line}"));
    line.starts_with("{\"state\"").then(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_changes_with_each_source() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("Traffic.java", "class Traffic {}");
        let first = recipe(folder.path()).unwrap();
        assert_eq!(first, recipe(folder.path()).unwrap());
        write("Clients.java", "class Clients {}");
        let second = recipe(folder.path()).unwrap();
        write("Clients.java", "class Clients { }");
        let third = recipe(folder.path()).unwrap();
        assert!(first != second && second != third);
    }
}
