//! What repeats a promise of the README on another version or with another file, on a real Kubernetes and real RocketMQ: needed
//! before a release, not in every run.

mod apply;
mod examples;
mod scale_broker_refused;

use lab::e2e::scene::Failed;

/// How a test ends.
type Verdict = Result<(), Failed>;
