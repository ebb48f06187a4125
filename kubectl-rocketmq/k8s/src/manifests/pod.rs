//! StatefulSets of pods with RocketMQ and its agent.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::{StatefulSetSpec, StatefulSetUpdateStrategy};
use k8s_openapi::api::core::v1::{
    Affinity, Container, ContainerPort, EnvVar, ExecAction, Lifecycle, LifecycleHandler, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, SecurityContext, Volume,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use serde_json::json;

use super::contract::{self, ROCKETMQ_ID, Role};
use super::{Context, agent, java, storage};
use crate::kinds::{Metadata, PodOptions, Storage};
use crate::names;
use crate::objects::{Kind, Object};

/// The topology in which pods that stand in for each other shall not meet.
const NODE: &str = "kubernetes.io/hostname";

/// All that one StatefulSet is made from.
#[derive(Debug)]
pub(super) struct Workload<'a> {
    pub(super) role: Role,
    pub(super) name: String,
    pub(super) replicas: u32,
    /// The headless Service that gives its pods names.
    pub(super) service: Option<String>,
    /// Where the user's labels and annotations come from.
    pub(super) metadata: &'a Metadata,
    pub(super) labels: BTreeMap<String, String>,
    /// Pods that rather run on other nodes than these pods.
    pub(super) apart_from: BTreeMap<String, String>,
    pub(super) image: &'a str,
    pub(super) storage: &'a Storage,
    pub(super) options: &'a PodOptions,
    /// The user's volumes; the first one holds broker-common.conf.
    pub(super) volumes: &'a [Volume],
    /// What only a broker's agent is told.
    pub(super) identity: Vec<EnvVar>,
}

