//! The probes' question to the running agent.
//!
//! The kubelet asks whether a pod is ready each 5 s, and would see one that becomes ready in between up to 5 s later. To
//! ask more often would cost each pod a process a second for its whole life. So the question for `ready` waits for the
//! answer yes: one is always under way, and the pod is ready at once.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::args::Service;

/// Below the probes' own 5 s, so that the answer is ours.
pub const DEADLINE: Duration = Duration::from_secs(4);

/// Why a probe fails.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// The agent could not be asked.
    #[error("the agent on port {port} does not answer")]
    Transport {
        /// Its port.
        port: u16,
        /// Why not.
        source: tonic::transport::Error,
    },
    /// The agent answered with an error.
    #[error("the agent on port {port} answers with an error")]
    Call {
        /// Its port.
        port: u16,
        /// Which.
        source: Box<tonic::Status>,
    },
    /// The agent says no.
    #[error("`{0}` does not hold")]
    Not(&'static str),
}

/// Asks the agent on this port of the loopback, for so long at most.
pub async fn check(service: Service, port: u16, patience: Duration) -> Result<(), Unhealthy> {
    let no = Err(Unhealthy::Not(service.name()));
    tokio::time::timeout(patience, ask(service, port)).await.unwrap_or(no)
}

async fn ask(service: Service, port: u16) -> Result<(), Unhealthy> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .map(|endpoint| endpoint.connect_timeout(DEADLINE).timeout(DEADLINE))
        .map_err(|source| Unhealthy::Transport { port, source })?;
    let channel: Channel =
        endpoint.connect().await.map_err(|source| Unhealthy::Transport { port, source })?;
    let request = HealthCheckRequest { service: service.name().to_owned() };
    let failed = |source| Unhealthy::Call { port, source: Box::new(source) };
    // The first answer is what holds now, and each further one a change of it.
    let mut answers = HealthClient::new(channel).watch(request).await.map_err(failed)?.into_inner();
    while let Some(answer) = answers.message().await.map_err(failed)? {
        if answer.status == ServingStatus::Serving as i32 {
            return Ok(());
        }
        if service != Service::Ready {
            break;
        }
    }
    Err(Unhealthy::Not(service.name()))
}
