//! Where things lie, in the agent's container and in RocketMQ's. The manifests mount exactly these.

use std::path::{Path, PathBuf};

use proto::describe::Role;

/// Every path that the agent uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Root of the data volume.
    pub volume: PathBuf,
    /// The folder of RocketMQ's logs on it, mounted into RocketMQ's container by subPath.
    pub logs: PathBuf,
    /// The folder of RocketMQ's data on it, likewise.
    pub store: PathBuf,
    /// The agent's own state.
    pub state: PathBuf,
    /// broker.conf or namesrv.conf, which RocketMQ is started with.
    pub configuration: PathBuf,
    /// The preStop hook makes this file before it stops a broker.
    pub stopping: PathBuf,
    /// The desired list in the mounted record.
    pub record: PathBuf,
    /// The cluster's key in its mounted Secret.
    pub key: PathBuf,
    /// The user's lines for broker.conf, from the first of the object's volumes.
    pub user_lines: PathBuf,
    /// [`Paths::store`] as RocketMQ's container sees it.
    pub store_seen_by_rocketmq: PathBuf,
    /// The kernel's tables of TCP connections.
    pub tcp_tables: [PathBuf; 2],
}

impl Paths {
    /// The paths for a pod, all below `root`, which is `/` outside of tests. `folder` names a broker's data after
    /// its StatefulSet, as the operator does; a name server's after its pod, because replicas may share a volume.
    pub fn below(root: &Path, role: Role, pod: &str, folder: &str) -> Self {
        let volume = root.join("var/rocketmq/volume");
        let configuration = root.join("var/rocketmq/conf").join(match role {
            Role::Broker => "broker/broker.conf",
            Role::NameServer => "name-server/namesrv.conf",
        });
        Self {
            logs: volume.join("logs").join(folder),
            store: volume.join("store").join(folder),
            state: volume.join(".agent").join(pod).join("state.json"),
            stopping: configuration.with_file_name("stopping"),
            configuration,
            record: root.join("etc/rocketmq-agent/record/name-servers"),
            key: root.join("etc/rocketmq-agent/key/key"),
            user_lines: root.join("etc/rocketmq-agent/user/broker-common.conf"),
            store_seen_by_rocketmq: root.join("var/lib/rocketmq/store"),
            tcp_tables: ["proc/net/tcp", "proc/net/tcp6"].map(|table| root.join(table)),
            volume,
        }
    }
}

impl Paths {
    /// The folder of [`Paths::state`], in which only the agent writes.
    pub fn state_folder(&self) -> &Path {
        self.state.parent().unwrap_or(&self.volume)
    }

    /// The folder that RocketMQ reads topics, groups and offsets from, once, at its start
    /// (`BrokerPathConfigHelper`, all tags).
    pub fn store_configuration(&self) -> PathBuf {
        self.store.join("config")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_find_these_paths() {
        let broker = Paths::below(Path::new("/"), Role::Broker, "demo-0-master-0", "demo-0-master");
        insta::assert_debug_snapshot!(broker, @r#"
        Paths {
            volume: "/var/rocketmq/volume",
            logs: "/var/rocketmq/volume/logs/demo-0-master",
            store: "/var/rocketmq/volume/store/demo-0-master",
            state: "/var/rocketmq/volume/.agent/demo-0-master-0/state.json",
            configuration: "/var/rocketmq/conf/broker/broker.conf",
            stopping: "/var/rocketmq/conf/broker/stopping",
            record: "/etc/rocketmq-agent/record/name-servers",
            key: "/etc/rocketmq-agent/key/key",
            user_lines: "/etc/rocketmq-agent/user/broker-common.conf",
            store_seen_by_rocketmq: "/var/lib/rocketmq/store",
            tcp_tables: [
                "/proc/net/tcp",
                "/proc/net/tcp6",
            ],
        }
        "#);
        let name_server = Paths::below(Path::new("/"), Role::NameServer, "demo-1", "demo-1");
        assert_eq!(name_server.configuration, Path::new("/var/rocketmq/conf/name-server/namesrv.conf"));
        assert_eq!(name_server.store, Path::new("/var/rocketmq/volume/store/demo-1"));
    }
}
