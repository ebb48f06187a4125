//! The loops, one for each name server of the desired list. Each looks whether the broker is listed there as
//! itself, and bridges while it is not. Nothing is remembered: an agent that starts anew finds its way by looking.
//!
//! In a steady state a look is code 106. Code 322 would count as a sign of life of the broker on 5.x, so it is
//! asked only to learn whose an entry is, once a connection and start of the broker, and while a bridge is open.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proto::describe::Owner;
use rocketmq::model::broker::MASTER_ID;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::name_server::{NameServerEntry, NameServerList};
use rocketmq::model::route::RegisteredBroker;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::text::error_line;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::task::AbortOnDropHandle;

use crate::atomic_file;
use crate::config::{Broker, Config};
use crate::configuration::listen_port;
use crate::name_servers::bridge::{Bridge, BridgeError, Holder, Registration};
use crate::name_servers::judge::{Sight, Situation, Verdict, judge};
use crate::name_servers::registrations::Registrations;
use crate::process::Observation;
use crate::stop_mark::StopMark;

/// What the loops share.
#[derive(Debug)]
pub struct Surroundings {
    /// What the agent was told.
    pub config: Arc<Config>,
    /// The broker beside it.
    pub broker: Broker,
    /// The list.
    pub desired: watch::Receiver<Option<NameServerList>>,
    /// The broker's process.
    pub process: watch::Receiver<Observation>,
    /// What each loop found.
    pub registrations: Arc<Registrations>,
    /// Whether the broker is to be stopped.
    pub stop_mark: StopMark,
    /// How many more loops may make a registration now.
    pub registering: Semaphore,
}

/// How many loops make a registration at once: while one is made and sent it may take several frames of RocketMQ, and the
/// agent has little memory. One name server that hangs does not keep the others waiting.
pub const REGISTERING_AT_ONCE: usize = 2;

/// Keeps one loop for each name server of the desired list, for ever.
pub async fn follow_list(surroundings: Arc<Surroundings>) {
    let mut desired = surroundings.desired.clone();
    let mut loops: HashMap<String, AbortOnDropHandle<()>> = HashMap::new();
    // Of the first list nobody knows what the broker followed before.
    let mut joins = false;
    loop {
        let addresses: Vec<String> = {
            let list = desired.borrow_and_update();
            list.iter().flat_map(|list| &list.name_servers).map(|entry| entry.address.clone()).collect()
        };
        // A loop that ends closes its bridge with it.
        loops.retain(|address, _| addresses.contains(address));
        surroundings.registrations.keep_only(|address| addresses.iter().any(|it| it == address));
        for address in addresses {
            loops.entry(address.clone()).or_insert_with(|| {
                let looks = Looks::new(Arc::clone(&surroundings), address, joins);
                let handle: JoinHandle<()> = tokio::spawn(looks.run());
                AbortOnDropHandle::new(handle)
            });
        }
        joins = !loops.is_empty();
        if desired.changed().await.is_err() {
            return;
        }
    }
}

/// The loop for one name server.
struct Looks {
    around: Arc<Surroundings>,
    process: watch::Receiver<Observation>,
    address: String,
    connection: Option<Client>,
    bridge: Option<Open>,
    /// The start of the broker for which this connection has shown the broker's own entry.
    own_since_boot: Option<u64>,
    /// The last look showed an entry.
    was_listed: bool,
    /// The name server has joined the list of a broker that follows one: an entry that it has already is of the time
    /// before it left the list.
    joins: bool,
}

/// An open bridge and when it next has to be kept alive.
struct Open {
    bridge: Bridge,
    boot_timestamp_millis: u64,
    ask_at: Instant,
}

/// How the loop goes on.
enum Next {
    At(Duration),
    Now,
}

impl Looks {
    fn new(around: Arc<Surroundings>, address: String, joins: bool) -> Self {
        let process = around.process.clone();
        Self {
            around,
            process,
            address,
            connection: None,
            bridge: None,
            own_since_boot: None,
            was_listed: false,
            joins,
        }
    }

    async fn run(mut self) {
        loop {
            // What changes from here on wakes the pause below.
            self.process.mark_unchanged();
            let next = match self.bridge.take() {
                Some(open) => self.hold(open).await,
                None => self.look().await,
            };
            let Next::At(pause) = next else { continue };
            tokio::select! {
                () = sleep(pause) => {}
                // Its sender lives as long as the agent.
                _ = self.process.changed() => {}
            }
        }
    }

    fn tell(&self, owner: Owner, reason: &str, own: Option<(u64, Client)>) {
        self.around.registrations.tell(&self.address, owner, reason, own);
    }

