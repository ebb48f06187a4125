//! What takes too long for every run, on a real Kubernetes and real RocketMQ: the plugin killed after each event of its
//! journal, or once a step, and the operation resumed, or undone; and broker groups that scale on more versions and modes
//! of RocketMQ. `cargo lab test --exhaustive` runs it and writes its tables into `docs/exhaustive.md`.

mod broker_groups;
mod name_servers;
mod versions;

use lab::e2e::scene::Failed;

/// How a test ends.
type Verdict = Result<(), Failed>;
