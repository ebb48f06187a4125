//! Between generated messages and plain values. An agent that leaves out a needed part, or names a value that
//! this build does not know, is an error here and nowhere later.

use rocketmq::metadata::{Subscription, TableDigest};
use rocketmq::model::backlog::{Kind, Row};
use rocketmq::model::kv::KvEntry;
use rocketmq::model::name_server::{NameServerEntry, NameServerList};
use rocketmq::model::permission::Permission;
use rocketmq::model::route::{RegisteredBroker, TopicRow};

use crate::describe::{
    Applied, Backlog, BrokerFacts, BrokerList, BundleDescription, Commit, Describe, ExportOptions, Gate,
    Holding, ListMode, MetadataState, OldData, OnlineGroup, Owner, PreparedExport, Process, Registration,
    Role, Volume,
};
use crate::{ProtocolRange, pb};

/// A message that is not what the protocol says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message has no valid `{field}`")]
pub struct InvalidMessage {
    field: &'static str,
}

fn invalid(field: &'static str) -> InvalidMessage {
    InvalidMessage { field }
}

/// A part that a message may not be without.
///
/// # Errors
/// When it is not there.
pub fn required<T>(part: Option<T>, field: &'static str) -> Result<T, InvalidMessage> {
    part.ok_or_else(|| invalid(field))
}

/// Plain struct and message with the same fields, both ways.
macro_rules! same_fields {
    ($plain:ident, $message:ident { $($field:ident),+ $(,)? }) => {
        impl From<$plain> for pb::$message {
            fn from(plain: $plain) -> Self {
                Self { $($field: plain.$field.into()),+ }
            }
        }

        impl From<pb::$message> for $plain {
            fn from(message: pb::$message) -> Self {
                Self { $($field: message.$field.into()),+ }
            }
        }
    };
}

same_fields!(ProtocolRange, ProtocolRange { lowest, highest });
same_fields!(Gate, Gate { open, waiting_for });
same_fields!(Process, Process { answers, problem, version, boot_timestamp_millis, list_period_millis });
same_fields!(Volume, Volume { path, total_bytes, free_bytes });
same_fields!(TopicRow, TopicRow { topic, broker_name, read_queues, write_queues, permission });
same_fields!(RegisteredBroker, RegisteredBroker { cluster, broker_name, broker_id, address });
same_fields!(KvEntry, KvEntry { namespace, key, value });
same_fields!(NameServerEntry, NameServer { address, pod_ip });
same_fields!(
    MetadataState,
    MetadataState { awaited, committed, earlier_store, receiving_sha256, verified_bytes }
);
same_fields!(Subscription, Subscription { topic, group });
same_fields!(ExportOptions, ExportOptions { sanitised, ordered });
same_fields!(Applied, ApplyMetadataResponse { topics, groups, request_modes, offsets });
same_fields!(
    BrokerFacts,
    BrokerFactsResponse {
        cluster,
        broker_name,
        broker_id,
        address,
        version,
        boot_timestamp_millis,
        permission,
        put_tps,
        get_tps,
        commit_log_disk_ratio,
        topics,
        subscription_groups,
        commit_log_max_offset,
        registration_bytes,
    }
);

