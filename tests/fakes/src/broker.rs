//! A broker on loopback.

mod answers;
mod changes;
mod consumers;
mod queues;
mod tables;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq::metadata::{Entry, Metadata, Subscription};
use rocketmq::model::backlog::QueueRange;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::name_server;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::subscription_group::SubscriptionGroupTable;
use rocketmq::model::topic::{RegisteredTopics, TopicConfig, TopicTable};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::header::Serialization;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::requests::registration::RegisterBroker;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub use self::consumers::OnlineGroup;
use self::queues::Queues;

use crate::peer::{Common, ConnectionId, Received, Server, Unmet};

/// A name server of the list that does not answer costs a registration this long, not more.
const REGISTER_DEADLINE: Duration = Duration::from_secs(3);

/// When the table of every fake broker was made: any time but a sentinel's.
const TABLE_MADE_AT: i64 = 1_700_000_000_000;

/// What a broker is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerSetup {
    /// Which version it behaves like.
    pub version: Version,
    /// `brokerClusterName`.
    pub cluster: String,
    /// `brokerName`.
    pub broker_name: String,
    /// `brokerId`.
    pub broker_id: u64,
    /// Its topics; a broker always has RocketMQ's own beside them.
    pub topics: Vec<TopicConfig>,
    /// Further settings, as its file would have them, for example `namesrvAddr`.
    pub settings: Properties,
    /// The folder `store/config` whose files it loads at its start.
    pub config: Option<PathBuf>,
}

impl BrokerSetup {
    /// A master without topics of its own and without name servers.
    #[must_use]
    pub fn master(version: Version, cluster: &str, broker_name: &str) -> Self {
        Self {
            version,
            cluster: cluster.to_owned(),
            broker_name: broker_name.to_owned(),
            broker_id: 0,
            topics: Vec::new(),
            settings: Properties::new(),
            config: None,
        }
    }
}

/// A broker that listens until it is dropped. It registers at name servers only when it is told.
#[derive(Debug)]
pub struct FakeBroker {
    server: Server<State>,
    registrar: Arc<Registrar>,
    delayed: Mutex<JoinSet<()>>,
}

/// What happens between two requests.
#[derive(Debug, Clone)]
enum Meanwhile {
    Reboot,
    Set(String, String),
}

/// Everything that conditions may look at.
#[derive(Debug)]
pub struct State {
    common: Common,
    identity: RegisteredBroker,
    topics: TopicTable,
    groups: SubscriptionGroupTable,
    forbidden: Map<String, Value>,
    request_modes: BTreeMap<Subscription, Map<String, Value>>,
    offsets: BTreeMap<Subscription, BTreeMap<u32, i64>>,
    online: BTreeMap<String, OnlineGroup>,
    settings: Properties,
    boot_timestamp_millis: u64,
    /// What happens right after the next request of a kind.
    after: BTreeMap<RequestCode, Meanwhile>,
    queues: Queues,
    commit_log_max_offset: u64,
}

impl State {
    /// Every request that came, in order.
    #[must_use]
    pub fn received(&self) -> &[Received] {
        &self.common.received
    }

    /// The open connections.
    #[must_use]
    pub fn connections(&self) -> &[ConnectionId] {
        &self.common.open
    }

    /// The live settings.
    #[must_use]
    pub fn settings(&self) -> &Properties {
        &self.settings
    }

    /// `namesrvAddr` of the live settings, as a list.
    #[must_use]
    pub fn live_list(&self) -> Vec<String> {
        name_server::split(self.settings.get("namesrvAddr").unwrap_or_default())
    }

    /// The topic table.
    #[must_use]
    pub fn topics(&self) -> &TopicTable {
        &self.topics
    }

    fn registration(&self) -> RegisterBroker {
        let permission =
            self.settings.get("brokerPermission").and_then(|text| text.parse().ok()).unwrap_or(6);
        let acting_master = self.settings.get("enableSlaveActingMaster") == Some("true");
        RegisterBroker {
            broker: self.identity.clone(),
            ha_server_addr: format!(
                "{}:{}",
                self.settings.get("brokerIP2").unwrap_or_default(),
                self.settings.get("haListenPort").unwrap_or_default()
            ),
            version: self.common.version,
            enable_acting_master: self.common.version.is_5().then_some(acting_master),
            heartbeat_timeout_millis: acting_master.then_some(10_000),
            zone: None,
            topics: RegisteredTopics::from(
                &self.topics.clone().registered(Permission::from_bits(permission), self.common.version),
            ),
            data_version: self.topics.data_version,
        }
    }

