//! Versions as every remoting header carries them: the ordinal of `MQVersion.Version`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A RocketMQ version, known by its `MQVersion` ordinal.
///
/// From 4.0.0 on the enum leaves 20 ordinals to each minor and 2 to each patch, the lower of them for its
/// SNAPSHOT (`MQVersion`, every tag from 4.4.0 to 5.3.3), so later releases have their place already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u32);

/// Ordinal of 4.0.0, the first of the regular ones.
const REGULAR_FROM: u32 = 213;
const PER_MAJOR: u32 = 200;
const PER_MINOR: u32 = 20;
const PER_PATCH: u32 = 2;

impl Version {
    /// 4.5.0, the oldest version that this project supports.
    pub const V4_5_0: Self = Self(313);
    /// 4.9.4, which reads `namesrvAddr` again while it runs.
    pub const V4_9_4: Self = Self(401);
    /// 5.0.0, which changed how name servers and brokers treat registrations.
    pub const V5_0_0: Self = Self(413);
    /// 5.2.0, whose clients wait for answers with the threads of their callbacks.
    pub const V5_2_0: Self = Self(453);
    /// 5.3.0, which creates topics by the list.
    pub const V5_3_0: Self = Self(473);
    /// 5.3.1, which has the setting `updateNameServerAddrPeriod`.
    pub const V5_3_1: Self = Self(475);
    /// 5.3.3, as which requests go out ([`CLIENT_VERSION`](crate::remoting::client::CLIENT_VERSION)).
    pub const V5_3_3: Self = Self(479);

    /// The version with this ordinal, known or not.
    #[must_use]
    pub const fn from_ordinal(ordinal: u32) -> Self {
        Self(ordinal)
    }

    /// The ordinal, as headers carry it.
    #[must_use]
    pub const fn ordinal(self) -> u32 {
        self.0
    }

    /// True if a changed `namesrvAddr` takes effect in the running broker (4.9.4+, `BrokerController.initialize`
    /// schedules the re-read).
    #[must_use]
    pub fn takes_live_list(self) -> bool {
        self >= Self::V4_9_4
    }

    /// True if the period of that re-read is the setting `updateNameServerAddrPeriod` (5.3.1+); before it is 120 s.
    #[must_use]
    pub fn has_name_server_update_period(self) -> bool {
        self >= Self::V5_3_1
    }

    /// True for 5.x: brokerPermission is ANDed into each topic's permission instead of replacing it, and
    /// registrations carry a state version, the acting-master flag and static-topic mappings.
    #[must_use]
    pub fn is_5(self) -> bool {
        // The SNAPSHOT of 5.0.0 has its code already.
        self.0 + 1 >= Self::V5_0_0.0
    }

    /// True if a client of Java that waits for an answer needs a thread of its callbacks for it (5.2.0+,
    /// `NettyRemotingAbstract.invokeSyncImpl`, `processResponseCommand`).
    #[must_use]
    pub fn waits_on_callbacks(self) -> bool {
        self >= Self::V5_2_0
    }

    /// True if one request creates many topics (code 18, 5.3.0+, `AdminBrokerProcessor.updateAndCreateTopicList`).
    #[must_use]
    pub fn creates_topic_lists(self) -> bool {
        self >= Self::V5_3_0
    }

    /// True if one request creates many subscription groups (code 225, 5.3.1+,
    /// `AdminBrokerProcessor.updateAndCreateSubscriptionGroupList`).
    #[must_use]
    pub fn creates_group_lists(self) -> bool {
        self >= Self::V5_3_1
    }

    /// True if groups have request modes (codes 401 and 402, 5.0.0+, `MessageRequestModeManager`) and topics that they
    /// must not read (code 353, `SubscriptionGroupManager.forbiddenTable`).
    #[must_use]
    pub fn has_request_modes(self) -> bool {
        self.is_5()
    }

