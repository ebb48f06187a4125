//! The route matrix: what every name server says of every broker and every topic, held against what the
//! brokers themselves hold. Pure: it compares views that somebody else collected.
//!
//! A whole matrix is the proof behind "done": every name server of the list answers, lists every broker at
//! its own address, and has every row of every master's topic table. Rows that only a name server has
//! (ghosts of deleted topics) are no gap: name servers keep them until a broker leaves
//! (`RouteInfoManager`, all tags).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use agents::types::{BrokerRows, RouteTable, TopicRow};
use serde::Serialize;

/// What one name server knows, or why it could not be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct NameServerView {
    /// Its pod.
    pub name_server: String,
    /// Its routes, or the reason in words.
    pub routes: Result<RouteTable, String>,
}

/// What one broker says of itself, or why it could not be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerView {
    /// The pod it runs in.
    pub pod: String,
    /// Its identity and, for masters, the rows it registers; or the reason in words.
    pub broker: Result<BrokerRows, String>,
}

/// One thing that is missing or differs at one place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Gap {
    /// A name server could not be asked.
    NameServerSilent {
        /// The name server.
        name_server: String,
        /// Why, in words.
        reason: String,
    },
    /// A broker could not be asked for what it registers.
    BrokerSilent {
        /// The broker's pod.
        pod: String,
        /// Why, in words.
        reason: String,
    },
    /// A name server does not list a broker.
    BrokerMissing {
        /// The name server.
        name_server: String,
        /// The broker, `name:id`.
        broker: String,
    },
    /// A name server lists a broker at another address than its own.
    BrokerElsewhere {
        /// The name server.
        name_server: String,
        /// The broker, `name:id`.
        broker: String,
        /// The address that the name server has.
        listed: String,
        /// The broker's own address.
        own: String,
    },
    /// Topic rows that a name server lacks or has with other queues or permission.
    RowsMissing {
        /// The name server.
        name_server: String,
        /// The broker group.
        broker: String,
        /// How many rows.
        count: usize,
        /// One of the topics.
        example: String,
    },
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameServerSilent { name_server, reason } => {
                write!(f, "name server `{name_server}` could not be asked: {reason}")
            }
            Self::BrokerSilent { pod, reason } => {
                write!(f, "broker pod `{pod}` could not be asked: {reason}")
            }
            Self::BrokerMissing { name_server, broker } => {
                write!(f, "broker `{broker}` is not listed at `{name_server}`")
            }
            Self::BrokerElsewhere { name_server, broker, listed, own } => {
                write!(f, "broker `{broker}` is listed at `{name_server}` as {listed}, but it is at {own}")
            }
            Self::RowsMissing { name_server, broker, count, example } => write!(
                f,
                "{count} topic row(s) of `{broker}` are missing or differ at `{name_server}`, `{example}` among them"
            ),
        }
    }
}

/// The comparison of all views.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Matrix {
    /// For each name server: how many of the brokers it lists, and how many topics it knows.
    pub name_servers: BTreeMap<String, Seen>,
    /// Brokers that answered.
    pub brokers: usize,
    /// Rows that every name server must have.
    pub rows: usize,
    /// Everything that keeps the matrix from being whole, in order.
    pub gaps: Vec<Gap>,
}

/// What one name server has of what it should have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Seen {
    /// Of the cluster's brokers, how many it lists at their own address.
    pub brokers: usize,
    /// Topics with a row of one of the cluster's brokers.
    pub topics: usize,
}

impl Matrix {
    /// True when no name server lacks anything.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.gaps.is_empty()
    }

    /// One sentence for a progress line or an error.
    #[must_use]
    pub fn summary(&self) -> String {
        match self.gaps.as_slice() {
            [] => format!(
                "{} name server(s) agree on {} broker(s) and {} topic row(s)",
                self.name_servers.len(),
                self.brokers,
                self.rows
            ),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{first}; and {} more", rest.len()),
        }
    }
}

/// Holds every name server's view against what the brokers say of themselves.
#[must_use]
pub fn compare(name_servers: &[NameServerView], brokers: &[BrokerView]) -> Matrix {
    let mut matrix = Matrix::default();
    let mut known = Vec::new();
    for view in brokers {
        match &view.broker {
            Ok(broker) => known.push(broker),
            Err(reason) => {
                matrix.gaps.push(Gap::BrokerSilent { pod: view.pod.clone(), reason: reason.clone() })
            }
        }
    }
    matrix.brokers = known.len();
    matrix.rows = known.iter().map(|broker| broker.rows.len()).sum();
    for view in name_servers {
        match &view.routes {
            Ok(routes) => {
                let seen = compare_one(&view.name_server, routes, &known, &mut matrix.gaps);
                matrix.name_servers.insert(view.name_server.clone(), seen);
            }
            Err(reason) => {
                matrix.name_servers.insert(view.name_server.clone(), Seen::default());
                matrix.gaps.push(Gap::NameServerSilent {
                    name_server: view.name_server.clone(),
                    reason: reason.clone(),
                });
            }
        }
    }
    matrix.gaps.sort();
    matrix
}

