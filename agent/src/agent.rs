//! The running agent: its parts, and the tasks that move them.

use std::sync::Arc;

use proto::describe::{BrokerList, Describe, Gate, ListMode};
use proto::proof::{ClusterKey, NoRandomness, SessionSecret};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::config::{Broker, Config, Neighbour};
use crate::metadata::MetadataKeeper;
use crate::name_servers::address_server;
use crate::name_servers::follow::{self, REGISTERING_AT_ONCE, Surroundings};
use crate::name_servers::list::ListKeeper;
use crate::name_servers::registrations::Registrations;
use crate::permission::PermissionKeeper;
use crate::process::{self, Observation};
use crate::state::State;
use crate::stop_mark::StopMark;
use crate::{gate, key, record, volume};

/// An agent.
#[derive(Debug)]
pub struct Agent {
    /// What it was told.
    pub config: Arc<Config>,
    /// What it remembers.
    pub state: Arc<State>,
    /// True once [`Agent::state`] holds what an earlier agent stored.
    pub loaded: watch::Sender<bool>,
    /// Whether RocketMQ may start.
    pub gate: watch::Sender<Gate>,
    /// RocketMQ beside it.
    pub process: watch::Receiver<Observation>,
    /// What only an agent beside a broker has.
    pub broker: Option<BrokerSide>,
    /// What makes session tokens.
    pub sessions: SessionSecret,
}

/// What only an agent beside a broker has.
#[derive(Debug)]
pub struct BrokerSide {
    /// The broker.
    pub broker: Broker,
    /// Its list.
    pub list: Arc<ListKeeper>,
    /// Its entries at name servers.
    pub registrations: Arc<Registrations>,
    /// What clients may do with it.
    pub permission: Arc<PermissionKeeper>,
    /// Its topics, groups and offsets.
    pub metadata: Arc<MetadataKeeper>,
}

impl BrokerSide {
    /// For the CLI: the list, and who holds each entry.
    pub fn describe(&self, state: &State) -> BrokerList {
        let desired = state.desired();
        let desired = desired.borrow();
        let addresses =
            desired.iter().flat_map(|list| &list.name_servers).map(|entry| entry.address.as_str());
        BrokerList { registrations: self.registrations.describe(addresses), ..self.list.describe() }
    }
}

impl Agent {
    /// Starts an agent. It works until the returned tasks are dropped, which closes its bridges.
    pub fn start(config: Config) -> Result<(Arc<Self>, JoinSet<()>), NoRandomness> {
        let config = Arc::new(config);
        let state = Arc::new(State::new(config.paths.state.clone()));
        let observed = watch::Sender::new(Observation::default());
        let process = observed.subscribe();
        let broker = match &config.neighbour {
            Neighbour::NameServer => None,
            Neighbour::Broker(broker) => {
                let list = Arc::new(ListKeeper::new(
                    Arc::clone(&config),
                    broker.clone(),
                    Arc::clone(&state),
                    process.clone(),
                ));
                Some(BrokerSide {
                    broker: broker.clone(),
                    permission: Arc::new(PermissionKeeper::new(
                        Arc::clone(&config),
                        Arc::clone(&state),
                        Arc::clone(&list),
                        process.clone(),
                    )),
                    list,
                    registrations: Arc::default(),
                    metadata: Arc::new(MetadataKeeper::new(Arc::clone(&config), Arc::clone(&state))),
                })
            }
        };
        let agent = Arc::new(Self {
            config: Arc::clone(&config),
            state: Arc::clone(&state),
            loaded: watch::Sender::new(false),
            gate: gate::closed(),
            process,
            broker,
            sessions: SessionSecret::generate()?,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(process::watch(Arc::clone(&config), observed));
        tasks.spawn(prepare_and_follow(Arc::clone(&agent)));
        if let Some(side) = &agent.broker {
            agent.start_broker_side(side, &mut tasks);
        }
        Ok((agent, tasks))
    }

    fn start_broker_side(&self, side: &BrokerSide, tasks: &mut JoinSet<()>) {
        let (list, permission) = (Arc::clone(&side.list), Arc::clone(&side.permission));
        let mut gate = self.gate.subscribe();
        if side.broker.list_mode() == ListMode::AddressServer {
            tasks.spawn(serve_addresses(
                self.config.ports.address_server,
                self.state.desired(),
                list.served(),
            ));
        }
        tasks.spawn(async move {
            // Until then the folder of the file may not be there.
            if gate.wait_for(|gate| gate.open).await.is_ok() {
                tokio::join!(list.run(), permission.run());
            }
        });
        tasks.spawn(follow::follow_list(Arc::new(Surroundings {
            config: Arc::clone(&self.config),
            broker: side.broker.clone(),
            desired: self.state.desired(),
            process: self.process.clone(),
            registrations: Arc::clone(&side.registrations),
            stop_mark: StopMark::new(self.config.paths.stopping.clone()),
            registering: Semaphore::new(REGISTERING_AT_ONCE),
        })));
    }

    /// The mounted key.
    pub fn key(&self) -> Option<ClusterKey> {
        key::mounted(&self.config.paths.key)
    }

    /// What the agent is and holds.
    pub fn describe(&self) -> Describe {
        Describe {
            role: self.config.role(),
            pod_name: self.config.pod_name.clone(),
            pod_uid: self.config.pod_uid.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: proto::PROTOCOL,
            cluster: self.config.cluster.clone(),
            highest_fence: self.state.highest_fence(),
            has_key: self.key().is_some(),
            desired: self.state.desired().borrow().clone(),
            list: self.broker.as_ref().map(|side| side.describe(&self.state)),
            gate: Some(self.gate.borrow().clone()),
            process: self.process.borrow().describe(),
            volume: volume::look(&self.config.paths.volume).ok(),
            metadata: self.broker.as_ref().map(|side| side.metadata.describe()),
        }
    }
}

/// The stored list comes before the mounted one, because the mount may lag behind it.
async fn prepare_and_follow(agent: Arc<Agent>) {
    let follow_record = async {
        let mut loaded = agent.loaded.subscribe();
        if loaded.wait_for(|loaded| *loaded).await.is_ok() {
            record::follow(Arc::clone(&agent.config), Arc::clone(&agent.state)).await;
        }
    };
    tokio::join!(gate::open_when_ready(&agent), follow_record);
}

/// Binds until it succeeds: a former agent's socket may not be gone yet.
async fn serve_addresses(
    port: u16,
    desired: watch::Receiver<Option<rocketmq::model::name_server::NameServerList>>,
    served: watch::Sender<address_server::LiveList>,
) {
    loop {
        match TcpListener::bind(("127.0.0.1", port)).await {
            Ok(listener) => return address_server::serve(listener, desired, served).await,
            Err(error) => tracing::warn!(port, %error, "the address server cannot listen"),
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
