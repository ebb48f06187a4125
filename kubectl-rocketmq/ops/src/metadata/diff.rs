//! `metadata diff`: how a broker's metadata differ from those of a bundle or of another broker.

use std::collections::BTreeSet;

use agents::types::ExportOptions;
use rocketmq::metadata::{ChangeKind, Difference, EntryChange, Metadata, difference, is_ordered};
use serde::Serialize;
use serde_json::Value;

use super::bundles::Bundle;
use super::export::tables;
use super::pods::broker_pod;
use crate::error::OpsError;
use crate::live::Unproved;
use crate::report::API_VERSION;
use crate::session::Session;
use crate::world::World;

/// What `metadata diff` compares.
#[derive(Debug, Clone, PartialEq)]
pub struct DiffRequest {
    /// The broker's pod.
    pub pod: String,
    /// What it is compared with.
    pub other: Other,
}

/// What a broker is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Other {
    /// Another broker, by its pod.
    Pod(String),
    /// A bundle.
    Bundle(Box<Bundle>),
}

/// How a broker's metadata differ from others. Offsets are not compared: they move.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffReport {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `MetadataDiff`.
    pub kind: &'static str,
    /// The broker's pod.
    pub pod: String,
    /// What it is compared with: a pod or a file.
    pub other: String,
    /// True when neither has anything that the other has not.
    pub same: bool,
    /// What is not the same, in order.
    pub changes: Vec<ChangeRow>,
}

/// One entry that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ChangeRow {
    /// Of which kind.
    pub kind: ComparedKind,
    /// Its name; a request mode's is `topic@group`.
    pub name: String,
    /// How it is not the same.
    pub change: ChangeWord,
    /// The fields that differ, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldRow>,
}

/// A kind of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ComparedKind {
    /// A topic.
    Topic,
    /// A subscription group.
    Group,
    /// How a group asks for the messages of a topic.
    RequestMode,
}

/// How an entry is not the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ChangeWord {
    /// The broker has it not.
    Missing,
    /// The broker has it otherwise.
    Differs,
    /// Only the broker has it.
    Extra,
}

/// A field that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldRow {
    /// Its name, as RocketMQ has it.
    pub field: String,
    /// What the broker has; `null` for nothing.
    pub pod: Value,
    /// What the other has.
    pub other: Value,
}

/// Compares.
///
/// # Errors
/// `Usage` for a pod that is no broker's, `Failed` when a broker cannot be asked.
pub async fn diff(session: &Session, request: DiffRequest) -> Result<DiffReport, OpsError> {
    diff_in(&session.world(Unproved::Refused), request).await
}

pub(super) async fn diff_in<W: World>(world: &W, request: DiffRequest) -> Result<DiffReport, OpsError> {
    let pod = broker_pod(world, &request.pod).await?;
    let (name, options, other) = match request.other {
        Other::Bundle(bundle) => {
            (bundle.name, comparable_with(bundle.sanitised, &bundle.metadata), bundle.metadata)
        }
        Other::Pod(name) => {
            let other = broker_pod(world, &name).await?;
            let options = ExportOptions { sanitised: true, ordered: true };
            let metadata = tables(world, &other, options, &BTreeSet::new()).await?.metadata;
            (format!("pod/{name}"), options, metadata)
        }
    };
    let own = tables(world, &pod, options, &BTreeSet::new()).await?.metadata;
    Ok(report(&pod.name, &name, &difference(&other, &own)))
}

/// What of a broker is compared with a bundle: only what the bundle could hold.
fn comparable_with(sanitised: bool, bundle: &Metadata) -> ExportOptions {
    ExportOptions { sanitised, ordered: !sanitised || bundle.topics.values().any(is_ordered) }
}

pub(crate) fn report(pod: &str, other: &str, difference: &Difference) -> DiffReport {
    let topics = difference.topics.iter().map(|change| row(ComparedKind::Topic, change));
    let groups = difference.groups.iter().map(|change| row(ComparedKind::Group, change));
    let modes = difference.request_modes.iter().map(|change| row(ComparedKind::RequestMode, change));
    DiffReport {
        api_version: API_VERSION,
        kind: "MetadataDiff",
        pod: pod.to_owned(),
        other: other.to_owned(),
        same: difference.is_empty(),
        changes: topics.chain(groups).chain(modes).collect(),
    }
}

fn row<N: ToString>(kind: ComparedKind, change: &EntryChange<N>) -> ChangeRow {
    let (word, fields) = match &change.kind {
        ChangeKind::Missing => (ChangeWord::Missing, [].as_slice()),
        ChangeKind::Extra => (ChangeWord::Extra, [].as_slice()),
        ChangeKind::Differs(fields) => (ChangeWord::Differs, fields.as_slice()),
    };
    let fields = fields.iter().map(|field| FieldRow {
        field: field.field.clone(),
        pod: field.to.clone(),
        other: field.from.clone(),
    });
    ChangeRow { kind, name: change.name.to_string(), change: word, fields: fields.collect() }
}
