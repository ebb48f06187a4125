//! `rocketmq-agent run`: starts everything and ends at SIGTERM.

use std::io;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::agent::Agent;
use crate::config::Config;
use crate::server;

/// Why the agent ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its port is taken, or signals cannot be received.
    #[error("cannot {action}")]
    Io {
        /// What.
        action: String,
        /// Why not.
        source: io::Error,
    },
    /// No session can be made.
    #[error(transparent)]
    NoRandomness(#[from] proto::proof::NoRandomness),
    /// gRPC failed.
    #[error("the agent's services ended")]
    Grpc(#[from] tonic::transport::Error),
}

/// Runs until SIGTERM or SIGINT. The sidecar outlives RocketMQ's container, so there is nothing to wait for: bridges
/// are closed, which takes their entries out of the name servers, and that is all.
pub async fn run(config: Config) -> Result<(), RunError> {
    let io = |action: &str| {
        let action = action.to_owned();
        move |source| RunError::Io { action, source }
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(io("receive SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(io("receive SIGINT"))?;
    let port = config.ports.grpc;
    let listener =
        TcpListener::bind(("127.0.0.1", port)).await.map_err(io(&format!("listen on 127.0.0.1:{port}")))?;
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pod = config.pod_name,
        role = ?config.role(),
        cluster = config.cluster,
        port,
        "the agent starts"
    );
    let (agent, mut tasks) = Agent::start(config)?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let served = server::serve(agent, listener, stop).await;
    tasks.shutdown().await;
    tracing::info!("the agent ends");
    Ok(served?)
}
