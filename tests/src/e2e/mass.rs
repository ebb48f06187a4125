//! So many topics and groups that a bundle of them takes a while, and names that make their size known.

use std::time::Duration;

use rocketmq::model::topic::TopicConfig;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha512};

use crate::e2e::judge::{Judge, broker_address};
use crate::e2e::pods::Pod;
use crate::error::{Context, Result};

/// A request that makes many writes the whole table once.
const MADE_WITHIN: Duration = Duration::from_secs(60);

/// How many are made by one request.
const BATCH: usize = 2000;

/// Topics of four queues whose names have 25 characters, so that each takes 194 bytes of a registration (seen on 5.3.3).
///
/// # Errors
/// Never in practice.
pub fn topics(count: usize) -> Result<Vec<TopicConfig>> {
    let topic = |number: usize| -> Result<TopicConfig> {
        let name = topic_name(number);
        Ok(TopicConfig::new(&name.parse().context(|| format!("`{name}` is no topic name"))?, 4))
    };
    (0..count).map(topic).collect()
}

/// The name of one of [`topics`].
pub fn topic_name(number: usize) -> String {
    format!("topic-{number:019}")
}

/// Subscription groups with RocketMQ's settings whose names have 25 characters: 401 bytes each in the broker's file (seen
/// on 5.3.3). They cost name servers nothing.
pub fn groups(count: usize) -> Vec<Map<String, Value>> {
    named_groups(count, |number| format!("group-{number:019}"))
}

/// Subscription groups whose names have 250 characters that look like chance: however a bundle of them is compressed, each
/// takes 125 bytes at least.
pub fn incompressible_groups(count: usize) -> Vec<Map<String, Value>> {
    named_groups(count, |number| {
        let digits = |half: &str| format!("{:x}", Sha512::digest(format!("{number} {half}")));
        let mut name = digits("first") + &digits("second");
        name.truncate(250);
        name
    })
}

fn named_groups(count: usize, name: impl Fn(usize) -> String) -> Vec<Map<String, Value>> {
    let group = |number: usize| json!({"groupName": name(number)});
    (0..count).filter_map(|number| group(number).as_object().cloned()).collect()
}

impl Judge {
    /// Makes many groups at a broker, 5.3.1 and later only.
    ///
    /// # Errors
    /// When it refuses them.
    pub fn make_many_groups(&self, broker: &Pod, groups: &[Map<String, Value>]) -> Result<()> {
        let make = async {
            let client = Client::connect(&broker_address(broker), MADE_WITHIN).await?;
            for batch in groups.chunks(BATCH) {
                client.create_subscription_groups(batch).await?;
            }
            Ok::<_, RemotingError>(())
        };
        self.runtime.block_on(make).context(|| format!("pod `{}` does not make groups", broker.name))
    }
}

#[cfg(test)]
mod tests {
    use rocketmq::model::subscription_group::GroupName;

    use super::*;

    #[test]
    fn names_that_look_like_chance_are_valid_and_not_alike() {
        let groups = incompressible_groups(2);
        let names = [0, 1].map(|number| groups[number]["groupName"].as_str().unwrap());
        assert!(names.iter().all(|name| name.len() == 250 && name.parse::<GroupName>().is_ok()));
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn names_have_the_length_that_was_measured() {
        assert_eq!(topics(2).unwrap().pop().unwrap().topic_name.len(), 25);
        assert_eq!(groups(2)[1]["groupName"].as_str().map(str::len), Some(25));
    }
}
