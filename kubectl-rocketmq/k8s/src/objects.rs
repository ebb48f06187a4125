//! Kubernetes objects as the operations see them: identity, labels, and content as JSON. Pure.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::content;
use crate::names;

/// The kinds of objects that the plugin makes, reads whole, or lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// `v1`.
    ConfigMap,
    /// `coordination.k8s.io/v1`.
    Lease,
    /// `v1`.
    PersistentVolumeClaim,
    /// `policy/v1`.
    PodDisruptionBudget,
    /// `v1`.
    Secret,
    /// `v1`.
    Service,
    /// `apps/v1`.
    StatefulSet,
}

impl Kind {
    /// The kind as manifests spell it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Lease => "Lease",
            Self::PersistentVolumeClaim => "PersistentVolumeClaim",
            Self::PodDisruptionBudget => "PodDisruptionBudget",
            Self::Secret => "Secret",
            Self::Service => "Service",
            Self::StatefulSet => "StatefulSet",
        }
    }

    /// The group and version, `apps/v1`.
    #[must_use]
    pub fn api_version(self) -> &'static str {
        match self {
            Self::ConfigMap | Self::PersistentVolumeClaim | Self::Secret | Self::Service => "v1",
            Self::Lease => "coordination.k8s.io/v1",
            Self::PodDisruptionBudget => "policy/v1",
            Self::StatefulSet => "apps/v1",
        }
    }

    /// The name in the API's paths.
    #[must_use]
    pub(crate) fn plural(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmaps",
            Self::Lease => "leases",
            Self::PersistentVolumeClaim => "persistentvolumeclaims",
            Self::PodDisruptionBudget => "poddisruptionbudgets",
            Self::Secret => "secrets",
            Self::Service => "services",
            Self::StatefulSet => "statefulsets",
        }
    }

    fn from_str(kind: &str) -> Option<Self> {
        [
            Self::ConfigMap,
            Self::Lease,
            Self::PersistentVolumeClaim,
            Self::PodDisruptionBudget,
            Self::Secret,
            Self::Service,
            Self::StatefulSet,
        ]
        .into_iter()
        .find(|known| known.as_str() == kind)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A manifest that is not an object of a [`Kind`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an object that this program makes: {0}")]
pub struct NotAnObject(String);

/// An object, wanted or as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Its annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Finalizers and owner references: others' marks, kept when the object is replaced.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub marks: Map<String, Value>,
    /// The state of the object that was read; `None` for a wanted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_version: Option<String>,
    /// Which object of that name it is; `None` for a wanted one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Counts the changes of the spec, where the kind has one; a change of the status leaves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Everything else but the status: `spec`, `data`, ...
    pub content: Map<String, Value>,
}

const MARKS: [&str; 2] = ["finalizers", "ownerReferences"];

impl Object {
    /// A wanted object without labels and content.
    #[must_use]
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            marks: Map::new(),
            resource_version: None,
            uid: None,
            generation: None,
            content: Map::new(),
        }
    }

    /// Sets the labels.
    #[must_use]
    pub fn with_labels(mut self, labels: BTreeMap<String, String>) -> Self {
        self.labels = labels;
        self
    }

    /// Sets one top-level field, `spec` or `data`.
    #[must_use]
    pub fn with_field(mut self, field: &str, value: Value) -> Self {
        self.content.insert(field.to_owned(), value);
        self
    }

    /// From a manifest or an answer of the API; the status and what the server keeps for itself are left out.
    ///
    /// # Errors
    /// When it has no name or a kind that this program does not make.
    pub fn from_manifest(manifest: Value) -> Result<Self, NotAnObject> {
        let Value::Object(mut content) = manifest else { return Err(NotAnObject("not a map".to_owned())) };
        let kind =
            content.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        let kind = Kind::from_str(&kind).ok_or_else(|| NotAnObject(format!("kind `{kind}`")))?;
        content.remove("apiVersion");
        content.remove("status");
        let Some(Value::Object(mut metadata)) = content.remove("metadata") else {
            return Err(NotAnObject(format!("a {kind} without metadata")));
        };
        let text = |metadata: &Map<String, Value>, key: &str| {
            metadata.get(key).and_then(Value::as_str).map(str::to_owned)
        };
        let texts = |metadata: &Map<String, Value>, key: &str| {
            metadata.get(key).and_then(|value| BTreeMap::deserialize(value).ok()).unwrap_or_default()
        };
        Ok(Self {
            kind,
            namespace: text(&metadata, "namespace").unwrap_or_default(),
            name: text(&metadata, "name").ok_or_else(|| NotAnObject(format!("a {kind} without a name")))?,
            labels: texts(&metadata, "labels"),
            annotations: texts(&metadata, "annotations"),
            resource_version: text(&metadata, "resourceVersion"),
            uid: text(&metadata, "uid"),
            generation: metadata.get("generation").and_then(Value::as_i64),
            marks: MARKS.iter().filter_map(|key| Some(((*key).to_owned(), metadata.remove(*key)?))).collect(),
            content,
        })
    }

    /// The manifest that the API takes.
    #[must_use]
    pub fn to_manifest(&self) -> Value {
        let mut metadata = Map::new();
        metadata.insert("name".to_owned(), json!(self.name));
        metadata.insert("namespace".to_owned(), json!(self.namespace));
        if !self.labels.is_empty() {
            metadata.insert("labels".to_owned(), json!(self.labels));
        }
        if !self.annotations.is_empty() {
            metadata.insert("annotations".to_owned(), json!(self.annotations));
        }
        if let Some(uid) = &self.uid {
            metadata.insert("uid".to_owned(), json!(uid));
        }
        if let Some(version) = &self.resource_version {
            metadata.insert("resourceVersion".to_owned(), json!(version));
        }
        metadata.extend(self.marks.clone());
        let mut manifest = Map::new();
        manifest.insert("apiVersion".to_owned(), json!(self.kind.api_version()));
        manifest.insert("kind".to_owned(), json!(self.kind.as_str()));
        manifest.insert("metadata".to_owned(), Value::Object(metadata));
        manifest.extend(self.content.clone());
        Value::Object(manifest)
    }

    /// The object in messages, `StatefulSet/demo`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }

    /// True when this program made it.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.labels.get(names::LABEL_MANAGED_BY).is_some_and(|manager| manager == names::MANAGER)
    }

    /// True when this object, as it was read, has everything that a wanted one asks for. What the server fills in
    /// does not count.
    #[must_use]
    pub fn has_content_of(&self, wanted: &Self) -> bool {
        let has = |present: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>| {
            wanted.iter().all(|(key, value)| present.get(key) == Some(value))
        };
        has(&self.labels, &wanted.labels)
            && has(&self.annotations, &wanted.annotations)
            && content::contains(&self.content, &wanted.content)
    }

    /// True when `present` is this object, changed since in nothing but its status.
    pub(crate) fn is_same_but_status(&self, present: &Self) -> bool {
        self.uid.is_some()
            && self.uid == present.uid
            && self.generation.is_some()
            && self.generation == present.generation
    }

    /// This wanted object as a replacement of `present`, which must not have changed since.
    #[must_use]
    pub fn at_version_of(mut self, present: &Self) -> Self {
        self.resource_version.clone_from(&present.resource_version);
        self.uid.clone_from(&present.uid);
        self.generation = present.generation;
        for (key, mark) in &present.marks {
            self.marks.entry(key.clone()).or_insert_with(|| mark.clone());
        }
        self
    }

    /// This object as a new one of its name.
    #[must_use]
    pub fn without_identity(mut self) -> Self {
        self.resource_version = None;
        self.uid = None;
        self.generation = None;
        self.marks.clear();
        self
    }

    /// `spec.replicas`.
    #[must_use]
    pub fn replicas(&self) -> Option<u32> {
        let replicas = self.content.get("spec")?.get("replicas")?.as_u64()?;
        u32::try_from(replicas).ok()
    }

    /// The same object with other replicas.
    #[must_use]
    pub fn with_replicas(mut self, replicas: u32) -> Self {
        let spec = self.content.entry("spec").or_insert_with(|| json!({}));
        if let Value::Object(spec) = spec {
            spec.insert("replicas".to_owned(), json!(replicas));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stateful_set() -> Value {
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {
                "name": "demo", "namespace": "mq", "uid": "u1", "resourceVersion": "7", "generation": 3,
                "creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [{"manager": "x"}],
                "labels": {"app.kubernetes.io/managed-by": "kubectl-rocketmq"},
                "finalizers": ["example.org/keep"],
            },
            "spec": {"replicas": 1, "serviceName": "demo"},
            "status": {"replicas": 1},
        })
    }

    #[test]
    fn an_answer_becomes_an_object_and_a_manifest_without_what_the_server_keeps() {
        let object = Object::from_manifest(stateful_set()).unwrap();
        assert_eq!(object.reference(), "StatefulSet/demo");
        assert!(object.is_managed());
        assert_eq!(object.replicas(), Some(1));
        assert_eq!(
            object.to_manifest(),
            json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": {
                    "name": "demo", "namespace": "mq", "uid": "u1", "resourceVersion": "7",
                    "labels": {"app.kubernetes.io/managed-by": "kubectl-rocketmq"},
                    "finalizers": ["example.org/keep"],
                },
                "spec": {"replicas": 1, "serviceName": "demo"},
            })
        );
    }

    #[test]
    fn an_object_survives_the_journal() {
        let object = Object::from_manifest(stateful_set()).unwrap();
        let stored = serde_json::to_string(&object).unwrap();
        assert_eq!(serde_json::from_str::<Object>(&stored).unwrap(), object);
    }

    #[test]
    fn a_replacement_keeps_the_marks_of_others_and_a_new_object_has_none() {
        let present = Object::from_manifest(stateful_set()).unwrap();
        let wanted = Object::new(Kind::StatefulSet, "mq", "demo").with_field("spec", json!({"replicas": 2}));
        let replacement = wanted.at_version_of(&present);
        assert_eq!(replacement.resource_version.as_deref(), Some("7"));
        assert_eq!(replacement.marks, present.marks);
        let again = present.clone().without_identity();
        assert_eq!((again.uid, again.resource_version, again.marks), (None, None, Map::new()));
        assert_eq!(present.with_replicas(3).replicas(), Some(3));
    }

    #[test]
    fn labels_and_annotations_that_differ_are_no_content_of_it() {
        let mut present = Object::from_manifest(stateful_set()).unwrap();
        present.labels.insert("a".to_owned(), "1".to_owned());
        let wanted = Object::from_manifest(stateful_set()).unwrap();
        assert!(present.has_content_of(&wanted));
        assert!(!wanted.has_content_of(&present));
    }

    #[test]
    fn other_kinds_are_refused_by_name() {
        let error = Object::from_manifest(json!({"kind": "Pod", "metadata": {"name": "a"}})).unwrap_err();
        assert_eq!(error.to_string(), "not an object that this program makes: kind `Pod`");
    }
}
