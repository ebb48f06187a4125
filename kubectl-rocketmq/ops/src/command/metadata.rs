//! `metadata import`.

use super::{Prepared, refuse_unfinished};
use crate::error::OpsError;
use crate::live::Unproved;
use crate::metadata::{Bundle, DiffReport};
use crate::operations::import_metadata::{self, ImportMetadata};
use crate::session::Session;

/// What `metadata import` shall do.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportMetadataRequest {
    /// The broker's pod.
    pub pod: String,
    /// What it shall have.
    pub bundle: Bundle,
}

/// Makes the plan of `metadata import`; also gives what differs, entry by entry.
///
/// # Errors
/// As [`super::apply()`].
pub async fn import_metadata(
    session: &Session,
    request: ImportMetadataRequest,
) -> Result<(Prepared, DiffReport), OpsError> {
    let world = session.world(Unproved::Refused);
    let pod = request.pod.clone();
    let inventory = import_metadata::gather(&world, &pod, request.bundle).await?;
    refuse_unfinished(session, &inventory.cluster).await?;
    let planned = import_metadata::plan(&inventory)?;
    let mut prepared = Prepared::new(session);
    prepared.plan.warnings.extend(planned.warnings);
    match planned.params {
        Some(params) => prepared.add::<ImportMetadata>(&inventory.cluster, &params, Vec::new())?,
        None => prepared.plan.unchanged.push(format!("pod/{pod}")),
    }
    prepared.ask_whether();
    Ok((prepared, planned.changes))
}
