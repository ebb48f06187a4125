//! What the nodes of a cluster cannot hold.

use super::spec::{Broker, NameService};

/// Pods that take ports of their node, so that no two of a kind share one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostNetworkPods {
    reference: String,
    pods: u32,
    made_of: &'static str,
}

impl HostNetworkPods {
    /// Those of a NameService; `None` if it has a network of its own.
    #[must_use]
    pub fn of_name_service(name_service: &NameService) -> Option<Self> {
        name_service.pod.host_network.then(|| Self {
            reference: format!("NameService/{}", name_service.metadata.name),
            pods: name_service.size,
            made_of: "`spec.size`",
        })
    }

    /// Those of a Broker; `None` if it has a network of its own.
    #[must_use]
    pub fn of_broker(broker: &Broker) -> Option<Self> {
        broker.pod.host_network.then(|| Self {
            reference: format!("Broker/{}", broker.metadata.name),
            pods: broker.pods(),
            made_of: "`spec.size` times one master and its slaves",
        })
    }
}

/// Why pods on their nodes' network cannot all run on so many schedulable nodes; `None` if they can.
#[must_use]
pub fn host_network_refusal(pods: &HostNetworkPods, schedulable_nodes: u32) -> Option<String> {
    let HostNetworkPods { reference, pods, made_of } = pods;
    (*pods > schedulable_nodes).then(|| {
        let nodes = if schedulable_nodes == 1 { "1 is" } else { &format!("{schedulable_nodes} are") };
        format!("{reference} has `spec.hostNetwork`, so its {pods} pods ({made_of}) need {pods} nodes; {nodes} schedulable")
    })
}
