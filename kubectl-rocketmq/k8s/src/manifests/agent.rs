//! The agent's container: a native sidecar, whose startup probe is the gate of RocketMQ's first start.

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EnvVar, EnvVarSource, ExecAction, ObjectFieldSelector, Probe,
    ResourceRequirements, SeccompProfile, SecurityContext, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::contract::{AGENT_BINARY, ROCKETMQ_ID, Role, env};
use crate::names;

/// The agent's container.
pub(super) fn container(image: &str, environment: Vec<EnvVar>, mounts: Vec<VolumeMount>) -> Container {
    Container {
        name: names::CONTAINER_AGENT.to_owned(),
        image: Some(image.to_owned()),
        args: Some(vec!["run".to_owned()]),
        env: Some(environment),
        // An init container that stays (Kubernetes 1.29): RocketMQ's container starts after its startup probe, and it
        // is stopped after RocketMQ's.
        restart_policy: Some("Always".to_owned()),
        // The gate may stay closed for as long as an import takes.
        startup_probe: Some(probe("startup", 1, i32::MAX)),
        // It waits for a yes by itself, so that a pod is seen to be ready at once.
        readiness_probe: Some(probe("ready", 5, 3)),
        liveness_probe: Some(probe("live", 10, 6)),
        resources: Some(resources()),
        security_context: Some(security_context()),
        volume_mounts: Some(mounts),
        ..Container::default()
    }
}

/// The environment that every agent has.
pub(super) fn environment(
    role: Role,
    cluster: &str,
    stateful_set: &str,
    rocketmq_version: &str,
    host_network: bool,
) -> Vec<EnvVar> {
    let mut environment = vec![
        value(env::ROLE, role.of_agent()),
        value(env::CLUSTER, cluster),
        value(env::STATEFUL_SET, stateful_set),
        field(env::POD_NAME, "metadata.name"),
        field(env::POD_UID, "metadata.uid"),
        field(env::POD_IP, "status.podIP"),
        value(env::ROCKETMQ_VERSION, rocketmq_version),
        value(env::LOG, "info"),
    ];
    if host_network {
        environment.push(value(env::HOST_NETWORK, "true"));
    }
    environment
}

/// A variable with a value.
pub(super) fn value(name: &str, value: &str) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.to_owned()), ..EnvVar::default() }
}

/// A variable with a field of the pod.
pub(super) fn field(name: &str, path: &str) -> EnvVar {
    let field = ObjectFieldSelector { field_path: path.to_owned(), ..ObjectFieldSelector::default() };
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource { field_ref: Some(field), ..EnvVarSource::default() }),
        ..EnvVar::default()
    }
}

/// Probes run the agent's own binary, because it listens on the loopback only and its image has nothing else.
fn probe(service: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    let command = vec![AGENT_BINARY.to_owned(), "healthcheck".to_owned(), service.to_owned()];
    Probe {
        exec: Some(ExecAction { command: Some(command) }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

/// The limit leaves room for two topic tables at RocketMQ's frame limit of 16 MiB and their parsed form.
fn resources() -> ResourceRequirements {
    let quantity = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    ResourceRequirements {
        requests: Some([quantity("cpu", "10m"), quantity("memory", "32Mi")].into()),
        limits: Some([quantity("memory", "256Mi")].into()),
        ..ResourceRequirements::default()
    }
}

fn security_context() -> SecurityContext {
    SecurityContext {
        run_as_user: Some(ROCKETMQ_ID),
        run_as_group: Some(ROCKETMQ_ID),
        run_as_non_root: Some(true),
        read_only_root_filesystem: Some(true),
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
        seccomp_profile: Some(runtime_default()),
        ..SecurityContext::default()
    }
}

/// The container runtime's own list of system calls.
pub(super) fn runtime_default() -> SeccompProfile {
    SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }
}
