//! The desired list of name servers, as the record of a cluster holds it.

use serde::{Deserialize, Serialize};

/// One name server of a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NameServerEntry {
    /// `host:port`, as written into RocketMQ's configuration.
    pub address: String,
    /// Where its pod was when the list was made; dialled first, empty if unknown.
    #[serde(rename = "podIP", default)]
    pub pod_ip: String,
}

/// A list of name servers with its generation; the highest generation wins everywhere.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct NameServerList {
    /// Raised with each change, also by an undo.
    pub generation: u64,
    /// The name servers, in order.
    #[serde(rename = "list")]
    pub name_servers: Vec<NameServerEntry>,
}

impl NameServerList {
    /// The value of `namesrvAddr`.
    #[must_use]
    pub fn namesrv_addr(&self) -> String {
        join(self.name_servers.iter().map(|entry| entry.address.as_str()))
    }
}

/// Joins addresses as `namesrvAddr` has them.
#[must_use]
pub fn join<'a>(addresses: impl IntoIterator<Item = &'a str>) -> String {
    addresses.into_iter().collect::<Vec<_>>().join(";")
}

/// Splits a value of `namesrvAddr`; blanks and empty parts fall away.
#[must_use]
pub fn split(namesrv_addr: &str) -> Vec<String> {
    namesrv_addr.split(';').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_holds_this_text() {
        let list = NameServerList {
            generation: 3,
            name_servers: vec![NameServerEntry {
                address: "demo-0.demo.mq.svc:9876".to_owned(),
                pod_ip: "10.244.0.7".to_owned(),
            }],
        };
        let text = r#"{"generation":3,"list":[{"address":"demo-0.demo.mq.svc:9876","podIP":"10.244.0.7"}]}"#;
        assert_eq!(serde_json::to_string(&list).unwrap(), text);
        assert_eq!(serde_json::from_str::<NameServerList>(text).unwrap(), list);
    }

    #[test]
    fn addresses_join_and_split() {
        let entry = |address: &str| NameServerEntry { address: address.to_owned(), pod_ip: String::new() };
        let list = NameServerList { generation: 1, name_servers: vec![entry("a:1"), entry("b:2")] };
        assert_eq!(list.namesrv_addr(), "a:1;b:2");
        assert_eq!(split(" a:1 ;;b:2;"), ["a:1", "b:2"]);
        assert!(split("").is_empty());
    }
}
