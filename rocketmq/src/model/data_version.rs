//! The version of a broker's topic table, by which name servers and brokers tell whether it changed.

use serde::{Deserialize, Serialize};

/// RocketMQ's `DataVersion`. Two are equal only if all three numbers are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DataVersion {
    /// Raised by elections of a controller; 5.x only, else 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub state_version: i64,
    /// When the table last changed, in milliseconds of the broker's clock.
    #[serde(default)]
    pub timestamp: i64,
    /// How often it has changed.
    #[serde(default)]
    pub counter: i64,
}

/// No clock of a broker ever said this.
const SENTINEL_TIMESTAMP: i64 = 1;

impl DataVersion {
    /// The version that a bridge registers under: it keeps the state version, because 5.x name servers refuse a
    /// lower one, and differs from every version of a real broker, so that the broker's own registration always
    /// replaces it. A bridge that sends a changed table again takes another `round`, because a name server reads
    /// the rows of an equal version no second time (`RouteInfoManager.registerBroker`, all tags).
    #[must_use]
    pub fn sentinel(self, round: u32) -> Self {
        Self {
            state_version: self.state_version,
            timestamp: SENTINEL_TIMESTAMP,
            counter: i64::from(round) + 1,
        }
    }

    /// True if this is a bridge's, not a broker's.
    #[must_use]
    pub fn is_sentinel(self) -> bool {
        self.timestamp == SENTINEL_TIMESTAMP
    }
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_keeps_the_state_version_and_equals_no_other_round() {
        let real = DataVersion { state_version: 3, timestamp: 1_700_000_000_000, counter: 1 };
        let sentinel = real.sentinel(0);
        assert_eq!(sentinel, DataVersion { state_version: 3, timestamp: 1, counter: 1 });
        assert!(sentinel.is_sentinel() && !real.is_sentinel());
        assert_ne!(sentinel, real.sentinel(1));
    }

    #[test]
    fn versions_of_4_and_5_are_read() {
        let read = |text: &str| serde_json::from_str::<DataVersion>(text).unwrap();
        assert_eq!(
            read(r#"{"counter":2,"timestamp":5}"#),
            DataVersion { state_version: 0, timestamp: 5, counter: 2 }
        );
        let five = read(r#"{"counter":2,"stateVersion":1,"timestamp":5}"#);
        assert_eq!(five.state_version, 1);
        assert_eq!(serde_json::to_string(&five).unwrap(), r#"{"stateVersion":1,"timestamp":5,"counter":2}"#);
    }
}
