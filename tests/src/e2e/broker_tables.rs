//! What brokers hold, asked of them directly: the tables that a new group must have, and where they can be written to.

use std::time::Duration;

use rocketmq::metadata::{Metadata, Origin, Subscription};
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::topic::{RegisteredTopics, TopicConfig};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::requests::registration::RegisterBroker;
use serde_json::{Map, Value};

use crate::e2e::clusters::BROKER;
use crate::e2e::judge::{ANSWERS_WITHIN, Judge, broker_address, name_server_address};
use crate::e2e::pods::Pod;
use crate::error::{Context, Result};

/// How long a batch of topics may take: the broker writes its whole table once for each.
const MAKES_WITHIN: Duration = Duration::from_secs(60);

/// A group's master as a name server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMaster {
    /// Its address.
    pub address: String,
    /// The permission of the topic that was asked for.
    pub permission: Permission,
}

impl Judge {
    /// Makes topics and groups at a broker, whole.
    ///
    /// # Errors
    /// When it refuses one.
    pub fn make(&self, broker: &Pod, topics: &[TopicConfig], groups: &[Map<String, Value>]) -> Result<()> {
        let make = async {
            let client = Client::connect(&broker_address(broker), ANSWERS_WITHIN).await?;
            for topic in topics {
                client.create_topic(topic).await?;
            }
            for group in groups {
                client.create_subscription_group(group).await?;
            }
            Ok::<_, rocketmq::remoting::error::RemotingError>(())
        };
        self.runtime
            .block_on(make)
            .context(|| format!("pod `{}` does not make topics or groups", broker.name))
    }

    /// Makes many topics at a broker, 5.3.0 and later only.
    ///
    /// # Errors
    /// When it refuses them.
    pub fn make_many(&self, broker: &Pod, topics: &[TopicConfig]) -> Result<()> {
        let make = async {
            let client = Client::connect(&broker_address(broker), MAKES_WITHIN).await?;
            for batch in topics.chunks(2000) {
                client.create_topics(batch).await?;
            }
            Ok::<_, rocketmq::remoting::error::RemotingError>(())
        };
        self.runtime.block_on(make).context(|| format!("pod `{}` does not make topics", broker.name))
    }

    /// Registers a broker that nobody runs at a name server while `act` acts.
    ///
    /// # Errors
    /// When the name server refuses, and what `act` says.
    pub fn while_registered(
        &self,
        name_server: &Pod,
        broker: &RegisteredBroker,
        act: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let unanswered = || format!("name server `{}` does not take a registration", name_server.name);
        let registration = RegisterBroker {
            broker: broker.clone(),
            ha_server_addr: broker.address.clone(),
            version: Version::V5_3_3,
            enable_acting_master: None,
            heartbeat_timeout_millis: None,
            zone: None,
            topics: RegisteredTopics::default(),
            data_version: DataVersion::default(),
        };
        // The name server forgets it with this connection, unless it is asked to before.
        let client = self
            .runtime
            .block_on(async {
                let client = Client::connect(&name_server_address(name_server), ANSWERS_WITHIN).await?;
                client.register_broker(&registration).await?;
                Ok::<_, rocketmq::remoting::error::RemotingError>(client)
            })
            .context(unanswered)?;
        let acted = act();
        self.runtime.block_on(client.unregister_broker(broker)).context(unanswered)?;
        acted
    }

    /// Forbids a group to read a topic, 5.x only.
    ///
    /// # Errors
    /// When the broker refuses.
    pub fn forbid(&self, broker: &Pod, subscription: &Subscription) -> Result<()> {
        let forbid = async {
            let client = Client::connect(&broker_address(broker), ANSWERS_WITHIN).await?;
            client.set_group_readable(subscription, false).await.map(drop)
        };
        self.runtime
            .block_on(forbid)
            .context(|| format!("pod `{}` does not forbid {subscription}", broker.name))
    }

    /// The topics and groups (codes 21 and 201) of the broker at an address that another broker shall have: without its
    /// own, and without ordered topics.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn tables(&self, broker_name: &str, address: &str) -> Result<Metadata> {
        let ask = async {
            let client = Client::connect(address, ANSWERS_WITHIN).await?;
            Ok::<_, rocketmq::remoting::error::RemotingError>((
                client.all_topic_config().await?,
                client.subscription_groups().await?,
            ))
        };
        let (topics, groups) = self
            .runtime
            .block_on(ask)
            .context(|| format!("the broker at {address} does not tell its tables"))?;
        let forbidden = groups.value.rest.get("forbiddenTable").and_then(Value::as_object);
        let metadata = Metadata {
            topics: topics.value.topics,
            forbidden: forbidden.cloned().unwrap_or_default(),
            groups: groups.value.groups,
            ..Metadata::default()
        };
        let origin = Origin {
            cluster: BROKER.to_owned(),
            broker_name: broker_name.to_owned(),
            version: topics.version,
        };
        Ok(metadata.sanitised(&origin, false).0)
    }

    /// How a name server shows the master of a group to clients of a topic; `None` if it does not.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn shown_master(
        &self,
        name_server: &Pod,
        topic: &str,
        broker_name: &str,
    ) -> Result<Option<ShownMaster>> {
        let ask = async {
            Client::connect(&name_server_address(name_server), ANSWERS_WITHIN).await?.route(topic).await
        };
        let route = self
            .runtime
            .block_on(ask)
            .context(|| format!("name server `{}` does not answer", name_server.name))?
            .value
            .unwrap_or_default();
        let row = route.rows.iter().find(|row| row.broker_name == broker_name);
        let master =
            route.brokers.iter().find(|broker| broker.broker_name == broker_name && broker.broker_id == 0);
        Ok(row.zip(master).map(|(row, master)| ShownMaster {
            address: master.address.clone(),
            permission: Permission::from_bits(row.permission),
        }))
    }
}
