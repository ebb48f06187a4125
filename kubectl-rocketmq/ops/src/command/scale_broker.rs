//! `scale broker`.

use super::{Prepared, broker_names, not_found, refuse_unfinished};
use crate::error::OpsError;
use crate::live::{LiveWorld, Unproved};
use crate::operations::known::Known;
use crate::operations::scale_broker::{self, ScaleBroker, ScaleBrokerRequest};
use crate::operations::scale_broker_in::{self, ScaleBrokerIn};
use crate::session::Session;

/// Makes the plan of `scale broker`.
///
/// # Errors
/// As [`super::apply()`].
pub async fn scale_broker(session: &Session, request: &ScaleBrokerRequest) -> Result<Prepared, OpsError> {
    let world = session.world(Unproved::Refused);
    let known = Known::all(&world).await?;
    let has_it = |known: &&Known| known.brokers.iter().any(|broker| broker.name() == request.name);
    let Some(cluster) = known.iter().find(has_it) else {
        return Err(not_found("Broker", &request.name, session.namespace(), broker_names(&known)));
    };
    refuse_unfinished(session, cluster.cluster()).await?;
    let mut prepared = Prepared::new(session);
    let abandons = add(&world, &mut prepared, cluster, request).await?;
    if prepared.is_nothing() {
        prepared.plan.unchanged.push(format!("broker/{}", request.name));
    }
    prepared.ask_whether();
    prepared.ask_how_many(abandons);
    Ok(prepared)
}

/// Adds the operation, if there is something to do. Gives how many messages it abandons.
pub(super) async fn add(
    world: &LiveWorld,
    prepared: &mut Prepared,
    known: &Known,
    request: &ScaleBrokerRequest,
) -> Result<u64, OpsError> {
    let Some(goal) = scale_broker::goal(known, request)? else { return Ok(0) };
    if goal.to < goal.from {
        let inventory = scale_broker_in::gather(world, known, &goal).await?;
        let planned = scale_broker_in::plan(&inventory, &goal, request)?;
        let abandons = planned.abandons();
        prepared.plan.warnings.extend(planned.warnings);
        prepared.add::<ScaleBrokerIn>(known.cluster(), &planned.params, planned.stays)?;
        return Ok(abandons);
    }
    let inventory = scale_broker::gather(world, known, &goal, request).await?;
    let token = format!("{:08x}", rand::random::<u32>());
    let planned = scale_broker::plan(&inventory, &goal, request, &token)?;
    prepared.plan.warnings.extend(planned.warnings);
    prepared.objects.extend(planned.params.objects().cloned());
    prepared.add::<ScaleBroker>(known.cluster(), &planned.params, planned.stays)?;
    Ok(0)
}
