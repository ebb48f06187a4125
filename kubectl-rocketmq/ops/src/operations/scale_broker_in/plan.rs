//! From an inventory to the parameters of the operation, or to the reason why not. Pure.

use std::collections::BTreeSet;

use k8s::kinds::Broker;
use rocketmq::model::backlog::{Kind, Row};

use super::{Inventory, Params};
use crate::error::OpsError;
use crate::operations::groups::proof_of;
use crate::operations::known::document_key;
use crate::operations::scale_broker::{Goal, ScaleBrokerRequest};
use crate::steps::broker_groups::OldData;
use crate::steps::broker_groups::held::{Held, messages, table};

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The operation.
    pub params: Params,
    /// What the user should know before.
    pub warnings: Vec<String>,
    /// Data that stay where they are, one sentence each.
    pub stays: Vec<String>,
}

impl Planned {
    /// How many messages are abandoned.
    #[must_use]
    pub fn abandons(&self) -> u64 {
        messages(&self.params.abandoned)
    }
}

/// Makes the plan.
///
/// # Errors
/// `Usage` for what only more groups can have, `Refused` when a guard refuses.
pub fn plan(inventory: &Inventory, goal: &Goal, request: &ScaleBrokerRequest) -> Result<Planned, OpsError> {
    let Some(broker) = goal.broker() else {
        return Err(OpsError::failed(format!("{} has no groups", goal.document.reference())));
    };
    check_request(request)?;
    check_places(inventory, broker)?;
    let abandoned = abandoned(inventory, broker, request)?;
    let known = &inventory.known;
    let clusters = inventory.groups.iter().map(|leaving| leaving.broker_cluster.clone());
    let params = Params {
        followers: known.clone().resized_broker(&goal.document).followers(),
        broker: broker.metadata.name.clone(),
        from: goal.from,
        to: goal.to,
        groups: inventory.groups.iter().map(|leaving| leaving.group.clone()).collect(),
        broker_cluster: clusters.collect::<BTreeSet<_>>().pop_first().unwrap_or_default(),
        name_servers: known.name_server_set(),
        drain_timeout_seconds: request.drain.timeout.as_secs(),
        abandoned,
        client_route_period_seconds: request.route_period,
        proof: proof_of(known),
        document: (document_key(&goal.document), goal.document.yaml().to_owned()),
    };
    Ok(Planned { params, warnings: warnings(inventory, request), stays: stays(inventory) })
}

fn check_request(request: &ScaleBrokerRequest) -> Result<(), OpsError> {
    let given = [
        (request.from.is_some(), "--from"),
        (request.include_ordered, "--include-ordered"),
        (request.old_data != OldData::Refuse, "--old-data"),
    ];
    match given.into_iter().find(|(given, _)| *given) {
        Some((_, flag)) => Err(OpsError::usage(format!("`{flag}` is for more broker groups, not for fewer"))),
        None => Ok(()),
    }
}

fn check_places(inventory: &Inventory, broker: &Broker) -> Result<(), OpsError> {
    let gaps: Vec<String> =
        inventory.matrix.iter().flat_map(|matrix| &matrix.gaps).map(ToString::to_string).collect();
    if !gaps.is_empty() {
        return Err(refused(
            inventory,
            broker,
            "the routes are not whole, so clients may need those that leave",
        )
        .causes(gaps));
    }
    if !inventory.foreign.is_empty() {
        let foreign = inventory.foreign.iter();
        return Err(refused(inventory, broker, "not everything of them was made by kubectl rocketmq")
            .causes(foreign.map(|object| format!("{object} is somebody else's"))));
    }
    let unknown: Vec<String> = inventory
        .groups
        .iter()
        .flat_map(|leaving| {
            let told = |what: &String| format!("`{}` does not tell {what}", leaving.group.name);
            leaving.backlog.unknown.iter().map(told)
        })
        .collect();
    if !unknown.is_empty() {
        return Err(refused(
            inventory,
            broker,
            "it is not known whether somebody still wants their messages",
        )
        .causes(unknown));
    }
    Ok(())
}

/// What nobody is there to consume, which only the user can let go of.
fn abandoned(
    inventory: &Inventory,
    broker: &Broker,
    request: &ScaleBrokerRequest,
) -> Result<Vec<Held>, OpsError> {
    let rows = inventory
        .groups
        .iter()
        .flat_map(|leaving| Held::all(&leaving.group.name, leaving.backlog.rows.clone()));
    let staying: Vec<Held> = rows.filter(Held::stays).collect();
    let count = messages(&staying);
    let rows = (!staying.is_empty()).then(|| format!("nobody is there to consume:\n{}", table(&staying)));
    let size = request.size;
    let (name, namespace) = (&broker.metadata.name, &inventory.known.namespace);
    let force = format!(
        "kubectl rocketmq scale broker {name} --size {size} --force --abandon={count} -n {namespace}"
    );
    if !staying.is_empty() && !request.drain.force {
        let mut helps = Vec::new();
        if staying.iter().any(|held| !held.is_dead()) {
            helps.push("what a group has not read its consumers read when they run again".to_owned());
        }
        if staying.iter().any(Held::is_dead) {
            helps.push("dead letters stay where they are, also when somebody has read them".to_owned());
        }
        return Err(refused(
            inventory,
            broker,
            &format!("{count} message(s) of those that leave would be lost"),
        )
        .causes(rows)
        .causes(helps)
        .hint(format!("to lose them: {force}")));
    }
    if let Some(expected) = request.drain.abandon.filter(|expected| *expected != count) {
        let message = format!("`--abandon={expected}` does not fit: {count} message(s) would be abandoned");
        return Err(refused(inventory, broker, &message).causes(rows).hint(force));
    }
    // The journal keeps them: who was connected is of no use by then.
    let bare =
        |held: Held| Held { row: Row { clients: Vec::new(), detail: String::new(), ..held.row }, ..held };
    Ok(staying.into_iter().map(bare).collect())
}

fn warnings(inventory: &Inventory, request: &ScaleBrokerRequest) -> Vec<String> {
    let mut warnings = Vec::new();
    let quiet = request.route_period.quiet_for().as_secs();
    for leaving in &inventory.groups {
        let broadcasts = leaving.backlog.rows.iter().filter(|row| row.kind == Kind::Broadcast);
        warnings.extend(broadcasts.map(|Row { group, topic, .. }| {
            format!(
                "group `{group}` reads `{topic}` of `{}` by broadcast, so what its members have read is known to them \
                 alone: they have {quiet}s after the last message",
                leaving.group.name
            )
        }));
        let lost = leaving.objects.iter().filter(|(_, present)| present.loses_data);
        warnings.extend(lost.map(|(object, _)| format!("data in the pods of {object} go with them")));
    }
    warnings
}

fn stays(inventory: &Inventory) -> Vec<String> {
    let objects = inventory.groups.iter().flat_map(|leaving| &leaving.objects);
    objects.flat_map(|(_, present)| &present.keeps).map(|place| format!("data in {place}")).collect()
}

fn refused(inventory: &Inventory, broker: &Broker, message: &str) -> OpsError {
    let known = &inventory.known;
    OpsError::refused(format!("broker groups of `{}` are not scaled in: {message}", broker.metadata.name))
        .hint(format!("kubectl rocketmq status {} -n {}", known.cluster(), known.namespace))
}
