//! The judge: asks name servers and brokers directly, at their pods' addresses, never an agent.
//! So the machine of the tests must reach pods, as the lab's does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rocketmq::model::data_version::DataVersion;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::{RegisteredBroker, RouteTable};
use rocketmq::model::topic::{TopicConfig, TopicName};
use rocketmq::remoting::client::Client;
use tokio::runtime::Runtime;

use crate::e2e::clusters::{self, BROKER};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::e2e::traffic::TOPICS;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// How long one request may take: the machine is busy.
pub(super) const ANSWERS_WITHIN: Duration = Duration::from_secs(10);

/// Queues of a topic at each broker group.
const QUEUES: u32 = 4;

/// Asks; one thread's.
#[derive(Debug)]
pub struct Judge {
    pub(super) runtime: Runtime,
}

/// What brokers themselves hold, and so what every name server must show.
#[derive(Debug, Clone)]
pub struct Truth {
    routes: RouteTable,
}

impl Truth {
    /// What `seen` lacks, in words.
    fn missing_in(&self, seen: &RouteTable) -> Vec<String> {
        not_in(&self.routes, seen)
    }

    /// What `seen` has besides, in words: what nobody registers any more, or never did.
    fn excess_in(&self, seen: &RouteTable) -> Vec<String> {
        not_in(seen, &self.routes)
    }

    /// What of it is one topic's: its rows, and the brokers of their groups.
    pub(super) fn of_topic(&self, topic: &str) -> RouteTable {
        let rows: Vec<_> = self.routes.rows.iter().filter(|row| row.topic == topic).cloned().collect();
        let of_a_row =
            |broker: &&RegisteredBroker| rows.iter().any(|row| row.broker_name == broker.broker_name);
        RouteTable { brokers: self.routes.brokers.iter().filter(of_a_row).cloned().collect(), rows }
    }
}

/// The brokers and rows that are in one table and not in the other.
pub(super) fn not_in(one: &RouteTable, other: &RouteTable) -> Vec<String> {
    let brokers = one.brokers.iter().filter(|broker| !other.brokers.contains(broker));
    let rows = one.rows.iter().filter(|row| !other.rows.contains(row));
    brokers.map(|broker| format!("{broker:?}")).chain(rows.map(|row| format!("{row:?}"))).collect()
}

