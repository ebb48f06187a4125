//! What takes too long for every run, on a real Kubernetes and real RocketMQ: the plugin killed after each event of its
//! journal, or once a step, and the operation resumed, or undone; broker groups that scale while something breaks, that
//! join where an earlier broker's data lie, and on more versions and modes of RocketMQ. `cargo lab test --exhaustive` runs
//! it, and each test that passes writes its section of `docs/exhaustive.md`.

mod broker_faults;
mod broker_groups;
mod drain;
mod name_servers;
mod old_data;
mod versions;

use lab::e2e::scene::Failed;

/// How a test ends.
type Verdict = Result<(), Failed>;
