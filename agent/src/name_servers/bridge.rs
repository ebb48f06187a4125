//! A bridge: the broker's whole registration, made in its stead on a channel of the agent's, under a data version
//! that no broker has. The name server drops the entry when that channel closes, unless the broker has registered
//! itself by then (`RouteInfoManager.onChannelDestroy`, all tags).

use bytes::Bytes;
use rocketmq::metadata::walk;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::requests::registration::RegisterBroker;

use crate::configuration::permission;
use crate::metadata::subscriptions::{TableError, off_the_runtime};

/// An open bridge. Dropping it closes its channel.
#[derive(Debug)]
pub struct Bridge {
    channel: Client,
    broker: RegisteredBroker,
    /// What the name server stores while nobody else registers.
    sentinel: DataVersion,
    round: u32,
    /// The broker's own version of the table that was sent.
    sent: DataVersion,
}

/// Whose entry it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Still the bridge's.
    Bridge,
    /// The broker has registered itself.
    Broker,
    /// Nobody's: the name server dropped it.
    Nobody,
}

/// Why a bridge could not be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// A request failed.
    #[error(transparent)]
    Remoting(#[from] RemotingError),
    /// The broker's topic table cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The broker does not tell a setting that its registration needs.
    #[error("the broker's configuration has no `{0}`")]
    NoSetting(&'static str),
    /// Another broker than the agent's own answers.
    #[error("the broker beside the agent is `{0}`")]
    OtherBroker(String),
}

impl Bridge {
    /// Registers.
    pub async fn open(channel: Client, registration: Registration) -> Result<Self, BridgeError> {
        let mut message = registration.as_broker;
        let sent = message.data_version;
        let sentinel = sent.sentinel(0);
        message.data_version = sentinel;
        channel.register_broker(&message).await?;
        Ok(Self { channel, broker: message.broker, sentinel, round: 0, sent })
    }

    /// Another handle on its channel, which is open while one of them lives.
    pub fn channel(&self) -> Client {
        self.channel.clone()
    }

    /// Asks whose the entry is, which keeps it alive at the same time. Never registers again: the broker may have
    /// come since.
    pub async fn holder(&self) -> Result<Holder, BridgeError> {
        let answer = self.channel.query_data_version(&self.broker, &self.sentinel).await?.value;
        Ok(match answer.stored {
            None => Holder::Nobody,
            Some(stored) if stored.is_sentinel() => Holder::Bridge,
            Some(_) => Holder::Broker,
        })
    }

    /// Sends the broker's table again if it changed, the entry is still the bridge's, and `may_register` says so
    /// right before.
    pub async fn renew(
        &mut self,
        neighbour: &Client,
        may_register: impl Fn() -> bool,
    ) -> Result<(), BridgeError> {
        let table = neighbour.all_topic_config_body().await?.value;
        let looked_at = table.clone();
        if off_the_runtime(move || Ok(walk::data_version(&looked_at)?)).await? == self.sent {
            return Ok(());
        }
        let registration = Registration::with(neighbour, &self.broker, table).await?;
        if self.holder().await? != Holder::Bridge || !may_register() {
            return Ok(());
        }
        let sent = registration.as_broker.data_version;
        let round = self.round.wrapping_add(1);
        let sentinel = sent.sentinel(round);
        self.channel
            .register_broker(&RegisterBroker { data_version: sentinel, ..registration.as_broker })
            .await?;
        (self.sent, self.round, self.sentinel) = (sent, round, sentinel);
        tracing::info!(broker = self.broker.broker_name, "the bridge has the broker's changed topics");
        Ok(())
    }
}

/// What the broker itself would register.
#[derive(Debug, Clone)]
pub struct Registration {
    as_broker: RegisterBroker,
}

impl Registration {
    /// Asks the broker beside the agent, which must be `expected`.
    pub async fn of(neighbour: &Client, expected: &RegisteredBroker) -> Result<Self, BridgeError> {
        Self::with(neighbour, expected, neighbour.all_topic_config_body().await?.value).await
    }

    /// The same of a table that it has given.
    async fn with(
        neighbour: &Client,
        expected: &RegisteredBroker,
        table: Bytes,
    ) -> Result<Self, BridgeError> {
        let config = neighbour.broker_config().await?;
        let settings = &config.value.settings;
        let broker = identity(settings)?;
        if broker != *expected {
            return Err(BridgeError::OtherBroker(format!(
                "{}:{} of cluster {} at {}",
                broker.broker_name, broker.broker_id, broker.cluster, broker.address
            )));
        }
        let (permission, version) = (permission(settings), config.version);
        let made = off_the_runtime(move || Ok(walk::registration(&table, permission, version)?));
        let (data_version, topics) = made.await?;
        Ok(Self {
            as_broker: RegisterBroker {
                broker,
                ha_server_addr: format!(
                    "{}:{}",
                    text(settings, "brokerIP2")?,
                    text(settings, "haListenPort")?
                ),
                version,
                enable_acting_master: acting_master(settings, version),
                // Absent = 120 s. The 10 s that an acting-master broker asks for would need its heartbeats.
                heartbeat_timeout_millis: None,
                // From the broker's environment, which no request shows.
                zone: None,
                data_version,
                topics,
            },
        })
    }
}

/// Who a broker with these settings is.
pub fn identity(settings: &Properties) -> Result<RegisteredBroker, BridgeError> {
    Ok(RegisteredBroker {
        cluster: text(settings, "brokerClusterName")?.to_owned(),
        broker_name: text(settings, "brokerName")?.to_owned(),
        broker_id: text(settings, "brokerId")?.parse().map_err(|_| BridgeError::NoSetting("brokerId"))?,
        address: format!("{}:{}", text(settings, "brokerIP1")?, text(settings, "listenPort")?),
    })
}

/// 5.x: the flag of the group's last registrant counts, and an absent one switches it off
/// (`RouteInfoManager.registerBroker`, 5.0.0+).
fn acting_master(settings: &Properties, version: Version) -> Option<bool> {
    version
        .is_5()
        .then(|| settings.get("enableSlaveActingMaster").map(|value| value.trim() == "true"))
        .flatten()
}

fn text<'a>(settings: &'a Properties, key: &'static str) -> Result<&'a str, BridgeError> {
    settings.get(key).map(str::trim).filter(|value| !value.is_empty()).ok_or(BridgeError::NoSetting(key))
}
