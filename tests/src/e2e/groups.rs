//! Broker groups of a cluster: how many there are, everywhere where it is said.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::e2e::clusters::{self, BROKER, NAME_SERVICE, broker_pods, name_server_pods};
use crate::e2e::judge::Judge;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::watch::ensure;
use crate::error::{LabError, Result};

/// The variable that keeps the gate of a new master closed until its metadata are there.
const AWAITS: &str = "ROCKETMQ_AGENT_AWAIT_METADATA";

/// The plugin's arguments that scale the cluster's broker groups.
pub fn scale_arguments(size: &str) -> [&str; 6] {
    ["scale", "broker", BROKER, "--size", size, "-y"]
}

/// The brokerName of a group.
pub fn name(group: u32) -> String {
    format!("{BROKER}-{group}")
}

/// The pod of a group's master.
pub fn master(group: u32) -> String {
    format!("{BROKER}-{group}-master-0")
}

/// Demands what an undisturbed scale to `size` groups leaves: objects, record, registrations, routes, and nothing
/// unfinished.
///
/// # Errors
/// When something differs.
pub fn are(kubectl: &Kubectl, judge: &Judge, size: u32) -> Result<()> {
    let wanted: BTreeSet<String> = (0..size).map(name).collect();
    for kind in ["statefulsets", "poddisruptionbudgets"] {
        let list = kubectl.json(&["get", kind, "-l", "app.kubernetes.io/component=broker"])?;
        let objects: Vec<&Value> = list["items"].as_array().into_iter().flatten().collect();
        let groups: BTreeSet<String> = objects
            .iter()
            .filter_map(|object| object["metadata"]["labels"]["rocketmq.apache.org/group"].as_str())
            .map(str::to_owned)
            .collect();
        ensure(groups == wanted, || format!("the {kind} are of {groups:?}, not of {wanted:?}"))?;
        let closed = objects.iter().find_map(|object| awaited(&object["spec"]["template"]["spec"]));
        ensure(closed.is_none(), || format!("a StatefulSet still awaits the metadata {closed:?}"))?;
    }
    let pods = broker_pods(kubectl)?;
    let masters: BTreeSet<String> =
        pods.iter().filter_map(|pod| pod.name.strip_suffix("-master-0").map(str::to_owned)).collect();
    ensure(masters == wanted && pods.iter().all(|pod| pod.ready), || format!("not {wanted:?}: {pods:?}"))?;
    let recorded = recorded_size(kubectl)?;
    ensure(recorded == size, || format!("the record holds a size of {recorded}, not {size}"))?;
    for name_server in name_server_pods(kubectl)? {
        let listed = judge.groups(&name_server)?;
        ensure(listed == wanted, || format!("`{}` lists {listed:?}, not {wanted:?}", name_server.name))?;
    }
    judge.compare(kubectl, &judge.truth(kubectl)?)?;
    clusters::status(kubectl)?.expect_code(0)?;
    let page = clusters::page(kubectl)?;
    ensure(page["operation"].is_null(), || format!("an operation is left: {}", page["operation"]))
}

/// The token of the metadata that a pod of this specification awaits.
fn awaited(pod_spec: &Value) -> Option<String> {
    let containers = pod_spec["initContainers"].as_array()?;
    let variables = containers.iter().filter_map(|container| container["env"].as_array()).flatten();
    let token = variables
        .filter(|variable| variable["name"] == AWAITS)
        .find_map(|variable| variable["value"].as_str());
    token.map(str::to_owned)
}

/// The token of the metadata that a pod was made to await.
///
/// # Errors
/// When there is no such pod.
pub fn awaited_by_pod(kubectl: &Kubectl, pod: &str) -> Result<Option<String>> {
    Ok(awaited(&kubectl.json(&["get", "pod", pod])?["spec"]))
}

/// Everything that the cluster's record holds.
///
/// # Errors
/// When there is no record.
pub fn record(kubectl: &Kubectl) -> Result<Value> {
    let record = kubectl.json(&["get", "configmap", &format!("rocketmq-{NAME_SERVICE}")])?;
    Ok(record["data"].clone())
}

/// How many broker groups the cluster's record says there are.
fn recorded_size(kubectl: &Kubectl) -> Result<u32> {
    let record = record(kubectl)?;
    let document = record[format!("document.broker.{BROKER}")].as_str().unwrap_or_default();
    let sizes = document.lines().filter_map(|line| line.trim().strip_prefix("size:"));
    sizes
        .filter_map(|size| size.trim().parse().ok())
        .next()
        .ok_or_else(|| LabError::new(format!("the record holds no Broker with a size: {record}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_is_found_among_the_agents_variables() {
        let spec = |env: Value| json!({"initContainers": [{"name": "rocketmq-agent", "env": env}]});
        let token = json!([{"name": "BROKER_ID", "value": "0"}, {"name": AWAITS, "value": "1a2b3c4d"}]);
        assert_eq!(awaited(&spec(token)).as_deref(), Some("1a2b3c4d"));
        assert_eq!(awaited(&spec(json!([]))), None);
        assert_eq!(awaited(&json!({})), None);
    }
}
