//! The pod of a broker, found by the name that the user gave.

use futures::future::join_all;
use k8s::names::{self, BrokerMember};
use k8s::pods::Pod;

use crate::error::OpsError;
use crate::operations::known::Known;
use crate::world::World;

/// A pod whose broker can be asked.
///
/// # Errors
/// `Usage` when the pod is no broker's, `Failed` when there is none, or it is not ready, or it cannot be read.
pub(crate) async fn broker_pod<W: World>(world: &W, name: &str) -> Result<Pod, OpsError> {
    let namespace = world.namespace();
    let Some(pod) = world.pod(name).await? else {
        let error = OpsError::failed(format!("there is no pod `{name}` in namespace `{namespace}`"));
        return Err(with_brokers(world, error).await);
    };
    let label = |key: &str| pod.labels.get(key).map(String::as_str).unwrap_or_default();
    let ours = label(names::LABEL_MANAGED_BY) == names::MANAGER;
    match label(names::LABEL_COMPONENT) {
        names::COMPONENT_BROKER if ours => {}
        names::COMPONENT_NAME_SERVER if ours => {
            let error = OpsError::usage(format!("pod `{name}` is a name server: only brokers hold metadata"));
            return Err(with_brokers(world, error).await);
        }
        _ => {
            let error = OpsError::usage(format!("pod `{name}` is not a broker that kubectl rocketmq made"));
            return Err(with_brokers(world, error).await);
        }
    }
    if pod.ready && !pod.deleting {
        return Ok(pod);
    }
    let error = OpsError::failed(format!("pod `{name}` is not ready, so its broker cannot be asked"));
    let error = match world.trouble(&pod).await {
        Some(reason) => error.causes([reason]),
        None if pod.deleting => error.causes(["it is being deleted".to_owned()]),
        None => error,
    };
    Err(error.hint(format!("kubectl rocketmq status {} -n {namespace}", label(names::LABEL_INSTANCE))))
}

/// The pod of the master of a slave's group; `None` for a master.
pub(crate) fn master_of(pod: &Pod) -> Option<String> {
    let (broker, group) = pod.labels.get(names::LABEL_GROUP)?.rsplit_once('-')?;
    let master = names::broker_stateful_set(broker, group.parse().ok()?, BrokerMember::Master);
    let master = names::pod(&master, 0);
    (pod.name != master).then_some(master)
}

/// Names the pods that would do. That they cannot be listed does not hide the error itself.
async fn with_brokers<W: World>(world: &W, error: OpsError) -> OpsError {
    let known = Known::all(world).await.unwrap_or_default();
    let stateful_sets: Vec<String> = known.iter().flat_map(|known| known.followers().masters).collect();
    let pods = join_all(stateful_sets.iter().map(|name| world.pods(name))).await;
    let names: Vec<String> = pods.into_iter().filter_map(Result::ok).flatten().map(|pod| pod.name).collect();
    if names.is_empty() { error } else { error.hint(format!("brokers are: {}", names.join(", "))) }
}
