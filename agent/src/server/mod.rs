//! The agent's gRPC services, on the loopback alone.
//!
//! - [`session`] has the proof, and who may call what.
//! - [`inspect`] reads, [`control`] changes.
//! - [`metadata`] is what both do about topics, groups and offsets.
//! - [`health`] answers the probes (`grpc.health.v1`).
//! - [`connections`] and [`kv_config`] read files of the kernel and of the name server.

use std::future::Future;
use std::sync::Arc;

use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::agent::Agent;
use proto::pb::control_server::ControlServer;
use proto::pb::inspect_server::InspectServer;

pub mod connections;
pub mod control;
pub mod health;
pub mod inspect;
pub mod kv_config;
pub mod metadata;
pub mod session;

/// How much of a call or a connection may be under way to the agent: two pieces of a bundle, so that the way through the
/// API server and the kubelet is never waited for between them. HTTP/2's own 64 KiB would be.
const WINDOW: u32 = 2 << 20;

/// Serves until `stop` is ready.
pub async fn serve(
    agent: Arc<Agent>,
    listener: TcpListener,
    stop: impl Future<Output = ()>,
) -> Result<(), tonic::transport::Error> {
    let sessions = Arc::new(session::Sessions::new(Arc::clone(&agent)));
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let serving = Server::builder()
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .add_service(health_service)
        .add_service(InspectServer::new(inspect::Inspector::new(Arc::clone(&agent), Arc::clone(&sessions))))
        .add_service(ControlServer::new(control::Controller::new(Arc::clone(&agent), sessions)))
        .serve_with_incoming(TcpIncoming::from(listener).with_nodelay(Some(true)));
    tokio::select! {
        served = serving => served,
        () = health::report(&agent, reporter) => Ok(()),
        () = stop => Ok(()),
    }
}
