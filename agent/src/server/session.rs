//! The proof of a connection, and who may call what.

use std::collections::VecDeque;
use std::sync::Arc;

use proto::proof::{ClusterKey, LENGTH, Prover, Transcript, random};
use proto::{PROTOCOL, SESSION_METADATA, pb};
use tokio::sync::Mutex;
use tonic::metadata::MetadataMap;
use tonic::{Response, Status};

use crate::agent::Agent;

/// Proofs that were begun and not finished. Whoever floods the loopback only pushes out others like itself.
const MOST_BEGUN: usize = 64;

/// The proofs of an agent.
#[derive(Debug)]
pub struct Sessions {
    agent: Arc<Agent>,
    begun: Mutex<VecDeque<Transcript>>,
}

impl Sessions {
    /// No proof yet.
    pub fn new(agent: Arc<Agent>) -> Self {
        Self { agent, begun: Mutex::default() }
    }

    /// First half: both nonces and the agent's proof.
    pub async fn hello(&self, request: pb::HelloRequest) -> Result<Response<pb::HelloResponse>, Status> {
        if request.caller_nonce.len() != LENGTH {
            return Err(Status::invalid_argument(format!("a nonce has {LENGTH} bytes")));
        }
        let caller =
            request.protocol.ok_or_else(|| Status::invalid_argument("the caller names no protocol"))?;
        if PROTOCOL.common(caller.into()).is_none() {
            return Err(Status::failed_precondition(format!(
                "the agent {} speaks protocol {PROTOCOL}, the caller {} to {}",
                env!("CARGO_PKG_VERSION"),
                caller.lowest,
                caller.highest
            )));
        }
        let transcript = Transcript {
            caller_nonce: request.caller_nonce,
            agent_nonce: random().map_err(|error| Status::internal(error.to_string()))?.to_vec(),
            pod_uid: self.agent.config.pod_uid.clone(),
            caller_protocol: caller.into(),
            agent_protocol: PROTOCOL,
        };
        let agent_proof =
            self.agent.key().map(|key| transcript.prove(&key, Prover::Agent).to_vec()).unwrap_or_default();
        let response = pb::HelloResponse {
            agent_nonce: transcript.agent_nonce.clone(),
            pod_uid: transcript.pod_uid.clone(),
            protocol: Some(PROTOCOL.into()),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            agent_proof,
        };
        let mut begun = self.begun.lock().await;
        begun.push_back(transcript);
        while begun.len() > MOST_BEGUN {
            begun.pop_front();
        }
        Ok(Response::new(response))
    }

    /// Second half: the caller's proof. Its nonce is used up, whether the proof holds or not.
    pub async fn prove(&self, request: &pb::ProveRequest) -> Result<Response<pb::ProveResponse>, Status> {
        let key = self.required_key()?;
        let transcript = {
            let mut begun = self.begun.lock().await;
            let at = begun.iter().position(|transcript| transcript.agent_nonce == request.agent_nonce);
            at.and_then(|at| begun.remove(at))
        };
        match transcript {
            Some(transcript) if transcript.holds(&key, Prover::Caller, &request.caller_proof) => {
                Ok(Response::new(pb::ProveResponse { session_token: self.agent.sessions.token(&key) }))
            }
            Some(_) => Err(Status::unauthenticated("the caller does not hold the cluster's key")),
            None => Err(Status::unauthenticated("this proof was not begun here, or is used up")),
        }
    }

    /// May this call change something? Gives the key that it was proved with.
    pub fn may_change(&self, metadata: &MetadataMap) -> Result<ClusterKey, Status> {
        let key = self.required_key()?;
        let token = metadata.get(SESSION_METADATA).and_then(|token| token.to_str().ok()).unwrap_or_default();
        if self.agent.sessions.admits(&key, token) {
            return Ok(key);
        }
        Err(Status::unauthenticated("the connection is not proved"))
    }

    /// May this call read? Always, but for a loopback that a whole node shares.
    pub fn may_read(&self, metadata: &MetadataMap) -> Result<(), Status> {
        if self.agent.config.host_network { self.may_change(metadata).map(drop) } else { Ok(()) }
    }

    fn required_key(&self) -> Result<ClusterKey, Status> {
        self.agent.key().ok_or_else(|| {
            Status::failed_precondition(
                "the cluster's key is not mounted into the agent, so it takes no changes",
            )
        })
    }
}
