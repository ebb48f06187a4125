//! Broker groups that are not scaled because the input is wrong. Every message in full.

use lab::e2e::audit::Audit;
use lab::e2e::clusters::{self, BROKER_CONTAINER, NAME_SERVICE, name_server_pods};
use lab::e2e::groups;
use lab::e2e::judge::Judge;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes;
use lab::e2e::refusals::refused;
use lab::e2e::says::says_all;
use lab::e2e::scene::{PODS_WITHIN, Scene};
use lab::e2e::watch::{self, ensure};
use lab::error::{LabError, Result};
use lab::wait::Look;
use rocketmq::model::route::RegisteredBroker;
use serde_json::json;

/// What is asked for, the exit code, and what is printed.
struct Row {
    what: &'static str,
    arguments: &'static [&'static str],
    code: i32,
    message: &'static str,
}

/// What needs nothing but the arguments.
const ROWS: [Row; 3] = [
    Row {
        what: "a pod that does not exist",
        arguments: &["--size", "3", "--from", "broker-7-master-0"],
        code: 1,
        message: "\
error: there is no pod `broker-7-master-0` in namespace `NAMESPACE`
nothing was changed

hint: brokers are: broker-0-master-0, broker-1-master-0
",
    },
    Row {
        what: "a name server",
        arguments: &["--size", "3", "--from", "name-service-0"],
        code: 2,
        message: "\
error: pod `name-service-0` is a name server: only brokers hold metadata
nothing was changed

hint: brokers are: broker-0-master-0, broker-1-master-0
",
    },
    Row {
        what: "a pod of somebody else",
        arguments: &["--size", "3", "--from", STRANGER],
        code: 2,
        message: "\
error: pod `stranger` is not a broker that kubectl rocketmq made
nothing was changed

hint: brokers are: broker-0-master-0, broker-1-master-0
",
    },
];

/// The parser's words; usage follows.
const SIZE_0: &str = "error: invalid value '0' for '--size <N>': a cluster keeps at least one broker group";

/// What the page has of a broker when the broker was asked.
const READ_OF_BROKERS: [&str; 6] =
    ["brokerId", "address", "permission", "bootTimestampMillis", "topics", "subscriptionGroups"];

/// How the page shows what was not read.
const UNREAD: &str = "?";

/// A pod that nobody made with the plugin.
const STRANGER: &str = "stranger";

const NAME_IS_TAKEN: &str = "\
error: broker groups of `broker` are not scaled: `broker-2` is registered already
caused by: name server `name-service-0` lists `broker-2` at 10.255.255.1:10911, cluster `somebody`
nothing was changed

hint: kubectl rocketmq status name-service -n NAMESPACE
";

const PLACE_IS_TAKEN: &str = "\
error: broker groups of `broker` are not scaled: the place of a new group is taken
caused by: StatefulSet/broker-2-master exists already and was not made by kubectl rocketmq
nothing was changed

hint: kubectl rocketmq status name-service -n NAMESPACE
";

const SOURCE_IS_DOWN: &str = "\
error: pod `broker-1-master-0` is not ready, so its broker cannot be asked
nothing was changed

hint: kubectl rocketmq status name-service -n NAMESPACE
";

