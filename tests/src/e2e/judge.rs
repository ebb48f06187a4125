//! The judge: asks name servers and brokers directly, at their pods' addresses, never an agent.
//! So the machine of the tests must reach pods, as the lab's does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

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
        let brokers = self.routes.brokers.iter().filter(|broker| !seen.brokers.contains(broker));
        let rows = self.routes.rows.iter().filter(|row| !seen.rows.contains(row));
        brokers.map(|broker| format!("{broker:?}")).chain(rows.map(|row| format!("{row:?}"))).collect()
    }
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
            let (group, id) = place(&pod)?;
            let address = broker_address(&pod);
            if id == 0 {
                let table = self
                    .runtime
                    .block_on(async {
                        Client::connect(&address, ANSWERS_WITHIN).await?.all_topic_config().await
                    })
                    .context(|| format!("pod `{}` does not tell its topics", pod.name))?;
                let registered = table.value.registered(Permission::READ_WRITE, table.version);
                routes.rows.extend(registered.rows(&group));
            }
            routes.brokers.push(RegisteredBroker {
                cluster: BROKER.to_owned(),
                broker_name: group,
                broker_id: id,
                address,
            });
        }
        Ok(Truth { routes })
    }

    /// Compares what every name server shows with the truth.
    ///
    /// # Errors
    /// When one lacks one broker or one row, or does not answer.
    pub fn compare(&self, kubectl: &Kubectl, truth: &Truth) -> Result<()> {
        for pod in clusters::name_server_pods(kubectl)? {
            self.compare_one(&pod, truth)?;
        }
        Ok(())
    }

    /// Compares what one name server shows with the truth.
    ///
    /// # Errors
    /// When it lacks one broker or one row, or does not answer.
    pub fn compare_one(&self, pod: &Pod, truth: &Truth) -> Result<()> {
        let seen = self
            .runtime
            .block_on(async {
                Client::connect(&name_server_address(pod), ANSWERS_WITHIN).await?.route_table().await
            })
            .context(|| format!("name server `{}` does not answer", pod.name))?;
        let missing = truth.missing_in(&seen.value);
        ensure(missing.is_empty(), || format!("name server `{}` lacks {}", pod.name, missing.join(", ")))
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

    #[test]
    fn a_broker_is_told_by_its_pod() {
        assert_eq!(place(&named("broker-1-master-0")).unwrap(), ("broker-1".to_owned(), 0));
        assert_eq!(place(&named("broker-0-replica-2-0")).unwrap(), ("broker-0".to_owned(), 2));
        assert!(place(&named("name-service-0")).is_err());
    }
}
