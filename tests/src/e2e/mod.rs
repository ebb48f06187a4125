//! What the e2e suite stands on: a namespace per test, `kubectl` and the plugin as a user types them, traffic by
//! RocketMQ's own client, and a judge that asks name servers and brokers directly.
//!
//! Nothing here uses the product's crates above `rocketmq`: what the plugin says is never the proof of what it did.

pub mod apply;
pub mod audit;
pub mod backlog;
pub mod broker_tables;
pub mod clusters;
pub mod drains;
pub mod examples;
pub mod full_metadata;
pub mod gaps;
pub mod groups;
pub mod hostile;
pub(crate) mod java;
pub mod journal;
pub mod judge;
pub mod kill;
pub mod kubectl;
pub mod line;
pub mod load;
pub mod mass;
pub mod mqadmin;
pub mod objects;
pub mod out_and_in;
pub mod plugin;
mod pod_cpu;
pub mod pods;
pub mod processes;
pub mod refusals;
pub mod results;
pub mod runs;
pub mod says;
pub mod scene;
pub mod slaves;
pub mod slow;
pub mod small_volume;
pub mod snapshot;
mod stream;
pub mod traffic;
pub mod watch;
