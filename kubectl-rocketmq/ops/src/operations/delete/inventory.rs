//! What of a cluster is there before it, or a part of it, is deleted. Reads only.

use std::collections::BTreeMap;

use k8s::names;
use k8s::objects::{Kind, Object};
use serde_json::Value;

use crate::error::OpsError;
use crate::operations::known::Known;
use crate::steps::objects::ObjectName;
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The cluster.
    pub known: Known,
    /// Every object of the record's inventory that exists.
    pub objects: BTreeMap<ObjectName, Present>,
}

/// An object that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    /// Its part in the cluster, as its label says.
    pub component: String,
    /// The Broker that it belongs to, as its label says.
    pub broker: Option<String>,
    /// Where data lie that stay when it is gone, one sentence each.
    pub keeps: Vec<String>,
    /// True when data are lost with its pods.
    pub loses_data: bool,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn gather<W: World>(world: &W, known: &Known) -> Result<Inventory, OpsError> {
    let mut objects = BTreeMap::new();
    for reference in &known.record.inventory {
        let name = object_name(reference).ok_or_else(|| {
            OpsError::failed(format!(
                "the record of cluster `{}` lists `{reference}`, which this version does not know",
                known.cluster()
            ))
        })?;
        if let Some(object) = world.object(name.kind, &name.name).await? {
            objects.insert(name, present(&object));
        }
    }
    Ok(Inventory { known: known.clone(), objects })
}

/// `StatefulSet/demo` as kind and name.
pub(crate) fn object_name(reference: &str) -> Option<ObjectName> {
    let (kind, name) = reference.split_once('/')?;
    let kind: Kind = serde_json::from_value(Value::from(kind)).ok()?;
    Some(ObjectName { kind, name: name.to_owned() })
}

/// What becomes of an object's data when it is deleted.
pub(crate) fn present(object: &Object) -> Present {
    let label = |key: &str| object.labels.get(key).cloned();
    let mut present = Present {
        component: label(names::LABEL_COMPONENT).unwrap_or_default(),
        broker: label(names::LABEL_BROKER),
        ..Present::default()
    };
    if object.kind != Kind::StatefulSet {
        return present;
    }
    let at = |path: &str| object.content.get("spec").and_then(|spec| spec.pointer(path));
    let each = |path: &str| at(path).and_then(Value::as_array).into_iter().flatten();
    for template in each("/volumeClaimTemplates") {
        let name = template.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        for ordinal in 0..object.replicas().unwrap_or(0) {
            let claim = names::claim(name, &names::pod(&object.name, ordinal));
            present.keeps.push(format!("PersistentVolumeClaim/{claim}"));
        }
    }
    let data: Vec<&Value> = each("/template/spec/volumes")
        .filter(|volume| volume.get("name").and_then(Value::as_str) == Some(names::VOLUME_DATA))
        .collect();
    for volume in data {
        match volume.pointer("/hostPath/path").and_then(Value::as_str) {
            Some(path) => {
                present.keeps.push(format!("folder {path} on the nodes (StatefulSet/{})", object.name))
            }
            None => present.loses_data |= volume.get("emptyDir").is_some(),
        }
    }
    present
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn data_on_claims_and_folders_stay_and_those_in_pods_do_not() {
        let check = |spec: Value, keeps: &[&str], loses_data: bool| {
            let object = Object::new(Kind::StatefulSet, "mq", "demo").with_field("spec", spec);
            let present = present(&object);
            assert_eq!(
                (present.keeps, present.loses_data),
                (keeps.iter().map(|k| (*k).to_owned()).collect(), loses_data)
            );
        };
        check(
            json!({"replicas": 2, "volumeClaimTemplates": [{"metadata": {"name": "broker-storage"}}]}),
            &["PersistentVolumeClaim/broker-storage-demo-0", "PersistentVolumeClaim/broker-storage-demo-1"],
            false,
        );
        let pod = |volume: Value| json!({"replicas": 1, "template": {"spec": {"volumes": [volume]}}});
        check(
            pod(json!({"name": names::VOLUME_DATA, "hostPath": {"path": "/data/rocketmq"}})),
            &["folder /data/rocketmq on the nodes (StatefulSet/demo)"],
            false,
        );
        check(pod(json!({"name": names::VOLUME_DATA, "emptyDir": {}})), &[], true);
        check(pod(json!({"name": "other", "emptyDir": {}})), &[], false);
    }

    #[test]
    fn references_are_objects_of_kinds_that_are_known() {
        let check = |reference: &str, expect: Option<(Kind, &str)>| {
            let expect = expect.map(|(kind, name)| ObjectName { kind, name: name.to_owned() });
            assert_eq!(object_name(reference), expect);
        };
        check("StatefulSet/demo", Some((Kind::StatefulSet, "demo")));
        check("Pod/demo", None);
        check("demo", None);
    }
}
