//! Watches the RocketMQ process beside the agent: one connection that is kept open, so that a death is seen at
//! once, and a cheap question on it again and again.
//!
//! A broker's runtime information is none of that kind: 5.x counts the messages of its whole timer wheel for it, 1.2
//! million slots (`AdminBrokerProcessor.prepareRuntimeInfo`, `TimerWheel.getAllNum`). So it is asked for once a
//! connection; what it tells, when the broker was started, stays true as long as that.

use std::sync::Arc;

use proto::describe::{Process, Role};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::text::error_line;
use tokio::sync::watch;

use crate::atomic_file;
use crate::config::Config;
use crate::configuration::{list_period_millis, listen_port};

/// What is known of the process.
#[derive(Debug, Clone, Default)]
pub struct Observation {
    /// The open connection; `None` = nobody listens, the process is dead or not started.
    pub client: Option<Client>,
    /// True while it answers.
    pub answers: bool,
    /// Why it does not, in words.
    pub problem: String,
    /// The version that it answered with last.
    pub version: Option<Version>,
    /// When it was started; 0 = never answered, and always for a name server.
    pub boot_timestamp_millis: u64,
    /// How often a broker reads its list of name servers again; 0 = not known.
    pub list_period_millis: u64,
}

impl Observation {
    /// The connection, while the process answers.
    pub fn answering(&self) -> Option<&Client> {
        self.client.as_ref().filter(|client| self.answers && !client.is_closed())
    }

    /// For the CLI.
    pub fn describe(&self) -> Process {
        Process {
            answers: self.answers,
            problem: self.problem.clone(),
            version: self.version.map_or(0, Version::ordinal),
            boot_timestamp_millis: self.boot_timestamp_millis,
            list_period_millis: self.list_period_millis,
        }
    }

    fn shows_the_same_as(&self, other: &Self) -> bool {
        let open = |it: &Self| it.client.as_ref().map(Client::local_address);
        open(self) == open(other) && self.describe() == other.describe()
    }
}

/// Watches the process, for ever.
pub async fn watch(config: Arc<Config>, observed: watch::Sender<Observation>) {
    loop {
        match Client::connect(&address(&config), config.pace.answer).await {
            Ok(client) => {
                let reason = attend(&config, &client, &observed).await;
                tracing::info!(reason, "the connection to RocketMQ is closed");
                publish(&observed, |former| closed(former, reason));
            }
            Err(error) => publish(&observed, |former| closed(former, error_line(&error))),
        }
        tokio::time::sleep(config.pace.files).await;
    }
}

/// Asks again and again until the connection closes, and tells why it did.
async fn attend(config: &Config, client: &Client, observed: &watch::Sender<Observation>) -> String {
    let mut told = None;
    loop {
        match ask(config.role(), client, &mut told).await {
            Ok(version) => publish(observed, |_| {
                let told = told.unwrap_or_default();
                Observation {
                    client: Some(client.clone()),
                    answers: true,
                    problem: String::new(),
                    version: Some(version),
                    boot_timestamp_millis: told.boot_timestamp_millis,
                    list_period_millis: told.list_period_millis,
                }
            }),
            Err(error) => publish(observed, |former| Observation {
                client: Some(client.clone()),
                answers: false,
                problem: error_line(&error),
                ..former.clone()
            }),
        }
        tokio::select! {
            reason = client.closed() => return reason,
            () = tokio::time::sleep(config.pace.look) => {}
        }
    }
}

/// What stays true of a process of a broker.
#[derive(Debug, Clone, Copy, Default)]
struct Told {
    /// Since 1970.
    boot_timestamp_millis: u64,
    /// `updateNameServerAddrPeriod` is read when a broker starts, so a change of it while it runs is none
    /// (`BrokerController.initializeScheduledTasks`, 5.3.1+). It is the longest that was told: never too short.
    list_period_millis: u64,
}

/// Asks for its version, and a broker for its settings, and when it was started if it has not told that yet.
async fn ask(role: Role, client: &Client, told: &mut Option<Told>) -> Result<Version, RemotingError> {
    if role == Role::NameServer {
        return client.cluster_info().await.map(|answer| answer.version);
    }
    let mut known = match *told {
        Some(told) => told,
        None => {
            let runtime = client.runtime_info().await?.value;
            let boot_timestamp_millis = runtime.boot_timestamp_millis().unwrap_or_default();
            *told.insert(Told { boot_timestamp_millis, ..Told::default() })
        }
    };
    let answer = client.broker_config().await?;
    known.list_period_millis = known.list_period_millis.max(list_period_millis(&answer.value.settings));
    *told = Some(known);
    Ok(answer.version)
}

fn address(config: &Config) -> String {
    let port = match config.role() {
        Role::NameServer => config.ports.name_server,
        Role::Broker => listen_port(
            &atomic_file::read_text(&config.paths.configuration).ok().flatten().unwrap_or_default(),
        ),
    };
    format!("127.0.0.1:{port}")
}

fn closed(former: &Observation, problem: String) -> Observation {
    Observation { client: None, answers: false, problem, ..former.clone() }
}

fn publish(observed: &watch::Sender<Observation>, next: impl FnOnce(&Observation) -> Observation) {
    observed.send_if_modified(|former| {
        let next = next(former);
        let changed = !next.shows_the_same_as(former);
        *former = next;
        changed
    });
}
