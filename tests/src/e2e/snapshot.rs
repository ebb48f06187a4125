//! The objects of a namespace at one moment: what was written of them, not what Kubernetes reports of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::e2e::java::CLIENT;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::e2e::watch::ensure;
use crate::error::Result;

/// What a cluster is made of, and its claims.
const KINDS: &str =
    "statefulsets,pods,services,poddisruptionbudgets,secrets,configmaps,leases,persistentvolumeclaims";

/// Journals are told apart by what they tell, see [`crate::e2e::journal`].
const NO_JOURNALS: &str = "app.kubernetes.io/component!=journal";

/// The label of everything that the plugin makes.
const OURS: &str = "app.kubernetes.io/managed-by=kubectl-rocketmq";

/// The container of an agent, which may die without harm.
const AGENT_CONTAINER: &str = "rocketmq-agent";

/// Which operation changes a cluster, so it changes with each of them, also with one that is undone.
const LEASE: &str = "Lease";

/// The key of a record that holds the list of name servers.
const LIST: &str = "name-servers";

/// The objects by kind and name.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot(BTreeMap<String, Object>);

/// One object.
#[derive(Debug, Clone, PartialEq)]
struct Object {
    /// Who it is, what it holds, and for a pod the runs of RocketMQ's containers.
    content: Value,
    /// What each write moves, also one that was taken back, and for a pod the runs of all containers.
    version: Value,
}

impl Snapshot {
    /// Of what the plugin has made; not of the clients of a test, which come and go.
    ///
    /// # Errors
    /// When the objects cannot be listed.
    pub fn of_cluster(kubectl: &Kubectl) -> Result<Self> {
        Self::of(kubectl, &format!("{OURS},{NO_JOURNALS}"))
    }

    /// Of everything in the namespace but journals and the clients of a test.
    ///
    /// # Errors
    /// When the objects cannot be listed.
    pub fn of_namespace(kubectl: &Kubectl) -> Result<Self> {
        Self::of(kubectl, &format!("{NO_JOURNALS},{}!={}", CLIENT.0, CLIENT.1))
    }

    fn of(kubectl: &Kubectl, label: &str) -> Result<Self> {
        let list = kubectl.json(&["get", KINDS, "-l", label, "--show-managed-fields"])?;
        let objects = list["items"].as_array().into_iter().flatten();
        Ok(Self(objects.map(|object| (reference(object), Object::of(object))).collect()))
    }

    /// Demands that nobody has written anything since, nothing was made or deleted, and no container was restarted.
    ///
    /// # Errors
    /// When something was.
    pub fn is_unwritten(&self, now: &Self) -> Result<()> {
        self.compare(now, |_| true, |object| json!({"content": object.content, "version": object.version}))
    }

    /// Demands that each object is what it was, though it may have been written and written back, that there are no
    /// others, and that no RocketMQ was restarted.
    ///
    /// # Errors
    /// When one is another one, or holds something else.
    pub fn is_restored(&self, now: &Self) -> Result<()> {
        self.compare(now, |name| !name.starts_with(LEASE), |object| object.content.clone())
    }

    fn compare(
        &self,
        now: &Self,
        counts: impl Fn(&str) -> bool,
        seen: impl Fn(&Object) -> Value,
    ) -> Result<()> {
        let values = |snapshot: &Self| -> Value {
            let objects = snapshot.0.iter().filter(|(name, _)| counts(name));
            objects.map(|(name, object)| (name.clone(), seen(object))).collect::<Map<_, _>>().into()
        };
        let mut differences = Vec::new();
        differ("", Some(&values(self)), Some(&values(now)), &mut differences);
        ensure(differences.is_empty(), || format!("objects are not as before:\n{}", differences.join("\n")))
    }
}

fn reference(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&object["kind"]), text(&object["metadata"]["name"]))
}

impl Object {
    fn of(object: &Value) -> Self {
        let mut content = object.as_object().cloned().unwrap_or_default();
        content.remove("status");
        if object["kind"] == "Secret" {
            content.insert("data".to_owned(), Sha256::digest(object["data"].to_string()).to_vec().into());
        }
        if let Some(metadata) = content.get_mut("metadata").and_then(Value::as_object_mut) {
            for moved in ["resourceVersion", "generation", "managedFields"] {
                metadata.remove(moved);
            }
        }
        if let Some(list) = content.get_mut("data").and_then(|data| data.get_mut(LIST)) {
            *list = without_generation(list);
        }
        // Where controllers report a status, each report is a new version: only the writes of the rest count.
        let fields = object["metadata"]["managedFields"].as_array().into_iter().flatten();
        let writes: Vec<&Value> = fields.filter(|entry| entry["subresource"].is_null()).collect();
        let mut version = match object.get("status") {
            None => json!({"resourceVersion": object["metadata"]["resourceVersion"]}),
            Some(_) => json!({"generation": object["metadata"]["generation"], "writes": writes}),
        };
        if object["kind"] == "Pod" {
            let mut runs: Map<String, Value> = Pod::from_json(object)
                .containers
                .into_iter()
                .map(|(name, run)| (name, json!({"id": run.id, "restarts": run.restarts})))
                .collect();
            version["runs"] = runs.clone().into();
            runs.remove(AGENT_CONTAINER);
            content.insert("runs".to_owned(), runs.into());
        }
        Self { content: content.into(), version }
    }
}

