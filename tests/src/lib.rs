//! A real Kubernetes and real RocketMQ on one machine, and what the tests that run there need.
//!
//! The binary `lab` is `cargo lab`. From the bottom up: [`error`], [`progress`], [`timings`], [`home`] (where everything lies),
//! [`command`], [`wait`], [`together`], [`lock`], [`process`] (long-running components), [`sections`] (pages that runs write), then
//! [`packages`] and [`binaries`] (what the machine needs), [`third_party`], [`images`], [`cluster`], [`e2e`], and the verbs:
//! [`check`], [`suite`], [`mod@bench`], [`demo`], all called by [`cli`].

pub mod bench;
pub mod binaries;
pub mod check;
pub mod cli;
pub mod cluster;
pub mod command;
pub mod demo;
pub mod e2e;
pub mod error;
pub mod home;
pub mod images;
pub mod lock;
pub mod packages;
pub mod process;
pub mod progress;
pub mod sections;
pub mod suite;
pub mod third_party;
pub mod timings;
pub mod together;
pub mod wait;
