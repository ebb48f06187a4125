//! The changing commands as functions: a request becomes a [`Prepared`] (reads only), which is shown, asked
//! about, and run.

mod end;
mod metadata;
mod prepared;
mod scale_broker;
mod scale_replicas;

use std::collections::BTreeMap;
use std::time::Duration;

use k8s::kinds::Parsed;
use saga::{LockError, Refusal};

use crate::clients::RoutePeriod;
use crate::command::end::{finished, refusal, unfinished};
use crate::command::prepared::Way;
use crate::error::OpsError;
use crate::history;
use crate::live::{LiveWorld, Unproved};
use crate::operations::apply::{self, Apply, PlannedChange};
use crate::operations::delete::{self, Target};
use crate::operations::known::{self, Known};
use crate::operations::scale_name_service::{self, ScaleNameService};
use crate::session::Session;

pub use crate::operations::scale_broker::ScaleBrokerRequest;
pub use crate::operations::scale_broker_in::{DRAIN_TIMEOUT, DrainOptions};
pub use crate::operations::scale_replicas::ScaleReplicasRequest;
pub use crate::steps::broker_groups::OldData;
pub use metadata::{ImportMetadataRequest, import_metadata};
pub use prepared::Prepared;
pub(crate) use prepared::journaled_steps;
pub use scale_broker::scale_broker;
pub use scale_replicas::scale_replicas;

/// A text of YAML documents and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// A file's name, or `standard input`.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What `apply` shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApplyRequest {
    /// The documents.
    pub sources: Vec<Source>,
    /// `--rocketmq-version`: RocketMQ's version where the image's tag does not say.
    pub rocketmq_version: Option<String>,
    /// `--agent-image`, `ROCKETMQ_AGENT_IMAGE`, or the default.
    pub agent_image: String,
    /// `--client-route-period`: how often clients fetch their routes.
    pub route_period: RoutePeriod,
}

/// What `scale nameservice` shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScaleNameServiceRequest {
    /// The NameService.
    pub name: String,
    /// How many name servers there shall be.
    pub size: u32,
    /// `--client-route-period`: how often clients fetch their routes.
    pub route_period: RoutePeriod,
}

/// What `delete` shall do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeleteRequest {
    /// Everything that these documents name.
    Sources(Vec<Source>),
    /// One object.
    Named {
        /// Its kind.
        kind: NamedKind,
        /// Its name.
        name: String,
    },
}

/// A kind that can be named on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NamedKind {
    /// `nameservice`.
    NameService,
    /// `broker`.
    Broker,
    /// A ConfigMap of a file.
    ConfigMap,
}

impl NamedKind {
    fn word(self) -> &'static str {
        match self {
            Self::NameService => "NameService",
            Self::Broker => "Broker",
            Self::ConfigMap => "ConfigMap",
        }
    }
}

impl Target {
    fn add(&mut self, kind: NamedKind, name: &str) {
        match kind {
            NamedKind::NameService => self.name_service = true,
            NamedKind::Broker => drop(self.brokers.insert(name.to_owned())),
            NamedKind::ConfigMap => drop(self.config_maps.insert(name.to_owned())),
        }
    }
}

/// How a prepared command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunOptions {
    /// What to wait for before the command ends.
    pub wait: WaitFor,
    /// How long it may run; `None` = for ever.
    pub timeout: Option<Duration>,
}

/// What a command waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitFor {
    /// The route matrix is whole (`--wait=matrix`).
    Matrix,
    /// Every registration is the broker's own as well, so that no bridge is left (`--wait=owned`).
    Owned,
}

/// What to ask before a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// A yes or no.
    YesOrNo {
        /// The question.
        question: String,
    },
    /// Data would be lost: the user types a name.
    TypeName {
        /// The question.
        question: String,
        /// What must be typed.
        name: String,
    },
    /// Messages would be lost: the user types how many.
    TypeNumber {
        /// The question.
        question: String,
        /// What must be typed.
        number: u64,
    },
}

