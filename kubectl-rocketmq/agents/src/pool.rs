//! The connections of a run: one a pod, kept until it is lost, made anew then.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::proof::ClusterKey;
use tokio::sync::Mutex;

use crate::connect::{Agent, Dial, Peer, Proof};
use crate::error::AgentError;

/// Pauses before a lost connection is made anew; tunnels are cut at any time and that is no error. Their number
/// bounds the attempts.
pub(crate) const PAUSES: [Duration; 3] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

/// An answer and whether the agent that gave it has proved itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer<T> {
    /// What it said.
    pub value: T,
    /// Whether it is the agent that said it.
    pub proof: Proof,
}

/// One agent of a cluster, and the key that it and the caller prove themselves with.
#[derive(Debug, Clone, Copy)]
pub struct Member<'a> {
    /// The agent.
    pub peer: &'a Peer,
    /// The key, where it may be read.
    pub key: Option<&'a ClusterKey>,
}

/// The agents that a run talks to.
#[derive(Debug)]
pub struct Agents<D> {
    dial: D,
    /// One slot a pod, by its UID, so that two calls to one agent share its connection and calls to others do not
    /// wait.
    connections: Mutex<HashMap<String, Arc<Mutex<Option<Connection>>>>>,
}

#[derive(Debug)]
struct Connection {
    agent: Agent,
    /// False when it was made before there was a key, so that another may be proved.
    with_key: bool,
}

impl<D: Dial> Agents<D> {
    /// No connection yet.
    pub fn new(dial: D) -> Self {
        Self { dial, connections: Mutex::default() }
    }

    /// Asks one agent, on the connection that there is or on a new one. `call` runs once more after a lost
    /// connection, so it must be one that may be repeated; all of [`Agent`]'s are.
    ///
    /// # Errors
    /// The last attempt's.
    pub async fn ask<T, F, Fut>(
        &self,
        peer: &Peer,
        key: Option<&ClusterKey>,
        call: F,
    ) -> Result<Answer<T>, AgentError>
    where
        F: Fn(Agent) -> Fut + Send + Sync,
        Fut: Future<Output = Result<T, AgentError>> + Send,
        T: Send,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let error = match self.connection(peer, key).await {
                Ok(agent) => {
                    let proof = agent.proof().clone();
                    match call(agent).await {
                        Ok(value) => return Ok(Answer { value, proof }),
                        Err(error) => error,
                    }
                }
                Err(error) => error,
            };
            if error.is_lost() || matches!(error, AgentError::Slow { .. }) {
                self.forget(peer).await;
            }
            match pauses.next() {
                Some(pause) if error.is_lost() => {
                    tracing::debug!(pod = peer.pod, %error, "connection to an agent is made anew");
                    tokio::time::sleep(*pause).await;
                }
                _ => return Err(error),
            }
        }
    }

    pub(crate) async fn connection(
        &self,
        peer: &Peer,
        key: Option<&ClusterKey>,
    ) -> Result<Agent, AgentError> {
        let slot = Arc::clone(self.connections.lock().await.entry(peer.uid.clone()).or_default());
        let mut slot = slot.lock().await;
        match &*slot {
            Some(connection) if connection.with_key || key.is_none() => Ok(connection.agent.clone()),
            _ => {
                let agent = Agent::connect(&self.dial, peer, key).await?;
                *slot = Some(Connection { agent: agent.clone(), with_key: key.is_some() });
                Ok(agent)
            }
        }
    }

    pub(crate) async fn forget(&self, peer: &Peer) {
        self.connections.lock().await.remove(&peer.uid);
    }
}
