//! From facts to the page. Pure: the time is brought along.

use std::collections::{BTreeMap, BTreeSet};

use agents::types::{BrokerList, Describe, ListMode, NameServerList, Owner};
use jiff::Timestamp;
use k8s::kinds::{Replication, Storage};
use k8s::names::{self, BrokerMember};
use k8s::pods::Pod;
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;

use super::checks::checks;
use super::gather::{Facts, MemberFacts, NameServerFacts};
use super::{
    AgentCell, BrokerRow, BrokersSection, Check, ListCell, ListState, NameServerRow, NameServersSection,
    OperationLine, RegistrationCell, Severity, StatusReport, Verdict, Versions,
};
use crate::operations::known::Known;
use crate::report::{API_VERSION, Bridge, NextCommand};
use crate::version::CLI;

/// What the page shows beside the members' facts.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) took_millis: u64,
    pub(crate) operation: Option<OperationLine>,
}

/// Makes the page.
pub(crate) fn page(known: &Known, facts: &Facts, moment: Moment) -> StatusReport {
    let name_servers = name_servers(known, facts, moment.now);
    let brokers = brokers(known, facts);
    let checks = checks(known, facts, &name_servers, &brokers, moment.operation.as_ref());
    let agents = facts.name_servers.iter().map(|facts| &facts.agent);
    let agents: Vec<&AgentCell> = agents.chain(facts.members.iter().map(|facts| &facts.agent)).collect();
    let list = known.record.name_servers.as_ref();
    StatusReport {
        api_version: API_VERSION,
        kind: "Status",
        cluster: known.cluster().to_owned(),
        namespace: known.namespace.clone(),
        verdict: verdict(&checks, &name_servers, &brokers),
        collected_at: moment.now.to_string(),
        collected_in_millis: moment.took_millis,
        agents_answered: agents.iter().filter(|cell| !matches!(cell, AgentCell::Silent(_))).count(),
        agents_asked: agents.len(),
        versions: versions(facts),
        replication_mode: joined(
            known.broker_fields().filter_map(|broker| broker.replication).map(replication_word),
        ),
        storage_mode: joined(storages(known)),
        clients_name_servers: list.map(NameServerList::namesrv_addr).filter(|list| !list.is_empty()),
        bridges: bridges(facts),
        next: next(known, &checks, moment.operation.as_ref()),
        operation: moment.operation,
        checks,
        name_servers,
        brokers,
    }
}

fn name_servers(known: &Known, facts: &Facts, now: Timestamp) -> NameServersSection {
    let desired = known.record.name_servers.clone().unwrap_or_default();
    let rows: Vec<NameServerRow> =
        facts.name_servers.iter().map(|server| name_server_row(server, facts, now)).collect();
    let noted = known.name_service_fields().map_or(0, |name_service| name_service.size);
    NameServersSection {
        managed: known.name_service.is_some(),
        wanted: facts.name_servers_wanted.unwrap_or(noted) as usize,
        ready: facts.name_servers.iter().filter(|server| answers(server.described.as_ref())).count(),
        desired_generation: desired.generation,
        desired: desired.name_servers.into_iter().map(|entry| entry.address).collect(),
        rows,
    }
}

fn answers(described: Option<&Describe>) -> bool {
    described.is_some_and(|described| described.process.answers)
}

fn name_server_row(server: &NameServerFacts, facts: &Facts, now: Timestamp) -> NameServerRow {
    let seen =
        server.routes.is_ok().then(|| facts.matrix.name_servers.get(&server.pod.name).copied()).flatten();
    NameServerRow {
        pod: server.pod.name.clone(),
        address: server.pod.ip.as_ref().map(|ip| format!("{ip}:{}", names::NAME_SERVER_PORT)),
        node: server.pod.node.clone(),
        ready: server.pod.ready,
        restarts: restarts(&server.pod, names::CONTAINER_NAME_SERVER),
        age_seconds: age_seconds(&server.pod, now),
        agent: server.agent.clone(),
        version: server.described.as_ref().and_then(version),
        brokers_seen: seen.map(|seen| seen.brokers),
        brokers_expected: facts.members.len(),
        topics: seen.map(|seen| seen.topics),
    }
}

fn restarts(pod: &Pod, container: &str) -> u32 {
    pod.container(container).map_or(0, |container| container.restart_count)
}