impl From<NameServerList> for pb::NameServerList {
    fn from(list: NameServerList) -> Self {
        Self {
            generation: list.generation,
            name_servers: list.name_servers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<pb::NameServerList> for NameServerList {
    fn from(list: pb::NameServerList) -> Self {
        Self {
            generation: list.generation,
            name_servers: list.name_servers.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<Role> for pb::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::NameServer => Self::NameServer,
            Role::Broker => Self::Broker,
        }
    }
}

impl TryFrom<pb::Role> for Role {
    type Error = InvalidMessage;

    fn try_from(role: pb::Role) -> Result<Self, InvalidMessage> {
        match role {
            pb::Role::Unspecified => Err(invalid("role")),
            pb::Role::NameServer => Ok(Self::NameServer),
            pb::Role::Broker => Ok(Self::Broker),
        }
    }
}

impl From<Registration> for pb::Registration {
    fn from(registration: Registration) -> Self {
        use pb::registration::Owner as Message;
        let owner = match registration.owner {
            Owner::Broker => Message::Broker,
            Owner::Bridge => Message::Bridge,
            Owner::Nobody => Message::None,
            Owner::Unreachable => Message::Unreachable,
        };
        Self {
            name_server: registration.name_server,
            owner: owner.into(),
            reason: registration.reason,
            since_millis: registration.since_millis,
        }
    }
}

impl TryFrom<pb::Registration> for Registration {
    type Error = InvalidMessage;

    fn try_from(message: pb::Registration) -> Result<Self, InvalidMessage> {
        use pb::registration::Owner as Message;
        let owner = match message.owner() {
            Message::Unspecified => return Err(invalid("owner")),
            Message::Broker => Owner::Broker,
            Message::Bridge => Owner::Bridge,
            Message::None => Owner::Nobody,
            Message::Unreachable => Owner::Unreachable,
        };
        Ok(Self {
            name_server: message.name_server,
            owner,
            reason: message.reason,
            since_millis: message.since_millis,
        })
    }
}

impl From<OnlineGroup> for pb::OnlineGroup {
    fn from(group: OnlineGroup) -> Self {
        let holding = |holding: Holding| pb::Holding {
            client: holding.client,
            queues_by_broker: holding.queues_by_broker.into_iter().collect(),
        };
        Self {
            group: group.group,
            clients: group.clients,
            silent_clients: group.silent_clients,
            unheld_queues: group.unheld_queues,
            holdings: group.holdings.into_iter().map(holding).collect(),
        }
    }
}

impl From<pb::OnlineGroup> for OnlineGroup {
    fn from(message: pb::OnlineGroup) -> Self {
        let holding = |holding: pb::Holding| Holding {
            client: holding.client,
            queues_by_broker: holding.queues_by_broker.into_iter().collect(),
        };
        Self {
            group: message.group,
            clients: message.clients,
            silent_clients: message.silent_clients,
            unheld_queues: message.unheld_queues,
            holdings: message.holdings.into_iter().map(holding).collect(),
        }
    }
}

impl From<BrokerList> for pb::BrokerList {
    fn from(list: BrokerList) -> Self {
        let mode = match list.mode {
            ListMode::NamesrvAddr => pb::broker_list::Mode::NamesrvAddr,
            ListMode::AddressServer => pb::broker_list::Mode::AddressServer,
        };
        Self {
            mode: mode.into(),
            file: list.file,
            live: list.live,
            live_since_millis: list.live_since_millis,
            registrations: list.registrations.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::BrokerList> for BrokerList {
    type Error = InvalidMessage;

    fn try_from(message: pb::BrokerList) -> Result<Self, InvalidMessage> {
        let mode = match message.mode() {
            pb::broker_list::Mode::Unspecified => return Err(invalid("mode")),
            pb::broker_list::Mode::NamesrvAddr => ListMode::NamesrvAddr,
            pb::broker_list::Mode::AddressServer => ListMode::AddressServer,
        };
        let registrations =
            message.registrations.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self {
            mode,
            file: message.file,
            live: message.live,
            live_since_millis: message.live_since_millis,
            registrations,
        })
    }
}

impl From<Describe> for pb::DescribeResponse {
    fn from(describe: Describe) -> Self {
        Self {
            role: pb::Role::from(describe.role).into(),
            pod_name: describe.pod_name,
            pod_uid: describe.pod_uid,
            agent_version: describe.agent_version,
            protocol: Some(describe.protocol.into()),
            cluster: describe.cluster,
            highest_fence: describe.highest_fence,
            has_key: describe.has_key,
            desired: describe.desired.map(Into::into),
            list: describe.list.map(Into::into),
            gate: describe.gate.map(Into::into),
            process: Some(describe.process.into()),
            volume: describe.volume.map(Into::into),
            metadata: describe.metadata.map(Into::into),
        }
    }
}

impl TryFrom<pb::DescribeResponse> for Describe {
    type Error = InvalidMessage;

    fn try_from(message: pb::DescribeResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            role: message.role().try_into()?,
            pod_name: message.pod_name,
            pod_uid: message.pod_uid,
            agent_version: message.agent_version,
            protocol: required(message.protocol, "protocol")?.into(),
            cluster: message.cluster,
            highest_fence: message.highest_fence,
            has_key: message.has_key,
            desired: message.desired.map(Into::into),
            list: message.list.map(TryInto::try_into).transpose()?,
            gate: message.gate.map(Into::into),
            process: required(message.process, "process")?.into(),
            volume: message.volume.map(Into::into),
            metadata: message.metadata.map(Into::into),
        })
    }
}

impl From<TableDigest> for pb::TableDigest {
    fn from(table: TableDigest) -> Self {
        Self { entries: table.entries, digest: table.digest.to_vec() }
    }
}

impl TryFrom<pb::TableDigest> for TableDigest {
    type Error = InvalidMessage;

    fn try_from(message: pb::TableDigest) -> Result<Self, InvalidMessage> {
        let digest = message.digest.try_into().map_err(|_| invalid("digest"))?;
        Ok(Self { entries: message.entries, digest })
    }
}

impl From<BundleDescription> for pb::BundleDescription {
    fn from(bundle: BundleDescription) -> Self {
        Self {
            sha256: bundle.sha256,
            bytes: bundle.bytes,
            topics: Some(bundle.topics.into()),
            groups: Some(bundle.groups.into()),
            request_modes: Some(bundle.request_modes.into()),
            offsets: bundle.offsets,
            registration_bytes: bundle.registration_bytes,
        }
    }
}

impl TryFrom<pb::BundleDescription> for BundleDescription {
    type Error = InvalidMessage;

    fn try_from(message: pb::BundleDescription) -> Result<Self, InvalidMessage> {
        let table = |table: Option<pb::TableDigest>, field| required(table, field)?.try_into();
        Ok(Self {
            sha256: message.sha256,
            bytes: message.bytes,
            topics: table(message.topics, "topics")?,
            groups: table(message.groups, "groups")?,
            request_modes: table(message.request_modes, "request_modes")?,
            offsets: message.offsets,
            registration_bytes: message.registration_bytes,
        })
    }
}

impl From<PreparedExport> for pb::PrepareExportResponse {
    fn from(export: PreparedExport) -> Self {
        Self {
            bundle: Some(export.bundle.into()),
            ordered_topics: export.ordered_topics,
            cluster: export.cluster,
            broker_name: export.broker_name,
            version: export.version,
        }
    }
}

impl TryFrom<pb::PrepareExportResponse> for PreparedExport {
    type Error = InvalidMessage;

    fn try_from(message: pb::PrepareExportResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            bundle: required(message.bundle, "bundle")?.try_into()?,
            ordered_topics: message.ordered_topics,
            cluster: message.cluster,
            broker_name: message.broker_name,
            version: message.version,
        })
    }
}

/// Without the fence, which the caller adds.
impl From<Commit> for pb::CommitMetadataRequest {
    fn from(commit: Commit) -> Self {
        use pb::commit_metadata_request::OldData as Message;
        let old_data = match commit.old_data {
            OldData::Refuse => Message::Refuse,
            OldData::Keep => Message::Keep,
            OldData::Aside => Message::Aside,
        };
        Self {
            fence: None,
            token: commit.token,
            sha256: commit.sha256,
            old_data: old_data.into(),
            permission: commit.permission.bits(),
        }
    }
}

impl TryFrom<pb::CommitMetadataRequest> for Commit {
    type Error = InvalidMessage;

