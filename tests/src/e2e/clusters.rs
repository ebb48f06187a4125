//! The clusters that tests work on, as users of the operator write them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::storage;
use crate::e2e::judge::Judge;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::plugin::Ended;
use crate::e2e::pods::{Pod, pods};
use crate::e2e::scene::Scene;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::{self, Look};

/// The NameService of every test's cluster, which is the cluster's name too.
pub const NAME_SERVICE: &str = "name-service";
/// Its Broker.
pub const BROKER: &str = "broker";
/// The container of a broker.
pub const BROKER_CONTAINER: &str = "broker";

/// Until when the brokers of 5.3.3 have registered themselves.
const BRIDGES_WITHIN: Duration = Duration::from_secs(90);

/// How often a broker registers itself: RocketMQ's default, for tests that need what users have.
pub const DEFAULT_REGISTRATION: &str = "registerNameServerPeriod=30000";

/// As seldom as a broker can (`BrokerController.start`, all tags), so that bridges are held for long.
pub const SELDOM_REGISTRATION: &str = "registerNameServerPeriod=60000";

/// As often as it can: bridges are held for as short as can be.
const OFTEN_REGISTRATION: &str = "registerNameServerPeriod=10000";

/// How long after its start a broker registers itself again, or asks for its list, for the first time
/// (`BrokerController.initialize` and `start`, all tags).
const FIRST_TURN: Duration = Duration::from_secs(10);

/// A cluster's size and version. Its data is in EmptyDirs unless [`Shape::yaml_on_host`] says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// RocketMQ's version, which is the image's tag.
    pub version: &'static str,
    /// Name servers.
    pub name_servers: u32,
    /// Broker groups.
    pub groups: u32,
    /// Slaves of each group.
    pub replicas: u32,
}

impl Shape {
    /// The NameService document alone.
    pub fn name_service(&self) -> String {
        format!(
            "apiVersion: rocketmq.apache.org/v1alpha1
kind: NameService
metadata:
  name: {NAME_SERVICE}
spec:
  size: {}
  nameServiceImage: apache/rocketmq:{}
  imagePullPolicy: IfNotPresent
  resources:
    requests:
      cpu: 10m
  storageMode: EmptyDir
",
            self.name_servers, self.version
        )
    }

    /// The Broker document and its ConfigMap. Two settings are for a machine on which eight JVMs share two cores: a send
    /// that waited 200 ms for a core is not refused (`BrokerFastFailure`, all tags), and 5.x does not write its whole
    /// timer wheel each second, a fifth of a core for each broker (`TimerMessageStore`). Brokers register themselves each
    /// 10 s unless `settings` say otherwise.
    pub fn broker(&self) -> String {
        self.broker_with("")
    }

    /// The same with more lines in broker.conf.
    fn broker_with(&self, settings: &str) -> String {
        let often = (!settings.contains("registerNameServerPeriod")).then_some(OFTEN_REGISTRATION);
        let settings: String =
            often.into_iter().chain(settings.lines()).map(|line| format!("    {line}\n")).collect();
        format!(
            "apiVersion: v1
kind: ConfigMap
metadata:
  name: broker-config
data:
  broker-common.conf: |
    waitTimeMillsInSendQueue=10000
    timerFlushIntervalMs=60000
{settings}---
apiVersion: rocketmq.apache.org/v1alpha1
kind: Broker
metadata:
  name: {BROKER}
spec:
  size: {}
  nameServers: \"\"
  replicationMode: ASYNC
  replicaPerGroup: {}
  brokerImage: apache/rocketmq:{}
  imagePullPolicy: IfNotPresent
  resources:
    requests:
      cpu: 20m
  allowRestart: false
  storageMode: EmptyDir
  scalePodName: {BROKER}-0-master-0
  volumes:
    - name: broker-config
      configMap:
        name: broker-config
",
            self.groups, self.replicas, self.version
        )
    }

    /// Both documents, as one file.
    pub fn yaml(&self) -> String {
        format!("{}---\n{}", self.name_service(), self.broker())
    }

