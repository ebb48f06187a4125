//! An agent in a temporary folder, at a pace for tests, and its peers on loopback.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use agent::agent::Agent;
use agent::config::{Broker, Config, Neighbour, Pace, Ports};
use agent::paths::Paths;
use fakes::{BrokerSetup, FakeBroker, FakeNameServer};
use proto::describe::{Owner, Role};
use rocketmq::model::broker::BrokerRole;
use rocketmq::model::name_server::{NameServerEntry, NameServerList};
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use tempfile::TempDir;
use tokio::task::JoinSet;

/// 4.x and 5.x differ in what an agent must do; each promise is kept on both.
pub(crate) const VERSIONS: [Version; 2] = [Version::V4_5_0, Version::V5_3_3];

/// Looks as often as a test can want. Only bridges are kept alive at a human pace.
pub(crate) const PACE: Pace = Pace {
    files: Duration::from_millis(10),
    look: Duration::from_millis(20),
    settled_look: Duration::from_millis(20),
    live_list: Duration::from_millis(20),
    keep_alive: Duration::from_millis(50),
    answer: Duration::from_secs(2),
};

/// A pod: its volumes outlive its agents.
pub(crate) struct Pod {
    _root: TempDir,
    pub(crate) config: Config,
}

/// A running agent. Dropping it is its death: its connections close.
pub(crate) struct Running {
    pub(crate) agent: Arc<Agent>,
    _tasks: JoinSet<()>,
}

impl Pod {
    pub(crate) fn new(role: Role, neighbour: Neighbour, ports: Ports) -> Self {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path(), role, "pod-0", "pod");
        for file in [&paths.record, &paths.key, &paths.user_lines] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
        }
        fs::create_dir_all(&paths.volume).unwrap();
        let config = Config {
            cluster: "demo".into(),
            pod_name: "pod-0".into(),
            pod_uid: "uid-0".into(),
            pod_ip: "127.0.0.1".into(),
            host_network: false,
            neighbour,
            awaited_metadata: None,
            paths,
            ports,
            pace: PACE,
        };
        Self { _root: root, config }
    }

    /// The pod of a broker. The file's port is the fake's, as a user's line.
    pub(crate) fn of_broker(broker: &FakeBroker, version: Option<Version>) -> Self {
        let identity = broker.identity();
        let role = if identity.broker_id == 0 { BrokerRole::AsyncMaster } else { BrokerRole::Slave };
        let neighbour = Neighbour::Broker(Broker {
            cluster: identity.cluster.parse().unwrap(),
            name: identity.broker_name.parse().unwrap(),
            id: identity.broker_id,
            role,
            version,
        });
        let pod = Self::new(Role::Broker, neighbour, Ports { grpc: 0, address_server: 0, name_server: 0 });
        let port = broker.socket_address().port();
        fs::write(&pod.config.paths.user_lines, format!("listenPort={port}\ndeleteWhen=04\n")).unwrap();
        pod
    }

    pub(crate) fn of_name_server(name_server: &FakeNameServer) -> Self {
        let port = name_server.socket_address().port();
        Self::new(
            Role::NameServer,
            Neighbour::NameServer,
            Ports { grpc: 0, address_server: 0, name_server: port },
        )
    }

    /// The kubelet shows a record.
    pub(crate) fn mount_list(&self, generation: u64, name_servers: &[&FakeNameServer]) {
        let record = &self.config.paths.record;
        let new = record.with_extension("new");
        fs::write(&new, serde_json::to_vec(&list(generation, name_servers)).unwrap()).unwrap();
        fs::rename(new, record).unwrap();
    }

    pub(crate) fn mark_stop(&self) {
        fs::create_dir_all(self.config.paths.stopping.parent().unwrap()).unwrap();
        fs::write(&self.config.paths.stopping, "").unwrap();
    }

    pub(crate) fn start(&self) -> Running {
        let (agent, tasks) = Agent::start(self.config.clone()).unwrap();
        Running { agent, _tasks: tasks }
    }

    pub(crate) fn configuration(&self) -> String {
        fs::read_to_string(&self.config.paths.configuration).unwrap()
    }
}

impl Running {
    /// Who holds the broker's entry at a name server; none if it was not looked at yet.
    pub(crate) fn owner(&self, name_server: &FakeNameServer) -> Option<Owner> {
        self.registration(name_server).map(|(owner, _)| owner)
    }

    fn registration(&self, name_server: &FakeNameServer) -> Option<(Owner, String)> {
        let list = self.agent.describe().list?;
        let found = list.registrations.into_iter().find(|it| it.name_server == name_server.address())?;
        Some((found.owner, found.reason))
    }

    /// Waits until the agent sees this owner.
    pub(crate) async fn until_owner(&self, name_server: &FakeNameServer, owner: Owner) {
        let what = format!("{owner:?} at {}", name_server.address());
        self.until(&what, || self.owner(name_server) == Some(owner)).await;
    }

    /// Waits until the agent tells that it does nothing at a name server, for this reason.
    pub(crate) async fn until_reason(&self, name_server: &FakeNameServer, reason: &str) {
        let found = || self.registration(name_server);
        self.until(reason, || {
            found().is_some_and(|(owner, why)| owner == Owner::Nobody && why.contains(reason))
        })
        .await;
    }

    /// Waits for a condition of the agent.
    pub(crate) async fn until(&self, what: &str, holds: impl FnMut() -> bool) {
        let changes = self.agent.broker.as_ref().map(|side| side.registrations.changes());
        let mut gate = self.agent.gate.subscribe();
        let mut process = self.agent.process.clone();
        let wait = async {
            let (mut holds, mut changes) = (holds, changes);
            while !holds() {
                let registrations = async {
                    match &mut changes {
                        Some(changes) => changes.changed().await.is_ok(),
                        None => std::future::pending().await,
                    }
                };
                // Files change without telling, so the agent's own pace bounds the pause.
                tokio::select! {
                    _ = registrations => {}
                    _ = gate.changed() => {}
                    _ = process.changed() => {}
                    () = tokio::time::sleep(PACE.files) => {}
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), wait).await;
        assert!(waited.is_ok(), "{what} did not come to hold; {:#?}", self.agent.describe());
    }
}

/// A list of these name servers.
pub(crate) fn list(generation: u64, name_servers: &[&FakeNameServer]) -> NameServerList {
    let entry = |name_server: &&FakeNameServer| NameServerEntry {
        address: name_server.address(),
        pod_ip: "127.0.0.1".into(),
    };
    NameServerList { generation, name_servers: name_servers.iter().map(entry).collect() }
}

/// A broker with a few topics, whose live list is these name servers, registered there.
pub(crate) async fn broker_at(version: Version, name_servers: &[&FakeNameServer]) -> FakeBroker {
    let broker = FakeBroker::start(setup(version, name_servers)).await.unwrap();
    assert!(broker.register().await.is_empty());
    broker
}

pub(crate) fn setup(version: Version, name_servers: &[&FakeNameServer]) -> BrokerSetup {
    let mut setup = BrokerSetup::master(version, "demo", "demo-0");
    setup.topics = ["orders", "payments"].map(|name| topic(name, 4)).into();
    setup.settings.set("namesrvAddr", list(1, name_servers).namesrv_addr());
    setup
}

pub(crate) fn topic(name: &str, queues: u32) -> TopicConfig {
    TopicConfig::new(&name.parse().unwrap(), queues)
}

pub(crate) async fn name_server(version: Version) -> FakeNameServer {
    FakeNameServer::start(version).await.unwrap()
}
