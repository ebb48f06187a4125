//! Plain values: parsed once at the edge, printed as RocketMQ prints them. No I/O, no clock, no randomness.

pub mod backlog;
pub mod broker;
pub mod data_version;
pub mod kv;
pub mod name;
pub mod name_server;
pub mod own;
pub mod permission;
pub mod route;
pub mod subscription_group;
pub mod topic;
pub mod version;
