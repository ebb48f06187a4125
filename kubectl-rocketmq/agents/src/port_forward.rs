//! Streams to agents by Kubernetes' port-forward.

use std::io;

use k8s::client::Cluster;
use k8s::port_forward::PortForward;

use crate::connect::Dial;

impl Dial for Cluster {
    type Stream = PortForward;

    async fn dial(&self, pod: &str, port: u16) -> io::Result<PortForward> {
        self.port_forward(pod, port).await.map_err(io::Error::other)
    }
}
