//! The Kubernetes objects that the operator's kinds stand for. Pure: nothing here asks a cluster.
//!
//! | from | made |
//! |---|---|
//! | NameService | a headless Service, a PodDisruptionBudget, a StatefulSet with one pod a name server |
//! | a group of a Broker | a PodDisruptionBudget, a StatefulSet of one pod for the master and for each slave |
//! | ConfigMap | itself |

mod agent;
mod contract;
mod java;
mod pod;
mod storage;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudgetSpec;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use rocketmq::model::version::Version;
use serde_json::json;

use self::contract::{Role, env};
use self::pod::Workload;
use crate::kinds::{Broker, NameService, Replication, version_of_image};
use crate::names::{self, BrokerMember};
use crate::objects::{Kind, Object};

/// What manifests need to know beside the kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The cluster that the objects belong to.
    pub cluster: String,
    /// Their namespace.
    pub namespace: String,
    /// The agent's image.
    pub agent_image: String,
    /// RocketMQ's version, where the user tells it.
    pub rocketmq_version: Option<Version>,
}

impl Context {
    /// RocketMQ's version before its first start: the user's word, else what the image's tag says, else unknown.
    #[must_use]
    pub fn rocketmq_version_of(&self, image: &str) -> Option<Version> {
        self.rocketmq_version.or_else(|| version_of_image(image))
    }

    /// The context that a StatefulSet of ours was made in, so that one that joins it later gets the same agent and
    /// is told the same version; `None` if it has no agent.
    #[must_use]
    pub fn of(stateful_set: &Object) -> Option<Self> {
        let spec = &stateful_set.content.get("spec")?["template"]["spec"];
        let agent = spec["initContainers"]
            .as_array()?
            .iter()
            .find(|container| container["name"] == names::CONTAINER_AGENT)?;
        let variable = |name: &str| {
            let variable = agent["env"].as_array()?.iter().find(|variable| variable["name"] == name)?;
            variable["value"].as_str()
        };
        Some(Self {
            cluster: stateful_set.labels.get(names::LABEL_INSTANCE)?.clone(),
            namespace: stateful_set.namespace.clone(),
            agent_image: agent["image"].as_str()?.to_owned(),
            rocketmq_version: variable(env::ROCKETMQ_VERSION).and_then(|version| version.parse().ok()),
        })
    }
}

/// The objects of a cluster's name servers, in the order in which they are made.
#[must_use]
pub fn name_servers(name_service: &NameService, context: &Context) -> Vec<Object> {
    let name = names::name_servers(&name_service.metadata.name);
    let labels = names::name_server_labels(&context.cluster);
    let selector = names::stateful_set_selector(&name);
    let service = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        // Brokers and agents must find a name server by its name before it is ready.
        publish_not_ready_addresses: Some(true),
        selector: Some(selector.clone()),
        ports: Some(vec![ServicePort {
            name: Some("main".to_owned()),
            port: i32::from(names::NAME_SERVER_PORT),
            ..ServicePort::default()
        }]),
        ..ServiceSpec::default()
    };
    let workload = Workload {
        role: Role::NameServer,
        name: name.clone(),
        replicas: name_service.size,
        service: Some(name.clone()),
        metadata: &name_service.metadata,
        labels: labels.clone(),
        apart_from: selector.clone(),
        image: &name_service.image,
        storage: &name_service.storage,
        options: &name_service.pod,
        volumes: &[],
        identity: Vec::new(),
    };
    vec![
        Object::new(Kind::Service, &context.namespace, &name)
            .with_labels(labels.clone())
            .with_field("spec", json!(service)),
        disruption_budget(&name, labels, selector, context),
        workload.stateful_set(context),
    ]
}

/// The objects of one group of a Broker, from 0 on, master before slaves. `replication` is what
/// [`Broker::replication_with`] found. With a token in `awaits`, RocketMQ in the master is not started before its
/// agent has been given metadata of this token; slaves take theirs from the master.
#[must_use]
pub fn broker_group(
    broker: &Broker,
    group: u32,
    replication: Replication,
    awaits: Option<&str>,
    context: &Context,
) -> Vec<Object> {
    let broker_name = &broker.metadata.name;
    let group_name = names::broker_group(broker_name, group);
    let labels = names::broker_group_labels(&context.cluster, broker_name, group);
    let selector = names::broker_group_selector(broker_name, group);
    let mut objects = vec![disruption_budget(&group_name, labels.clone(), selector.clone(), context)];
    objects.extend(BrokerMember::of_group(broker.replica_per_group).map(|member| {
        let role = match (member, replication) {
            (BrokerMember::Replica(_), _) => "SLAVE",
            (BrokerMember::Master, Replication::Async) => "ASYNC_MASTER",
            (BrokerMember::Master, Replication::Sync) => "SYNC_MASTER",
        };
        let mut identity = vec![
            agent::value(env::BROKER_CLUSTER, broker_name),
            agent::value(env::BROKER_NAME, &group_name),
            agent::value(env::BROKER_ID, &member.broker_id().to_string()),
            agent::value(env::BROKER_ROLE, role),
        ];
        if member == BrokerMember::Master {
            identity.extend(awaits.map(|token| agent::value(env::AWAIT_METADATA, token)));
        }
        let workload = Workload {
            role: Role::Broker,
            name: names::broker_stateful_set(broker_name, group, member),
            replicas: 1,
            service: None,
            metadata: &broker.metadata,
            labels: labels.clone(),
            apart_from: selector.clone(),
            image: &broker.image,
            storage: &broker.storage,
            options: &broker.pod,
            volumes: &broker.volumes,
            identity,
        };
        workload.stateful_set(context)
    }));
    objects
}

/// A user's ConfigMap as an object of the cluster.
#[must_use]
pub fn config_map(config_map: &ConfigMap, context: &Context) -> Object {
    let mut labels = config_map.metadata.labels.clone().unwrap_or_default();
    labels.extend(names::labels(&context.cluster, names::COMPONENT_CONFIG));
    let name = config_map.metadata.name.as_deref().unwrap_or_default();
    let mut object = Object::new(Kind::ConfigMap, &context.namespace, name).with_labels(labels);
    object.annotations = config_map.metadata.annotations.clone().unwrap_or_default();
    if let Some(data) = &config_map.data {
        object = object.with_field("data", json!(data));
    }
    if let Some(data) = &config_map.binary_data {
        object = object.with_field("binaryData", json!(data));
    }
    if let Some(immutable) = config_map.immutable {
        object = object.with_field("immutable", json!(immutable));
    }
    object
}

/// At most one of the selected pods may be evicted at a time; one that is not ready anyway never holds up a drain.
fn disruption_budget(
    name: &str,
    labels: BTreeMap<String, String>,
    selector: BTreeMap<String, String>,
    context: &Context,
) -> Object {
    let budget = PodDisruptionBudgetSpec {
        max_unavailable: Some(IntOrString::Int(1)),
        selector: Some(LabelSelector { match_labels: Some(selector), ..LabelSelector::default() }),
        unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
        ..PodDisruptionBudgetSpec::default()
    };
    Object::new(Kind::PodDisruptionBudget, &context.namespace, name)
        .with_labels(labels)
        .with_field("spec", json!(budget))
}

#[cfg(test)]
mod tests;
