//! From an inventory and what shall go to the operation, or to the reason why not. Pure.

use std::collections::BTreeSet;

use k8s::names;
use k8s::objects::Kind;

use super::{Inventory, Params, Present, by_name};
use crate::error::OpsError;
use crate::operations::known::document_key;
use crate::steps::objects::ObjectName;

/// What shall go of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// Its name servers.
    pub name_service: bool,
    /// Its Brokers of these names.
    pub brokers: BTreeSet<String>,
    /// Its ConfigMaps of these names.
    pub config_maps: BTreeSet<String>,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The operation.
    pub params: Params,
    /// True when nothing of the cluster is left.
    pub whole: bool,
    /// Data that stay, one sentence each.
    pub stays: Vec<String>,
    /// StatefulSets whose data are lost.
    pub loses_data_of: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// `Refused`, when what stays would have no name servers.
pub fn plan(inventory: &Inventory, target: &Target) -> Result<Planned, OpsError> {
    let known = &inventory.known;
    let stay: Vec<String> = known
        .brokers
        .iter()
        .filter(|document| !target.brokers.contains(document.name()))
        .map(|document| document.name().to_owned())
        .collect();
    if target.name_service && !stay.is_empty() {
        let brokers: Vec<String> = stay.iter().map(|name| format!("Broker/{name}")).collect();
        return Err(OpsError::refused(format!(
            "NameService/{} still serves {}",
            known.cluster(),
            brokers.join(", ")
        ))
        .hint(format!("kubectl rocketmq delete broker {} -n {}", stay[0], known.namespace)));
    }
    let whole = stay.is_empty() && (target.name_service || known.name_service.is_none());
    let goes = |name: &ObjectName, present: &Present| {
        whole
            || match present.component.as_str() {
                names::COMPONENT_NAME_SERVER => target.name_service,
                names::COMPONENT_BROKER => {
                    present.broker.as_ref().is_some_and(|broker| target.brokers.contains(broker))
                }
                _ => name.kind == Kind::ConfigMap && target.config_maps.contains(&name.name),
            }
    };
    let going = inventory
        .objects
        .iter()
        .filter(|(name, present)| goes(name, present))
        .map(|(name, present)| (name.clone(), present.clone()))
        .collect();
    let is = |kind: Kind, component: &'static str| {
        by_name(&going, move |present| present.component == component)
            .into_iter()
            .filter(|name| name.kind == kind)
            .collect::<Vec<_>>()
    };
    let brokers = is(Kind::StatefulSet, names::COMPONENT_BROKER);
    let name_servers = is(Kind::StatefulSet, names::COMPONENT_NAME_SERVER);
    let others = by_name(&going, |_| true)
        .into_iter()
        .filter(|name| !brokers.contains(name) && !name_servers.contains(name))
        .collect();
    let params = Params {
        cluster: known.cluster().to_owned(),
        documents: documents(inventory, target, whole),
        brokers,
        name_servers,
        others,
        leaves: going.keys().map(ToString::to_string).collect(),
    };
    Ok(Planned {
        whole,
        stays: going.values().flat_map(|present| present.keeps.clone()).collect(),
        loses_data_of: going
            .iter()
            .filter(|(_, present)| present.loses_data)
            .map(|(name, _)| name.to_string())
            .collect(),
        params,
    })
}

/// Keys of the documents that go.
fn documents(inventory: &Inventory, target: &Target, whole: bool) -> Vec<String> {
    let known = &inventory.known;
    if whole {
        return known.record.documents.keys().cloned().collect();
    }
    let mut keys: Vec<String> = known
        .brokers
        .iter()
        .filter(|document| target.brokers.contains(document.name()))
        .map(document_key)
        .collect();
    if target.name_service {
        keys.extend(known.name_service.as_ref().map(document_key));
    }
    let config_maps = target.config_maps.iter().map(|name| format!("configmap/{name}"));
    keys.extend(config_maps.filter(|key| known.record.documents.contains_key(key)));
    keys
}