    /// Both documents with more lines in broker.conf: modes of the broker's store, for example.
    pub fn yaml_with(&self, settings: &str) -> String {
        format!("{}---\n{}", self.name_service(), self.broker_with(settings))
    }

    /// Both documents with their data in folders of the node.
    pub fn yaml_on_host(&self, folders: &HostFolders) -> String {
        self.yaml_on_host_with(folders, "")
    }

    /// Both documents with their data in folders of the node, and more lines in broker.conf.
    pub fn yaml_on_host_with(&self, folders: &HostFolders, settings: &str) -> String {
        let on = |document: String, folder: &Path| {
            let place = format!("storageMode: HostPath\n  hostPath: {}", folder.display());
            document.replace("storageMode: EmptyDir", &place)
        };
        format!(
            "{}---\n{}",
            on(self.name_service(), &folders.name_server),
            on(self.broker_with(settings), &folders.broker)
        )
    }

    /// Both documents with their data on volumes of the lab's storage class.
    pub fn yaml_on_claims(&self) -> String {
        self.yaml_on_claims_with("")
    }

    /// The same with more lines in broker.conf.
    pub fn yaml_on_claims_with(&self, settings: &str) -> String {
        let claims = format!(
            "storageMode: StorageClass
  volumeClaimTemplates:
    - metadata:
        name: data
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {}
        resources:
          requests:
            storage: 1Gi",
            storage::CLASS
        );
        self.yaml_with(settings).replace("storageMode: EmptyDir", &claims)
    }

    /// Applies it and checks that it is healthy.
    ///
    /// # Errors
    /// When `apply` or `status` does not end with 0.
    pub fn apply(&self, scene: &Scene) -> Result<()> {
        apply(scene, &self.yaml())
    }
}

/// Folders of the node that belong to RocketMQ's user, as the prepare script makes them.
#[derive(Debug)]
pub struct HostFolders {
    /// Data of name servers.
    pub name_server: PathBuf,
    /// Data of brokers.
    pub broker: PathBuf,
}

impl HostFolders {
    /// Makes them in the scene's folder.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn make(scene: &Scene) -> Result<Self> {
        let (name_server, broker) = (scene.folder().join("name-server"), scene.folder().join("broker"));
        storage::prepare_host_path(&name_server)?;
        storage::prepare_host_path(&broker)?;
        Ok(Self { name_server, broker })
    }
}

/// Applies documents and checks that the cluster is healthy.
///
/// # Errors
/// When `apply` or `status` does not end with 0.
pub fn apply(scene: &Scene, yaml: &str) -> Result<()> {
    let file = scene.file("cluster.yaml", yaml)?;
    scene.kubectl.rocketmq(&["apply", "-f", &file, "-y"])?.expect_code(0)?;
    status(&scene.kubectl)?.expect_code(0).map(drop)
}

/// Scales the cluster's name servers, whatever the exit code.
///
/// # Errors
/// When the command cannot be run.
pub fn scale(kubectl: &Kubectl, size: u32) -> Result<Ended> {
    kubectl.rocketmq(&scale_arguments(&size.to_string()))
}

/// The plugin's arguments that scale the cluster's name servers.
pub fn scale_arguments(size: &str) -> [&str; 6] {
    ["scale", "nameservice", NAME_SERVICE, "--size", size, "-y"]
}

/// Demands what an undisturbed scale to `size` leaves: replicas, lists, routes, and nothing unfinished.
///
/// # Errors
/// When something differs, or bridges are still held when brokers of 5.3.3 have long registered themselves.
pub fn is_settled(kubectl: &Kubectl, judge: &Judge, size: u32) -> Result<()> {
    let pods = name_server_pods(kubectl)?;
    ensure(pods.len() == size as usize && pods.iter().all(|pod| pod.ready), || {
        format!("not {size}: {pods:?}")
    })?;
    judge.compare(kubectl, &judge.truth(kubectl)?)?;
    await_no_bridges(kubectl, BRIDGES_WITHIN)?;
    lists_are(kubectl, judge, size)?;
    status(kubectl)?.expect_code(0)?;
    let page = page(kubectl)?;
    ensure(page["operation"].is_null(), || format!("an operation is left: {}", page["operation"]))
}

