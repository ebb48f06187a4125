//! The probes' question to the running agent.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::args::Service;

/// Below the probes' own 5 s, so that the answer is ours.
const DEADLINE: Duration = Duration::from_secs(4);

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

/// Asks the agent on this port of the loopback.
pub async fn check(service: Service, port: u16) -> Result<(), Unhealthy> {
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
        .map(|endpoint| endpoint.connect_timeout(DEADLINE).timeout(DEADLINE))
        .map_err(|source| Unhealthy::Transport { port, source })?;
    let channel: Channel =
        endpoint.connect().await.map_err(|source| Unhealthy::Transport { port, source })?;
    let request = HealthCheckRequest { service: service.name().to_owned() };
    let answer = HealthClient::new(channel)
        .check(request)
        .await
        .map_err(|source| Unhealthy::Call { port, source: Box::new(source) })?;
    if answer.get_ref().status == ServingStatus::Serving as i32 {
        Ok(())
    } else {
        Err(Unhealthy::Not(service.name()))
    }
}