    fn of(major: u32, minor: u32, patch: u32) -> Option<Self> {
        if major < 4 || minor > 9 || patch > 9 {
            return None;
        }
        (major - 4)
            .checked_mul(PER_MAJOR)?
            .checked_add(REGULAR_FROM + minor * PER_MINOR + patch * PER_PATCH)
            .map(Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A SNAPSHOT lies one below its release.
        let Some(above) = self.0.checked_add(1).and_then(|next| next.checked_sub(REGULAR_FROM)) else {
            return write!(f, "unknown version (ordinal {})", self.0);
        };
        let major = above / PER_MAJOR + 4;
        let minor = above % PER_MAJOR / PER_MINOR;
        let patch = above % PER_MINOR / PER_PATCH;
        write!(f, "{major}.{minor}.{patch}")?;
        if above % PER_PATCH == 0 { f.write_str("-SNAPSHOT") } else { Ok(()) }
    }
}

/// A text that is no version of RocketMQ 4.0.0 or later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a RocketMQ version; expected three numbers such as 5.3.3, from 4.0.0 on")]
pub struct InvalidVersion(String);

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.to_owned());
        let (numbers, snapshot) = match text.strip_suffix("-SNAPSHOT") {
            Some(numbers) => (numbers, true),
            None => (text, false),
        };
        let mut parts = numbers.split('.').map(|part| {
            if part.is_empty() || !part.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(invalid());
            }
            part.parse::<u32>().map_err(|_| invalid())
        });
        let mut next = || parts.next().ok_or_else(invalid)?;
        let (major, minor, patch) = (next()?, next()?, next()?);
        if parts.next().is_some() {
            return Err(invalid());
        }
        let release = Self::of(major, minor, patch).ok_or_else(invalid)?;
        Ok(if snapshot { Self(release.0 - 1) } else { release })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `MQVersion` of 5.3.3, read with javap.
    const RELEASES: &[(u32, &str)] = &[
        (213, "4.0.0"),
        (293, "4.4.0"),
        (313, "4.5.0"),
        (317, "4.5.2"),
        (353, "4.7.0"),
        (399, "4.9.3"),
        (401, "4.9.4"),
        (407, "4.9.7"),
        (409, "4.9.8"),
        (413, "5.0.0"),
        (441, "5.1.4"),
        (453, "5.2.0"),
        (473, "5.3.0"),
        (475, "5.3.1"),
        (479, "5.3.3"),
        (493, "5.4.0"),
        (515, "5.5.1"),
    ];

    #[test]
    fn ordinals_are_those_of_mq_version() {
        for (ordinal, text) in RELEASES {
            assert_eq!(Version::from_ordinal(*ordinal).to_string(), *text);
            assert_eq!(text.parse(), Ok(Version::from_ordinal(*ordinal)));
        }
        assert_eq!(Version::from_ordinal(478).to_string(), "5.3.3-SNAPSHOT");
        assert_eq!(Version::from_ordinal(37).to_string(), "unknown version (ordinal 37)");
    }

    #[test]
    fn behaviours_begin_with_their_release() {
        let at = |text: &str| text.parse::<Version>().unwrap();
        assert!(!at("4.9.3").takes_live_list() && at("4.9.4").takes_live_list());
        assert!(!at("5.3.0").has_name_server_update_period() && at("5.3.1").has_name_server_update_period());
        assert!(!at("5.2.0").creates_topic_lists() && at("5.3.0").creates_topic_lists());
        assert!(!at("5.3.0").creates_group_lists() && at("5.3.1").creates_group_lists());
        assert!(!at("4.9.8").has_request_modes() && at("5.0.0").has_request_modes());
        assert!(!at("4.9.8").is_5() && at("5.0.0").is_5() && at("5.0.0-SNAPSHOT").is_5());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "5",
            "5.3",
            "5.3.3.1",
            "v5.3.3",
            "5.3.x",
            "5.10.0",
            "3.0.11",
            "+5.3.3",
            "5.-3.3",
            "99999999999.0.0",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_regular_ordinal_prints_and_parses(ordinal in 212_u32..2_000) {
            let version = Version::from_ordinal(ordinal);
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
        }

        #[test]
        fn every_ordinal_prints(ordinal: u32) {
            prop_assert!(!Version::from_ordinal(ordinal).to_string().is_empty());
        }
    }
}
