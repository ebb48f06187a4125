//! `scale broker --replicas`.

use super::{Prepared, broker_names, not_found, refuse_unfinished};
use crate::error::OpsError;
use crate::live::{LiveWorld, Unproved};
use crate::operations::known::Known;
use crate::operations::scale_replicas::{self, ScaleReplicas, ScaleReplicasRequest};
use crate::session::Session;

/// Makes the plan of `scale broker --replicas`.
///
/// # Errors
/// As [`super::apply()`].
pub async fn scale_replicas(session: &Session, request: &ScaleReplicasRequest) -> Result<Prepared, OpsError> {
    let world = session.world(Unproved::Refused);
    let known = Known::all(&world).await?;
    let has_it = |known: &&Known| known.brokers.iter().any(|broker| broker.name() == request.name);
    let Some(cluster) = known.iter().find(has_it) else {
        return Err(not_found("Broker", &request.name, session.namespace(), broker_names(&known)));
    };
    refuse_unfinished(session, cluster.cluster()).await?;
    let mut prepared = Prepared::new(session);
    add(&world, &mut prepared, cluster, request).await?;
    if prepared.is_nothing() {
        prepared.plan.unchanged.push(format!("broker/{}", request.name));
    }
    prepared.ask_whether();
    Ok(prepared)
}

/// Adds the operation, if there is something to do.
pub(super) async fn add(
    world: &LiveWorld,
    prepared: &mut Prepared,
    known: &Known,
    request: &ScaleReplicasRequest,
) -> Result<(), OpsError> {
    let Some(goal) = scale_replicas::goal(known, request)? else { return Ok(()) };
    let inventory = scale_replicas::gather(world, known, &goal).await?;
    let planned = scale_replicas::plan(&inventory, &goal)?;
    prepared.plan.warnings.extend(planned.warnings);
    prepared.objects.extend(planned.params.objects().cloned());
    prepared.add::<ScaleReplicas>(known.cluster(), &planned.params, planned.stays)
}
