//! What a slave has of its master, asked of both brokers directly.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq::metadata::Metadata;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::json;
use serde_json::Value;

use crate::e2e::groups;
use crate::e2e::judge::{ANSWERS_WITHIN, Judge, broker_address};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::{self, Pod};
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// A slave fetches its master's tables when it has run for a minute, and each minute then (seen on 5.3.3); each 10 s
/// before 5.0.0.
const EQUAL_WITHIN: Duration = Duration::from_secs(150);

/// A broker's tables, offsets, and end of its commit log.
#[derive(Debug, Clone, PartialEq)]
struct Held {
    metadata: Metadata,
    /// By topic and group, then by queue.
    offsets: BTreeMap<String, Value>,
    commit_log_ends_at: u64,
}

/// The pods of the first slave of each group.
///
/// # Errors
/// When one does not exist.
pub fn first_slaves(kubectl: &Kubectl, groups: u32) -> Result<Vec<Pod>> {
    let slave = |group: u32| pods::pod(kubectl, &format!("{}-replica-1-0", groups::name(group)));
    (0..groups).map(slave).collect()
}

/// Waits until the first slave of each group holds what its master holds, at two looks in a row between which neither has
/// changed: topics, subscription groups, the offsets of consumers, and a commit log that ends at the same byte.
///
/// # Errors
/// When one lacks something for too long, or a master holds nothing that could be lacked.
pub fn have_everything(kubectl: &Kubectl, judge: &Judge, groups: u32) -> Result<()> {
    for (group, slave) in (0..groups).zip(first_slaves(kubectl, groups)?) {
        let master = pods::pod(kubectl, &groups::master(group))?;
        let mut seen_before = None;
        watch::until(&format!("pod `{}` to hold what its master holds", slave.name), EQUAL_WITHIN, || {
            let look = || {
                let held = |pod: &Pod| judge.held(&groups::name(group), pod);
                let (of_master, of_slave) = (held(&master)?, held(&slave)?);
                equal(&of_master, &of_slave)?;
                Ok::<_, LabError>(of_master)
            };
            match look() {
                Ok(held) if seen_before.as_ref() == Some(&held) => Look::Ready(()),
                Ok(held) => {
                    seen_before = Some(held);
                    Look::NotYet("they were equal at one look".to_owned())
                }
                Err(error) => {
                    seen_before = None;
                    Look::NotYet(error.report())
                }
            }
        })?;
    }
    Ok(())
}

/// Demands that a slave lacks nothing of its master, and that there is something to lack.
fn equal(master: &Held, slave: &Held) -> Result<()> {
    ensure(!master.metadata.topics.is_empty() && !master.metadata.groups.is_empty(), || {
        "the master has no topic, or no group".to_owned()
    })?;
    ensure(!master.offsets.is_empty() && master.commit_log_ends_at > 0, || {
        format!("nobody has sent to the master, or read of it: {:?}", master.offsets)
    })?;
    let difference = rocketmq::metadata::difference(&master.metadata, &slave.metadata);
    ensure(difference.is_empty() && master.metadata == slave.metadata, || {
        format!("the slave's tables differ: {difference:?}")
    })?;
    let offset = master.offsets.iter().find(|(key, queues)| slave.offsets.get(*key) != Some(*queues));
    ensure(offset.is_none(), || format!("the slave has {offset:?} otherwise: {:?}", slave.offsets))?;
    let (wanted, has) = (master.commit_log_ends_at, slave.commit_log_ends_at);
    ensure(wanted == has, || format!("the slave's commit log ends at {has}, its master's at {wanted}"))
}

impl Judge {
    /// What a broker holds.
    fn held(&self, group: &str, broker: &Pod) -> Result<Held> {
        let unanswered = || format!("pod `{}` does not tell what it holds", broker.name);
        let address = broker_address(broker);
        let ask = async {
            let client = Client::connect(&address, ANSWERS_WITHIN).await?;
            let offsets = client.consumer_offsets_body().await?.value;
            Ok::<_, RemotingError>((offsets, client.runtime_info().await?.value))
        };
        let (offsets, runtime) = self.runtime.block_on(ask).context(unanswered)?;
        let offsets = json::parse(&offsets).context(unanswered)?;
        let offsets = offsets["offsetTable"].as_object().cloned().unwrap_or_default();
        let end = runtime.number("commitLogMaxOffset");
        Ok(Held {
            metadata: self.tables(group, &address)?,
            offsets: offsets.into_iter().collect(),
            commit_log_ends_at: end.ok_or_else(|| LabError::new(unanswered()))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::topic::TopicConfig;
    use serde_json::json;

    use super::*;

    fn held() -> Held {
        let mut metadata = Metadata::default();
        let orders = TopicConfig::new(&"orders".parse().unwrap(), 4);
        metadata.topics.insert("orders".to_owned(), orders);
        metadata
            .groups
            .insert("billing".to_owned(), json!({"groupName": "billing"}).as_object().cloned().unwrap());
        let offsets = [("orders@billing".to_owned(), json!({"0": 12}))].into();
        Held { metadata, offsets, commit_log_ends_at: 4096 }
    }

    #[test]
    fn a_slave_that_lacks_anything_is_not_equal() {
        assert!(equal(&held(), &held()).is_ok());
        let lacks = |change: fn(&mut Held)| {
            let mut slave = held();
            change(&mut slave);
            equal(&held(), &slave).is_err()
        };
        assert!(lacks(|slave| slave.commit_log_ends_at = 4095));
        assert!(lacks(|slave| slave.offsets.clear()));
        assert!(lacks(|slave| {
            slave.offsets.insert("orders@billing".to_owned(), json!({"0": 11}));
        }));
        assert!(lacks(|slave| slave.metadata.groups.clear()));
        assert!(lacks(|slave| slave.metadata.topics.clear()));
        assert!(lacks(|slave| slave.metadata.topics.get_mut("orders").unwrap().write_queues = 2));
        assert!(lacks(|slave| {
            let group = slave.metadata.groups.get_mut("billing").unwrap();
            group.insert("retryMaxTimes".to_owned(), json!(3));
        }));
    }

    #[test]
    fn a_master_that_holds_nothing_shows_nothing() {
        let mut empty = held();
        empty.offsets.clear();
        assert!(equal(&empty, &empty).is_err());
        assert!(
            equal(
                &Held { metadata: Metadata::default(), ..held() },
                &Held { metadata: Metadata::default(), ..held() }
            )
            .is_err()
        );
    }
}
