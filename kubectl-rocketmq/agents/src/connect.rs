//! One connection to one agent: opened once, proved both ways, never silently opened again.
//!
//! A tonic channel dials anew by itself when its connection breaks; whoever answered then would pass as proved.
//! So the connector here gives its one stream away and no second.

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use proto::describe::Role;
use proto::pb;
use proto::pb::control_client::ControlClient;
use proto::pb::inspect_client::InspectClient;
use proto::proof::{ClusterKey, Prover, Transcript, random};
use proto::{PROTOCOL, ProtocolRange, ports};
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::error::{AgentError, bounded};

/// How long a port-forward may take: the API server, the kubelet and the runtime are in its path.
const DIAL_WITHIN: Duration = Duration::from_secs(15);

/// How long either half of the handshake may take.
pub(crate) const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);

/// Load balancers before API servers cut idle connections after minutes; a ping keeps the tunnel.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long an unanswered ping may last before the connection counts as lost.
const PING_WITHIN: Duration = Duration::from_secs(10);

/// A message of an agent is at most this long; tables come in chunks of less.
const MESSAGE_LIMIT: usize = 4 * 1024 * 1024;

/// How much of a call or a connection may be under way to us: two pieces of a bundle, so that the way through the
/// kubelet and the API server is never waited for between them. HTTP/2's own 64 KiB would be.
const WINDOW: u32 = 2 << 20;

/// Opens a stream to a loopback port inside a pod.
pub trait Dial: Send + Sync + 'static {
    /// The stream.
    type Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    /// Opens one.
    fn dial(&self, pod: &str, port: u16) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// Whom to talk to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The pod's name.
    pub pod: String,
    /// Its UID: a pod made anew under the same name is another peer.
    pub uid: String,
    /// What the agent stands beside, which decides its port.
    pub role: Role,
}

impl Peer {
    fn port(&self) -> u16 {
        match self.role {
            Role::NameServer => ports::NAME_SERVER_AGENT,
            Role::Broker => ports::BROKER_AGENT,
        }
    }
}

/// Whether an agent has proved that it holds the cluster's key, and we to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Both ways.
    Proved,
    /// Not; why, in words.
    Unproved(String),
}

/// A connection to one agent.
#[derive(Clone)]
pub struct Agent {
    pub(crate) pod: String,
    pub(crate) inspect: InspectClient<Channel>,
    pub(crate) control: ControlClient<Channel>,
    pub(crate) proof: Proof,
    pub(crate) session_token: Option<String>,
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent").field("pod", &self.pod).field("proof", &self.proof).finish_non_exhaustive()
    }
}

impl Agent {
    /// Connects and shakes hands. Without the right key on both sides the agent stays usable for reads, as
    /// [`Proof::Unproved`].
    ///
    /// # Errors
    /// When the pod cannot be reached, another pod answers, or no protocol version is common.
    pub async fn connect<D: Dial>(
        dial: &D,
        peer: &Peer,
        key: Option<&ClusterKey>,
    ) -> Result<Self, AgentError> {
        let stream = tokio::time::timeout(DIAL_WITHIN, dial.dial(&peer.pod, peer.port()))
            .await
            .map_err(|_| slow(peer, "connect", DIAL_WITHIN))?
            .map_err(|error| AgentError::Lost { pod: peer.pod.clone(), source: Box::new(error) })?;
        let channel = channel_over(stream)
            .await
            .map_err(|error| AgentError::Lost { pod: peer.pod.clone(), source: Box::new(error) })?;
        let mut inspect = InspectClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT);
        let (proof, session_token) = shake_hands(&mut inspect, peer, key).await?;
        let control = ControlClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
        Ok(Self { pod: peer.pod.clone(), inspect, control, proof, session_token })
    }

    /// Whether its answers are proved to be the agent's.
    #[must_use]
    pub fn proof(&self) -> &Proof {
        &self.proof
    }
}

fn slow(peer: &Peer, call: &'static str, within: Duration) -> AgentError {
    AgentError::Slow { pod: peer.pod.clone(), call, seconds: within.as_secs() }
}

async fn channel_over<S>(stream: S) -> Result<Channel, tonic::transport::Error>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let only = Arc::new(Mutex::new(Some(TokioIo::new(stream))));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = only.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the connection was lost")) }
    });
    // The address is never dialled: the connector has the stream already.
    Endpoint::from_static("http://agent.invalid")
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WITHIN)
        .keep_alive_while_idle(true)
        .connect_with_connector(connector)
        .await
}

/// Both halves of the proof. Every way in which it does not come about but the agent may still be read is
/// [`Proof::Unproved`].
async fn shake_hands(
    inspect: &mut InspectClient<Channel>,
    peer: &Peer,
    key: Option<&ClusterKey>,
) -> Result<(Proof, Option<String>), AgentError> {
    let caller_nonce = random()?.to_vec();
    let hello = pb::HelloRequest { caller_nonce: caller_nonce.clone(), protocol: Some(PROTOCOL.into()) };
    let hello = within(peer, "Hello", inspect.hello(hello)).await?;
    let agent_protocol = negotiated(peer, &hello)?;
    if hello.pod_uid != peer.uid {
        return Err(AgentError::OtherPod { pod: peer.pod.clone() });
    }
    let unproved = |reason: &str| Ok((Proof::Unproved(reason.to_owned()), None));
    let Some(key) = key else { return unproved("the cluster's key is not there or may not be read") };
    if hello.agent_proof.is_empty() {
        return unproved("the agent has no key");
    }
    let transcript = Transcript {
        caller_nonce,
        agent_nonce: hello.agent_nonce,
        pod_uid: hello.pod_uid,
        caller_protocol: PROTOCOL,
        agent_protocol,
    };
    if !transcript.holds(key, Prover::Agent, &hello.agent_proof) {
        return unproved("what answers does not hold the cluster's key");
    }
    let prove = pb::ProveRequest {
        caller_proof: transcript.prove(key, Prover::Caller).to_vec(),
        agent_nonce: transcript.agent_nonce,
    };
    match within(peer, "Prove", inspect.prove(prove)).await {
        Ok(proved) if !proved.session_token.is_empty() => Ok((Proof::Proved, Some(proved.session_token))),
        Ok(_) => unproved("the agent gave no session"),
        Err(AgentError::Answered { message, .. }) => {
            Ok((Proof::Unproved(format!("the agent refused our proof: {message}")), None))
        }
        Err(error) => Err(error),
    }
}

fn negotiated(peer: &Peer, hello: &pb::HelloResponse) -> Result<ProtocolRange, AgentError> {
    let theirs: ProtocolRange =
        hello.protocol.map_or(ProtocolRange { lowest: 0, highest: 0 }, ProtocolRange::from);
    if PROTOCOL.common(theirs).is_some() {
        return Ok(theirs);
    }
    Err(AgentError::Protocol {
        pod: peer.pod.clone(),
        agent_version: bounded(&hello.agent_version),
        theirs,
        ours: PROTOCOL,
    })
}

async fn within<T>(
    peer: &Peer,
    call: &'static str,
    answer: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> Result<T, AgentError> {
    match tokio::time::timeout(HANDSHAKE_WITHIN, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(AgentError::from_status(&peer.pod, call, HANDSHAKE_WITHIN.as_secs(), status)),
        Err(_) => Err(slow(peer, call, HANDSHAKE_WITHIN)),
    }
}