    fn try_from(message: pb::CommitMetadataRequest) -> Result<Self, InvalidMessage> {
        use pb::commit_metadata_request::OldData as Message;
        let old_data = match message.old_data() {
            Message::Unspecified => return Err(invalid("old_data")),
            Message::Refuse => OldData::Refuse,
            Message::Keep => OldData::Keep,
            Message::Aside => OldData::Aside,
        };
        Ok(Self {
            token: message.token,
            sha256: message.sha256,
            old_data,
            permission: Permission::from_bits(message.permission),
        })
    }
}

impl From<Row> for pb::BacklogRow {
    fn from(row: Row) -> Self {
        use pb::backlog_row::Kind as Message;
        let kind = match row.kind {
            Kind::Unread => Message::Unread,
            Kind::Retry => Message::Retry,
            Kind::Delayed => Message::Delayed,
            Kind::Timer => Message::Timer,
            Kind::Half => Message::Half,
            Kind::Pop => Message::Pop,
            Kind::Lmq => Message::Lmq,
            Kind::DeadLetter => Message::DeadLetter,
            Kind::Broadcast => Message::Broadcast,
        };
        Self {
            kind: kind.into(),
            topic: row.topic,
            group: row.group,
            messages: row.messages,
            offline: row.offline,
            clients: row.clients,
            detail: row.detail,
        }
    }
}

impl TryFrom<pb::BacklogRow> for Row {
    type Error = InvalidMessage;

    fn try_from(message: pb::BacklogRow) -> Result<Self, InvalidMessage> {
        use pb::backlog_row::Kind as Message;
        let kind = match message.kind() {
            Message::Unspecified => return Err(invalid("kind")),
            Message::Unread => Kind::Unread,
            Message::Retry => Kind::Retry,
            Message::Delayed => Kind::Delayed,
            Message::Timer => Kind::Timer,
            Message::Half => Kind::Half,
            Message::Pop => Kind::Pop,
            Message::Lmq => Kind::Lmq,
            Message::DeadLetter => Kind::DeadLetter,
            Message::Broadcast => Kind::Broadcast,
        };
        Ok(Self {
            kind,
            topic: message.topic,
            group: message.group,
            messages: message.messages,
            offline: message.offline,
            clients: message.clients,
            detail: message.detail,
        })
    }
}

impl From<Backlog> for pb::BacklogResponse {
    fn from(backlog: Backlog) -> Self {
        Self {
            rows: backlog.rows.into_iter().map(Into::into).collect(),
            unknown: backlog.unknown,
            boot_timestamp_millis: backlog.boot_timestamp_millis,
            permission: backlog.permission,
            written: backlog.written,
        }
    }
}

impl TryFrom<pb::BacklogResponse> for Backlog {
    type Error = InvalidMessage;

    fn try_from(message: pb::BacklogResponse) -> Result<Self, InvalidMessage> {
        Ok(Self {
            rows: message.rows.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            unknown: message.unknown,
            boot_timestamp_millis: message.boot_timestamp_millis,
            permission: message.permission,
            written: message.written,
        })
    }
}

#[cfg(test)]
mod tests;