    /// All its tables.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        Metadata {
            topics: self.topics.topics.clone(),
            groups: self.groups.groups.clone(),
            forbidden: self.forbidden.clone(),
            request_modes: self.request_modes.clone(),
            offsets: self.offsets.clone(),
        }
    }
}

/// Registers a broker and keeps the connections that it did it on.
#[derive(Debug, Default)]
struct Registrar {
    connections: Mutex<Vec<Client>>,
}

impl Registrar {
    async fn connection(&self, name_server: &str) -> Result<Client, RemotingError> {
        if let Some(open) = self.open(name_server) {
            return Ok(open);
        }
        let client = Client::connect(name_server, REGISTER_DEADLINE).await?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(client.clone());
        Ok(client)
    }

    fn open(&self, name_server: &str) -> Option<Client> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|client| !client.is_closed());
        connections.iter().find(|client| client.address() == name_server).cloned()
    }

    async fn register(&self, name_servers: &[String], registration: &RegisterBroker) -> Vec<RemotingError> {
        let mut errors = Vec::new();
        for name_server in name_servers {
            let registered = match self.connection(name_server).await {
                Ok(client) => client.register_broker(registration).await.map(drop),
                Err(error) => Err(error),
            };
            errors.extend(registered.err());
        }
        errors
    }
}

