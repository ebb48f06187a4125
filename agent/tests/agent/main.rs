//! The agent against RocketMQ's fakes on loopback.

#![expect(clippy::disallowed_methods, reason = "tests put files where RocketMQ and users would")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, also in a helper")]

mod backlog;
mod bridge;
mod caller;
mod grpc;
mod list;
mod metadata_apply;
mod metadata_in;
mod metadata_out;
mod permission;
mod process;
mod served;
mod support;