/// Reads the documents and the cluster and makes the plan of `apply`.
///
/// # Errors
/// `Usage` for wrong input, `Refused` when a guard refuses, `Failed` when the cluster cannot be read.
pub async fn apply(session: &Session, request: &ApplyRequest) -> Result<Prepared, OpsError> {
    let version = match &request.rocketmq_version {
        None => None,
        Some(text) => {
            Some(text.parse().map_err(|error| OpsError::usage(format!("--rocketmq-version: {error}")))?)
        }
    };
    let input = apply::read(&request.sources, session.asked_namespace())?;
    let session = match &input.namespace {
        Some(namespace) => session.in_namespace(namespace),
        None => session.clone(),
    };
    let world = session.world(Unproved::Refused);
    let mut inventory = apply::gather(&world, &input.parsed).await?;
    let planned = apply::plan(&inventory, &input.parsed, &request.agent_image, version)?;
    let mut prepared = Prepared::new(&session);
    prepared.plan.warnings.extend(planned.warnings);
    prepared.plan.unchanged = planned.unchanged;
    for known in inventory.known.iter().filter(|known| concerns(known, &input.parsed)) {
        refuse_unfinished(&session, known.cluster()).await?;
    }
    for change in planned.changes {
        match change {
            PlannedChange::Create(params) => {
                refuse_unfinished(&session, &params.followers.cluster).await?;
                apply::check_for_collisions(&world, &params).await?;
                prepared.objects.extend(params.objects().cloned());
                prepared.add::<Apply>(&params.followers.cluster, &params, Vec::new())?;
            }
            PlannedChange::Scale { cluster, size } => {
                let known = inventory.known.iter_mut().find(|known| known.cluster() == cluster);
                if let Some(known) = known {
                    add_scale(&world, &mut prepared, known, size, request.route_period).await?;
                    known.resize_name_service(size)?;
                }
            }
            PlannedChange::ScaleBroker { cluster, broker, size } => {
                let known = inventory.known.iter().find(|known| known.cluster() == cluster);
                if let Some(known) = known {
                    let request = ScaleBrokerRequest {
                        name: broker,
                        size,
                        from: None,
                        include_ordered: false,
                        old_data: OldData::Refuse,
                        drain: DrainOptions::default(),
                        route_period: request.route_period,
                    };
                    scale_broker::add(&world, &mut prepared, known, &request).await?;
                }
            }
            PlannedChange::ScaleReplicas { cluster, broker, replicas } => {
                let known = inventory.known.iter().find(|known| known.cluster() == cluster);
                if let Some(known) = known {
                    let request = ScaleReplicasRequest { name: broker, replicas };
                    scale_replicas::add(&world, &mut prepared, known, &request).await?;
                }
            }
        }
    }
    prepared.ask_whether();
    Ok(prepared)
}

/// Makes the plan of `scale nameservice`.
///
/// # Errors
/// As [`apply()`].
pub async fn scale_name_service(
    session: &Session,
    request: &ScaleNameServiceRequest,
) -> Result<Prepared, OpsError> {
    let world = session.world(Unproved::Refused);
    let known = Known::all(&world).await?;
    let cluster = known
        .iter()
        .find(|known| known.name_service.as_ref().is_some_and(|document| document.name() == request.name));
    let Some(cluster) = cluster else {
        return Err(not_found("NameService", &request.name, session.namespace(), name_services(&known)));
    };
    refuse_unfinished(session, cluster.cluster()).await?;
    let mut prepared = Prepared::new(session);
    add_scale(&world, &mut prepared, cluster, request.size, request.route_period).await?;
    if prepared.is_nothing() {
        prepared.plan.unchanged.push(format!("nameservice/{}", request.name));
    }
    prepared.ask_whether();
    Ok(prepared)
}

/// Makes the plan of `delete`.
///
/// # Errors
/// As [`apply()`].
pub async fn delete(session: &Session, request: &DeleteRequest) -> Result<Prepared, OpsError> {
    let (session, wanted, warnings) = match request {
        DeleteRequest::Named { kind, name } => (session.clone(), vec![(*kind, name.clone())], Vec::new()),
        DeleteRequest::Sources(sources) => {
            let input = apply::read(sources, session.asked_namespace())?;
            let named = input.namespace.as_ref().map(|namespace| session.in_namespace(namespace));
            let name_services =
                input.parsed.name_services().map(|(document, _)| (NamedKind::NameService, document));
            let brokers = input.parsed.brokers().map(|(document, _)| (NamedKind::Broker, document));
            let config_maps =
                input.parsed.config_maps().map(|(document, _)| (NamedKind::ConfigMap, document));
            let wanted = name_services.chain(brokers).chain(config_maps);
            let wanted = wanted.map(|(kind, document)| (kind, document.name().to_owned())).collect();
            (named.unwrap_or_else(|| session.clone()), wanted, input.parsed.warnings)
        }
    };
    let world = session.world(Unproved::Refused);
    let known = Known::all(&world).await?;
    let mut prepared = Prepared::new(&session);
    prepared.plan.warnings.extend(warnings);
    let mut targets: BTreeMap<&str, Target> = BTreeMap::new();
    for (kind, name) in &wanted {
        match owner(&known, *kind, name) {
            Some(cluster) => targets.entry(cluster).or_default().add(*kind, name),
            None => prepared.plan.warnings.push(format!("{}/{name} is not there", kind.word())),
        }
    }
    if let ([(kind, name)], true) = (wanted.as_slice(), targets.is_empty()) {
        let all = match kind {
            NamedKind::NameService => name_services(&known),
            _ => broker_names(&known),
        };
        return Err(not_found(kind.word(), name, session.namespace(), all));
    }
    for (cluster, target) in targets {
        refuse_unfinished(&session, cluster).await?;
        let Some(known) = known.iter().find(|known| known.cluster() == cluster) else { continue };
        let inventory = delete::gather(&world, known).await?;
        prepared.add_deletion(delete::plan(&inventory, &target)?)?;
    }
    Ok(prepared)
}

