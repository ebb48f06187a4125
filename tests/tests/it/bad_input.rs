//! Input that is wrong, and what is said about it: every message in full.

use std::time::{Duration, Instant};

use lab::e2e::clusters::Shape;
use lab::e2e::plugin::{Ended, Running};
use lab::e2e::scene::{Lane, Scene, scene};
use lab::e2e::watch::ensure;
use lab::error::Result;

use crate::Verdict;

/// What is wrong, the input, the exit code, and what is printed.
struct Row {
    what: &'static str,
    input: String,
    code: i32,
    message: &'static str,
}

fn name_service(from: &str, to: &str) -> String {
    Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 }.name_service().replace(from, to)
}

fn rows() -> Vec<Row> {
    vec![
        Row {
            what: "an unknown field",
            input: name_service("size:", "siez:"),
            code: 2,
            message: "\
error: standard input: NameService/name-service: unknown field `spec.siez`
nothing was changed

hint: did you mean `spec.size`?
",
        },
        Row {
            what: "size 0",
            input: name_service("size: 1", "size: 0"),
            code: 2,
            message: "\
error: standard input: NameService/name-service: `spec.size` must be at least 1, but is 0
nothing was changed
",
        },
        Row {
            what: "a size that is no number",
            input: name_service("size: 1", "size: three"),
            code: 2,
            message: "\
error: standard input: NameService/name-service: `spec.size` must be a whole number, but is the text `three`
nothing was changed
",
        },
        Row {
            what: "YAML that is not YAML",
            input: "kind: [NameService\n".to_owned(),
            code: 2,
            message: "\
error: standard input: line 1, column 7: this is not YAML: unclosed bracket '['
nothing was changed
",
        },
        Row {
            what: "an empty file",
            input: String::new(),
            code: 2,
            message: "\
error: standard input: it holds no document
nothing was changed
",
        },
        Row {
            what: "an unknown kind",
            input: name_service("kind: NameService", "kind: NameServer"),
            code: 2,
            message: "\
error: standard input: NameServer/name-service: kind `NameServer` is not one of `NameService`, `Broker` or `ConfigMap`
nothing was changed

hint: apply other kinds with `kubectl apply`
",
        },
        Row {
            what: "more name servers on the host network than nodes",
            input: name_service("size: 1", "size: 2\n  hostNetwork: true"),
            code: 3,
            message: "\
error: NameService/name-service has `spec.hostNetwork`, so its 2 pods (`spec.size`) need 2 nodes; 1 is schedulable
nothing was changed
",
        },
    ]
}

#[test]
fn bad_input_is_refused_before_anything_is_made() -> Verdict {
    scene("bad-input", Lane::Side, |scene| {
        for row in rows() {
            let ended = apply(scene, &row.input)?.expect_code(row.code)?;
            says(scene, row.what, &ended, row.message)?;
        }
        let made = scene.kubectl.run(&[
            "get",
            "all,configmaps",
            "-l",
            "app.kubernetes.io/managed-by",
            "-o",
            "name",
        ])?;
        ensure(made.is_empty(), || format!("made in spite of bad input: {made}"))
    })
}

const NO_NAMESPACE: &str = "\
error: namespace `no-such-namespace` does not exist
nothing was changed

hint: kubectl create namespace no-such-namespace
";

const NO_CLUSTER: &str = "\
error: no Kubernetes cluster answers at https://127.0.0.1:1
caused by: cannot list configmaps
caused by: client error (Connect)
caused by: tcp connect error
caused by: Connection refused (os error 111)
";

/// The end of the pod's reason is the container runtime's.
const NO_IMAGE: &str = "\
error: cannot create cluster `name-service`
caused by: step 6, wait until the name servers are ready (1 pods)
caused by: StatefulSet/name-service has 1 ready pod(s) cannot come true
caused by: pod `name-service-0`: container `name-server`: ErrImagePull: rpc error: code = NotFound desc = \
failed to pull and unpack image \"docker.io/apache/rocketmq:5.3.99\": \
failed to resolve reference \"docker.io/apache/rocketmq:5.3.99\": docker.io/apache/rocketmq:5.3.99: not found
operation OPERATION is undone: everything is as it was before

