//! Names of brokers and clusters, and the role of a broker.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::name::name_type;

name_type!(
    /// The name that the master and the slaves of a broker group share.
    BrokerName,
    "broker name",
    127
);

name_type!(
    /// The name of a RocketMQ cluster.
    ClusterName,
    "cluster name",
    127
);

/// The id of a master; slaves have higher ones (`MixAll.MASTER_ID`, all tags).
pub const MASTER_ID: u64 = 0;

/// `brokerRole` of broker.conf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BrokerRole {
    /// A master that answers before its slaves have the message.
    AsyncMaster,
    /// A master that waits for a slave.
    SyncMaster,
    /// A copy of a master.
    Slave,
}

impl fmt::Display for BrokerRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsyncMaster => "ASYNC_MASTER",
            Self::SyncMaster => "SYNC_MASTER",
            Self::Slave => "SLAVE",
        })
    }
}

/// A text that is no `brokerRole`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a broker role; expected ASYNC_MASTER, SYNC_MASTER or SLAVE")]
pub struct InvalidBrokerRole(String);

impl FromStr for BrokerRole {
    type Err = InvalidBrokerRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ASYNC_MASTER" => Ok(Self::AsyncMaster),
            "SYNC_MASTER" => Ok(Self::SyncMaster),
            "SLAVE" => Ok(Self::Slave),
            _ => Err(InvalidBrokerRole(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_checked_and_kept() {
        assert_eq!("broker-0_a%|".parse::<BrokerName>().unwrap().to_string(), "broker-0_a%|");
        for (text, reason) in [
            ("", "`` is not a valid broker name: it is empty"),
            ("a b", "`a b` is not a valid broker name: ` ` is not allowed, only letters, digits and _-%|"),
            (
                "größe",
                "`größe` is not a valid broker name: `ö` is not allowed, only letters, digits and _-%|",
            ),
        ] {
            assert_eq!(text.parse::<BrokerName>().unwrap_err().to_string(), reason);
        }
        assert!("x".repeat(127).parse::<ClusterName>().is_ok());
        assert!("x".repeat(128).parse::<ClusterName>().is_err());
    }

    #[test]
    fn a_bad_name_is_refused_where_it_is_read() {
        assert!(serde_json::from_str::<ClusterName>(r#""a;b""#).is_err());
        let name: ClusterName = serde_json::from_str(r#""demo""#).unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""demo""#);
    }

    #[test]
    fn roles_print_and_parse() {
        for role in [BrokerRole::AsyncMaster, BrokerRole::SyncMaster, BrokerRole::Slave] {
            assert_eq!(role.to_string().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
        assert!("MASTER".parse::<BrokerRole>().is_err());
    }

    proptest! {
        #[test]
        fn a_name_is_its_text(text in "[%|a-zA-Z0-9_-]{1,127}") {
            prop_assert_eq!(text.parse::<BrokerName>().unwrap().to_string(), text);
        }
    }
}
