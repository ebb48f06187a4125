//! An agent that serves, and the CLI's side of its connection.

use std::fs;
use std::sync::Arc;

use agent::server;
use proto::pb::control_client::ControlClient;
use proto::pb::inspect_client::InspectClient;
use proto::proof::{ClusterKey, Prover, Transcript, random};
use proto::{PROTOCOL, SESSION_METADATA, pb};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::Channel;
use tonic::{Code, Request};

use crate::support::{Pod, Running};

/// An agent that serves, and a connection to it.
pub(crate) struct Served {
    pub(crate) running: Running,
    pub(crate) port: u16,
    channel: Channel,
    _server: AbortOnDropHandle<()>,
}

impl Served {
    pub(crate) async fn start(pod: &Pod) -> Self {
        let running = pod.start();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let agent = Arc::clone(&running.agent);
        let server = tokio::spawn(async move {
            server::serve(agent, listener, std::future::pending()).await.unwrap();
        });
        let channel =
            Channel::from_shared(format!("http://127.0.0.1:{port}")).unwrap().connect().await.unwrap();
        Self { running, port, channel, _server: AbortOnDropHandle::new(server) }
    }

    pub(crate) fn inspect(&self) -> InspectClient<Channel> {
        InspectClient::new(self.channel.clone())
    }

    pub(crate) fn control(&self) -> ControlClient<Channel> {
        ControlClient::new(self.channel.clone())
    }

    /// Proves as the CLI does, and gives the session token.
    pub(crate) async fn prove(&self, key: &ClusterKey) -> Result<String, tonic::Status> {
        let caller_nonce = random().unwrap().to_vec();
        let hello = pb::HelloRequest { caller_nonce: caller_nonce.clone(), protocol: Some(PROTOCOL.into()) };
        let answer = self.inspect().hello(hello).await?.into_inner();
        let transcript = Transcript {
            caller_nonce,
            agent_nonce: answer.agent_nonce,
            pod_uid: answer.pod_uid,
            caller_protocol: PROTOCOL,
            agent_protocol: answer.protocol.unwrap().into(),
        };
        if !answer.agent_proof.is_empty() {
            assert_eq!(transcript.holds(key, Prover::Agent, &answer.agent_proof), *key.expose() == KEY);
        }
        let proof = pb::ProveRequest {
            agent_nonce: transcript.agent_nonce.clone(),
            caller_proof: transcript.prove(key, Prover::Caller).to_vec(),
        };
        let token = self.inspect().prove(proof.clone()).await?.into_inner().session_token;
        assert_eq!(self.inspect().prove(proof).await.unwrap_err().code(), Code::Unauthenticated, "used up");
        Ok(token)
    }
}

const KEY: [u8; 32] = [7; 32];

pub(crate) fn key() -> ClusterKey {
    ClusterKey::from_bytes(KEY).unwrap()
}

pub(crate) fn with_key(pod: Pod) -> Pod {
    fs::write(&pod.config.paths.key, KEY).unwrap();
    pod
}

pub(crate) fn proved<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert(SESSION_METADATA, token.parse().unwrap());
    request
}

pub(crate) fn fence(number: u64) -> Option<pb::Fence> {
    Some(pb::Fence { operation_id: format!("op-{number}"), number })
}
