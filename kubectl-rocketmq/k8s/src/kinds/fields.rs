//! The fields of the operator's kinds, from its 0.1 to its last commit, and the rules for their values.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, LocalObjectReference, PersistentVolumeClaim, PodSecurityContext, ResourceRequirements,
    SecurityContext, Toleration, Volume,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::error::FieldError;
use super::spec::{Broker, Metadata, NameServersOf, NameService, PodOptions, Replication, Storage};
use super::strict::{fields_of, read_part, refuse_unknown};
use crate::names;

/// The annotation that named a claim's StorageClass before Kubernetes 1.6 had a field for it; the operator's guide
/// uses it to this day.
const STORAGE_CLASS_ANNOTATION: &str = "volume.beta.kubernetes.io/storage-class";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NameServiceFields {
    size: i64,
    name_service_image: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrokerFields {
    size: i64,
    name_servers: Option<String>,
    replication_mode: Option<Replication>,
    cluster_mode: Option<ClusterMode>,
    #[serde(default)]
    replica_per_group: i64,
    broker_image: String,
    // Read for its type alone: no change of ours needs a restart.
    #[serde(rename = "allowRestart")]
    _allow_restart: Option<bool>,
    scale_pod_name: Option<String>,
    volumes: Option<Vec<Volume>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageFields {
    storage_mode: StorageMode,
    host_path: Option<String>,
    volume_claim_templates: Option<Vec<PersistentVolumeClaim>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PodFields {
    image_pull_policy: Option<ImagePullPolicy>,
    host_network: Option<bool>,
    // The operator's NameService alone has it; brokers on the node's network need it as much.
    dns_policy: Option<DnsPolicy>,
    resources: Option<ResourceRequirements>,
    env: Option<Vec<EnvVar>>,
    security_context: Option<PodSecurityContext>,
    container_security_context: Option<SecurityContext>,
    pod_annotations: Option<BTreeMap<String, String>>,
    image_pull_secrets: Option<Vec<LocalObjectReference>>,
    affinity: Option<Affinity>,
    tolerations: Option<Vec<Toleration>>,
    node_selector: Option<BTreeMap<String, String>>,
    priority_class_name: Option<String>,
    service_account_name: Option<String>,
}

#[derive(Deserialize)]
enum StorageMode {
    EmptyDir,
    HostPath,
    StorageClass,
    #[serde(rename = "NFS")]
    Nfs,
}

#[derive(Deserialize)]
enum ClusterMode {
    #[serde(rename = "STATIC")]
    Static,
    #[serde(rename = "CONTROLLER")]
    Controller,
    #[serde(rename = "CONTAINER")]
    Container,
}

#[derive(Debug, Deserialize)]
enum ImagePullPolicy {
    Always,
    IfNotPresent,
    Never,
}

#[derive(Debug, Deserialize)]
enum DnsPolicy {
    ClusterFirst,
    ClusterFirstWithHostNet,
    Default,
}

/// The NameService whose `spec` is `fields`.
pub(super) fn name_service(
    metadata: Metadata,
    fields: &Map<String, Value>,
) -> Result<NameService, FieldError> {
    refuse_unknown(fields, &known::<NameServiceFields>(), SPEC)?;
    let own: NameServiceFields = read_part(fields, SPEC)?;
    Ok(NameService {
        metadata,
        size: number("spec.size", 1, own.size)?,
        image: image("spec.nameServiceImage", own.name_service_image)?,
        storage: storage(fields, "namesrv-storage")?,
        pod: pod_options(fields)?,
    })
}

/// The Broker whose `spec` is `fields`.
pub(super) fn broker(metadata: Metadata, fields: &Map<String, Value>) -> Result<Broker, FieldError> {
    refuse_unknown(fields, &known::<BrokerFields>(), SPEC)?;
    let own: BrokerFields = read_part(fields, SPEC)?;
    if let Some(mode @ (ClusterMode::Controller | ClusterMode::Container)) = own.cluster_mode {
        let mode = if matches!(mode, ClusterMode::Controller) { "CONTROLLER" } else { "CONTAINER" };
        return Err(FieldError::value("spec.clusterMode", format!("`{mode}` is not supported yet"))
            .with_hint("`STATIC`, or no `clusterMode` at all, has fixed masters and slaves"));
    }
    let pod = pod_options(fields)?;
    refuse_name_server_env(&pod.env)?;
    Ok(Broker {
        metadata,
        size: number("spec.size", 1, own.size)?,
        replica_per_group: number("spec.replicaPerGroup", 0, own.replica_per_group)?,
        name_servers: name_servers(own.name_servers.as_deref().unwrap_or_default())?,
        replication: own.replication_mode,
        image: image("spec.brokerImage", own.broker_image)?,
        storage: storage(fields, "broker-storage")?,
        pod,
        scale_pod_name: own.scale_pod_name.filter(|name| !name.is_empty()),
        volumes: volumes(own.volumes.unwrap_or_default())?,
    })
}

const SPEC: &str = "spec";

/// All fields of a kind: its own `T` and those that both kinds share.
fn known<T: for<'de> Deserialize<'de>>() -> Vec<&'static str> {
    [fields_of::<T>(), fields_of::<StorageFields>(), fields_of::<PodFields>()].concat()
}

/// More pods than anyone runs of one kind; a slip of the finger shall not plan millions of objects.
const SIZE_MAX: i64 = 1000;

fn number(path: &str, least: i64, number: i64) -> Result<u32, FieldError> {
    let limit = if number < least { format!("at least {least}") } else { format!("at most {SIZE_MAX}") };
    match u32::try_from(number) {
        Ok(checked) if (least..=SIZE_MAX).contains(&number) => Ok(checked),
        _ => Err(FieldError::value(path, format!("must be {limit}, but is {number}"))),
    }
}

fn image(path: &str, image: String) -> Result<String, FieldError> {
    if image.trim().is_empty() || image.contains(char::is_whitespace) {
        return Err(FieldError::value(path, format!("must be the name of an image, but is `{image}`")));
    }
    Ok(image)
}

fn name_servers(text: &str) -> Result<NameServersOf, FieldError> {
    let path = "spec.nameServers";
    let addresses: Vec<String> =
        text.split(';').map(str::trim).filter(|address| !address.is_empty()).map(str::to_owned).collect();
    if let Some(address) = addresses.iter().find(|address| !is_address(address)) {
        return Err(FieldError::value(path, format!("must list host:port, but has `{address}`"))
            .with_hint("separate several by `;`, or write \"\" for the NameService of the namespace"));
    }
    Ok(if addresses.is_empty() { NameServersOf::TheNamespace } else { NameServersOf::Addresses(addresses) })
}

fn is_address(address: &str) -> bool {
    let Some((host, port)) = address.rsplit_once(':') else { return false };
    let of_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '[' | ']' | ':');
    !host.is_empty() && host.chars().all(of_host) && matches!(port.parse::<u16>(), Ok(1..))
}

fn storage(fields: &Map<String, Value>, default_claim: &str) -> Result<Storage, FieldError> {
    let storage: StorageFields = read_part(fields, SPEC)?;
    match storage.storage_mode {
        StorageMode::EmptyDir => Ok(Storage::EmptyDir),
        StorageMode::HostPath => match storage.host_path {
            Some(path) if path.starts_with('/') => Ok(Storage::HostPath { path }),
            Some(path) => {
                Err(FieldError::value("spec.hostPath", format!("must be an absolute path, but is `{path}`")))
            }
            None => Err(FieldError::missing_here("hostPath").at(SPEC)),
        },
        StorageMode::StorageClass | StorageMode::Nfs => {
            claim(storage.volume_claim_templates.unwrap_or_default(), default_claim)
                .map(|claim| Storage::Claim(Box::new(claim)))
        }
    }
}

/// The one claim template, its StorageClass where Kubernetes looks for it today.
fn claim(
    templates: Vec<PersistentVolumeClaim>,
    default_name: &str,
) -> Result<PersistentVolumeClaim, FieldError> {
    let path = "spec.volumeClaimTemplates";
    let mut templates = templates.into_iter();
    let Some(mut claim) = templates.next() else {
        return Err(FieldError::missing_here("volumeClaimTemplates").at(SPEC));
    };
    if templates.next().is_some() {
        return Err(FieldError::value(format!("{path}[1]"), "is not supported: one template holds all data"));
    }
    claim.metadata.name.get_or_insert_with(|| default_name.to_owned());
    let Some(spec) = claim.spec.as_mut() else {
        return Err(FieldError::missing_here("spec").at(&format!("{path}[0]")));
    };
    let annotated = claim.metadata.annotations.as_mut().and_then(|all| all.remove(STORAGE_CLASS_ANNOTATION));
    match (annotated, &spec.storage_class_name) {
        (Some(annotated), Some(named)) if annotated != *named => Err(FieldError::value(
            format!("{path}[0]"),
            format!("names two StorageClasses: `{annotated}` in its annotation and `{named}` in its spec"),
        )),
        (Some(annotated), _) => {
            spec.storage_class_name = Some(annotated);
            claim.metadata.annotations = claim.metadata.annotations.filter(|rest| !rest.is_empty());
            Ok(claim)
        }
        (None, _) => Ok(claim),
    }
}

fn volumes(volumes: Vec<Volume>) -> Result<Vec<Volume>, FieldError> {
    match volumes.iter().position(|volume| names::is_own_volume(&volume.name)) {
        Some(index) => Err(FieldError::value(
            format!("spec.volumes[{index}].name"),
            format!("`{}` is taken by a volume of kubectl rocketmq", volumes[index].name),
        )),
        None => Ok(volumes),
    }
}

/// A list in the environment comes before the one that the agent serves to brokers up to 4.9.3, so the broker would
/// never ask (`BrokerController.initialize`, 4.5.0).
fn refuse_name_server_env(env: &[EnvVar]) -> Result<(), FieldError> {
    match env.iter().position(|variable| variable.name == "NAMESRV_ADDR") {
        Some(index) => Err(FieldError::value(
            format!("spec.env[{index}]"),
            "sets `NAMESRV_ADDR`, which would fix the broker's list of name servers",
        )
        .with_hint("remove it; `spec.nameServers` says where the broker registers")),
        None => Ok(()),
    }
}

fn pod_options(fields: &Map<String, Value>) -> Result<PodOptions, FieldError> {
    let pod: PodFields = read_part(fields, SPEC)?;
    let non_empty = |text: &String| !text.is_empty();
    Ok(PodOptions {
        host_network: pod.host_network.unwrap_or_default(),
        dns_policy: pod.dns_policy.map(|policy| format!("{policy:?}")),
        image_pull_policy: pod.image_pull_policy.map(|policy| format!("{policy:?}")),
        image_pull_secrets: pod.image_pull_secrets.unwrap_or_default(),
        resources: pod.resources,
        env: pod.env.unwrap_or_default(),
        security_context: pod.security_context,
        container_security_context: pod.container_security_context,
        annotations: pod.pod_annotations.unwrap_or_default(),
        affinity: pod.affinity,
        tolerations: pod.tolerations.unwrap_or_default(),
        node_selector: pod.node_selector.unwrap_or_default(),
        priority_class_name: pod.priority_class_name.filter(non_empty),
        service_account_name: pod.service_account_name.filter(non_empty),
    })
}