/// The cluster's status page as JSON, whatever the verdict.
///
/// # Errors
/// When the command cannot be run.
pub fn status(kubectl: &Kubectl) -> Result<Ended> {
    kubectl.rocketmq(&["status", NAME_SERVICE, "-o", "json"])
}

/// The facts of the cluster's status page.
///
/// # Errors
/// When there is no page.
pub fn page(kubectl: &Kubectl) -> Result<Value> {
    status(kubectl)?.json()
}

/// Scales a cluster of `size` name servers out until a bridge is held when `scale` ends: the broker may have registered
/// itself by then. Returns how many name servers there are.
///
/// # Errors
/// When a scale does not end with 0, or none leaves a bridge.
pub fn scale_out_to_a_bridge(scene: &Scene, size: u32) -> Result<u32> {
    for size in size + 1..=size + 3 {
        scale(&scene.kubectl, size)?.expect_code(0)?;
        if bridges(&scene.kubectl)? > 0 {
            return Ok(size);
        }
        scene.step("the bridge has ended already");
    }
    Err(LabError::new("no bridge was held when `scale` ended"))
}

/// Waits until what a broker does each `period` from its start on is at least `left` away: its registrations, or its
/// questions for the list, end a bridge.
///
/// # Errors
/// When the broker does not tell when it started.
pub fn await_turn(judge: &Judge, broker: &Pod, period: Duration, left: Duration) -> Result<()> {
    let booted = Duration::from_millis(judge.boot_timestamp(broker)?);
    wait::until(&format!("a turn of pod `{}`", broker.name), period * 2, || {
        let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap_or_default();
        let next = until_turn(Duration::from_millis(now).saturating_sub(booted), period);
        if next >= left { Look::Ready(()) } else { Look::NotYet(format!("it is {} s away", next.as_secs())) }
    })
}

/// How long a broker that runs for so long has until its next turn.
fn until_turn(runs: Duration, period: Duration) -> Duration {
    let since_first = runs.saturating_sub(FIRST_TURN).as_millis() % period.as_millis().max(1);
    period.saturating_sub(Duration::from_millis(u64::try_from(since_first).unwrap_or_default()))
}

/// How many registrations bridges hold.
///
/// # Errors
/// When there is no status page.
pub fn bridges(kubectl: &Kubectl) -> Result<usize> {
    let page = page(kubectl)?;
    let bridges = page["bridges"].as_array();
    bridges.map(Vec::len).ok_or_else(|| LabError::new(format!("the status page tells no bridges: {page}")))
}

/// Waits until brokers hold all registrations themselves.
///
/// # Errors
/// When a bridge is held for more than `within`.
pub fn await_no_bridges(kubectl: &Kubectl, within: Duration) -> Result<()> {
    let mut next = Instant::now();
    watch::until("the end of the last bridge", within, || {
        // The page asks every agent; more often would disturb what is measured.
        if Instant::now() < next {
            return Look::NotYet("bridges are held".to_owned());
        }
        next = Instant::now() + Duration::from_secs(4);
        match bridges(kubectl) {
            Ok(0) => Look::Ready(()),
            Ok(count) => Look::NotYet(format!("{count} are held")),
            Err(error) => Look::NotYet(error.to_string()),
        }
    })
}

/// Demands that record, file and live list of every broker hold the first `size` name servers.
///
/// # Errors
/// When one does not.
pub fn lists_are(kubectl: &Kubectl, judge: &Judge, size: u32) -> Result<()> {
    lists_of(kubectl, judge, &broker_pods(kubectl)?, size)
}

