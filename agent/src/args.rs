//! The agent's command line. Everything comes from the environment, which the manifests fill; nothing secret does.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::describe::Role;
use rocketmq::model::broker::{BrokerName, BrokerRole, ClusterName};
use rocketmq::model::version::Version;

use crate::config::{Broker, Config, InvalidToken, Neighbour, Pace, Ports, Token};
use crate::paths::Paths;

/// The sidecar of `kubectl rocketmq` beside a RocketMQ name server or broker.
#[derive(Debug, Parser)]
#[command(name = "rocketmq-agent", version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the agent does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs beside RocketMQ until it is told to stop.
    Run(Box<RunArgs>),
    /// Asks the running agent, for the probes of its container.
    Healthcheck(HealthcheckArgs),
}

/// What the agent stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleArg {
    /// A name server.
    NameServer,
    /// A broker.
    Broker,
}

impl From<RoleArg> for Role {
    fn from(role: RoleArg) -> Self {
        match role {
            RoleArg::NameServer => Self::NameServer,
            RoleArg::Broker => Self::Broker,
        }
    }
}

/// Arguments of `healthcheck`.
#[derive(Debug, Args)]
pub struct HealthcheckArgs {
    /// What is asked for.
    pub service: Service,

    /// What the agent stands beside.
    #[arg(long, env = "ROCKETMQ_AGENT_ROLE", value_enum)]
    pub role: RoleArg,

    /// The running agent's port, if it is not the usual one.
    #[arg(long, env = "ROCKETMQ_AGENT_PORT", hide = true)]
    pub port: Option<u16>,
}

/// What probes ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Service {
    /// Whether RocketMQ may start.
    Startup,
    /// Whether RocketMQ serves.
    Ready,
    /// Whether the agent itself lives.
    Live,
}

impl Service {
    /// Its name in `grpc.health.v1`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Ready => "ready",
            Self::Live => "live",
        }
    }
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What the agent stands beside.
    #[arg(long, env = "ROCKETMQ_AGENT_ROLE", value_enum)]
    pub role: RoleArg,

    /// The cluster that it belongs to.
    #[arg(long, env = "ROCKETMQ_AGENT_CLUSTER")]
    pub cluster: String,

    /// The pod's name.
    #[arg(long, env = "POD_NAME")]
    pub pod_name: String,

    /// The pod's UID.
    #[arg(long, env = "POD_UID")]
    pub pod_uid: String,

    /// The pod's address; the node's with hostNetwork.
    #[arg(long, env = "POD_IP")]
    pub pod_ip: String,

    /// The loopback is the node's.
    #[arg(long, env = "ROCKETMQ_AGENT_HOST_NETWORK")]
    pub host_network: bool,

    /// RocketMQ's version, `x.y.z`; empty if it is not known.
    #[arg(long, env = "ROCKETMQ_AGENT_ROCKETMQ_VERSION", default_value = "")]
    pub rocketmq_version: String,

    /// The StatefulSet, after which a broker's folders on the volume are named.
    #[arg(long, env = "ROCKETMQ_AGENT_STATEFUL_SET")]
    pub stateful_set: Option<String>,

    /// The broker's RocketMQ cluster.
    #[arg(long, env = "ROCKETMQ_AGENT_BROKER_CLUSTER", required_if_eq("role", "broker"))]
    pub broker_cluster: Option<ClusterName>,

    /// The broker's group.
    #[arg(long, env = "ROCKETMQ_AGENT_BROKER_NAME", required_if_eq("role", "broker"))]
    pub broker_name: Option<BrokerName>,

    /// The broker's id in its group.
    #[arg(long, env = "ROCKETMQ_AGENT_BROKER_ID", required_if_eq("role", "broker"))]
    pub broker_id: Option<u64>,

    /// The broker's role.
    #[arg(long, env = "ROCKETMQ_AGENT_BROKER_ROLE", required_if_eq("role", "broker"))]
    pub broker_role: Option<BrokerRole>,

    /// Metadata that must be committed before the broker is started; empty if it needs none.
    #[arg(long, env = "ROCKETMQ_AGENT_AWAIT_METADATA", default_value = "")]
    pub await_metadata: String,

    /// What is logged.
    #[arg(long, env = "ROCKETMQ_AGENT_LOG", default_value = "info")]
    pub log: String,

    /// The agent's port, if it is not the usual one.
    #[arg(long, env = "ROCKETMQ_AGENT_PORT", hide = true)]
    pub port: Option<u16>,

    /// The name server's port, if it is not the usual one.
    #[arg(long, env = "ROCKETMQ_AGENT_NAME_SERVER_PORT", hide = true)]
    pub name_server_port: Option<u16>,

    /// The address server's port, if it is not the usual one.
    #[arg(long, env = "ROCKETMQ_AGENT_ADDRESS_SERVER_PORT", hide = true)]
    pub address_server_port: Option<u16>,

    /// The folder below which every path lies, for tries without a container.
    #[arg(long, env = "ROCKETMQ_AGENT_ROOT", default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// Arguments that do not go together.
