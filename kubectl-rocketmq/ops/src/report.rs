//! What commands hand back: plans before, reports after. Plain values; views are made of them elsewhere.

use serde::Serialize;

use crate::matrix::Matrix;

/// The version of every report's schema.
pub const API_VERSION: &str = "cli.rocketmq.apache.org/v1";

/// A plan: what a command would do, one operation after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `Plan`.
    pub kind: &'static str,
    /// The operations, in the order in which they would run. Empty when nothing is to be done.
    pub operations: Vec<OperationPlan>,
    /// Objects that are as the input wants them already, for example `nameservice/demo`.
    pub unchanged: Vec<String>,
    /// What the user should know before, one sentence each.
    pub warnings: Vec<String>,
}

/// What one operation would do to one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationPlan {
    /// The operation's id; only of one that is in the journal already.
    pub operation: Option<String>,
    /// The operation's kind, for example `scale-name-service`.
    pub operation_kind: String,
    /// One line: what it does to what.
    pub title: String,
    /// The cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// The steps.
    pub steps: Vec<PlannedStep>,
    /// Data and objects that stay, one sentence each.
    pub stays: Vec<String>,
}

/// One line of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedStep {
    /// Its number, from 1 on.
    pub number: usize,
    /// What it does.
    pub sentence: String,
    /// The value before, where it has one.
    pub from: Option<String>,
    /// The value after, where it has one.
    pub to: Option<String>,
    /// Nothing can be undone from this step on.
    pub point_of_no_return: bool,
    /// Where it stands, of an operation that is in the journal: `to do`, `done`, `in doubt`, `undone`.
    pub state: Option<String>,
}

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CommandReport {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `Report`.
    pub kind: &'static str,
    /// The operations that ran.
    pub operations: Vec<OperationReport>,
    /// Objects that were as the input wants them already.
    pub unchanged: Vec<String>,
    /// What the user should know, one sentence each.
    pub warnings: Vec<String>,
    /// What to do next.
    pub next: Vec<NextCommand>,
}

/// How one operation ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationReport {
    /// Its id.
    pub operation: String,
    /// Its kind, for example `scale-name-service`.
    pub operation_kind: String,
    /// One line: what it did to what.
    pub title: String,
    /// The cluster.
    pub cluster: String,
    /// Its namespace.
    pub namespace: String,
    /// `done` or `undone`.
    pub outcome: Outcome,
    /// How long it ran.
    pub took_millis: u64,
    /// The proof: what every name server says of every broker. Absent when the cluster is gone.
    pub matrix: Option<Matrix>,
    /// Registrations that an agent's bridge holds until the broker's own arrives.
    pub bridges: Vec<Bridge>,
    /// The list of name servers that clients should use, `host:port;host:port`.
    pub clients_name_servers: Option<String>,
    /// Data and objects that stay, one sentence each.
    pub stays: Vec<String>,
}

/// What an operation ended in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Every step is done and proved.
    Done,
    /// Everything is as it was before.
    Undone,
}

/// A registration that is not the broker's own yet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bridge {
    /// The broker's pod, whose agent holds the bridge.
    pub pod: String,
    /// The name server that it is held at.
    pub name_server: String,
}

/// A command to run next, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NextCommand {
    /// The command in full.
    pub command: String,
    /// Why.
    pub reason: String,
}
