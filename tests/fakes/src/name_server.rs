//! A name server on loopback.

pub(crate) mod answers;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use rocketmq::model::kv::KvEntry;
use rocketmq::model::route::RouteTable;
use rocketmq::model::version::Version;
use rocketmq::remoting::header::Serialization;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::peer::{Common, ConnectionId, Received, Server, Unmet};
use crate::routes::{ListedBroker, Registration, Routes};

/// A name server that listens until it is dropped. Dropping it closes its connections.
#[derive(Debug)]
pub struct FakeNameServer {
    server: Server<State>,
    unregistering: AbortHandle,
}

/// Everything that conditions may look at.
#[derive(Debug)]
pub struct State {
    common: Common,
    routes: Routes,
    registrations: Vec<Registration>,
    kv: BTreeMap<String, BTreeMap<String, String>>,
    settings: Properties,
    /// 5.x removes brokers of closed channels by a thread of its own (`BatchUnregistrationService`), which does
    /// not look again whether the broker has come back by another channel.
    removals: mpsc::UnboundedSender<String>,
}

impl State {
    /// The brokers that are listed.
    #[must_use]
    pub fn listed(&self) -> Vec<ListedBroker> {
        self.routes.listed()
    }

    /// Every registration that was accepted, in order.
    #[must_use]
    pub fn registrations(&self) -> &[Registration] {
        &self.registrations
    }

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

    /// Brokers and rows.
    #[must_use]
    pub fn routes(&self) -> RouteTable {
        self.routes.table()
    }

    /// The KV entries, in order.
    #[must_use]
    pub fn kv(&self) -> Vec<KvEntry> {
        let entry = |namespace: &String, (key, value): (&String, &String)| KvEntry {
            namespace: namespace.clone(),
            key: key.clone(),
            value: value.clone(),
        };
        self.kv
            .iter()
            .flat_map(|(namespace, table)| table.iter().map(move |pair| entry(namespace, pair)))
            .collect()
    }
}

impl FakeNameServer {
    /// Starts one that behaves like this version, on a free port.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(version: Version) -> io::Result<Self> {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), version).await
    }

    /// Starts one at an address, for example where another was before.
    ///
    /// # Errors
    /// If it cannot listen there.
    pub async fn start_at(address: SocketAddr, version: Version) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (removals, queue) = mpsc::unbounded_channel();
        let state = State {
            common: Common::new(version),
            routes: Routes::default(),
            registrations: Vec::new(),
            kv: BTreeMap::new(),
            settings: Properties::from_iter([("listenPort", listener.local_addr()?.port().to_string())]),
            removals,
        };
        let server = Server::serve(listener, state)?;
        let unregistering = tokio::spawn(unregister(queue, Arc::clone(&server.state))).abort_handle();
        Ok(Self { server, unregistering })
    }

    /// `127.0.0.1:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.server.address.to_string()
    }

    /// The same as a socket address.
    #[must_use]
    pub fn socket_address(&self) -> SocketAddr {
        self.server.address
    }

    /// Stops it as a killed process: its connections are closed. Another one can be started at the address.
    pub async fn stop(mut self) -> SocketAddr {
        self.server.stop().await
    }

    /// The brokers that are listed now.
    #[must_use]
    pub fn listed(&self) -> Vec<ListedBroker> {
        self.server.read(State::listed)
    }

    /// Every registration that was accepted, in order.
    #[must_use]
    pub fn registrations(&self) -> Vec<Registration> {
        self.server.read(|state| state.registrations.clone())
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

    /// Brokers and rows.
    #[must_use]
    pub fn routes(&self) -> RouteTable {
        self.server.read(State::routes)
    }

    /// The KV entries, in order.
    #[must_use]
    pub fn kv(&self) -> Vec<KvEntry> {
        self.server.read(State::kv)
    }

    /// Puts a KV entry.
    pub fn put_kv(&self, entry: KvEntry) {
        self.server.change(|state| {
            state.kv.entry(entry.namespace).or_default().insert(entry.key, entry.value);
        });
    }

    /// Drops a broker as after 120 s without a sign of life.
    pub fn expire(&self, broker_address: &str) {
        self.server.change(|state| state.routes.remove(broker_address));
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

    /// Closes every connection, as a broken network does.
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

impl Drop for FakeNameServer {
    fn drop(&mut self) {
        self.unregistering.abort();
    }
}

async fn unregister(mut queue: mpsc::UnboundedReceiver<String>, state: Arc<watch::Sender<State>>) {
    while let Some(address) = queue.recv().await {
        state.send_modify(|state| state.routes.remove(&address));
    }
}
