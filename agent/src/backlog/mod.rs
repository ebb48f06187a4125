//! What somebody still wants of the broker: one look at all of it, before the broker may go.
//!
//! - [`gather`]: what the broker is asked.
//! - [`rows`]: what that means.
//!
//! How far readers are is asked first, then what the broker delivers later, and last where the queues end: a message
//! that moves on meanwhile is counted twice rather than not at all. What cannot be asked is told as unknown, so nothing
//! that a look does not show is proved to be empty.

pub mod gather;
pub mod rows;

use std::error::Error;
use std::fmt::Display;
use std::time::Duration;

use proto::describe::Backlog;
use rocketmq::model::backlog::Row;
use rocketmq::model::broker::MASTER_ID;
use rocketmq::model::own::BrokerNames;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::requests::broker::RuntimeInfo;
use rocketmq::text::error_line;

use crate::configuration::permission;
use crate::metadata::subscriptions::off_the_runtime;
use crate::name_servers::bridge::{BridgeError, identity};

/// How long the broker may take for an answer that has no table.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Whoever reads the list cannot do more with a longer one.
const MOST_UNKNOWN: usize = 100;

/// Why there is no look.
#[derive(Debug, thiserror::Error)]
pub enum BacklogError {
    /// The broker does not say who it is and since when it runs.
    #[error(transparent)]
    Broker(#[from] RemotingError),
    /// The same.
    #[error(transparent)]
    Identity(#[from] BridgeError),
    /// Its offsets are its master's of a while ago.
    #[error("the broker has id {0}: only a master knows what is consumed")]
    Slave(u64),
    /// What was seen before is of another process.
    #[error("the broker restarted meanwhile")]
    Restarted,
    /// Clients may have sent to it.
    #[error("the broker's permission changed from {before} to {after} meanwhile")]
    Permission {
        /// Before the look.
        before: Permission,
        /// After it.
        after: Permission,
    },
}

/// What could not be looked at, in words.
#[derive(Debug, Default)]
pub struct Unknown {
    words: Vec<String>,
    more: usize,
}

impl Unknown {
    /// Notes what could not be looked at, and why.
    pub fn add(&mut self, what: impl Display, error: &dyn Error) {
        self.say(format!("{what}: {}", error_line(error)));
    }

    /// The same in the caller's words.
    pub fn say(&mut self, words: String) {
        if self.words.len() < MOST_UNKNOWN {
            self.words.push(words);
        } else {
            self.more += 1;
        }
    }

    fn into_words(mut self) -> Vec<String> {
        if self.more > 0 {
            self.words.push(format!("and {} more", self.more));
        }
        self.words
    }
}

/// The broker at one moment.
struct Facts {
    broker: RegisteredBroker,
    settings: Properties,
    runtime: RuntimeInfo,
}

impl Facts {
    async fn of(client: &Client) -> Result<Self, BacklogError> {
        let runtime = client.runtime_info().await?.value;
        let settings = client.broker_config().await?.value.settings;
        Ok(Self { broker: identity(&settings)?, settings, runtime })
    }

    fn boot_timestamp_millis(&self) -> u64 {
        self.runtime.boot_timestamp_millis().unwrap_or_default()
    }

    fn is_on(&self, setting: &str) -> bool {
        self.settings.get(setting).map(str::trim) == Some("true")
    }
}

/// Looks at everything once.
pub async fn look(client: &Client) -> Result<Backlog, BacklogError> {
    let client = &client.with_deadline(ANSWER_DEADLINE);
    let before = Facts::of(client).await?;
    if before.broker.broker_id != MASTER_ID {
        return Err(BacklogError::Slave(before.broker.broker_id));
    }
    let (rows, written, unknown) = gathered(client, &before).await;
    let after = Facts::of(client).await?;
    let boot_timestamp_millis = before.boot_timestamp_millis();
    if after.boot_timestamp_millis() != boot_timestamp_millis {
        return Err(BacklogError::Restarted);
    }
    let (before, after) = (permission(&before.settings), permission(&after.settings));
    if before != after {
        return Err(BacklogError::Permission { before, after });
    }
    let unknown = unknown.into_words();
    Ok(Backlog { rows, unknown, boot_timestamp_millis, permission: before.bits(), written })
}

async fn gathered(client: &Client, facts: &Facts) -> (Vec<Row>, u64, Unknown) {
    let mut unknown = Unknown::default();
    tell_uncounted(facts, &mut unknown);
    let (cluster, broker) = (facts.broker.cluster.clone(), facts.broker.broker_name.clone());
    let names = BrokerNames { cluster: &cluster, broker: &broker };
    let tables = gather::tables(client, &mut unknown).await;
    let online = gather::online(client, &tables, &mut unknown).await;
    let mut found = rows::Found::default();
    gather::timer(client, &mut found, &mut unknown).await;
    let levels = facts.settings.get("messageDelayLevel").unwrap_or_default();
    gather::delayed(client, &tables, levels, &mut found, &mut unknown).await;
    let ends = gather::ends(client, &tables, names, &mut unknown).await;
    let written = ends.written;
    let counted = off_the_runtime(move || {
        let names = BrokerNames { cluster: &cluster, broker: &broker };
        // A table that cannot be gone through to its end is told as unknown since it was gone through first.
        let _ = rows::of_readers(&tables, &online, &ends, names, &mut found);
        Ok(found)
    });
    let found = counted.await.unwrap_or_else(|error| {
        unknown.add("what is unread", &error);
        rows::Found::default()
    });
    (found.into_rows(&mut unknown), written, unknown)
}

/// What the broker keeps where no request counts it.
fn tell_uncounted(facts: &Facts, unknown: &mut Unknown) {
    for (setting, what) in [
        // `PopConsumerService`, 5.3.2+.
        ("popConsumerKVServiceEnable", "messages that pop consumers have not acknowledged"),
        // `TransMessageRocksDBStore`, 5.4.0+.
        ("transRocksDBEnable", "transactions without an end"),
    ] {
        if facts.is_on(setting) {
            unknown.say(format!(
                "{what}: with {setting}=true the broker keeps them where no request counts them"
            ));
        }
    }
}
