//! The facts of the status page, as they are shown and as `-o json` gives them. Text from clusters is untrusted:
//! whoever prints it escapes control characters.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::report::{Bridge, NextCommand};

/// The pages of one call.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusList {
    /// Always [`crate::report::API_VERSION`].
    pub api_version: &'static str,
    /// Always `StatusList`.
    pub kind: &'static str,
    /// One page a cluster, by namespace and name.
    pub items: Vec<StatusReport>,
}

/// The page of one cluster.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusReport {
    /// Always [`crate::report::API_VERSION`].
    pub api_version: &'static str,
    /// Always `Status`.
    pub kind: &'static str,
    /// The cluster's name.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// The verdict; [`Verdict::Healthy`] alone is exit code 0.
    pub verdict: Verdict,
    /// Everything that is wrong or worth knowing, errors first.
    pub checks: Vec<Check>,
    /// When the facts were collected, RFC 3339.
    pub collected_at: String,
    /// How long that took.
    pub collected_in_millis: u64,
    /// How many agents answered.
    pub agents_answered: usize,
    /// How many agents were asked.
    pub agents_asked: usize,
    /// Versions of this CLI and of the agents, with how many agents have each.
    pub versions: Versions,
    /// `ASYNC` or `SYNC`; absent when no broker object says.
    pub replication_mode: Option<String>,
    /// `EmptyDir`, `HostPath`, `StorageClass` or `NFS`; absent when no object says.
    pub storage_mode: Option<String>,
    /// The running or unfinished operation of the cluster.
    pub operation: Option<OperationLine>,
    /// The name servers, by pod name.
    pub name_servers: NameServersSection,
    /// The brokers, by group, masters first.
    pub brokers: BrokersSection,
    /// The list that clients should use, `host:port;host:port`; absent before the first is published.
    pub clients_name_servers: Option<String>,
    /// Registrations that are held by bridges.
    pub bridges: Vec<Bridge>,
    /// What to do next.
    pub next: Vec<NextCommand>,
}

impl StatusReport {
    /// How many checks of a severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.checks.iter().filter(|check| check.severity == severity).count()
    }
}

/// The verdict over a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// No error.
    Healthy,
    /// Errors, but at least one name server and one broker of every group answer.
    Degraded,
    /// Some group, or every name server, is out of reach.
    Down,
}

/// How bad a check's finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Makes the cluster unhealthy.
    Error,
    /// Does not.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// How bad it is.
    pub severity: Severity,
    /// A stable id, for example `RMQ-ROUTE-02`.
    pub id: &'static str,
    /// What it is about, for example a pod's name.
    pub subject: String,
    /// What is wrong, in words.
    pub message: String,
    /// The command that helps, in full, where there is one.
    pub hint: Option<String>,
}

/// Versions and how many have each.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Versions {
    /// This CLI.
    pub cli: String,
    /// The agents that answered.
    pub agents: BTreeMap<String, usize>,
    /// RocketMQ, of name servers and brokers that answered.
    pub rocketmq: BTreeMap<String, usize>,
}

/// An operation that is running or unfinished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationLine {
    /// Its id.
    pub operation: String,
    /// One line: what it does to what.
    pub title: String,
    /// `running` while somebody holds the Lease, else the journal's state: `unfinished`, `unwinding`, `stuck`.
    pub state: String,
    /// The step it is at, from 1 on.
    pub step: usize,
    /// How many steps it has.
    pub steps: usize,
    /// What that step does.
    pub sentence: String,
    /// When it started, RFC 3339.
    pub started_at: String,
    /// Who runs it, if somebody holds the Lease.
    pub holder: Option<String>,
}

/// The name servers of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameServersSection {
    /// False when the cluster's brokers follow name servers that this plugin does not manage.
    pub managed: bool,
    /// How many there shall be.
    pub wanted: usize,
    /// How many answer.
    pub ready: usize,
    /// The desired list, as the record has it.
    pub desired: Vec<String>,
    /// The generation of the desired list; 0 before the first.
    pub desired_generation: u64,
    /// One row a pod.
    pub rows: Vec<NameServerRow>,
}

