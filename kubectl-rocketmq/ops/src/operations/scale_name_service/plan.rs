//! From an inventory to the parameters of the operation, or to the reason why not. Pure.

use k8s::kinds::{Content, Document, HostNetworkPods, host_network_refusal};

use crate::clients::RoutePeriod;
use crate::error::OpsError;
use crate::matrix::Gap;
use crate::operations::known::{document_key, source_like};
use crate::operations::scale_name_service::{Inventory, Params};

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The operation; `None` when the cluster has this size already.
    pub params: Option<Params>,
    /// What the user should know before.
    pub warnings: Vec<String>,
}

/// Makes the plan.
///
/// # Errors
/// `Usage` for a size of 0, `Refused` when a guard refuses.
pub fn plan(inventory: &Inventory, size: u32, route_period: RoutePeriod) -> Result<Planned, OpsError> {
    let known = &inventory.known;
    let cluster = known.cluster();
    let Some(name_service) = &known.name_service else {
        return Err(OpsError::refused(format!(
            "the brokers of cluster `{cluster}` follow name servers that kubectl rocketmq does not manage"
        )));
    };
    if size == 0 {
        return Err(OpsError::usage(
            "the size must be at least 1: the last name server of a cluster is never removed",
        ));
    }
    let (from, to) = (inventory.replicas, size);
    let recorded = known.record.name_servers.as_ref().map_or(0, |list| list.name_servers.len());
    let noted = known.name_service_fields().map(|name_service| name_service.size);
    if from == to && recorded == to as usize && noted == Some(to) {
        return Ok(Planned { params: None, warnings: Vec::new() });
    }
    let document = name_service.with_size(to).map_err(|error| OpsError::usage(error.message))?;
    if let Some(reason) = no_room(&document, inventory.schedulable_nodes) {
        return Err(OpsError::refused(reason));
    }
    let grows = to > from || (to == from && recorded < to as usize);
    let mut warnings = Vec::new();
    if grows {
        check_out(inventory, &mut warnings)?
    } else {
        check_in(inventory, &mut warnings)?
    }
    let stateful_set = known.name_server_set().unwrap_or_default();
    let params = Params {
        followers: known.followers(),
        source: source_like(known.record.name_servers.as_ref(), &stateful_set, &known.namespace, to),
        stateful_set,
        from,
        to,
        grows,
        client_route_period_seconds: route_period,
        document: (document_key(&document), document.yaml().to_owned()),
    };
    Ok(Planned { params: Some(params), warnings })
}

/// Why the pods of the new size do not fit on the nodes, where each takes one.
fn no_room(document: &Document, schedulable_nodes: Option<usize>) -> Option<String> {
    let Content::NameService(name_service) = &document.content else { return None };
    let pods = HostNetworkPods::of_name_service(name_service)?;
    host_network_refusal(&pods, u32::try_from(schedulable_nodes?).unwrap_or(u32::MAX))
}

/// A broker whose agent cannot be asked cannot be given the list; everything else heals on the way.
fn check_out(inventory: &Inventory, warnings: &mut Vec<String>) -> Result<(), OpsError> {
    let silent = |gap: &&Gap| matches!(gap, Gap::BrokerSilent { .. });
    let causes: Vec<String> = inventory.matrix.gaps.iter().filter(silent).map(ToString::to_string).collect();
    if !causes.is_empty() {
        return Err(refused(inventory, "not every broker can be given a longer list now").causes(causes));
    }
    warnings.extend(inventory.matrix.gaps.iter().map(|gap| format!("the routes are not whole now: {gap}")));
    Ok(())
}

/// What the leaving name servers know must be known by those that stay.
fn check_in(inventory: &Inventory, warnings: &mut Vec<String>) -> Result<(), OpsError> {
    if !inventory.matrix.is_whole() {
        let causes = inventory.matrix.gaps.iter().map(ToString::to_string);
        return Err(refused(inventory, "the name servers that stay do not know everything").causes(causes));
    }
    for (pod, strangers) in &inventory.strangers {
        match strangers {
            Ok(strangers) => warnings.extend(strangers.iter().map(|(host, connections)| {
                format!(
                    "{host} has {connections} connection(s) to leaving name server `{pod}` and is no broker: \
                     it must list a name server that stays"
                )
            })),
            Err(reason) => {
                warnings
                    .push(format!("who is connected to leaving name server `{pod}` is not known: {reason}"));
            }
        }
    }
    Ok(())
}

fn refused(inventory: &Inventory, message: &str) -> OpsError {
    let cluster = inventory.known.cluster();
    OpsError::refused(format!("name servers of `{cluster}` are not scaled: {message}"))
        .hint(format!("kubectl rocketmq status {cluster} -n {}", inventory.known.namespace))
}
