//! What the agent's container and RocketMQ's container of a pod agree on: paths, environment, commands.

use crate::names;

/// The agent's image holds this one file.
pub(super) const AGENT_BINARY: &str = "/rocketmq-agent";
/// Group and user of the agent, and of RocketMQ in its official images.
pub(super) const ROCKETMQ_ID: i64 = 3000;

/// The data volume's root in the agent.
pub(super) const AGENT_VOLUME: &str = "/var/rocketmq/volume";
/// The configuration volume in the agent.
pub(super) const AGENT_CONFIG: &str = "/var/rocketmq/conf";
/// The cluster's record in the agent.
pub(super) const AGENT_RECORD: &str = "/etc/rocketmq-agent/record";
/// The key in the agent.
pub(super) const AGENT_KEY: &str = "/etc/rocketmq-agent/key";
/// The user's broker-common.conf in the agent.
pub(super) const AGENT_USER_CONFIG: &str = "/etc/rocketmq-agent/user";

/// The configuration volume in RocketMQ's container.
pub(super) const CONFIG: &str = "/etc/rocketmq";
/// RocketMQ's user.home, below which it looks for its logs and its store.
pub(super) const HOME: &str = "/var/lib/rocketmq";
/// The logs' folder.
pub(super) const LOGS: &str = "/var/lib/rocketmq/logs";
/// The store's folder.
pub(super) const STORE: &str = "/var/lib/rocketmq/store";

/// Starts a broker. `ROCKETMQ_HOME` is the image's, so a shell must find it.
pub(super) const START_BROKER: &str =
    r#"exec sh "$ROCKETMQ_HOME/bin/mqbroker" -c /etc/rocketmq/broker/broker.conf"#;
/// Starts a name server.
pub(super) const START_NAME_SERVER: &str =
    r#"exec sh "$ROCKETMQ_HOME/bin/mqnamesrv" -c /etc/rocketmq/name-server/namesrv.conf"#;

/// Asks Java to end. The start scripts of every version keep a TERM to themselves, so Java would only see the KILL after
/// the grace period. Written for a shell alone, because images have neither ps nor pgrep for sure.
///
/// It does not wait: the first process of the container is a shell of ours without a handler, to which the kernel
/// delivers no TERM, so the kubelet waits for Java by itself. A hook that waits is killed together with the container,
/// and Kubernetes would report each clean stop as FailedPreStopHook (seen on 1.34).
const STOP_JAVA: &str = r#"for comm in /proc/[0-9]*/comm; do
  read -r name < "$comm" || continue
  [ "$name" = java ] || continue
  process=${comm%/comm}
  kill -TERM "${process#/proc/}"
done 2> /dev/null
true
"#;

/// Tells the agent that the broker is about to stop, so that it does not register it for it again. Not with `:`, a
/// special builtin whose failing redirection would end the script before Java gets its TERM.
const MARK_STOPPING: &str = "true > /etc/rocketmq/broker/stopping\n";

/// The preStop script of a broker.
pub(super) fn stop_broker() -> String {
    format!("{MARK_STOPPING}{STOP_JAVA}")
}

/// The preStop script of a name server.
pub(super) fn stop_name_server() -> String {
    STOP_JAVA.to_owned()
}

/// Environment of the agent.
pub(super) mod env {
    pub(in super::super) const ROLE: &str = "ROCKETMQ_AGENT_ROLE";
    pub(in super::super) const CLUSTER: &str = "ROCKETMQ_AGENT_CLUSTER";
    pub(in super::super) const STATEFUL_SET: &str = "ROCKETMQ_AGENT_STATEFUL_SET";
    pub(in super::super) const HOST_NETWORK: &str = "ROCKETMQ_AGENT_HOST_NETWORK";
    pub(in super::super) const ROCKETMQ_VERSION: &str = "ROCKETMQ_AGENT_ROCKETMQ_VERSION";
    pub(in super::super) const BROKER_CLUSTER: &str = "ROCKETMQ_AGENT_BROKER_CLUSTER";
    pub(in super::super) const BROKER_NAME: &str = "ROCKETMQ_AGENT_BROKER_NAME";
    pub(in super::super) const BROKER_ID: &str = "ROCKETMQ_AGENT_BROKER_ID";
    pub(in super::super) const BROKER_ROLE: &str = "ROCKETMQ_AGENT_BROKER_ROLE";
    pub(in super::super) const AWAIT_METADATA: &str = "ROCKETMQ_AGENT_AWAIT_METADATA";
    pub(in super::super) const LOG: &str = "ROCKETMQ_AGENT_LOG";
    pub(in super::super) const POD_NAME: &str = "POD_NAME";
    pub(in super::super) const POD_UID: &str = "POD_UID";
    pub(in super::super) const POD_IP: &str = "POD_IP";
}

/// Which part of RocketMQ a pod is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    NameServer,
    Broker,
}

impl Role {
    /// The agent's word for it.
    pub(super) fn of_agent(self) -> &'static str {
        match self {
            Self::NameServer => "name-server",
            Self::Broker => "broker",
        }
    }

    /// The name of RocketMQ's container.
    pub(super) fn container(self) -> &'static str {
        match self {
            Self::NameServer => names::CONTAINER_NAME_SERVER,
            Self::Broker => names::CONTAINER_BROKER,
        }
    }

    /// How long a pod may take to stop. A broker flushes its store and its offsets.
    pub(super) fn grace_seconds(self) -> i64 {
        match self {
            Self::NameServer => 30,
            Self::Broker => 120,
        }
    }

    pub(super) fn start_command(self) -> &'static str {
        match self {
            Self::NameServer => START_NAME_SERVER,
            Self::Broker => START_BROKER,
        }
    }

    pub(super) fn stop_command(self) -> String {
        match self {
            Self::NameServer => stop_name_server(),
            Self::Broker => stop_broker(),
        }
    }
}