    /// One look without a bridge.
    async fn look(&mut self) -> Next {
        let pace = self.around.config.pace;
        match self.try_look().await {
            // The entry of a broker that does not answer is about to go.
            Ok(Owner::Broker) if self.process.borrow().answers => Next::At(pace.settled_look),
            Ok(Owner::Bridge) => Next::Now,
            Ok(_) => Next::At(pace.look),
            Err(error) => {
                (self.connection, self.own_since_boot, self.was_listed) = (None, None, false);
                self.tell(Owner::Unreachable, &error_line(&error), None);
                Next::At(pace.look)
            }
        }
    }

    async fn try_look(&mut self) -> Result<Owner, RemotingError> {
        let connection = self.connect().await?;
        let process = self.process.borrow().clone();
        let boot = process.boot_timestamp_millis;
        // Looked at each time, so that the mark of an earlier stop goes at the next start.
        let stopping = self.around.stop_mark.is_set_for(boot);
        let broker = self.around.identity();
        let listed = connection.cluster_info().await?.value;
        let sight = self.sight(&connection, &listed, &broker, boot).await?;
        let vanished_just_now =
            std::mem::replace(&mut self.was_listed, sight != Sight::Absent) && sight == Sight::Absent;
        if sight == Sight::Own {
            self.tell(Owner::Broker, "", Some((boot, connection)));
            return Ok(Owner::Broker);
        }
        let situation = Situation {
            answers: process.answering().is_some(),
            stopping,
            shown_elsewhere: self.around.registrations.shown_elsewhere(&self.address, &broker, boot).await,
            vanished_just_now,
            slave: broker.broker_id != MASTER_ID,
            master_listed: lists_master(&listed, &broker),
        };
        let reason = match judge(sight, &situation) {
            Verdict::Wait(reason) => reason.to_owned(),
            Verdict::Leave => String::new(),
            Verdict::Bridge => match self.open(&process, &broker).await {
                Ok(()) => return Ok(Owner::Bridge),
                Err(error) => format!("no bridge: {error}"),
            },
        };
        self.tell(Owner::Nobody, &reason, None);
        Ok(Owner::Nobody)
    }

    async fn sight(
        &mut self,
        connection: &Client,
        listed: &[RegisteredBroker],
        broker: &RegisteredBroker,
        boot: u64,
    ) -> Result<Sight, RemotingError> {
        if !listed.contains(broker) {
            (self.own_since_boot, self.joins) = (None, false);
            return Ok(Sight::Absent);
        }
        // Before the broker answers, a former process's entry may still stand: it is looked at again then.
        if self.own_since_boot == Some(boot) {
            return Ok(Sight::Own);
        }
        let answer = connection.query_data_version(broker, &DataVersion::default().sentinel(0)).await?.value;
        Ok(match answer.stored {
            None => Sight::Absent,
            Some(stored) if stored.is_sentinel() => Sight::LeftOver,
            Some(_) if self.joins => Sight::Former,
            Some(_) => {
                self.own_since_boot = Some(boot);
                Sight::Own
            }
        })
    }

    /// Opens a bridge. Everything slow comes first; what may have changed meanwhile is looked at again right before
    /// the registration.
    async fn open(&mut self, process: &Observation, broker: &RegisteredBroker) -> Result<(), String> {
        let error = |error: BridgeError| error_line(&error);
        let neighbour = process.answering().ok_or("the broker does not answer")?;
        let entry = self.entry().ok_or("the name server has left the list")?;
        let channel =
            dial(&entry, self.around.config.pace.answer).await.map_err(|error| error_line(&error))?;
        let _one_of_few = self.around.registering.acquire().await;
        let registration = Registration::of(neighbour, broker).await.map_err(error)?;

        let boot = process.boot_timestamp_millis;
        if !self.around.registrations.shown_elsewhere(&self.address, broker, boot).await {
            return Err("the broker has left the name server that showed it".to_owned());
        }
        let now = self.process.borrow().clone();
        if now.answering().is_none() || now.boot_timestamp_millis != boot {
            return Err("the broker has gone".to_owned());
        }
        if self.around.stop_mark.is_set_for(boot) {
            return Err("the broker is being stopped".to_owned());
        }
        let bridge = Bridge::open(channel, registration).await.map_err(error)?;
        self.joins = false;
        self.bridge =
            Some(Open { bridge, boot_timestamp_millis: boot, ask_at: Instant::now() + self.first_ask() });
        self.tell(Owner::Bridge, "", None);
        Ok(())
    }

    /// A 5.x name server may still have the removal of an earlier entry in its queue and apply it to this one
    /// (`BatchUnregistrationService`), so a new bridge is looked at soon.
    fn first_ask(&self) -> Duration {
        let pace = &self.around.config.pace;
        pace.look.min(pace.keep_alive)
    }