impl FakeBroker {
    /// Starts one on a free port. It registers nowhere.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(setup: BrokerSetup) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), setup).await
    }

    /// Starts one at an address, for example where it was before a restart.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub async fn start_at(address: SocketAddr, setup: BrokerSetup) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let server = Server::serve(listener, answers::started(address, setup))?;
        Ok(Self { server, registrar: Arc::default(), delayed: Mutex::default() })
    }

    /// `127.0.0.1:port`, which is also what it registers.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// The same as a socket address.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.server.address
    }

    /// Stops it as a killed process: its connections are closed, those to name servers too. It can be started again
    /// at the address.
    pub async fn stop(mut self) -> SocketAddr {
        self.server.stop().await
    }

    /// Who it is.
    #[must_use]
    pub fn identity(&self) -> RegisteredBroker {
        self.server.read(|state| state.identity.clone())
    }

    /// The version of its topic table.
    #[must_use]
    pub fn data_version(&self) -> DataVersion {
        self.server.read(|state| state.topics.data_version)
    }

    /// Its topic table.
    #[must_use]
    pub fn topics(&self) -> TopicTable {
        self.server.read(|state| state.topics.clone())
    }

    /// `namesrvAddr` of its live settings, as a list.
    #[must_use]
    pub fn live_list(&self) -> Vec<String> {
        self.server.read(State::live_list)
    }

    /// A live setting.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<String> {
        self.server.read(|state| state.settings.get(key).map(str::to_owned))
    }

    /// Changes a live setting, as an administrator does.
    pub fn set_setting(&self, key: &str, value: &str) {
        self.server.change(|state| state.settings.set(key, value));
    }

    /// Every request that came, in order.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.server.read(|state| state.common.received.clone())
    }

    /// The requests of one kind, in order.
    #[must_use]
    pub fn received_of(&self, code: RequestCode) -> Vec<Received> {
        self.server
            .read(|state| state.common.received.iter().filter(|seen| seen.code == code).cloned().collect())
    }

    /// Creates a topic or changes it, and with it the version of the table.
    pub fn put_topic(&self, topic: TopicConfig) {
        self.put(Entry::Topic(topic));
    }

    /// Puts an entry of any table, in the place of one of the same name; fields that are absent get their defaults.
    pub fn put(&self, entry: Entry) {
        self.server.change(|state| state.put(entry));
    }

    /// All its tables, with RocketMQ's own entries.
    #[must_use]
    pub fn metadata(&self) -> Metadata {
        self.server.read(State::metadata)
    }

    /// Says who of a group is connected; `None` takes the group away.
    pub fn set_online(&self, group: &str, online: Option<OnlineGroup>) {
        self.server.change(|state| match online {
            Some(online) => drop(state.online.insert(group.to_owned(), online)),
            None => drop(state.online.remove(group)),
        });
    }

    /// Says where a queue begins and ends.
    pub fn set_queue(&self, topic: &str, queue: u32, min: u64, max: u64) {
        self.server.change(|state| state.queues.set(topic, queue, QueueRange { min, max }));
    }

    /// Says how far a delay level is delivered; until then the broker does not name it, as 4.9.7.
    pub fn set_delivered(&self, level: u32, offset: i64) {
        self.server.change(|state| state.queues.set_delivered(level, offset));
    }

    /// Says what the timer wheel counts of each topic, how many messages code 28 tells of, and how many of them it has
    /// not taken yet.
    pub fn set_timer(&self, timed: BTreeMap<String, u64>, congested: u64, behind: i64) {
        self.server.change(|state| state.queues.set_timer(timed, congested, behind));
    }

    /// Says where the commit log ends.
    pub fn set_commit_log_max_offset(&self, offset: u64) {
        self.server.change(|state| state.commit_log_max_offset = offset);
    }

    /// Is another process after the next request of this kind, but for its connections: a restart that nobody saw.
    pub fn reboot_after(&self, request: RequestCode) {
        self.server.change(|state| drop(state.after.insert(request, Meanwhile::Reboot)));
    }

    /// Has another live setting after the next request of this kind.
    pub fn set_after(&self, request: RequestCode, key: &str, value: &str) {
        let setting = Meanwhile::Set(key.to_owned(), value.to_owned());
        self.server.change(|state| drop(state.after.insert(request, setting)));
    }

    /// Registers at every name server of the live list, as its timer does, and keeps the connections. Gives the
    /// errors of those that could not be reached.
    pub async fn register(&self) -> Vec<RemotingError> {
        self.register_at(&self.live_list()).await
    }

    /// Registers at these name servers, for a broker whose list does not stand in its settings: one that follows an
    /// address server.
    pub async fn register_at(&self, name_servers: &[String]) -> Vec<RemotingError> {
        let registration = self.server.read(State::registration);
        self.registrar.register(name_servers, &registration).await
    }

    /// Registers after a while, with the list and the table of that time.
    pub fn register_after(&self, delay: Duration) {
        let registrar = Arc::clone(&self.registrar);
        let state = Arc::clone(&self.server.state);
        self.delayed.lock().unwrap_or_else(PoisonError::into_inner).spawn(async move {
            tokio::time::sleep(delay).await;
            let (list, registration) = {
                let state = state.borrow();
                (state.live_list(), state.registration())
            };
            // Who waits for it looks at the name servers.
            drop(registrar.register(&list, &registration).await);
        });
    }

    /// Unregisters at every name server of the live list, as a clean stop does.
    pub async fn unregister(&self) -> Vec<RemotingError> {
        let (list, broker) = self.server.read(|state| (state.live_list(), state.identity.clone()));
        let mut errors = Vec::new();
        for name_server in &list {
            let unregistered = match self.registrar.connection(name_server).await {
                Ok(client) => client.unregister_broker(&broker).await.map(drop),
                Err(error) => Err(error),
            };
            errors.extend(unregistered.err());
        }
        errors
    }

    /// Answers with headers of this serialization, as a peer whose `rocketmq.serialize.type` says so; JSON at first.
    pub fn set_serialization(&self, serialization: Serialization) {
        self.server.set_serialization(serialization);
    }

    /// Takes requests and answers none, as a process that hangs.
    pub fn set_silent(&self, silent: bool) {
        self.server.set_silent(silent);
    }

    /// Answers a kind of request with this code and does nothing; `None` ends that.
    pub fn refuse(&self, request: RequestCode, code: Option<ResponseCode>) {
        self.server.refuse(request, code);
    }

    /// Closes every connection that others have made to it.
    pub fn close_connections(&self) {
        self.server.close_connections();
    }

    /// Waits for a condition, 20 s at most.
    ///
    /// # Errors
    /// If it does not come to hold: with its name and the state at the end.
    pub async fn until(&self, what: &str, holds: impl FnMut(&State) -> bool) -> Result<(), Unmet> {
        self.server.until(what, holds).await
    }
}