impl Workload<'_> {
    pub(super) fn stateful_set(&self, context: &Context) -> Object {
        let selector = names::stateful_set_selector(&self.name);
        let spec = StatefulSetSpec {
            replicas: i32::try_from(self.replicas).ok(),
            service_name: self.service.clone(),
            pod_management_policy: Some("Parallel".to_owned()),
            // A changed template never restarts a pod by itself.
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("OnDelete".to_owned()),
                rolling_update: None,
            }),
            volume_claim_templates: self.storage.claim_templates(&self.labels),
            template: PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(self.labels.clone().into_iter().chain(selector.clone()).collect()),
                    annotations: non_empty(&self.options.annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(self.pod(context)),
            },
            selector: LabelSelector { match_labels: Some(selector), ..LabelSelector::default() },
            ..StatefulSetSpec::default()
        };
        let mut labels = self.metadata.labels.clone();
        labels.extend(self.labels.clone());
        let mut object = Object::new(Kind::StatefulSet, &context.namespace, &self.name)
            .with_labels(labels)
            .with_field("spec", json!(spec));
        object.annotations.clone_from(&self.metadata.annotations);
        object
    }

    fn pod(&self, context: &Context) -> PodSpec {
        let options = self.options;
        PodSpec {
            init_containers: Some(vec![self.agent(context)]),
            containers: vec![self.rocketmq()],
            volumes: Some(storage::volumes(self.storage, &context.cluster, self.volumes)),
            termination_grace_period_seconds: Some(self.role.grace_seconds()),
            security_context: Some(self.pod_security_context()),
            // Neither RocketMQ nor the agent talks to the API server.
            automount_service_account_token: Some(false),
            enable_service_links: Some(false),
            host_network: options.host_network.then_some(true),
            dns_policy: self.dns_policy(),
            affinity: Some(self.affinity()),
            tolerations: (!options.tolerations.is_empty()).then(|| options.tolerations.clone()),
            node_selector: non_empty(&options.node_selector),
            image_pull_secrets: (!options.image_pull_secrets.is_empty())
                .then(|| options.image_pull_secrets.clone()),
            priority_class_name: options.priority_class_name.clone(),
            service_account_name: options.service_account_name.clone(),
            ..PodSpec::default()
        }
    }

    fn agent(&self, context: &Context) -> Container {
        let version =
            context.rocketmq_version_of(self.image).map(|version| version.to_string()).unwrap_or_default();
        let mut environment =
            agent::environment(self.role, &context.cluster, &self.name, &version, self.options.host_network);
        environment.extend(self.identity.clone());
        agent::container(
            &context.agent_image,
            environment,
            storage::agent_mounts(self.storage, self.volumes.first()),
        )
    }

    fn rocketmq(&self) -> Container {
        let options = self.options;
        let mut environment = java::environment(&options.env, options.resources.as_ref(), self.role);
        if self.role == Role::NameServer {
            // For the names of its folders.
            environment.insert(0, agent::field(contract::env::POD_NAME, "metadata.name"));
        }
        let shell = |script: String| Some(vec!["sh".to_owned(), "-c".to_owned(), script]);
        Container {
            name: self.role.container().to_owned(),
            image: Some(self.image.to_owned()),
            image_pull_policy: options.image_pull_policy.clone(),
            command: shell(self.role.start_command().to_owned()),
            env: Some(environment),
            ports: Some(ports(self.role)),
            lifecycle: Some(Lifecycle {
                pre_stop: Some(LifecycleHandler {
                    exec: Some(ExecAction { command: shell(self.role.stop_command()) }),
                    ..LifecycleHandler::default()
                }),
                ..Lifecycle::default()
            }),
            resources: options.resources.clone(),
            // Images of root need root's capabilities for files of the agent, so none is dropped here.
            security_context: Some(options.container_security_context.clone().unwrap_or_else(|| {
                SecurityContext { allow_privilege_escalation: Some(false), ..SecurityContext::default() }
            })),
            volume_mounts: Some(storage::rocketmq_mounts(self.storage, self.role, &self.name)),
            ..Container::default()
        }
    }

    /// The user's, with what the user leaves open.
    fn pod_security_context(&self) -> PodSecurityContext {
        let mut context = self.options.security_context.clone().unwrap_or_default();
        context.seccomp_profile.get_or_insert_with(agent::runtime_default);
        if self.storage.takes_fs_group() && context.fs_group.is_none() {
            context.fs_group = Some(ROCKETMQ_ID);
            context.fs_group_change_policy.get_or_insert_with(|| "OnRootMismatch".to_owned());
        }
        context
    }

    /// On the node's network a pod asks the node's resolver first, which does not know name servers by their names.
    fn dns_policy(&self) -> Option<String> {
        let options = self.options;
        options
            .dns_policy
            .clone()
            .or_else(|| options.host_network.then(|| "ClusterFirstWithHostNet".to_owned()))
    }

    /// The user's, with ours where the user says nothing of pods to avoid. Preferred and not required, so that a
    /// cluster on one node has slaves too.
    fn affinity(&self) -> Affinity {
        let mut affinity = self.options.affinity.clone().unwrap_or_default();
        affinity.pod_anti_affinity.get_or_insert_with(|| PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![WeightedPodAffinityTerm {
                weight: 100,
                pod_affinity_term: PodAffinityTerm {
                    label_selector: Some(LabelSelector {
                        match_labels: Some(self.apart_from.clone()),
                        ..LabelSelector::default()
                    }),
                    topology_key: NODE.to_owned(),
                    ..PodAffinityTerm::default()
                },
            }]),
            ..PodAntiAffinity::default()
        });
        affinity
    }
}

/// Ports are named as the operator names them. On the node's network the scheduler keeps two of a kind apart by them.
fn ports(role: Role) -> Vec<ContainerPort> {
    let port = |name: &str, port: u16| ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(port),
        ..ContainerPort::default()
    };
    match role {
        Role::NameServer => vec![port("main", names::NAME_SERVER_PORT)],
        Role::Broker => vec![
            port("main", names::BROKER_PORT),
            port("vip", names::BROKER_FAST_PORT),
            port("ha", names::BROKER_HA_PORT),
        ],
    }
}

fn non_empty(map: &BTreeMap<String, String>) -> Option<BTreeMap<String, String>> {
    (!map.is_empty()).then(|| map.clone())
}
