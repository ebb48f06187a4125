//! Broker groups that are not scaled because the input is wrong. Every message in full.

use lab::e2e::clusters::{self, BROKER_CONTAINER, NAME_SERVICE, Shape, name_server_pods};
use lab::e2e::groups;
use lab::e2e::journal;
use lab::e2e::judge::Judge;
use lab::e2e::kubectl::Kubectl;
use lab::e2e::pods::{self, Pod};
use lab::e2e::processes;
use lab::e2e::scene::{Lane, PODS_WITHIN, Scene, scene};
use lab::e2e::snapshot::Snapshot;
use lab::e2e::watch::{self, ensure};
use lab::error::{Context, LabError, Result};
use lab::wait::Look;
use rocketmq::metadata::{REGISTRATION_LIMIT, registration_bytes};
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::topic::TopicConfig;
use serde_json::json;

use crate::Verdict;
use crate::bad_input::says;

const CLUSTER: Shape = Shape { version: "5.3.3", name_servers: 1, groups: 2, replicas: 0 };

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

const SOURCE_IS_OLDER: &str = "\
error: broker groups of `broker` are not scaled: pod `old-0-master-0` runs RocketMQ 4.5.0, and the new ones 5.3.3
nothing was changed
";

const SOURCE_IS_ELSEWHERE: &str = "\
error: pod `other-0-master-0` is of cluster `other-service`, not of `name-service`
nothing was changed
";

/// The numbers between are the broker's: its own topics count too.
const TOO_LARGE: [&str; 5] = [
    "error: broker groups of `broker` are not scaled: with ",
    " topics the registration of a new broker would have ",
    " bytes, above the limit of 15 MiB\n",
    "caused by: name servers drop a broker whose registration is larger than 16 MiB, with all its routes\n",
    "nothing was changed\n\nhint: delete topics that nobody uses\n",
];

#[test]
fn scale_out_refuses() -> Verdict {
    scene("scale-broker-refuses", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        CLUSTER.apply(scene)?;
        make_a_stranger(kubectl)?;
        let unchanged = Unchanged::now(kubectl)?;
        let ended = kubectl.rocketmq(&groups::scale_arguments("0"))?.expect_code(2)?;
        says_all(&ended.stderr, &[SIZE_0])?;
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
        unchanged.is_still(kubectl)?;

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
        processes::signal_java(kubectl, &source, BROKER_CONTAINER, "CONT")?;
        await_ready(kubectl, &source, true)?;
        unchanged.is_still(kubectl)
    })
}

#[test]
fn scale_out_refuses_a_source_of_another_cluster_or_an_older_version() -> Verdict {
    scene("scale-broker-other-source", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        let shape = Shape { groups: 1, ..CLUSTER };
        shape.apply(scene)?;
        let broker = |name: &str, version: &'static str, name_servers: &str| {
            // Without the ConfigMap, which the cluster has already.
            let documents = Shape { version, ..shape }.broker();
            let document = documents.split_once("---\n").map_or("", |(_, broker)| broker);
            document
                .replace("name: broker\n", &format!("name: {name}\n"))
                .replace("broker-0-master-0", &format!("{name}-0-master-0"))
                .replace("nameServers: \"\"", &format!("nameServers: \"{name_servers}\""))
        };
        let apply = |name: &str, yaml: &str| {
            let file = scene.file(name, yaml)?;
            kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)
        };
        apply("old.yaml", &broker("old", "4.5.0", ""))?;
        apply("other-service.yaml", &shape.name_service().replace(NAME_SERVICE, "other-service"))?;
        let other = pods::pod(kubectl, "other-service-0")?;
        apply("other.yaml", &broker("other", "5.3.3", &format!("{}:9876", other.ip)))?;

        let unchanged = Unchanged::now(kubectl)?;
        let from = |pod| ["--size", "2", "--from", pod];
        refused(scene, "an older source", &from("old-0-master-0"), 3, SOURCE_IS_OLDER)?;
        refused(scene, "a source of another cluster", &from("other-0-master-0"), 3, SOURCE_IS_ELSEWHERE)?;
        unchanged.is_still(kubectl)
    })
}

#[test]
fn scale_out_refuses_more_topics_than_a_registration_can_carry() -> Verdict {
    scene("scale-broker-too-many-topics", Lane::Side, |scene| {
        let kubectl = &scene.kubectl;
        Shape { groups: 1, ..CLUSTER }.apply(scene)?;
        scene.step("makes topics until a registration is too large");
        let topics = topics_over_the_limit()?;
        Judge::new()?.make_many(&pods::pod(kubectl, &groups::master(0))?, &topics)?;
        let unchanged = Unchanged::now(kubectl)?;
        let ended = kubectl.rocketmq(&groups::scale_arguments("2"))?.expect_code(3)?;
        says_all(&ended.stderr, &TOO_LARGE)?;
        unchanged.is_still(kubectl)
    })
}

/// Topics with the longest names, so that few are enough.
fn topics_over_the_limit() -> Result<Vec<TopicConfig>> {
    let topic = |number: usize| -> Result<TopicConfig> {
        let name = format!("{number:0>127}");
        let mut topic = TopicConfig::new(&name.parse().context(|| format!("`{name}` is no topic name"))?, 1);
        for (field, value) in [
            ("topicFilterType", json!("SINGLE_TAG")),
            ("topicSysFlag", json!(0)),
            ("order", json!(false)),
            ("attributes", json!({})),
        ] {
            topic.rest.insert(field.to_owned(), value);
        }
        Ok(topic)
    };
    let first = topic(0)?;
    let bytes = registration_bytes([&first, &first]) - registration_bytes([&first]);
    // Under 16 MiB: more would take the broker out of every route.
    let count = (REGISTRATION_LIMIT + (1 << 18)) / bytes;
    (0..usize::try_from(count).context(|| format!("{count} topics"))?).map(topic).collect()
}

/// Demands that a scale is refused with this message.
fn refused(scene: &Scene, what: &str, flags: &[&str], code: i32, message: &str) -> Result<()> {
    scene.step(what);
    let mut arguments = vec!["scale", "broker", clusters::BROKER, "-y"];
    arguments.extend(flags);
    let ended = scene.kubectl.rocketmq(&arguments)?.expect_code(code)?;
    says(scene, what, &ended, message)
}

/// Demands that these words were printed.
fn says_all(printed: &str, words: &[&str]) -> Result<()> {
    let lacking = words.iter().find(|words| !printed.contains(**words));
    ensure(lacking.is_none(), || format!("no {lacking:?} in:\n{printed}"))
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

/// What a refusal must leave as it is.
#[derive(Debug)]
struct Unchanged {
    objects: Snapshot,
    operations: Vec<String>,
}

impl Unchanged {
    fn now(kubectl: &Kubectl) -> Result<Self> {
        Ok(Self { objects: Snapshot::of_namespace(kubectl)?, operations: journal::operations(kubectl)? })
    }

    fn is_still(&self, kubectl: &Kubectl) -> Result<()> {
        let now = Self::now(kubectl)?;
        self.objects.is_unwritten(&now.objects)?;
        let (former, now) = (&self.operations, &now.operations);
        ensure(former == now, || format!("refused, and it began an operation: {now:?}"))
    }
}