fn compare_one(name_server: &str, routes: &RouteTable, brokers: &[&BrokerRows], gaps: &mut Vec<Gap>) -> Seen {
    let listed: BTreeMap<(&str, &str, u64), &str> = routes
        .brokers
        .iter()
        .map(|broker| {
            (
                (broker.cluster.as_str(), broker.broker_name.as_str(), broker.broker_id),
                broker.address.as_str(),
            )
        })
        .collect();
    let rows: BTreeMap<(&str, &str), &TopicRow> =
        routes.rows.iter().map(|row| ((row.topic.as_str(), row.broker_name.as_str()), row)).collect();
    let mut topics = BTreeSet::new();
    let mut seen = Seen::default();
    for broker in brokers {
        let identity = &broker.identity;
        let label = format!("{}:{}", identity.broker_name, identity.broker_id);
        match listed.get(&(identity.cluster.as_str(), identity.broker_name.as_str(), identity.broker_id)) {
            None => {
                gaps.push(Gap::BrokerMissing { name_server: name_server.to_owned(), broker: label });
                continue;
            }
            Some(address) if *address != identity.address => {
                gaps.push(Gap::BrokerElsewhere {
                    name_server: name_server.to_owned(),
                    broker: label,
                    listed: (*address).to_owned(),
                    own: identity.address.clone(),
                });
                continue;
            }
            Some(_) => seen.brokers += 1,
        }
        let mut missing = Vec::new();
        for row in &broker.rows {
            match rows.get(&(row.topic.as_str(), row.broker_name.as_str())) {
                Some(found) if **found == *row => {
                    topics.insert(row.topic.as_str());
                }
                _ => missing.push(row.topic.as_str()),
            }
        }
        if let Some(example) = missing.iter().min() {
            gaps.push(Gap::RowsMissing {
                name_server: name_server.to_owned(),
                broker: identity.broker_name.clone(),
                count: missing.len(),
                example: (*example).to_owned(),
            });
        }
    }
    seen.topics = topics.len();
    seen
}

#[cfg(test)]
mod tests {
    use agents::types::RegisteredBroker;

    use super::*;

    fn broker(id: u64, address: &str) -> RegisteredBroker {
        RegisteredBroker {
            cluster: "demo".into(),
            broker_name: "demo-0".into(),
            broker_id: id,
            address: address.into(),
        }
    }

    fn row(topic: &str, permission: u32) -> TopicRow {
        TopicRow {
            topic: topic.into(),
            broker_name: "demo-0".into(),
            read_queues: 8,
            write_queues: 8,
            permission,
        }
    }

    fn brokers() -> Vec<BrokerView> {
        let master =
            BrokerRows { identity: broker(0, "10.0.0.1:10911"), rows: vec![row("a", 6), row("b", 6)] };
        let slave = BrokerRows { identity: broker(1, "10.0.0.2:10911"), rows: Vec::new() };
        vec![
            BrokerView { pod: "demo-0-master-0".into(), broker: Ok(master) },
            BrokerView { pod: "demo-0-replica-1-0".into(), broker: Ok(slave) },
        ]
    }

    fn whole() -> RouteTable {
        RouteTable {
            brokers: vec![broker(0, "10.0.0.1:10911"), broker(1, "10.0.0.2:10911")],
            rows: vec![row("a", 6), row("b", 6)],
        }
    }

    fn check(
        routes: Result<RouteTable, String>,
        brokers: &[BrokerView],
        seen: (usize, usize),
        gaps: &[&str],
    ) {
        let views = [NameServerView { name_server: "ns-0".into(), routes }];
        let matrix = compare(&views, brokers);
        let texts: Vec<String> = matrix.gaps.iter().map(ToString::to_string).collect();
        assert_eq!(texts, gaps);
        assert_eq!(matrix.is_whole(), gaps.is_empty());
        assert_eq!(matrix.name_servers["ns-0"], Seen { brokers: seen.0, topics: seen.1 });
    }

    #[test]
    fn a_name_server_that_has_everything_is_whole() {
        check(Ok(whole()), &brokers(), (2, 2), &[]);
        let views = [NameServerView { name_server: "ns-0".into(), routes: Ok(whole()) }];
        assert_eq!(
            compare(&views, &brokers()).summary(),
            "1 name server(s) agree on 2 broker(s) and 2 topic row(s)"
        );
    }

    #[test]
    fn rows_that_only_a_name_server_has_are_no_gap() {
        let mut routes = whole();
        routes.rows.push(row("deleted", 6));
        routes.brokers.push(RegisteredBroker { broker_name: "other".into(), ..broker(0, "10.0.0.9:10911") });
        check(Ok(routes), &brokers(), (2, 2), &[]);
    }

    #[test]
    fn every_missing_or_other_entry_is_a_gap() {
        let with = |change: fn(&mut RouteTable)| {
            let mut routes = whole();
            change(&mut routes);
            Ok(routes)
        };
        check(
            with(|routes| drop(routes.brokers.remove(1))),
            &brokers(),
            (1, 2),
            &["broker `demo-0:1` is not listed at `ns-0`"],
        );
        check(
            with(|routes| routes.brokers[0].address = "10.0.0.7:10911".into()),
            &brokers(),
            (1, 0),
            &["broker `demo-0:0` is listed at `ns-0` as 10.0.0.7:10911, but it is at 10.0.0.1:10911"],
        );
        check(
            with(|routes| drop(routes.rows.remove(0))),
            &brokers(),
            (2, 1),
            &["1 topic row(s) of `demo-0` are missing or differ at `ns-0`, `a` among them"],
        );
        check(
            with(|routes| routes.rows.iter_mut().for_each(|row| row.permission = 4)),
            &brokers(),
            (2, 0),
            &["2 topic row(s) of `demo-0` are missing or differ at `ns-0`, `a` among them"],
        );
    }

    #[test]
    fn whoever_cannot_be_asked_is_a_gap() {
        check(
            Err("no route".into()),
            &brokers(),
            (0, 0),
            &["name server `ns-0` could not be asked: no route"],
        );
        let silent = [BrokerView { pod: "demo-0-master-0".into(), broker: Err("no route".into()) }];
        check(Ok(whole()), &silent, (0, 0), &["broker pod `demo-0-master-0` could not be asked: no route"]);
    }
}
