//! The wire between the CLI and the agents, and the words that both sides use for it.
//!
//! - [`pb`]: generated messages, clients and servers. Nothing outside the two ends of the wire sees them.
//! - [`describe`]: what an agent tells, as plain values.
//! - [`chunk`]: pieces of a bundle, packed and unpacked.
//! - [`convert`]: between the two.
//! - [`proof`]: how caller and agent prove to each other that they hold the cluster's key.
//! - [`ports`]: where agents listen.
//!
//! `cargo run --example gen` makes [`pb`] anew after a change of `agent.proto`.

pub mod chunk;
pub mod convert;
pub mod describe;
pub mod ports;
pub mod proof;

/// Generated from `rocketmq/agent/v1/agent.proto`.
#[allow(missing_docs, missing_debug_implementations, unreachable_pub, clippy::all)]
#[rustfmt::skip]
#[path = "gen/rocketmq.agent.v1.rs"]
pub mod pb;

/// Metadata key of a proved connection's session token.
pub const SESSION_METADATA: &str = "x-rocketmq-session";

/// The versions of the protocol that this build speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { lowest: 1, highest: 1 };

/// Versions of the protocol that one side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProtocolRange {
    /// The oldest.
    pub lowest: u32,
    /// The newest.
    pub highest: u32,
}

impl ProtocolRange {
    /// The newest version that both sides speak; `None` if there is none.
    pub fn common(self, other: Self) -> Option<u32> {
        let highest = self.highest.min(other.highest);
        (highest >= self.lowest && highest >= other.lowest).then_some(highest)
    }
}

impl std::fmt::Display for ProtocolRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} to {}", self.lowest, self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::ProtocolRange;

    #[test]
    fn the_newest_version_that_both_speak_is_chosen() {
        let check = |one: (u32, u32), other: (u32, u32), expect| {
            let range = |(lowest, highest)| ProtocolRange { lowest, highest };
            assert_eq!(range(one).common(range(other)), expect);
            assert_eq!(range(other).common(range(one)), expect);
        };
        check((1, 1), (1, 1), Some(1));
        check((1, 3), (2, 5), Some(3));
        check((1, 2), (3, 4), None);
        check((1, 9), (4, 4), Some(4));
    }
}