/// In a cluster of two groups of one broker each.
pub(crate) fn scale_out_refuses(scene: &Scene) -> Result<()> {
    let kubectl = &scene.kubectl;
    make_a_stranger(kubectl)?;
    let audit = Audit::begin(kubectl)?;
    let ended = kubectl.rocketmq(&groups::scale_arguments("0"))?.expect_code(2)?;
    says_all(&ended.stderr, &[SIZE_0])?;
    audit.nothing_was_written()?;
    for row in ROWS {
        refused(scene, row.what, row.arguments, row.code, row.message)?;
    }
    let three = ["--size", "3"];

    scene.step("registers the new name for somebody else");
    let somebody = RegisteredBroker {
        cluster: "somebody".to_owned(),
        broker_name: groups::name(2),
        broker_id: 0,
        address: "10.255.255.1:10911".to_owned(),
    };
    let name_server = first_name_server(kubectl)?;
    Judge::new()?.while_registered(&name_server, &somebody, || {
        refused(scene, "a name that is taken", &three, 3, NAME_IS_TAKEN)
    })?;

    scene.step("makes a StatefulSet of the new master's name");
    kubectl.apply(&stateful_set("broker-2-master"))?;
    refused(scene, "a StatefulSet of somebody else", &three, 3, PLACE_IS_TAKEN)?;
    kubectl.run(&["delete", "statefulset", "broker-2-master"])?;

    scene.step("stops the source's Java");
    let source = pods::pod(kubectl, &groups::master(1))?;
    processes::signal_java(kubectl, &source, BROKER_CONTAINER, "STOP")?;
    await_ready(kubectl, &source, false)?;
    let from = ["--size", "3", "--from", &source.name];
    refused(scene, "a source that is down", &from, 1, SOURCE_IS_DOWN)?;
    status_tells_of_a_broker_that_does_not_answer(kubectl, &source)?;
    processes::signal_java(kubectl, &source, BROKER_CONTAINER, "CONT")?;
    await_ready(kubectl, &source, true)?;
    kubectl.rocketmq(&["status"])?.expect_code(0).map(drop)
}

/// Exit code 1, what was not read as unread, and what was read as it is.
fn status_tells_of_a_broker_that_does_not_answer(kubectl: &Kubectl, silent: &Pod) -> Result<()> {
    let page = clusters::status(kubectl)?.expect_code(1)?.json()?;
    ensure(page["verdict"] == "down", || format!("the verdict is {}", page["verdict"]))?;
    let mut checks = page["checks"].as_array().into_iter().flatten();
    let told = checks.any(|check| check["severity"] == "error" && check["subject"] == silent.name.as_str());
    ensure(told, || format!("no error of `{}`: {}", silent.name, page["checks"]))?;
    for row in page["brokers"]["rows"].as_array().into_iter().flatten() {
        let is_silent = row["pod"] == silent.name.as_str();
        for fact in READ_OF_BROKERS {
            ensure(row[fact].is_null() == is_silent, || {
                format!("`{fact}` of {} is {}", row["pod"], row[fact])
            })?;
        }
    }
    let ended = kubectl.rocketmq(&["status", NAME_SERVICE])?.expect_code(1)?;
    let line = |pod: &str| -> Vec<&str> {
        let mut lines = ended.stdout.lines().filter(|line| line.contains("  master  "));
        lines.find(|line| line.contains(pod)).unwrap_or_default().split_whitespace().collect()
    };
    ensure(
        line(&silent.name).contains(&UNREAD) && line(&groups::master(0)).iter().all(|cell| *cell != UNREAD),
        || {
            format!(
                "`{}` and no other one should have what was not read as `{UNREAD}`:\n{}",
                silent.name, ended.stdout
            )
        },
    )
}

fn first_name_server(kubectl: &Kubectl) -> Result<Pod> {
    name_server_pods(kubectl)?.into_iter().next().ok_or_else(|| LabError::new("there is no name server"))
}

fn make_a_stranger(kubectl: &Kubectl) -> Result<()> {
    kubectl.apply(&json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": STRANGER},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "containers": [{
                "name": "stranger",
                "image": "apache/rocketmq:5.3.3",
                "imagePullPolicy": "IfNotPresent",
                "command": ["sh", "-c", "exec tail -f /dev/null"],
            }],
        },
    }))
}

/// A StatefulSet of somebody else, without pods.
fn stateful_set(name: &str) -> serde_json::Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "serviceName": name,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "none", "image": "none"}]},
            },
        },
    })
}

fn await_ready(kubectl: &Kubectl, pod: &Pod, ready: bool) -> Result<()> {
    let what = format!("pod `{}` to be {}ready", pod.name, if ready { "" } else { "un" });
    watch::until(&what, PODS_WITHIN, || match pods::pod(kubectl, &pod.name) {
        Ok(now) if now.ready == ready => Look::Ready(()),
        Ok(now) => Look::NotYet(format!("{now:?}")),
        Err(error) => Look::NotYet(error.to_string()),
    })
}
