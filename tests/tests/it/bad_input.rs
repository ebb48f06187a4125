//! Input that is wrong, and what is said about it: every message in full.

use std::thread;
use std::time::{Duration, Instant};

use lab::e2e::audit::Audit;
use lab::e2e::clusters::Shape;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::plugin::{Ended, Running};
use lab::e2e::says::says;
use lab::e2e::scene::{Lane, Scene, on_stage, scene};
use lab::e2e::watch::ensure;
use lab::error::{Context, LabError, Result};

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

/// Side by side, in a namespace each: most of their time is waiting.
#[test]
#[ignore = "needs the lab"]
fn wrong_input_changes_nothing() -> Verdict {
    scene("inputs", Lane::Side, |scene| {
        let parts: [(&str, Part); 3] = [
            ("image", image_that_cannot_be_pulled_is_named_with_the_pods_reason),
            ("host-path", host_path_that_is_not_writable_names_the_script),
            ("places", bad_places_are_named),
        ];
        thread::scope(|threads| {
            let others =
                parts.map(|(name, part)| threads.spawn(move || in_a_namespace_of_its_own(scene, name, part)));
            let own = bad_input_is_refused_before_anything_is_made(scene);
            let ended = others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| Err(LabError::new("a thread that types bad input panicked")))
            });
            ended.fold(own, Result::and)
        })
    })
}

type Part = fn(&Scene) -> Result<()>;

fn in_a_namespace_of_its_own(scene: &Scene, name: &str, part: Part) -> Result<()> {
    let namespace = format!("{}-{name}", scene.kubectl.namespace());
    on_stage(&format!("{}-{name}", scene.row), scene.kubectl.in_namespace(&namespace), part)
}

fn bad_input_is_refused_before_anything_is_made(scene: &Scene) -> Result<()> {
    for row in rows() {
        let audit = Audit::begin(&scene.kubectl)?;
        let ended = apply(scene, &row.input)?.expect_code(row.code)?;
        says(&scene.kubectl, row.what, &ended, row.message)?;
        audit.nothing_was_written()?;
    }
    Ok(())
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

fn bad_places_are_named(scene: &Scene) -> Result<()> {
    let file = scene.file("cluster.yaml", &name_service("", ""))?;
    let ended =
        scene.kubectl.rocketmq(&["apply", "-f", &file, "-n", "no-such-namespace", "-y"])?.expect_code(3)?;
    says(&scene.kubectl, "no such namespace", &ended, NO_NAMESPACE)?;
    let nowhere = "https://127.0.0.1:1";
    let ended = scene.kubectl.rocketmq(&["status", "--server", nowhere])?.expect_code(1)?;
    says(&scene.kubectl, "no cluster", &ended, NO_CLUSTER)
}

fn image_that_cannot_be_pulled_is_named_with_the_pods_reason(scene: &Scene) -> Result<()> {
    let start = Instant::now();
    let ended =
        apply(scene, &name_service("apache/rocketmq:5.3.3", "apache/rocketmq:5.3.99"))?.expect_code(1)?;
    says(&scene.kubectl, "no such image", &ended, NO_IMAGE)?;
    ensure(start.elapsed() < Duration::from_secs(120), || "it took over two minutes".to_owned())?;
    let left = made(&scene.kubectl)?;
    ensure(left.is_empty(), || format!("left behind: {left}"))
}

/// What the plugin has made, but what tells of its operations.
fn made(kubectl: &Kubectl) -> Result<String> {
    let kinds = "statefulsets,services,pods,poddisruptionbudgets,secrets,persistentvolumeclaims,configmaps";
    let ours = "app.kubernetes.io/managed-by=kubectl-rocketmq,app.kubernetes.io/component!=journal";
    kubectl.run(&["get", kinds, "-o", "name", "-l", ours])
}

fn host_path_that_is_not_writable_names_the_script(scene: &Scene) -> Result<()> {
    let root = tempfile::tempdir().context(|| "cannot make a temporary folder")?;
    let place = format!("storageMode: HostPath\n  hostPath: {}", root.path().display());
    let ended = apply(scene, &name_service("storageMode: EmptyDir", &place))?.expect_code(1)?;
    says(&scene.kubectl, "a HostPath of root", &ended, NOT_WRITABLE)
}

/// Applies what stands on standard input.
fn apply(scene: &Scene, input: &str) -> Result<Ended> {
    Running::start(&scene.kubectl, &["apply", "-f", "-", "-y"], input)?.wait()
}
