//! The sidecar beside every RocketMQ name server and broker: it does what only a neighbour can do. It holds no
//! Kubernetes credentials, and no state but a folder of its volume.
//!
//! In reading order:
//! - [`args`], [`config`], [`paths`]: what it is told, and where things lie.
//! - [`agent`]: its parts and tasks; [`run`], [`healthcheck`]: its two commands.
//! - [`gate`]: when RocketMQ may start; [`configuration`]: the file it starts with.
//! - [`state`], [`record`], [`key`]: the desired list and the fence, and where they come from.
//! - [`process`], [`stop_mark`]: RocketMQ beside it.
//! - [`name_servers`]: the list live, and bridges; [`permission`]: what clients may do with the broker.
//! - [`metadata`]: topics, groups and offsets, out of one broker and into another.
//! - [`backlog`]: what somebody still wants of the broker.
//! - [`server`]: what the CLI asks.
//! - [`atomic_file`]: the only door to files; [`volume`]: their room; [`clock`]: time as people read it.

#![cfg_attr(
    test,
    allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "tests put files where RocketMQ and users would"
    )
)]

pub mod agent;
pub mod args;
pub mod atomic_file;
pub mod backlog;
pub mod clock;
pub mod config;
pub mod configuration;
pub mod gate;
pub mod healthcheck;
pub mod key;
pub mod metadata;
pub mod name_servers;
pub mod paths;
pub mod permission;
pub mod process;
pub mod record;
pub mod run;
pub mod server;
pub mod state;
pub mod stop_mark;
pub mod volume;