fn age_seconds(pod: &Pod, now: Timestamp) -> Option<u64> {
    let created: Timestamp = pod.created.as_ref()?.parse().ok()?;
    u64::try_from(now.duration_since(created).as_secs()).ok()
}

fn version(described: &Describe) -> Option<String> {
    let ordinal = described.process.version;
    (ordinal != 0).then(|| Version::from_ordinal(ordinal).to_string())
}

fn brokers(known: &Known, facts: &Facts) -> BrokersSection {
    let ready: BTreeSet<&str> = facts
        .members
        .iter()
        .filter(|member| member.member == BrokerMember::Master && answers(member.described.as_ref()))
        .map(|member| member.group.as_str())
        .collect();
    let desired = known.record.name_servers.clone().unwrap_or_default();
    BrokersSection {
        groups_wanted: facts.members.iter().map(|member| &member.group).collect::<BTreeSet<_>>().len(),
        groups_ready: ready.len(),
        rows: facts.members.iter().map(|member| broker_row(member, facts, &desired)).collect(),
    }
}

/// What a slave lacks of its master's commit log. A slave that was asked after its master may be ahead of the answer.
fn lag_bytes(member: &MemberFacts, facts: &Facts) -> Option<u64> {
    let is_master = |other: &&MemberFacts| {
        other.group == member.group && other.member == BrokerMember::Master && other.member != member.member
    };
    let master = facts.members.iter().find(is_master)?.facts.as_ref()?;
    let own = member.facts.as_ref()?;
    Some(master.commit_log_max_offset.saturating_sub(own.commit_log_max_offset))
}

fn broker_row(member: &MemberFacts, all: &Facts, desired: &NameServerList) -> BrokerRow {
    let facts = member.facts.as_ref();
    let list = member.described.as_ref().and_then(|described| described.list.as_ref());
    let pod = member.pod.as_ref();
    BrokerRow {
        group: member.group.clone(),
        role: if member.member == BrokerMember::Master { "master" } else { "slave" }.to_owned(),
        broker_id: facts.map(|facts| facts.broker_id),
        pod: pod.map_or_else(|| names::pod(&member.stateful_set, 0), |pod| pod.name.clone()),
        address: facts.map(|facts| facts.address.clone()),
        node: pod.and_then(|pod| pod.node.clone()),
        ready: pod.is_some_and(|pod| pod.ready),
        restarts: pod.map_or(0, |pod| restarts(pod, names::CONTAINER_BROKER)),
        agent: member.agent.clone(),
        version: facts
            .map(|facts| facts.version.clone())
            .or_else(|| member.described.as_ref().and_then(version)),
        list: list.map(|list| list_cell(list, desired)),
        registrations: list.map(registrations).unwrap_or_default(),
        put_tps: facts.map(|facts| facts.put_tps),
        get_tps: facts.map(|facts| facts.get_tps),
        disk_ratio: facts.map(|facts| facts.commit_log_disk_ratio).filter(|ratio| *ratio >= 0.0),
        permission: facts.map(|facts| permission(facts.permission)),
        boot_timestamp_millis: facts.map(|facts| facts.boot_timestamp_millis),
        topics: facts.map(|facts| facts.topics),
        subscription_groups: facts.map(|facts| facts.subscription_groups),
        lag_bytes: lag_bytes(member, all),
        registration_bytes: facts
            .filter(|_| member.member == BrokerMember::Master)
            .map(|facts| facts.registration_bytes),
    }
}

/// `RW`, `R`, `W` or `-`.
fn permission(bits: u32) -> String {
    let letters = Permission::from_bits(bits).to_string().replace('-', "");
    if letters.is_empty() { "-".to_owned() } else { letters }
}

fn list_cell(list: &BrokerList, desired: &NameServerList) -> ListCell {
    let wanted: BTreeSet<&str> = desired.name_servers.iter().map(|entry| entry.address.as_str()).collect();
    let is_wanted = |list: &[String]| list.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted;
    let owned_by = |owners: &[Owner]| {
        let held = |held: &&agents::types::Registration| {
            owners.contains(&held.owner) && wanted.contains(held.name_server.as_str())
        };
        list.registrations.iter().filter(held).count()
    };
    ListCell {
        mode: match list.mode {
            ListMode::NamesrvAddr => "namesrvAddr",
            ListMode::AddressServer => "address-server",
        },
        file: list.file.clone(),
        live: list.live.clone(),
        registered: owned_by(&[Owner::Broker, Owner::Bridge]),
        expected: wanted.len(),
        state: if !is_wanted(&list.file) {
            ListState::Wrong
        } else if !is_wanted(&list.live) {
            ListState::Settling
        } else if owned_by(&[Owner::Bridge]) > 0 {
            ListState::Bridged
        } else {
            ListState::Live
        },
    }
}