#[derive(Debug, thiserror::Error)]
pub enum ArgsError {
    /// The version is none.
    #[error(transparent)]
    Version(#[from] rocketmq::model::version::InvalidVersion),
    /// The token is none.
    #[error(transparent)]
    Token(#[from] InvalidToken),
    /// Name servers have no metadata of topics.
    #[error("a name server awaits no metadata")]
    NoBroker,
    /// A broker's argument is absent.
    #[error("a broker needs its cluster, name, id and role")]
    Broker,
}

impl RunArgs {
    /// The checked configuration.
    pub fn into_config(self) -> Result<Config, ArgsError> {
        let role = Role::from(self.role);
        let version = match self.rocketmq_version.trim() {
            "" => None,
            text => Some(text.parse::<Version>()?),
        };
        let neighbour = match (role, self.broker_cluster, self.broker_name, self.broker_id, self.broker_role)
        {
            (Role::NameServer, ..) => Neighbour::NameServer,
            (Role::Broker, Some(cluster), Some(name), Some(id), Some(role)) => {
                Neighbour::Broker(Broker { cluster, name, id, role, version })
            }
            (Role::Broker, ..) => return Err(ArgsError::Broker),
        };
        let awaited_metadata = match (role, self.await_metadata.as_str()) {
            (_, "") => None,
            (Role::NameServer, _) => return Err(ArgsError::NoBroker),
            (Role::Broker, text) => Some(text.parse::<Token>()?),
        };
        let folder = match (role, &self.stateful_set) {
            (Role::Broker, Some(stateful_set)) => stateful_set,
            _ => &self.pod_name,
        };
        let usual = Ports::of(role);
        Ok(Config {
            paths: Paths::below(&self.root, role, &self.pod_name, folder),
            cluster: self.cluster,
            pod_name: self.pod_name,
            pod_uid: self.pod_uid,
            pod_ip: self.pod_ip,
            host_network: self.host_network,
            neighbour,
            awaited_metadata,
            ports: Ports {
                grpc: self.port.unwrap_or(usual.grpc),
                address_server: self.address_server_port.unwrap_or(usual.address_server),
                name_server: self.name_server_port.unwrap_or(usual.name_server),
            },
            pace: Pace::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use proto::describe::ListMode;

    use super::*;

    fn config(extra: &[&str]) -> Result<Config, String> {
        let common =
            ["rocketmq-agent", "run", "--cluster=demo", "--pod-name=p-0", "--pod-uid=u", "--pod-ip=10.0.0.1"];
        let cli = Cli::try_parse_from(common.iter().chain(extra)).map_err(|error| error.to_string())?;
        let Command::Run(args) = cli.command else { return Err("not run".into()) };
        args.into_config().map_err(|error| error.to_string())
    }

    const BROKER: [&str; 6] = [
        "--role=broker",
        "--broker-cluster=broker",
        "--broker-name=broker-0",
        "--broker-id=1",
        "--broker-role=SLAVE",
        "--stateful-set=broker-0-replica-1",
    ];

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_broker_has_its_identity_and_folders() {
        let config = config(&[&BROKER[..], &["--rocketmq-version=4.9.7"]].concat()).unwrap();
        assert_eq!(config.paths.store.to_str(), Some("/var/rocketmq/volume/store/broker-0-replica-1"));
        assert_eq!(config.ports, Ports::of(Role::Broker));
        let Neighbour::Broker(broker) = config.neighbour else { panic!("no broker") };
        assert_eq!(
            (broker.id, broker.role, broker.list_mode()),
            (1, BrokerRole::Slave, ListMode::NamesrvAddr)
        );
    }

    #[test]
    fn an_unknown_version_is_served_by_the_address_server() {
        let Neighbour::Broker(broker) = config(&BROKER).unwrap().neighbour else { panic!("no broker") };
        assert_eq!(broker.list_mode(), ListMode::AddressServer);
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        assert!(config(&["--role=broker"]).unwrap_err().contains("--broker-name"));
        assert!(
            config(&[&BROKER[..], &["--rocketmq-version=latest"]].concat()).unwrap_err().contains("latest")
        );
        assert!(config(&["--role=name-server"]).is_ok());
        let awaits = "--await-metadata=1a2b3c4d";
        assert!(config(&["--role=name-server", awaits]).unwrap_err().contains("awaits no metadata"));
    }

    #[test]
    fn a_token_is_a_harmless_part_of_a_file_name() {
        let awaited = |text: &str| {
            let argument = format!("--await-metadata={text}");
            config(&[&BROKER[..], &[&argument]].concat()).map(|config| config.awaited_metadata)
        };
        assert_eq!(awaited("").unwrap(), None);
        assert_eq!(awaited("1a2b3c4d").unwrap().unwrap().as_str(), "1a2b3c4d");
        for text in ["1a2b3c4", "1a2b3c4d5", "1A2B3C4D", "../../..", "1a2b3c4/"] {
            assert!(awaited(text).unwrap_err().contains("8 hexadecimal digits"), "{text}");
        }
    }
}
