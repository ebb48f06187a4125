//! What the agent is told at its start, checked once.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use proto::describe::{ListMode, Role};
use rocketmq::model::broker::{BrokerName, BrokerRole, ClusterName};
use rocketmq::model::version::Version;

use crate::paths::Paths;

/// Names the metadata that a new broker waits for, and whatever is made for them on its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token(String);

/// A text that is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a token of metadata: it has {TOKEN_LENGTH} hexadecimal digits in lower case")]
pub struct InvalidToken(String);

const TOKEN_LENGTH: usize = 8;

impl Token {
    /// Its text, which is a file name's part like any other.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == TOKEN_LENGTH && text.bytes().all(digit) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidToken(text.to_owned()))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything the agent is told.
#[derive(Debug, Clone)]
pub struct Config {
    /// The cluster's name.
    pub cluster: String,
    /// The pod's name.
    pub pod_name: String,
    /// The pod's UID.
    pub pod_uid: String,
    /// The pod's address, which RocketMQ registers; the node's with hostNetwork.
    pub pod_ip: String,
    /// True if the loopback is the node's: reads need the proof too.
    pub host_network: bool,
    /// What the agent stands beside.
    pub neighbour: Neighbour,
    /// The metadata that must be committed before a broker starts; `None` for one that needs none.
    pub awaited_metadata: Option<Token>,
    /// Where things lie.
    pub paths: Paths,
    /// Where the agent listens and whom it asks.
    pub ports: Ports,
    /// How often it looks.
    pub pace: Pace,
}

/// What the agent stands beside.
#[derive(Debug, Clone)]
pub enum Neighbour {
    /// A name server.
    NameServer,
    /// A broker.
    Broker(Broker),
}

/// The broker that the agent stands beside.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its RocketMQ cluster.
    pub cluster: ClusterName,
    /// Its group.
    pub name: BrokerName,
    /// Its id in the group.
    pub id: u64,
    /// Its role.
    pub role: BrokerRole,
    /// Its version; `None` where the image's tag does not tell.
    pub version: Option<Version>,
}

impl Broker {
    /// How this broker takes a list: the address server works on every version, so it serves the unknown too.
    pub fn list_mode(&self) -> ListMode {
        match self.version {
            Some(version) if version.takes_live_list() => ListMode::NamesrvAddr,
            _ => ListMode::AddressServer,
        }
    }
}

impl Config {
    /// What the agent stands beside.
    pub fn role(&self) -> Role {
        match self.neighbour {
            Neighbour::NameServer => Role::NameServer,
            Neighbour::Broker(_) => Role::Broker,
        }
    }
}

/// Ports on the loopback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// The agent's gRPC services.
    pub grpc: u16,
    /// The HTTP address server.
    pub address_server: u16,
    /// The name server beside the agent.
    pub name_server: u16,
}

/// RocketMQ's own port of name servers.
pub const NAME_SERVER_PORT: u16 = 9876;

impl Ports {
    /// The ports that the CLI and the manifests know.
    pub fn of(role: Role) -> Self {
        Self {
            grpc: match role {
                Role::NameServer => proto::ports::NAME_SERVER_AGENT,
                Role::Broker => proto::ports::BROKER_AGENT,
            },
            address_server: proto::ports::ADDRESS_SERVER,
            name_server: NAME_SERVER_PORT,
        }
    }
}

/// How often the agent looks at what can change without telling it.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Files that others write: the mounted record, broker.conf, the mark of a stop.
    pub files: Duration,
    /// The process beside the agent, and name servers that do not show the broker as itself.
    pub look: Duration,
    /// Name servers that do.
    pub settled_look: Duration,
    /// The live list of the broker.
    pub live_list: Duration,
    /// A bridge keeps its entry alive: name servers drop one after 120 s, and an idle channel too
    /// (`RouteInfoManager`, `NettyRemotingServer`, all tags).
    pub keep_alive: Duration,
    /// How long an answer may take.
    pub answer: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            files: Duration::from_millis(500),
            look: Duration::from_secs(2),
            settled_look: Duration::from_secs(10),
            live_list: Duration::from_secs(5),
            keep_alive: Duration::from_secs(20),
            answer: Duration::from_secs(10),
        }
    }
}
