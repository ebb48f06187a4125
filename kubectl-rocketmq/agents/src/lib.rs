//! Talks to the agents of a cluster, through streams that somebody else opens (Kubernetes' port-forward).
//!
//! - [`connect`]: one connection to one agent: handshake with the cluster's key, protocol, session.
//! - [`Agents`]: the connections of a run, one a pod, made anew when one is lost.
//! - [`Agents::relay`], [`Agents::send`]: metadata of brokers, in bundles that may be large.
//! - [`types`]: the words that the floors above use for what agents say.
//!
//! Everything an agent says is untrusted: messages and tables are bounded, each call has its own deadline, and
//! whoever prints a text escapes it. Answers of an agent that did not prove that it holds the cluster's key are
//! marked, and nothing is changed through it.

mod calls;
pub mod connect;
mod error;
mod metadata;
mod pool;
mod port_forward;
mod tables;
mod transfer;
pub mod types;

pub use connect::{Agent, Dial, Peer, Proof};
pub use error::AgentError;
pub use pool::{Agents, Answer, Member};

#[cfg(test)]
mod tests;
