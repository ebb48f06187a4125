//! The promises of the README on a real Kubernetes and real RocketMQ, through the real binary.
//!
//! Each test makes a namespace of its own. `cargo lab test` starts the lab and sets `ROCKETMQ_E2E=1`; without it a test
//! says what it needs and does nothing.

mod agents;
mod apply;
mod bad_input;
mod delete;
mod drain;
mod examples;
mod killed;
mod metadata;
mod readme;
mod replicas;
mod scale;
mod scale_broker;
mod scale_broker_refused;
mod stop;

use lab::e2e::scene::Failed;

/// How a test ends.
type Verdict = Result<(), Failed>;
