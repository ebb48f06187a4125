//! Permissions of topics and brokers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::version::Version;

/// RocketMQ's permission bits (`PermName`, all tags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Permission(u32);

const READ: u32 = 4;
const WRITE: u32 = 2;
const INHERIT: u32 = 1;

impl Permission {
    /// Reads and writes, the default of brokers and topics.
    pub const READ_WRITE: Self = Self(READ | WRITE);
    /// Reads only.
    pub const READ: Self = Self(READ);

    /// The permission with these bits, unknown ones kept.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits, as RocketMQ's `perm` fields hold them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// True if consumers may read.
    #[must_use]
    pub const fn is_readable(self) -> bool {
        self.0 & READ != 0
    }

    /// True if producers may write.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 & WRITE != 0
    }

    /// What a broker of `version` with the permission `broker` registers for a topic of this permission. Only a
    /// broker that may not both read and write changes it: before 5.0 its own replaces the topic's, from 5.0 on
    /// the two are ANDed (`BrokerController.registerBrokerAll`).
    #[must_use]
    pub fn registered(self, broker: Self, version: Version) -> Self {
        if broker.is_readable() && broker.is_writable() {
            self
        } else if version.is_5() {
            Self(self.0 & broker.0)
        } else {
            broker
        }
    }
}

impl fmt::Display for Permission {
    /// Prints as `PermName.perm2String` does, for example `RW-`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (bit, letter) in [(READ, 'R'), (WRITE, 'W'), (INHERIT, 'X')] {
            write!(f, "{}", if self.0 & bit == 0 { '-' } else { letter })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broker_permission_replaces_before_5_and_is_anded_from_5_on() {
        for (topic, broker, before_5, from_5) in [
            (6, 6, 6, 6),
            (2, 6, 2, 2),
            (7, 7, 7, 7),
            (6, 4, 4, 4),
            // Seen on real brokers: a topic of 2 or 0 is published as 4 by 4.x and as 0 by 5.x.
            (2, 4, 4, 0),
            (0, 4, 4, 0),
            (7, 2, 2, 2),
        ] {
            let registered = |version| {
                Permission::from_bits(topic).registered(Permission::from_bits(broker), version).bits()
            };
            assert_eq!(registered(Version::V4_5_0), before_5, "{topic} {broker}");
            assert_eq!(registered(Version::V5_3_3), from_5, "{topic} {broker}");
        }
    }

    #[test]
    fn prints_like_rocketmq() {
        assert_eq!(Permission::READ_WRITE.to_string(), "RW-");
        assert_eq!(Permission::READ.to_string(), "R--");
        assert_eq!(Permission::from_bits(7).to_string(), "RWX");
        assert_eq!(Permission::from_bits(0).to_string(), "---");
    }
}