/// One name server.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NameServerRow {
    /// Its pod.
    pub pod: String,
    /// `ip:9876`; absent before the pod has an address.
    pub address: Option<String>,
    /// The node it runs on.
    pub node: Option<String>,
    /// True when the pod is ready.
    pub ready: bool,
    /// Restarts of its RocketMQ container.
    pub restarts: u32,
    /// Seconds since the pod was created.
    pub age_seconds: Option<u64>,
    /// What its agent said, or why it could not be asked.
    pub agent: AgentCell,
    /// RocketMQ's version.
    pub version: Option<String>,
    /// How many of the cluster's brokers it lists at their own address; absent when it could not be asked.
    pub brokers_seen: Option<usize>,
    /// How many brokers it should list.
    pub brokers_expected: usize,
    /// Topics of the cluster's brokers that it knows with the brokers' own rows.
    pub topics: Option<usize>,
}

/// Whether an agent could be asked, and whether its answers are proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "reason")]
pub enum AgentCell {
    /// It answered and proved that it holds the cluster's key.
    Ok,
    /// It answered, but nothing proves that it is the agent; why, in words.
    Unproved(String),
    /// It could not be asked; why, in words.
    Silent(String),
}

/// The brokers of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokersSection {
    /// How many groups there shall be.
    pub groups_wanted: usize,
    /// Groups whose master answers.
    pub groups_ready: usize,
    /// One row a broker.
    pub rows: Vec<BrokerRow>,
}

/// One broker.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerRow {
    /// The broker group (brokerName).
    pub group: String,
    /// `master` or `slave`.
    pub role: String,
    /// Its brokerId; absent when it could not be asked.
    pub broker_id: Option<u64>,
    /// Its pod.
    pub pod: String,
    /// `ip:10911` as it registers itself.
    pub address: Option<String>,
    /// The node it runs on.
    pub node: Option<String>,
    /// True when the pod is ready.
    pub ready: bool,
    /// Restarts of its RocketMQ container.
    pub restarts: u32,
    /// What its agent said, or why it could not be asked.
    pub agent: AgentCell,
    /// RocketMQ's version.
    pub version: Option<String>,
    /// Its list of name servers, where each value of it stands; absent when it could not be asked.
    pub list: Option<ListCell>,
    /// Who holds its registration at each name server of the desired list.
    pub registrations: Vec<RegistrationCell>,
    /// Messages a second, in.
    pub put_tps: Option<f64>,
    /// Messages a second, out.
    pub get_tps: Option<f64>,
    /// How full the commit log's disk is, 0 to 1.
    pub disk_ratio: Option<f64>,
    /// brokerPermission as `RW`, `R`, `W` or `-`.
    pub permission: Option<String>,
    /// When RocketMQ started, milliseconds since 1970.
    pub boot_timestamp_millis: Option<u64>,
    /// Topics it holds.
    pub topics: Option<u64>,
    /// Subscription groups it holds.
    pub subscription_groups: Option<u64>,
    /// Bytes of its master's commit log that it lacks; absent of a master, and where either could not be asked.
    pub lag_bytes: Option<u64>,
    /// The body of its registration at name servers, in bytes; absent of a slave.
    pub registration_bytes: Option<u64>,
}

/// The three values of a broker's list, compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListCell {
    /// `namesrvAddr` or `address-server`.
    pub mode: &'static str,
    /// What the broker comes back with after a restart.
    pub file: Vec<String>,
    /// What it uses now.
    pub live: Vec<String>,
    /// Name servers of the desired list at which it is registered, by itself or by a bridge.
    pub registered: usize,
    /// Name servers of the desired list.
    pub expected: usize,
    /// How the values compare.
    pub state: ListState,
}

/// How desired, file and live compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ListState {
    /// All three are equal, and every registration is the broker's own.
    Live,
    /// All three are equal; a bridge holds at least one registration.
    Bridged,
    /// File and desired list are equal, the broker still uses another list.
    Settling,
    /// The file has another list than the record.
    Wrong,
}

/// Who holds a broker's registration at one name server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RegistrationCell {
    /// The name server.
    pub name_server: String,
    /// `broker`, `bridge`, `none` or `unreachable`.
    pub owner: &'static str,
    /// Why none or unreachable, in words.
    pub reason: Option<String>,
}