fn registrations(list: &BrokerList) -> Vec<RegistrationCell> {
    let cell = |held: &agents::types::Registration| RegistrationCell {
        name_server: held.name_server.clone(),
        owner: match held.owner {
            Owner::Broker => "broker",
            Owner::Bridge => "bridge",
            Owner::Nobody => "none",
            Owner::Unreachable => "unreachable",
        },
        reason: Some(held.reason.clone()).filter(|reason| !reason.is_empty()),
    };
    list.registrations.iter().map(cell).collect()
}

fn bridges(facts: &Facts) -> Vec<Bridge> {
    let mut bridges = Vec::new();
    for member in &facts.members {
        let list = member.described.as_ref().and_then(|described| described.list.as_ref());
        let held =
            list.into_iter().flat_map(|list| &list.registrations).filter(|held| held.owner == Owner::Bridge);
        bridges.extend(held.map(|held| Bridge {
            pod: names::pod(&member.stateful_set, 0),
            name_server: held.name_server.clone(),
        }));
    }
    bridges.sort();
    bridges
}

fn versions(facts: &Facts) -> Versions {
    let mut versions = Versions { cli: CLI.to_owned(), ..Versions::default() };
    let described = facts.name_servers.iter().map(|facts| &facts.described);
    for described in described.chain(facts.members.iter().map(|facts| &facts.described)).flatten() {
        *versions.agents.entry(described.agent_version.clone()).or_insert(0) += 1;
        if let Some(version) = version(described) {
            *versions.rocketmq.entry(version).or_insert(0) += 1;
        }
    }
    versions
}

fn replication_word(replication: Replication) -> &'static str {
    match replication {
        Replication::Async => "ASYNC",
        Replication::Sync => "SYNC",
    }
}

fn storages(known: &Known) -> impl Iterator<Item = &'static str> {
    let name_service = known.name_service_fields().map(|name_service| &name_service.storage);
    name_service.into_iter().chain(known.broker_fields().map(|broker| &broker.storage)).map(|storage| {
        match storage {
            Storage::EmptyDir => "EmptyDir",
            Storage::HostPath { .. } => "HostPath",
            Storage::Claim(_) => "StorageClass",
        }
    })
}

/// The different words, in order; `None` where there is none.
fn joined<'a>(words: impl Iterator<Item = &'a str>) -> Option<String> {
    let words: BTreeSet<&str> = words.collect();
    let words: Vec<&str> = words.into_iter().collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn verdict(checks: &[Check], name_servers: &NameServersSection, brokers: &BrokersSection) -> Verdict {
    if !checks.iter().any(|check| check.severity == Severity::Error) {
        return Verdict::Healthy;
    }
    let mut groups: BTreeMap<&str, bool> = BTreeMap::new();
    for row in &brokers.rows {
        *groups.entry(&row.group).or_insert(false) |= row.version.is_some() && row.broker_id.is_some();
    }
    let no_name_server = name_servers.managed && name_servers.ready == 0;
    if no_name_server || groups.values().any(|answers| !answers) { Verdict::Down } else { Verdict::Degraded }
}

fn next(known: &Known, checks: &[Check], operation: Option<&OperationLine>) -> Vec<NextCommand> {
    let namespace = &known.namespace;
    let next = |command: String, reason: &str| vec![NextCommand { command, reason: reason.to_owned() }];
    match operation {
        Some(operation) if operation.holder.is_none() => {
            let id = &operation.operation;
            return next(
                format!("kubectl rocketmq ops show {id} -n {namespace}"),
                "an operation is not finished",
            );
        }
        _ => {}
    }
    let hint =
        checks.iter().find(|check| check.severity == Severity::Error).and_then(|check| check.hint.clone());
    match hint {
        Some(hint) => next(hint, "look into the first error"),
        None if checks.is_empty() => Vec::new(),
        None => next(format!("kubectl rocketmq status {} -n {namespace}", known.cluster()), "look again"),
    }
}