/// Demands that the record, and file and live list of these brokers, hold the first `size` name servers.
///
/// # Errors
/// When one does not.
pub fn lists_of(kubectl: &Kubectl, judge: &Judge, brokers: &[Pod], size: u32) -> Result<()> {
    let wanted = addresses(kubectl, size);
    let recorded = recorded_list(kubectl)?;
    ensure(recorded == wanted, || format!("the record holds {recorded:?}, not {wanted:?}"))?;
    for pod in brokers {
        match conf(kubectl, pod, "namesrvAddr")? {
            Some(file) => {
                ensure(file == wanted.join(";"), || format!("the file of pod `{}` holds {file}", pod.name))?;
                let live = judge.live_list(pod)?;
                ensure(live == wanted, || format!("pod `{}` uses {live:?}", pod.name))?;
            }
            // An address server gives the list: the file names it, and the agent knows what it served last.
            None => {
                let fetches = conf(kubectl, pod, "fetchNamesrvAddrByAddressServer")?;
                ensure(fetches.as_deref() == Some("true"), || {
                    format!("the file of pod `{}` names neither a list nor an address server", pod.name)
                })?;
            }
        }
    }
    let page = page(kubectl)?;
    let rows = page["brokers"]["rows"].as_array().map(Vec::as_slice).unwrap_or_default();
    for pod in brokers {
        let row = rows.iter().find(|row| row["pod"] == pod.name);
        let row = row.ok_or_else(|| LabError::new(format!("the status page has no pod `{}`", pod.name)))?;
        let live: Vec<&str> =
            row["list"]["live"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        ensure(live == wanted && row["list"]["state"] == "live", || {
            format!("the status page shows of {}: {}", row["pod"], row["list"])
        })?;
    }
    Ok(())
}

/// The cluster's name servers.
///
/// # Errors
/// When they cannot be listed.
pub fn name_server_pods(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    pods(kubectl, "app.kubernetes.io/component=name-server")
}

/// The cluster's brokers, masters and slaves.
///
/// # Errors
/// When they cannot be listed.
pub fn broker_pods(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    pods(kubectl, "app.kubernetes.io/component=broker")
}

/// The stable address of a name server.
pub fn address(kubectl: &Kubectl, ordinal: u32) -> String {
    format!("{NAME_SERVICE}-{ordinal}.{NAME_SERVICE}.{}.svc:9876", kubectl.namespace())
}

/// The addresses of the first `size` name servers.
pub fn addresses(kubectl: &Kubectl, size: u32) -> Vec<String> {
    (0..size).map(|ordinal| address(kubectl, ordinal)).collect()
}

/// The list that the cluster's record holds.
///
/// # Errors
/// When there is no record, or it cannot be read.
pub fn recorded_list(kubectl: &Kubectl) -> Result<Vec<String>> {
    let record = kubectl.json(&["get", "configmap", &format!("rocketmq-{NAME_SERVICE}")])?;
    let text = record["data"]["name-servers"]
        .as_str()
        .ok_or_else(|| LabError::new("the record holds no list of name servers"))?;
    let value: Value = serde_json::from_str(text).context(|| "the recorded list is no JSON")?;
    let entries = value["list"].as_array().into_iter().flatten();
    Ok(entries.filter_map(|entry| entry["address"].as_str()).map(str::to_owned).collect())
}

/// One key of a broker's `broker.conf`.
///
/// # Errors
/// When the container cannot be entered.
pub fn conf(kubectl: &Kubectl, broker: &Pod, key: &str) -> Result<Option<String>> {
    let text = kubectl.sh(&broker.name, BROKER_CONTAINER, "cat /etc/rocketmq/broker/broker.conf")?;
    Ok(text.lines().filter_map(|line| line.split_once('=')).find(|(name, _)| name.trim() == key).map(
        |(_, value)| {
            // Java's properties escape colons.
            value.trim().replace("\\:", ":")
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_registers_often_unless_a_test_says_otherwise() {
        let shape = Shape { version: "5.3.3", name_servers: 1, groups: 1, replicas: 0 };
        for (settings, period) in [("", OFTEN_REGISTRATION), (DEFAULT_REGISTRATION, DEFAULT_REGISTRATION)] {
            let yaml = shape.yaml_with(settings);
            let periods: Vec<&str> =
                yaml.lines().map(str::trim).filter(|line| line.starts_with("registerNameServer")).collect();
            assert_eq!(periods, [period]);
        }
    }

    #[test]
    fn a_turn_comes_each_period_from_ten_seconds_on() {
        let until = |runs: u64| until_turn(Duration::from_secs(runs), Duration::from_secs(60)).as_secs();
        assert_eq!([10, 30, 69, 70, 71].map(until), [60, 40, 1, 60, 59]);
    }
}