/// A list as agents are given it. Each has a generation above all former ones, also one that an undo brings back.
fn without_generation(list: &Value) -> Value {
    let mut parsed: Value =
        list.as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    match parsed.as_object_mut() {
        Some(fields) => {
            fields.remove("generation");
            parsed
        }
        None => list.clone(),
    }
}

/// Adds a line for each place at which two values differ.
fn differ(place: &str, before: Option<&Value>, after: Option<&Value>, lines: &mut Vec<String>) {
    if before == after {
        return;
    }
    if let (Some(Value::Object(before)), Some(Value::Object(after))) = (before, after) {
        for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
            differ(&format!("{place} {key}"), before.get(key), after.get(key), lines);
        }
        return;
    }
    let shown = |value: Option<&Value>| match value {
        None => "nothing".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(value) => value.to_string(),
    };
    lines.push(format!("{}: {} became {}", place.trim_start(), shown(before), shown(after)));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stateful_set() -> Value {
        let write =
            json!({"manager": "kubectl-rocketmq", "operation": "Apply", "time": "2026-11-29T18:00:00Z"});
        let report =
            json!({"manager": "controller", "subresource": "status", "time": "2026-11-29T18:00:01Z"});
        json!({
            "kind": "StatefulSet",
            "metadata": {
                "name": "broker-0-master", "uid": "u", "resourceVersion": "7", "generation": 1,
                "labels": {"a": "b"}, "managedFields": [write, report],
            },
            "spec": {"replicas": 1},
            "status": {"readyReplicas": 0},
        })
    }

    fn config_map() -> Value {
        json!({
            "kind": "ConfigMap",
            "metadata": {"name": "record", "uid": "v", "resourceVersion": "8"},
            "data": {"size": "1", "name-servers": list(3, "a:9876")},
        })
    }

    fn list(generation: u32, address: &str) -> String {
        json!({"generation": generation, "list": [{"address": address}]}).to_string()
    }

    fn pod() -> Value {
        let status = |name: &str, id: &str| json!({"name": name, "containerID": id, "restartCount": 0});
        json!({
            "kind": "Pod",
            "metadata": {"name": "broker-0-master-0", "uid": "w", "resourceVersion": "9"},
            "status": {
                "initContainerStatuses": [status("rocketmq-agent", "a")],
                "containerStatuses": [status("broker", "b")],
            },
        })
    }

    fn snapshot(objects: &[Value]) -> Snapshot {
        Snapshot(objects.iter().map(|object| (reference(object), Object::of(object))).collect())
    }

    /// A change of one object, and whether it is seen as a write, and as another state.
    type Row = (&'static str, fn() -> Value, &'static str, Value, (bool, bool));

    #[test]
    fn each_write_is_seen_and_no_report_of_kubernetes() {
        let rows: [Row; 14] = [
            ("a status", stateful_set, "/status/readyReplicas", json!(1), (false, false)),
            ("a report", stateful_set, "/metadata/managedFields/1/time", json!("later"), (false, false)),
            ("its version", stateful_set, "/metadata/resourceVersion", json!("9"), (false, false)),
            ("a template", stateful_set, "/spec/replicas", json!(2), (true, true)),
            ("a label", stateful_set, "/metadata/labels/a", json!("c"), (true, true)),
            ("another of its name", stateful_set, "/metadata/uid", json!("z"), (true, true)),
            ("written back", stateful_set, "/metadata/managedFields/0/time", json!("later"), (true, false)),
            ("written back", config_map, "/metadata/resourceVersion", json!("9"), (true, false)),
            ("data", config_map, "/data/size", json!("2"), (true, true)),
            ("a generation", config_map, "/data/name-servers", json!(list(4, "a:9876")), (true, false)),
            ("a list", config_map, "/data/name-servers", json!(list(4, "b:9876")), (true, true)),
            ("a restart", pod, "/status/containerStatuses/0/restartCount", json!(1), (true, true)),
            ("another container", pod, "/status/containerStatuses/0/containerID", json!("c"), (true, true)),
            ("an agent", pod, "/status/initContainerStatuses/0/restartCount", json!(1), (true, false)),
        ];
        for (what, object, pointer, value, (written, other)) in rows {
            let before = object();
            let mut after = before.clone();
            *after.pointer_mut(pointer).unwrap() = value;
            if pointer.starts_with("/data") {
                after["metadata"]["resourceVersion"] = json!("9");
            }
            let (before, after) = (snapshot(&[before]), snapshot(&[after]));
            assert_eq!(before.is_unwritten(&after).is_err(), written, "{what}");
            assert_eq!(before.is_restored(&after).is_err(), other, "{what}");
        }
    }

    #[test]
    fn what_came_and_what_went_is_told() {
        let (one, two) = (snapshot(&[config_map()]), snapshot(&[config_map(), stateful_set()]));
        for (before, after, told) in [(&one, &two, "nothing became"), (&two, &one, "became nothing")] {
            for seen in [before.is_unwritten(after), before.is_restored(after)] {
                let seen = seen.unwrap_err().to_string();
                assert!(seen.contains("StatefulSet/broker-0-master: ") && seen.contains(told), "{seen}");
            }
        }
    }

    #[test]
    fn a_lease_changes_with_each_operation() {
        let lease = |holder: &str| {
            let metadata = json!({"name": "rocketmq", "uid": "x", "resourceVersion": holder});
            json!({"kind": "Lease", "metadata": metadata, "spec": {"holderIdentity": holder}})
        };
        let (before, after) = (snapshot(&[lease("1")]), snapshot(&[lease("2")]));
        before.is_restored(&after).unwrap();
        assert!(before.is_unwritten(&after).is_err());
    }
}
