//! How large the registration of a broker becomes. Name servers close the connection on a frame above 16 MiB, so a
//! broker that grows over it vanishes from every route while it lives (seen on 4.9.7 and 5.3.3).

use std::io::{self, Write};

use crate::model::data_version::DataVersion;
use crate::model::route::RegisteredBroker;
use crate::model::topic::{RegisteredTopics, TopicConfig};
use crate::model::version::Version;
use crate::remoting::requests::registration::RegisterBroker;

/// Above this many bytes of body nothing may be added: the rest of the frame limit is for what registrations have
/// beside the topics that are counted, the broker's own ones and mappings of static topics.
pub const REGISTRATION_LIMIT: u64 = 15 << 20;

/// The body of a registration (code 103) with these topics, in bytes; its version of the table is one of 13 digits of
/// milliseconds and one of changes.
pub fn registration_bytes<'a>(topics: impl IntoIterator<Item = &'a TopicConfig>) -> u64 {
    let mut size = RegistrationSize::default();
    topics.into_iter().for_each(|topic| size.add(topic));
    size.bytes()
}

/// The same, topic by topic.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistrationSize {
    topics: u64,
    bytes: u64,
}

impl RegistrationSize {
    /// Adds a topic.
    pub fn add(&mut self, topic: &TopicConfig) {
        // `"name":{…}`, and a comma before all but the first.
        self.bytes += json_bytes(&topic.topic_name) + 1 + json_bytes(topic) + u64::from(self.topics > 0);
        self.topics += 1;
    }

    /// The body's length.
    #[must_use]
    pub fn bytes(self) -> u64 {
        self.bytes + empty_registration().body().len() as u64
    }
}

/// How long a value is as JSON.
fn json_bytes<T: serde::Serialize + ?Sized>(value: &T) -> u64 {
    let mut count = Count(0);
    // Neither strings nor maps of strings fail, and counting does not either.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(u64);

impl Write for Count {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.0 += buffer.len() as u64;
        Ok(buffer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn empty_registration() -> RegisterBroker {
    RegisterBroker {
        broker: RegisteredBroker {
            cluster: String::new(),
            broker_name: String::new(),
            broker_id: 0,
            address: String::new(),
        },
        ha_server_addr: String::new(),
        version: Version::V5_3_3,
        enable_acting_master: None,
        heartbeat_timeout_millis: None,
        zone: None,
        topics: RegisteredTopics::default(),
        data_version: DataVersion { state_version: 0, timestamp: 1_000_000_000_000, counter: 1 },
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_length_of_the_body(
            topics in btree_map("[a-z%é\"]{1,12}", (1_u32..100, any::<bool>(), ".{0,8}"), 0..6),
        ) {
            let mut registration = empty_registration();
            registration.data_version.timestamp = 1_764_000_000_000;
            let topics: Vec<TopicConfig> = topics.into_iter().map(|(name, (queues, order, text))| {
                let topic = json!({"topicName": name, "readQueueNums": queues, "order": order, "attributes": {"+x": text}});
                serde_json::from_value(topic).unwrap()
            }).collect();
            topics.iter().for_each(|topic| registration.topics.add(topic));
            let bytes = registration_bytes(&topics);
            prop_assert_eq!(bytes, registration.body().len() as u64);
        }
    }
}