impl Judge {
    /// A judge of one thread.
    ///
    /// # Errors
    /// When no runtime can be made.
    pub fn new() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Ok(Self { runtime: runtime.context(|| "cannot make a runtime")? })
    }

    /// Makes the topics of the traffic at every master. Brokers up to 4.7.0 answer first and do it then, so it is read
    /// back, at the first name server too.
    ///
    /// # Errors
    /// When a broker refuses, or the first name server does not show them.
    pub fn make_topics(&self, kubectl: &Kubectl) -> Result<()> {
        for broker in masters(kubectl)? {
            for topic in TOPICS {
                let name: TopicName = topic.parse().context(|| format!("`{topic}` is no topic name"))?;
                self.runtime
                    .block_on(async {
                        let client = Client::connect(&broker_address(&broker), ANSWERS_WITHIN).await?;
                        client.create_topic(&TopicConfig::new(&name, QUEUES)).await
                    })
                    .context(|| format!("cannot make topic `{topic}` at pod `{}`", broker.name))?;
            }
        }
        self.has_topics(kubectl)
    }

    /// Waits until every master and every name server has the topics of the traffic.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn has_topics(&self, kubectl: &Kubectl) -> Result<()> {
        watch::until("the topics of the traffic", Duration::from_secs(60), || {
            let has = self.truth(kubectl).and_then(|truth| {
                let lacking =
                    TOPICS.iter().find(|topic| !truth.routes.rows.iter().any(|row| row.topic == **topic));
                ensure(lacking.is_none(), || format!("no broker has {lacking:?}"))?;
                self.compare(kubectl, &truth)
            });
            match has {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
    }

    /// Waits until every name server shows everything that the brokers hold now.
    ///
    /// # Errors
    /// When that takes too long.
    pub fn await_routes(&self, kubectl: &Kubectl) -> Result<()> {
        watch::until("the routes of every topic", Duration::from_secs(60), || {
            match self.truth(kubectl).and_then(|truth| self.compare(kubectl, &truth)) {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.to_string()),
            }
        })
    }

    /// What the cluster's brokers hold now: each as it must be registered, each topic of each master as its row.
    ///
    /// # Errors
    /// When one of them does not answer.
    pub fn truth(&self, kubectl: &Kubectl) -> Result<Truth> {
        let mut routes = RouteTable::default();
        for pod in clusters::broker_pods(kubectl)? {
            let broker = registered(&pod)?;
            if broker.broker_id == 0 {
                let table = self
                    .runtime
                    .block_on(async {
                        Client::connect(&broker.address, ANSWERS_WITHIN).await?.all_topic_config().await
                    })
                    .context(|| format!("pod `{}` does not tell its topics", pod.name))?;
                let registered = table.value.registered(Permission::READ_WRITE, table.version);
                routes.rows.extend(registered.rows(&broker.broker_name));
            }
            routes.brokers.push(broker);
        }
        Ok(Truth { routes })
    }

    /// Compares what every name server shows with the truth: it must show all of it, and nothing besides.
    ///
    /// # Errors
    /// When one lacks a broker or a row, has one that there is not, or does not answer.
    pub fn compare(&self, kubectl: &Kubectl, truth: &Truth) -> Result<()> {
        for pod in clusters::name_server_pods(kubectl)? {
            let seen = self.shown_by(&pod)?;
            shows_all(&pod, truth, &seen)?;
            if truth.excess_in(&seen).is_empty() {
                continue;
            }
            // A client may have made a topic since the brokers were asked.
            let excess = self.truth(kubectl)?.excess_in(&seen);
            ensure(excess.is_empty(), || {
                format!("name server `{}` shows what no broker has: {}", pod.name, excess.join(", "))
            })?;
        }
        Ok(())
    }

    /// Demands that one name server shows all of the truth. It may show more: a watch keeps the truth of its beginning.
    ///
    /// # Errors
    /// When it lacks one broker or one row, or does not answer.
    pub fn shows_all(&self, pod: &Pod, truth: &Truth) -> Result<()> {
        shows_all(pod, truth, &self.shown_by(pod)?)
    }

    fn shown_by(&self, pod: &Pod) -> Result<RouteTable> {
        let ask =
            async { Client::connect(&name_server_address(pod), ANSWERS_WITHIN).await?.route_table().await };
        let seen = self.runtime.block_on(ask);
        Ok(seen.context(|| format!("name server `{}` does not answer", pod.name))?.value)
    }

    /// Whether a bridge holds a broker's registration at a name server.
    ///
    /// # Errors
    /// When the name server does not answer.
    pub fn is_bridged(&self, name_server: &Pod, broker: &Pod) -> Result<bool> {
        let registered = registered(broker)?;
        let ask = async {
            let client = Client::connect(&name_server_address(name_server), ANSWERS_WITHIN).await?;
            client.query_data_version(&registered, &DataVersion::default()).await
        };
        let answer = self.runtime.block_on(ask);
        let stored =
            answer.context(|| format!("name server `{}` does not answer", name_server.name))?.value.stored;
        Ok(stored.is_some_and(DataVersion::is_sentinel))
    }

    /// The names of the broker groups that a name server lists.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn groups(&self, name_server: &Pod) -> Result<BTreeSet<String>> {
        let brokers = self
            .runtime
            .block_on(async {
                Client::connect(&name_server_address(name_server), ANSWERS_WITHIN).await?.cluster_info().await
            })
            .context(|| format!("name server `{}` does not answer", name_server.name))?;
        Ok(brokers.value.into_iter().map(|broker| broker.broker_name).collect())
    }

    /// Whether a name server lists a broker at this address.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn lists(&self, name_server: &Pod, broker_address: &str) -> Result<bool> {
        let brokers = self
            .runtime
            .block_on(async {
                Client::connect(&name_server_address(name_server), ANSWERS_WITHIN).await?.cluster_info().await
            })
            .context(|| format!("name server `{}` does not answer", name_server.name))?;
        Ok(brokers.value.iter().any(|broker| broker.address == broker_address))
    }

    /// When each broker's RocketMQ started.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn boot_timestamps(&self, pods: &[Pod]) -> Result<BTreeMap<String, u64>> {
        pods.iter().map(|pod| Ok((pod.name.clone(), self.boot_timestamp(pod)?))).collect()
    }

    /// When a broker's RocketMQ started.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn boot_timestamp(&self, pod: &Pod) -> Result<u64> {
        self.runtime
            .block_on(async {
                Client::connect(&broker_address(pod), ANSWERS_WITHIN).await?.runtime_info().await
            })
            .context(|| format!("pod `{}` does not answer", pod.name))?
            .value
            .boot_timestamp_millis()
            .ok_or_else(|| LabError::new(format!("pod `{}` does not tell when it started", pod.name)))
    }

    /// The list that a broker says it uses. Empty where an address server gives it.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn live_list(&self, pod: &Pod) -> Result<Vec<String>> {
        let config = self
            .runtime
            .block_on(async {
                Client::connect(&broker_address(pod), ANSWERS_WITHIN).await?.broker_config().await
            })
            .context(|| format!("pod `{}` does not tell its configuration", pod.name))?;
        let list = config.value.settings.get("namesrvAddr").unwrap_or_default();
        Ok(list
            .split(';')
            .filter(|address| !address.is_empty() && *address != "null")
            .map(str::to_owned)
            .collect())
    }
}