    /// Attends an open bridge until it ends. Whatever is being asked, its end is seen at once.
    async fn hold(&mut self, mut open: Open) -> Next {
        self.was_listed = true;
        let pace = self.around.config.pace;
        let (channel, boot) = (open.bridge.channel(), open.boot_timestamp_millis);
        loop {
            let reason = tokio::select! {
                reason = channel.closed() => format!("the bridge was closed: {reason}"),
                reason = self.must_end(boot) => reason.to_owned(),
                holder = self.ask(&mut open) => match holder {
                    Holder::Bridge => {
                        open.ask_at = Instant::now() + pace.keep_alive;
                        continue;
                    }
                    Holder::Broker => return Next::Now,
                    Holder::Nobody => "the name server dropped the bridge's entry".to_owned(),
                },
            };
            // Dropped before it is told: the name server removes the entry at once.
            drop((open, channel));
            self.tell(Owner::Nobody, &reason, None);
            return Next::At(pace.look);
        }
    }

    /// Waits until the broker of a bridge is gone or shall go, and says which.
    async fn must_end(&self, boot_timestamp_millis: u64) -> &'static str {
        let mut process = self.process.clone();
        loop {
            let is_alive = {
                let now = process.borrow_and_update();
                now.client.is_some() && now.boot_timestamp_millis == boot_timestamp_millis
            };
            if !is_alive {
                return "the broker has gone";
            }
            if self.around.stop_mark.is_set_for(boot_timestamp_millis) {
                return "the broker is being stopped";
            }
            tokio::select! {
                _ = process.changed() => {}
                () = sleep(self.around.config.pace.files) => {}
            }
        }
    }

    /// Asks, when it is time, whose the entry is, and sends changed topics while it is the bridge's.
    async fn ask(&self, open: &mut Open) -> Holder {
        tokio::time::sleep_until(open.ask_at).await;
        let holder = match open.bridge.holder().await {
            Ok(holder) => holder,
            Err(error) => {
                // If the channel is closed, the loop sees that; else the entry lives for 120 s without a sign.
                tracing::warn!(name_server = self.address, error = error_line(&error), "the bridge's entry");
                return Holder::Bridge;
            }
        };
        let neighbour = self.process.borrow().answering().cloned();
        let may_register = || !self.around.stop_mark.is_set_for(open.boot_timestamp_millis);
        if let (Holder::Bridge, Some(neighbour)) = (holder, neighbour) {
            let _one_of_few = self.around.registering.acquire().await;
            if let Err(error) = open.bridge.renew(&neighbour, may_register).await {
                tracing::warn!(name_server = self.address, error = error_line(&error), "the bridge's topics");
            }
        }
        holder
    }

    async fn connect(&mut self) -> Result<Client, RemotingError> {
        if let Some(connection) = self.connection.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        // A name server that closed the connection may be another process now.
        self.own_since_boot = None;
        let entry =
            self.entry().unwrap_or(NameServerEntry { address: self.address.clone(), pod_ip: String::new() });
        let connection = dial(&entry, self.around.config.pace.answer).await?;
        Ok(self.connection.insert(connection).clone())
    }

    /// The name server as the present list has it: its pod's address may have changed.
    fn entry(&self) -> Option<NameServerEntry> {
        let list = self.around.desired.borrow();
        list.iter().flat_map(|list| &list.name_servers).find(|entry| entry.address == self.address).cloned()
    }
}

impl Surroundings {
    /// The broker as it registers itself.
    fn identity(&self) -> RegisteredBroker {
        let text =
            atomic_file::read_text(&self.config.paths.configuration).ok().flatten().unwrap_or_default();
        RegisteredBroker {
            cluster: self.broker.cluster.to_string(),
            broker_name: self.broker.name.to_string(),
            broker_id: self.broker.id,
            address: format!("{}:{}", self.config.pod_ip, listen_port(&text)),
        }
    }
}

fn lists_master(listed: &[RegisteredBroker], broker: &RegisteredBroker) -> bool {
    listed.iter().any(|other| {
        other.cluster == broker.cluster
            && other.broker_name == broker.broker_name
            && other.broker_id == MASTER_ID
    })
}

/// Connects by the pod's address, and by the name if nobody is there: a name that is asked too early is cached
/// as absent, for 30 s and more.
async fn dial(entry: &NameServerEntry, deadline: Duration) -> Result<Client, RemotingError> {
    if let (false, Some((_, port))) = (entry.pod_ip.is_empty(), entry.address.rsplit_once(':')) {
        let ip = &entry.pod_ip;
        let by_ip = if ip.contains(':') { format!("[{ip}]:{port}") } else { format!("{ip}:{port}") };
        if let Ok(client) = Client::connect(&by_ip, deadline).await {
            return Ok(client);
        }
    }
    Client::connect(&entry.address, deadline).await
}
