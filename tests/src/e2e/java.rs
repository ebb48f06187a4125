//! Programs of `tests/java`, by RocketMQ's own client, each in a pod of its own. They print a JSON object a second that
//! has a `state`, and their last one before they end.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::json;

use crate::command::Run;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::scene::Scene;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::home::{self, Home};
use crate::wait::Look;

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
    let classes = compile(scene.folder(), version, class)?;
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
                "resources": {"requests": {"cpu": "100m"}},
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

/// Compiles a class and those that it names against the jars of a version; `kubectl` puts class files into a ConfigMap's
/// binary data, whose keys do not take the `$` of an inner class.
fn compile(folder: &Path, version: &str, class: &str) -> Result<PathBuf> {
    let classes = folder.join(format!("{class}-{version}"));
    if classes.is_dir() {
        return Ok(classes);
    }
    home::make_folder(&classes)?;
    let jars = Home::from_environment()?.images().join(format!("rocketmq-{version}")).join("lib");
    ensure(jars.is_dir(), || format!("there are no jars of RocketMQ {version} in {}", jars.display()))
        .map_err(|error| error.hint(format!("run `cargo lab images {version}`")))?;
    let sources = home::repository().join("tests/java");
    // Java 8's class files, for images that still have it.
    Run::new("javac")
        .args(["--release", "8", "-nowarn", "-Xlint:-options", "-d"])
        .arg(&classes)
        .arg("-cp")
        .arg(format!("{}/*", jars.display()))
        .arg("-sourcepath")
        .arg(&sources)
        .arg(sources.join(format!("{class}.java")))
        .output()?;
    Ok(classes)
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
    watch::until(&format!("pod `{pod}` to be {}", states.join(" or ")), deadline, || {
        // The phase first: what a program that has ended has printed is final.
        let ended = matches!(phase(kubectl, pod).as_deref(), Ok("Failed" | "Succeeded"));
        let error = match report::<R>(kubectl, pod) {
            Ok(report) if states.contains(&report.state()) => return Look::Ready(report),
            Ok(report) => LabError::new(format!("{report:?}")),
            Err(error) => error,
        };
        if ended {
            let log = kubectl.run(&["logs", pod, "--tail=60"]).unwrap_or_default();
            return Look::Never(
                LabError::new(format!("pod `{pod}` has ended")).because(error).with_output(&log),
            );
        }
        Look::NotYet(error.to_string())
    })
}

fn phase(kubectl: &Kubectl, pod: &str) -> Result<String> {
    kubectl.run(&["get", "pod", pod, "-o", "jsonpath={.status.phase}"])
}

/// The last that a program printed of its state.
pub(crate) fn report<R: Report>(kubectl: &Kubectl, pod: &str) -> Result<R> {
    let log = kubectl.run(&["logs", pod, "--tail=100"])?;
    let last = log.lines().rev().find(|line| line.starts_with("{\"state\""));
    let line =
        last.ok_or_else(|| LabError::new(format!("pod `{pod}` has counted nothing")).with_output(&log))?;
    serde_json::from_str(line).context(|| format!("pod `{pod}` printed what is no count: {line}"))
}
