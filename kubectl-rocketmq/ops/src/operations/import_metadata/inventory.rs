//! What is there before metadata are imported. Reads only.

use std::collections::BTreeSet;

use agents::types::ExportOptions;
use k8s::names;
use k8s::pods::Pod;

use crate::error::OpsError;
use crate::metadata::{Bundle, Tables, broker_pod, master_of, tables};
use crate::world::World;

/// What a plan is made of.
#[derive(Debug, Clone, PartialEq)]
pub struct Inventory {
    /// The broker's pod.
    pub(crate) pod: Pod,
    /// Its cluster.
    pub(crate) cluster: String,
    /// What the broker holds, without what it made for itself.
    pub(crate) present: Tables,
    /// What is to be imported.
    pub(crate) bundle: Bundle,
}

/// Reads everything that the plan needs.
///
/// # Errors
/// `Usage` for a pod that is not a master's, `Failed` when the broker cannot be read.
pub async fn gather<W: World>(world: &W, pod: &str, bundle: Bundle) -> Result<Inventory, OpsError> {
    let pod = broker_pod(world, pod).await?;
    if let Some(master) = master_of(&pod) {
        return Err(OpsError::usage(format!(
            "pod `{}` is a slave: it takes its metadata from its master, `{master}`",
            pod.name
        ))
        .hint(format!("kubectl rocketmq metadata import {master} FILE -n {}", world.namespace())));
    }
    let present =
        tables(world, &pod, ExportOptions { sanitised: true, ordered: true }, &BTreeSet::new()).await?;
    let cluster = pod.labels.get(names::LABEL_INSTANCE).cloned().unwrap_or_default();
    Ok(Inventory { pod, cluster, present, bundle })
}