/// Makes the plan of what is left of an operation of the journal.
///
/// # Errors
/// `Failed` when there is no such operation, `Refused` when nothing is left to do.
pub async fn resume(session: &Session, operation: &str) -> Result<Prepared, OpsError> {
    let journal = history::journal(session, operation).await?;
    if journal.status().is_finished() {
        return Err(finished(&journal));
    }
    let mut prepared = Prepared::new(session);
    prepared.add_stored(&journal, Way::Resume);
    Ok(prepared)
}

/// Makes the plan of the way back of an operation of the journal.
///
/// # Errors
/// As [`resume`]; `Refused` after the point of no return.
pub async fn undo(session: &Session, operation: &str) -> Result<Prepared, OpsError> {
    let journal = history::journal(session, operation).await?;
    if journal.status().is_finished() {
        return Err(finished(&journal));
    }
    if let Some(step) = journal.no_return() {
        let change = journal.header().plan.get(step).map(|step| step.change.to_string()).unwrap_or_default();
        return Err(OpsError::refused(format!(
            "operation `{operation}` cannot be undone: step {} ({change}) has started and cannot be taken back",
            step + 1
        ))
        .hint(format!("kubectl rocketmq ops resume {operation} -n {}", session.namespace())));
    }
    let mut prepared = Prepared::new(session);
    prepared.add_stored(&journal, Way::Undo);
    prepared.ask_whether();
    Ok(prepared)
}

async fn add_scale(
    world: &LiveWorld,
    prepared: &mut Prepared,
    known: &Known,
    size: u32,
    route_period: RoutePeriod,
) -> Result<(), OpsError> {
    let inventory = scale_name_service::gather(world, known, size).await?;
    let planned = scale_name_service::plan(&inventory, size, route_period)?;
    prepared.plan.warnings.extend(planned.warnings);
    match planned.params {
        Some(params) => prepared.add::<ScaleNameService>(known.cluster(), &params, Vec::new()),
        None => Ok(()),
    }
}

/// Somebody's unfinished operation is told before anything else: its half may look like nothing to do.
async fn refuse_unfinished(session: &Session, cluster: &str) -> Result<(), OpsError> {
    for listed in history::journals(session, Some(cluster)).await? {
        let journal = listed.journal.map_err(|reason| {
            OpsError::failed(format!("the journal of operation `{}` cannot be read", listed.id))
                .causes([reason])
        })?;
        if !journal.status().is_finished() {
            if let Some((holder, age)) = session.holders().await.remove(cluster) {
                return Err(refusal(Refusal::Lock(LockError::Held { holder, age }), session.namespace()));
            }
            return Err(unfinished(
                &listed.id,
                &journal.header().title,
                journal.status(),
                session.namespace(),
            ));
        }
    }
    Ok(())
}

fn concerns(known: &Known, parsed: &Parsed) -> bool {
    let documents = parsed.documents.iter().map(known::document_key);
    documents.into_iter().any(|key| known.record.documents.contains_key(&key))
}

fn owner<'a>(known: &'a [Known], kind: NamedKind, name: &str) -> Option<&'a str> {
    let key = format!("{}/{name}", kind.word().to_lowercase());
    known.iter().find(|known| known.record.documents.contains_key(&key)).map(Known::cluster)
}

fn name_services(known: &[Known]) -> Vec<String> {
    known
        .iter()
        .filter_map(|known| known.name_service.as_ref())
        .map(|document| document.name().to_owned())
        .collect()
}

fn broker_names(known: &[Known]) -> Vec<String> {
    known.iter().flat_map(|known| &known.brokers).map(|broker| broker.name().to_owned()).collect()
}

fn not_found(kind: &str, name: &str, namespace: &str, there: Vec<String>) -> OpsError {
    let error = OpsError::failed(format!("there is no {kind}/{name} in namespace `{namespace}`"));
    if there.is_empty() { error } else { error.hint(format!("there is: {}", there.join(", "))) }
}
