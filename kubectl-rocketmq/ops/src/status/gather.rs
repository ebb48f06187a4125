//! Asks every member of a cluster, all at once.

use std::future::Future;
use std::time::Duration;

use agents::types::{BrokerFacts, BrokerRows, Describe, RouteTable};
use futures::future::join_all;
use k8s::kinds::Broker;
use k8s::names::{self, BrokerMember};
use k8s::objects::Kind;
use k8s::pods::Pod;

use crate::matrix::{BrokerView, Matrix, NameServerView, compare};
use crate::operations::known::Known;
use crate::status::AgentCell;
use crate::world::{World, WorldError};

/// How long one member may take to say everything. The slowest decides when the page is there.
const MEMBER_WITHIN: Duration = Duration::from_secs(20);

/// Everything that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Facts {
    /// Name servers that the StatefulSet asks for; `None` when it does not exist.
    pub(crate) name_servers_wanted: Option<u32>,
    /// The name servers, by ordinal.
    pub(crate) name_servers: Vec<NameServerFacts>,
    /// The brokers that should be there, by group, masters first.
    pub(crate) members: Vec<MemberFacts>,
    /// All of their views compared.
    pub(crate) matrix: Matrix,
}

/// A name server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct NameServerFacts {
    pub(crate) pod: Pod,
    pub(crate) trouble: Option<String>,
    pub(crate) agent: AgentCell,
    pub(crate) described: Option<Describe>,
    pub(crate) routes: Result<RouteTable, String>,
}

/// A broker.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MemberFacts {
    pub(crate) group: String,
    pub(crate) member: BrokerMember,
    pub(crate) stateful_set: String,
    pub(crate) pod: Option<Pod>,
    pub(crate) trouble: Option<String>,
    pub(crate) agent: AgentCell,
    pub(crate) described: Option<Describe>,
    pub(crate) facts: Option<BrokerFacts>,
    pub(crate) rows: Result<BrokerRows, String>,
}

/// Reads everything.
///
/// # Errors
/// Only when Kubernetes itself cannot be asked.
pub(crate) async fn gather<W: World>(world: &W, known: &Known) -> Result<Facts, WorldError> {
    let (name_servers_wanted, name_server_pods) = match known.name_server_set() {
        None => (None, Vec::new()),
        Some(set) => {
            let object = world.object(Kind::StatefulSet, &set).await?;
            (object.and_then(|object| object.replicas()), world.pods(&set).await?)
        }
    };
    let wanted: Vec<(&Broker, u32, BrokerMember)> = known.broker_fields().flat_map(wanted_members).collect();
    let members =
        join_all(wanted.iter().map(|(broker, group, member)| ask_member(world, broker, *group, *member)));
    let members = members.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    // After the brokers: a topic that is made in between is then known to every name server.
    let name_servers = join_all(name_server_pods.into_iter().map(|pod| ask_name_server(world, pod))).await;
    let matrix = compare(&name_servers.iter().map(view_of_name_server).collect::<Vec<_>>(), &views(&members));
    Ok(Facts { name_servers_wanted, name_servers, members, matrix })
}

fn wanted_members(broker: &Broker) -> impl Iterator<Item = (&Broker, u32, BrokerMember)> {
    let members =
        move |group| BrokerMember::of_group(broker.replica_per_group).map(move |member| (group, member));
    (0..broker.size).flat_map(members).map(move |(group, member)| (broker, group, member))
}

async fn ask_name_server<W: World>(world: &W, pod: Pod) -> NameServerFacts {
    let asked = async { Ok((world.describe(&pod).await?, world.routes(&pod).await)) };
    let (answer, agent) = ask(world, &pod, asked).await;
    let silent = match &agent {
        AgentCell::Silent(reason) => reason.clone(),
        _ => String::new(),
    };
    let (described, routes) = match answer {
        Some((described, routes)) => (Some(described), routes.map_err(|error| error.to_string())),
        None => (None, Err(silent)),
    };
    NameServerFacts { trouble: trouble(world, &pod).await, pod, agent, described, routes }
}

async fn ask_member<W: World>(
    world: &W,
    broker: &Broker,
    group: u32,
    member: BrokerMember,
) -> Result<MemberFacts, WorldError> {
    let stateful_set = names::broker_stateful_set(&broker.metadata.name, group, member);
    let pod = world.pods(&stateful_set).await?.into_iter().next();
    let mut facts = MemberFacts {
        group: names::broker_group(&broker.metadata.name, group),
        member,
        stateful_set,
        pod: pod.clone(),
        trouble: None,
        agent: AgentCell::Silent("its pod does not exist".to_owned()),
        described: None,
        facts: None,
        rows: Err("its pod does not exist".to_owned()),
    };
    let Some(pod) = pod else {
        facts.trouble = world.trouble_of_stateful_set(&facts.stateful_set).await;
        return Ok(facts);
    };
    facts.trouble = trouble(world, &pod).await;
    let asked = async {
        let described = world.describe(&pod).await?;
        if !described.process.answers {
            return Ok((described, None, Err(WorldError::new("RocketMQ does not answer its agent"))));
        }
        let facts = world.broker_facts(&pod).await;
        let rows = world.broker_rows(&pod).await;
        let reason = facts.as_ref().err().cloned();
        Ok((described, facts.ok(), reason.map_or(rows, Err)))
    };
    let (answer, agent) = ask(world, &pod, asked).await;
    match answer {
        Some((described, broker, rows)) => {
            facts.described = Some(described);
            facts.facts = broker;
            facts.rows = rows.map_err(|error| error.to_string());
        }
        None => {
            if let AgentCell::Silent(reason) = &agent {
                facts.rows = Err(reason.clone());
            }
        }
    }
    facts.agent = agent;
    Ok(facts)
}

/// Asks one member, within its deadline, and says what its agent's column shows.
async fn ask<W: World, T>(
    world: &W,
    pod: &Pod,
    asked: impl Future<Output = Result<T, WorldError>> + Send,
) -> (Option<T>, AgentCell) {
    if pod.ip.is_none() {
        return (None, AgentCell::Silent(format!("its pod is {}", pod.phase)));
    }
    match tokio::time::timeout(MEMBER_WITHIN, asked).await {
        Ok(Ok(value)) => (Some(value), world.unproved(pod).map_or(AgentCell::Ok, AgentCell::Unproved)),
        Ok(Err(error)) => (None, AgentCell::Silent(error.to_string())),
        Err(_) => (None, AgentCell::Silent(format!("it did not answer within {}s", MEMBER_WITHIN.as_secs()))),
    }
}

async fn trouble<W: World>(world: &W, pod: &Pod) -> Option<String> {
    if pod.ready { None } else { world.trouble(pod).await }
}

fn view_of_name_server(facts: &NameServerFacts) -> NameServerView {
    NameServerView { name_server: facts.pod.name.clone(), routes: facts.routes.clone() }
}

fn views(members: &[MemberFacts]) -> Vec<BrokerView> {
    let view = |member: &MemberFacts| BrokerView {
        pod: names::pod(&member.stateful_set, 0),
        broker: member.rows.clone(),
    };
    members.iter().map(view).collect()
}