/// The address that a broker registers.
pub fn broker_address(pod: &Pod) -> String {
    format!("{}:10911", pod.ip)
}

/// Where a name server answers.
pub fn name_server_address(pod: &Pod) -> String {
    format!("{}:9876", pod.ip)
}

fn shows_all(pod: &Pod, truth: &Truth, seen: &RouteTable) -> Result<()> {
    let missing = truth.missing_in(seen);
    ensure(missing.is_empty(), || format!("name server `{}` lacks {}", pod.name, missing.join(", ")))
}

/// A broker as it must be registered.
fn registered(pod: &Pod) -> Result<RegisteredBroker> {
    let (broker_name, broker_id) = place(pod)?;
    Ok(RegisteredBroker { cluster: BROKER.to_owned(), broker_name, broker_id, address: broker_address(pod) })
}

/// The masters of the cluster, in the order of their groups.
///
/// # Errors
/// When they cannot be listed.
pub fn masters(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    Ok(clusters::broker_pods(kubectl)?.into_iter().filter(|pod| pod.name.contains("-master-")).collect())
}

/// The group and the id of a broker, which its pod's name tells: `<broker>-<group>-master-0`,
/// `<broker>-<group>-replica-<id>-0`.
fn place(pod: &Pod) -> Result<(String, u64)> {
    let parse = || {
        if let Some(group) = pod.name.strip_suffix("-master-0") {
            return Some((group.to_owned(), 0));
        }
        let (group, id) = pod.name.strip_suffix("-0")?.rsplit_once("-replica-")?;
        Some((group.to_owned(), id.parse().ok()?))
    };
    parse().ok_or_else(|| LabError::new(format!("`{}` is no name of a broker's pod", pod.name)))
}

#[cfg(test)]
mod tests {
    use rocketmq::model::route::TopicRow;

    use super::*;

    fn named(name: &str) -> Pod {
        Pod {
            name: name.to_owned(),
            uid: String::new(),
            ip: String::new(),
            ready: true,
            containers: BTreeMap::new(),
        }
    }

    fn truth() -> Truth {
        let broker = |group: &str, id: u64| RegisteredBroker {
            cluster: BROKER.to_owned(),
            broker_name: group.to_owned(),
            broker_id: id,
            address: format!("{group}-{id}:10911"),
        };
        let row = |topic: &str, group: &str| TopicRow {
            topic: topic.to_owned(),
            broker_name: group.to_owned(),
            read_queues: 4,
            write_queues: 4,
            permission: 6,
        };
        Truth {
            routes: RouteTable {
                brokers: vec![broker("broker-0", 0), broker("broker-0", 1), broker("broker-1", 0)],
                rows: vec![row("orders", "broker-0"), row("orders", "broker-1"), row("payments", "broker-1")],
            },
        }
    }

    #[test]
    fn a_name_server_must_show_all_that_there_is_and_nothing_besides() {
        let truth = truth();
        let check = |change: fn(&mut RouteTable), missing: usize, excess: usize| {
            let mut seen = truth.routes.clone();
            change(&mut seen);
            assert_eq!(
                (truth.missing_in(&seen).len(), truth.excess_in(&seen).len()),
                (missing, excess),
                "{seen:?}"
            );
        };
        check(|_| {}, 0, 0);
        check(|seen| drop(seen.brokers.remove(1)), 1, 0);
        check(|seen| drop(seen.rows.remove(0)), 1, 0);
        check(|seen| seen.brokers[1].broker_id = 2, 1, 1);
        check(|seen| seen.brokers[2].address = "stale:10911".to_owned(), 1, 1);
        check(|seen| seen.rows[0].permission = 4, 1, 1);
        check(|seen| seen.rows.push(TopicRow { topic: "stale".to_owned(), ..seen.rows[0].clone() }), 0, 1);
        check(|seen| seen.brokers.push(RegisteredBroker { broker_id: 3, ..seen.brokers[0].clone() }), 0, 1);
    }

    #[test]
    fn a_topics_route_has_its_groups_brokers() {
        let route = truth().of_topic("payments");
        let addresses: Vec<&str> = route.brokers.iter().map(|broker| broker.address.as_str()).collect();
        assert_eq!((route.rows.len(), addresses), (1, vec!["broker-1-0:10911"]));
        assert!(truth().of_topic("parcels").rows.is_empty());
    }

    #[test]
    fn a_broker_is_told_by_its_pod() {
        assert_eq!(place(&named("broker-1-master-0")).unwrap(), ("broker-1".to_owned(), 0));
        assert_eq!(place(&named("broker-0-replica-2-0")).unwrap(), ("broker-0".to_owned(), 2));
        assert!(place(&named("name-service-0")).is_err());
    }
}
