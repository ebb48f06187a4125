//! The promises of the README on a real Kubernetes and real RocketMQ, through the real binary.
//!
//! Each test makes a namespace of its own, and is ignored unless `cargo lab test` runs it, which starts the lab.

mod agents;
mod bad_input;
mod daily;
mod delete;
mod drain;
mod five;
mod four;
mod killed;
mod metadata;
mod node;
mod operator;
mod readme;
mod scale;
mod scale_broker_refused;
mod stop;

use lab::e2e::scene::Failed;

/// How a test ends.
type Verdict = Result<(), Failed>;