hint: kubectl rocketmq ops show OPERATION -n NAMESPACE
";

const NOT_WRITABLE: &str = "\
error: cannot create cluster `name-service`
caused by: step 6, wait until the name servers are ready (1 pods)
caused by: StatefulSet/name-service has 1 ready pod(s) cannot come true
caused by: pod `name-service-0`: a data volume that uid 3000 can write: cannot make /var/rocketmq/volume/logs: \
Permission denied (os error 13); run `deploy/storage/hostpath/prepare-host-path.sh` on the node for the folder that is \
mounted at `/var/rocketmq/volume`
operation OPERATION is undone: everything is as it was before

hint: kubectl rocketmq ops show OPERATION -n NAMESPACE
";

#[test]
fn bad_places_are_named() -> Verdict {
    scene("bad-places", Lane::Side, |scene| {
        let file = scene.file("cluster.yaml", &name_service("", ""))?;
        let ended = scene
            .kubectl
            .rocketmq(&["apply", "-f", &file, "-n", "no-such-namespace", "-y"])?
            .expect_code(3)?;
        says(scene, "no such namespace", &ended, NO_NAMESPACE)?;
        let nowhere = "https://127.0.0.1:1";
        let ended = scene.kubectl.rocketmq(&["status", "--server", nowhere])?.expect_code(1)?;
        says(scene, "no cluster", &ended, NO_CLUSTER)
    })
}

#[test]
fn image_that_cannot_be_pulled_is_named_with_the_pods_reason() -> Verdict {
    scene("no-such-image", Lane::Side, |scene| {
        let start = Instant::now();
        let ended =
            apply(scene, &name_service("apache/rocketmq:5.3.3", "apache/rocketmq:5.3.99"))?.expect_code(1)?;
        says(scene, "no such image", &ended, NO_IMAGE)?;
        ensure(start.elapsed() < Duration::from_secs(120), || "it took over two minutes".to_owned())?;
        let left = scene.kubectl.run(&["get", "statefulsets,services,secrets", "-o", "name"])?;
        ensure(left.is_empty(), || format!("left behind: {left}"))
    })
}

#[test]
fn host_path_that_is_not_writable_names_the_script() -> Verdict {
    scene("host-path-of-root", Lane::Side, |scene| {
        let root = tempfile::tempdir().map_err(|error| lab::error::LabError::new(error.to_string()))?;
        let place = format!("storageMode: HostPath\n  hostPath: {}", root.path().display());
        let ended = apply(scene, &name_service("storageMode: EmptyDir", &place))?.expect_code(1)?;
        says(scene, "a HostPath of root", &ended, NOT_WRITABLE)
    })
}

/// Applies what stands on standard input.
fn apply(scene: &Scene, input: &str) -> Result<Ended> {
    Running::start(&scene.kubectl, &["apply", "-f", "-", "-y"], input)?.wait()
}

/// Demands that the last thing a command printed is this message.
pub(crate) fn says(scene: &Scene, what: &str, ended: &Ended, message: &str) -> Result<()> {
    let progress = ended.stderr.find("\nerror: ").filter(|_| !ended.stderr.starts_with("error: "));
    let error = &ended.stderr[progress.map_or(0, |end| end + 1)..];
    let error = without_operation(error).replace(scene.kubectl.namespace(), "NAMESPACE");
    ensure(error == message, || format!("{what}: expected\n{message}\nbut it said\n{error}"))
}

/// The text with the id of the operation that it speaks of, which differs each time, as `OPERATION`.
fn without_operation(text: &str) -> String {
    let id = text.split_once("operation op-").and_then(|(_, rest)| rest.split(' ').next());
    id.map_or_else(|| text.to_owned(), |id| text.replace(&format!("op-{id}"), "OPERATION"))
}
