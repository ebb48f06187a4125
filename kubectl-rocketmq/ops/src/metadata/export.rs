//! `metadata export`: what a broker holds, as one bundle.

use std::collections::BTreeSet;

use agents::types::{BundleDescription, ExportOptions, PreparedExport};
use k8s::pods::Pod;
use rocketmq::metadata::{Metadata, Origin, Subscription, bundle};
use rocketmq::model::version::Version;
use serde::Serialize;

use super::pods::broker_pod;
use crate::error::OpsError;
use crate::live::Unproved;
use crate::report::API_VERSION;
use crate::session::Session;
use crate::world::{World, WorldError};

/// What shall be in a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportChoice {
    /// What another broker can be given, ordered topics left out: one broker group more changes which queue a key
    /// goes to.
    Sanitised,
    /// What another broker can be given, ordered topics among it.
    WithOrdered,
    /// Everything, with the offsets as they are: to look at, not to import.
    Raw,
}

impl ExportChoice {
    pub(crate) fn options(self) -> ExportOptions {
        ExportOptions { sanitised: self != Self::Raw, ordered: self != Self::Sanitised }
    }
}

/// What `metadata export` shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The broker's pod.
    pub pod: String,
    /// What shall be in the bundle.
    pub choice: ExportChoice,
}

/// What was exported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportReport {
    /// Always [`API_VERSION`].
    pub api_version: &'static str,
    /// Always `MetadataExport`.
    pub kind: &'static str,
    /// The broker's pod.
    pub pod: String,
    /// The broker's cluster, as RocketMQ names it.
    pub cluster: String,
    /// The broker's group.
    pub broker_name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of the bundle.
    pub sha256: String,
    /// How long the bundle is.
    pub bytes: u64,
    /// How many topics it holds.
    pub topics: u64,
    /// How many subscription groups.
    pub groups: u64,
    /// How many request modes.
    pub request_modes: u64,
    /// How many topics have offsets of a group.
    pub offsets: u64,
    /// How long the registration of a broker with these topics is.
    pub registration_bytes: u64,
    /// Topics that were left out because their messages are ordered.
    pub ordered_topics_left_out: Vec<String>,
}

/// Exports the metadata of a broker: the bundle, and what it is.
///
/// # Errors
/// `Usage` for a pod that is no broker's, `Failed` when the broker cannot be asked.
pub async fn export(session: &Session, request: &ExportRequest) -> Result<(Vec<u8>, ExportReport), OpsError> {
    export_from(&session.world(Unproved::Refused), request).await
}

pub(super) async fn export_from<W: World>(
    world: &W,
    request: &ExportRequest,
) -> Result<(Vec<u8>, ExportReport), OpsError> {
    let pod = broker_pod(world, &request.pod).await?;
    // A sanitised export also says which groups read which topics, so that on another broker they begin at its first
    // message.
    let seeds = match request.choice {
        ExportChoice::Raw => BTreeSet::new(),
        ExportChoice::Sanitised | ExportChoice::WithOrdered => world.subscriptions(&pod).await?,
    };
    let (bytes, exported) = world.read_tables(&pod, request.choice.options(), &seeds).await?;
    Ok((bytes, report(&pod, exported)))
}

fn report(pod: &Pod, prepared: PreparedExport) -> ExportReport {
    let PreparedExport { bundle, ordered_topics, cluster, broker_name, version } = prepared;
    let BundleDescription { sha256, bytes, topics, groups, request_modes, offsets, registration_bytes } =
        bundle;
    ExportReport {
        api_version: API_VERSION,
        kind: "MetadataExport",
        pod: pod.name.clone(),
        cluster,
        broker_name,
        version: Version::from_ordinal(version).to_string(),
        sha256,
        bytes,
        topics: topics.entries,
        groups: groups.entries,
        request_modes: request_modes.entries,
        offsets,
        registration_bytes,
        ordered_topics_left_out: ordered_topics,
    }
}

/// The tables of a broker, read whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tables {
    pub(crate) origin: Origin,
    pub(crate) metadata: Metadata,
}

/// Reads the tables of a broker, of a sanitised export with offset 0 for these pairs alone.
pub(crate) async fn tables<W: World>(
    world: &W,
    pod: &Pod,
    options: ExportOptions,
    seeds: &BTreeSet<Subscription>,
) -> Result<Tables, WorldError> {
    let (bytes, _) = world.read_tables(pod, options, seeds).await?;
    let (manifest, metadata) = bundle::read(bytes.as_slice()).map_err(|error| {
        let mut wrong = WorldError::new(format!("the metadata of pod `{}` cannot be read", pod.name));
        wrong.causes.push(error.to_string());
        wrong
    })?;
    Ok(Tables { origin: manifest.origin(), metadata })
}
