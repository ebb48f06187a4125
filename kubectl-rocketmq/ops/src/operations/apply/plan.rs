//! From documents and an inventory to operations, or to the reason why not. Pure.

use std::collections::BTreeMap;

use k8s::kinds::{
    Broker, Content, Document, HostNetworkPods, NameService, Parsed, changes, host_network_refusal,
};
use k8s::manifests::{self, Context};
use k8s::names::{self, BrokerMember};
use rocketmq::model::version::Version;

use super::binding::{Binding, bind};
use super::{Inventory, NewBroker, NewNameServers, Params, Proof};
use crate::error::OpsError;
use crate::operations::known::{Known, add_broker, document_key};
use crate::steps::name_servers::{Followers, ListSource};
use crate::steps::pods::Awaited;

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// In this order.
    pub changes: Vec<PlannedChange>,
    /// Documents that are applied already, `nameservice/demo`.
    pub unchanged: Vec<String>,
    /// What the user should know before.
    pub warnings: Vec<String>,
}

/// One operation to run.
#[derive(Debug, Clone, PartialEq)]
pub enum PlannedChange {
    /// Something is made.
    Create(Box<Params>),
    /// The name servers of a cluster get another number; the operation of `scale nameservice`.
    Scale {
        /// The cluster.
        cluster: String,
        /// How many there shall be.
        size: u32,
    },
    /// A Broker gets another number of groups; the operation of `scale broker`.
    ScaleBroker {
        /// The cluster.
        cluster: String,
        /// The Broker.
        broker: String,
        /// How many groups there shall be.
        size: u32,
    },
    /// The masters of a Broker get another number of slaves; the operation of `scale broker --replicas`.
    ScaleReplicas {
        /// The cluster.
        cluster: String,
        /// The Broker.
        broker: String,
        /// How many slaves each master shall have.
        replicas: u32,
    },
}

/// Makes the plan.
///
/// # Errors
/// `Refused`, when a guard refuses or a change is not supported.
pub fn plan(
    inventory: &Inventory,
    parsed: &Parsed,
    agent_image: &str,
    rocketmq_version: Option<Version>,
) -> Result<Planned, OpsError> {
    if let Err(reason) = &inventory.surroundings.kubernetes {
        return Err(OpsError::refused(reason.clone()));
    }
    let mut planning = Planning {
        inventory,
        parsed,
        agent_image,
        rocketmq_version,
        clusters: BTreeMap::new(),
        planned: Planned { changes: Vec::new(), unchanged: Vec::new(), warnings: parsed.warnings.clone() },
    };
    for (document, name_service) in parsed.name_services() {
        planning.name_service(document, name_service)?;
    }
    for (document, broker) in parsed.brokers() {
        planning.broker(document, broker)?;
    }
    for (document, _) in parsed.config_maps() {
        planning.config_map(document)?;
    }
    planning.finish()
}

/// What is new in one cluster.
#[derive(Debug, Default)]
struct Cluster<'a> {
    name_service: Option<&'a Document>,
    resized: Option<u32>,
    /// Brokers of another size, by name.
    resized_brokers: BTreeMap<String, u32>,
    /// Brokers of another number of slaves, by name.
    other_replicas: BTreeMap<String, u32>,
    brokers: Vec<&'a Document>,
    config_maps: Vec<&'a Document>,
    /// The addresses of name servers that are not managed.
    unmanaged: Option<Vec<String>>,
}

struct Planning<'a> {
    inventory: &'a Inventory,
    parsed: &'a Parsed,
    agent_image: &'a str,
    rocketmq_version: Option<Version>,
    clusters: BTreeMap<String, Cluster<'a>>,
    planned: Planned,
}

impl<'a> Planning<'a> {
    fn known(&self, cluster: &str) -> Option<&'a Known> {
        self.inventory.known.iter().find(|known| known.cluster() == cluster)
    }

    fn name_service(&mut self, document: &'a Document, name_service: &NameService) -> Result<(), OpsError> {
        let known = self.known(document.name());
        let Some(former) = known.and_then(|known| known.name_service.as_ref()) else {
            if known.is_some() {
                return Err(OpsError::refused(format!(
                    "{}: a cluster of this name exists, on name servers of others",
                    document.reference()
                )));
            }
            self.room(HostNetworkPods::of_name_service(name_service))?;
            self.cluster(document.name()).name_service = Some(document);
            return Ok(());
        };
        let changed = fields_changed(former, document);
        match changed.as_slice() {
            [] => self.planned.unchanged.push(document_key(document)),
            [only] if only == "spec.size" => self.cluster(document.name()).resized = Some(name_service.size),
            _ => return Err(unsupported(document, &changed)),
        }
        Ok(())
    }

    fn broker(&mut self, document: &'a Document, broker: &Broker) -> Result<(), OpsError> {
        let key = document_key(document);
        for known in &self.inventory.known {
            if let Some(former) = known.brokers.iter().find(|former| document_key(former) == key) {
                let changed = fields_changed(former, document);
                match changed.as_slice() {
                    [] => self.planned.unchanged.push(key),
                    [only] if only == "spec.size" => {
                        let resized = &mut self.cluster(known.cluster()).resized_brokers;
                        resized.insert(document.name().to_owned(), broker.size);
                    }
                    [only] if only == "spec.replicaPerGroup" => {
                        let replicas = &mut self.cluster(known.cluster()).other_replicas;
                        replicas.insert(document.name().to_owned(), broker.replica_per_group);
                    }
                    both if both.iter().all(|field| SCALED.contains(&field.as_str())) => {
                        return Err(OpsError::refused(format!(
                            "{}: a change of `spec.size` and `spec.replicaPerGroup` at once is not supported",
                            document.reference()
                        ))
                        .hint("change one, apply, and then the other"));
                    }
                    _ => return Err(unsupported(document, &changed)),
                }
                return Ok(());
            }
        }
        self.room(HostNetworkPods::of_broker(broker))?;
        let Inventory { namespace, candidates, answers, .. } = self.inventory;
        match bind(broker, namespace, candidates, answers)? {
            Binding::NameService { name, by_address } => {
                if by_address {
                    self.planned.warnings.push(format!(
                        "{}: the addresses of `spec.nameServers` are name servers of NameService/{name}: its \
                         brokers follow every change of them",
                        document.reference()
                    ));
                }
                self.cluster(&name).brokers.push(document);
            }
            Binding::Unmanaged { addresses } => {
                let cluster = document.name();
                if self.known(cluster).is_some()
                    || candidates.iter().any(|candidate| candidate.name == cluster)
                {
                    return Err(OpsError::refused(format!(
                        "{}: a cluster `{cluster}` with other name servers exists",
                        document.reference()
                    ))
                    .hint("give the Broker another name"));
                }
                self.planned.warnings.push(format!(
                    "{}: the name servers {} are not managed by kubectl rocketmq",
                    document.reference(),
                    addresses.join(", ")
                ));
                let cluster = self.cluster(cluster);
                cluster.unmanaged = Some(addresses);
                cluster.brokers.push(document);
            }
        }
        Ok(())
    }

    fn config_map(&mut self, document: &'a Document) -> Result<(), OpsError> {
        let key = document_key(document);
        if let Some(former) = self.recorded(&key)? {
            let changed = fields_changed(&former, document);
            if !changed.is_empty() {
                return Err(unsupported(document, &changed));
            }
            self.planned.unchanged.push(key);
            return Ok(());
        }
        let Some(cluster) = self.cluster_of_config_map(document.name()) else {
            return Err(OpsError::refused(format!("{}: no Broker uses it", document.reference()))
                .hint("apply it with `kubectl apply`, or together with the Broker that uses it"));
        };
        let present = self.inventory.config_maps.get(document.name());
        let wanted = self.manifest(document, &cluster);
        match present.filter(|present| !present.is_managed()) {
            Some(present)
                if present.content.get("data")
                    == wanted.and_then(|object| object.content.get("data").cloned()).as_ref() =>
            {
                self.planned.unchanged.push(key);
            }
            Some(_) => {
                return Err(OpsError::refused(format!(
                    "{} exists already with other content, and was not made by kubectl rocketmq",
                    document.reference()
                )));
            }
            None => self.cluster(&cluster).config_maps.push(document),
        }
        Ok(())
    }

    fn recorded(&self, key: &str) -> Result<Option<Document>, OpsError> {
        let text = self.inventory.known.iter().find_map(|known| known.record.documents.get(key));
        let Some(text) = text else { return Ok(None) };
        let parsed = k8s::kinds::parse(text).map_err(|error| {
            OpsError::failed(format!("`{key}` in the record cannot be read")).causes([error.message])
        })?;
        Ok(parsed.documents.into_iter().next())
    }

    /// The cluster whose Broker uses a ConfigMap; else the only cluster that the documents are about.
    fn cluster_of_config_map(&self, name: &str) -> Option<String> {
        let uses = |broker: &Broker| broker.user_config().is_some_and(|config| config.config_map == name);
        for (cluster, new) in &self.clusters {
            if new.brokers.iter().filter_map(|document| broker_of(document)).any(uses) {
                return Some(cluster.clone());
            }
        }
        for known in &self.inventory.known {
            if known.broker_fields().any(uses) {
                return Some(known.cluster().to_owned());
            }
        }
        let mut clusters = self.clusters.keys();
        clusters.next().filter(|_| clusters.next().is_none()).cloned()
    }

    fn cluster(&mut self, name: &str) -> &mut Cluster<'a> {
        self.clusters.entry(name.to_owned()).or_default()
    }

    fn room(&self, pods: Option<HostNetworkPods>) -> Result<(), OpsError> {
        let Some((pods, nodes)) = pods.zip(self.inventory.surroundings.schedulable_nodes) else {
            return Ok(());
        };
        match host_network_refusal(&pods, u32::try_from(nodes).unwrap_or(u32::MAX)) {
            Some(reason) => Err(OpsError::refused(reason)),
            None => Ok(()),
        }
    }

    fn context(&self, cluster: &str) -> Context {
        Context {
            cluster: cluster.to_owned(),
            namespace: self.inventory.namespace.clone(),
            agent_image: self.agent_image.to_owned(),
            rocketmq_version: self.rocketmq_version,
        }
    }

    fn manifest(&self, document: &Document, cluster: &str) -> Option<k8s::objects::Object> {
        match &document.content {
            Content::ConfigMap(config_map) => Some(manifests::config_map(config_map, &self.context(cluster))),
            _ => None,
        }
    }

    fn finish(mut self) -> Result<Planned, OpsError> {
        for (name, cluster) in std::mem::take(&mut self.clusters) {
            if let Some(size) = cluster.resized {
                self.planned.changes.push(PlannedChange::Scale { cluster: name.clone(), size });
            }
            if cluster.name_service.is_some()
                || !cluster.brokers.is_empty()
                || !cluster.config_maps.is_empty()
            {
                let params = self.params(&name, &cluster)?;
                self.planned.changes.push(PlannedChange::Create(Box::new(params)));
            }
            // After the name servers: new groups are proved at all of them.
            let replicas = cluster.other_replicas.into_iter();
            self.planned.changes.extend(replicas.map(|(broker, replicas)| PlannedChange::ScaleReplicas {
                cluster: name.clone(),
                broker,
                replicas,
            }));
            let resized = cluster.resized_brokers.into_iter();
            self.planned.changes.extend(resized.map(|(broker, size)| PlannedChange::ScaleBroker {
                cluster: name.clone(),
                broker,
                size,
            }));
        }
        Ok(self.planned)
    }

    fn params(&mut self, name: &str, cluster: &Cluster<'a>) -> Result<Params, OpsError> {
        let context = self.context(name);
        let known = self.known(name);
        let mut followers = known
            .map_or_else(|| Followers { cluster: name.to_owned(), ..Followers::default() }, Known::followers);
        cluster.brokers.iter().filter_map(|document| broker_of(document)).for_each(|broker| {
            add_broker(&mut followers, broker);
        });
        let name_service = cluster.name_service.and_then(name_service_of);
        let list = match (name_service, &cluster.unmanaged) {
            (Some(name_service), _) => Some(self.source(name_service)),
            (None, Some(addresses)) => Some(ListSource::Literal { addresses: addresses.clone() }),
            (None, None) => None,
        };
        let documents = cluster.name_service.iter().chain(&cluster.brokers).chain(&cluster.config_maps);
        Ok(Params {
            documents: documents
                .map(|document| (document_key(document), document.yaml().to_owned()))
                .collect(),
            config_maps: cluster
                .config_maps
                .iter()
                .filter_map(|document| self.manifest(document, name))
                .collect(),
            name_servers: name_service.map(|name_service| new_name_servers(name_service, &context)),
            list,
            brokers: cluster
                .brokers
                .iter()
                .filter_map(|document| broker_of(document))
                .map(|broker| self.new_broker(broker, &context))
                .collect(),
            proof: proof(name_service, known, cluster.resized),
            followers,
        })
    }

    fn source(&self, name_service: &NameService) -> ListSource {
        let stateful_set = names::name_servers(&name_service.metadata.name);
        let size = name_service.size;
        // Pods on the node's network take the node's resolver, which knows no Services.
        if name_service.pod.host_network {
            ListSource::PodIp { stateful_set, size }
        } else {
            ListSource::Dns { stateful_set, namespace: self.inventory.namespace.clone(), size }
        }
    }

    fn new_broker(&mut self, broker: &Broker, context: &Context) -> NewBroker {
        let replication = broker.replication_with(self.user_config(broker).as_deref());
        let version = context.rocketmq_version_of(&broker.image).map(|version| version.to_string());
        let mut new =
            NewBroker { name: broker.metadata.name.clone(), objects: Vec::new(), awaited: Vec::new() };
        for group in 0..broker.size {
            new.objects.extend(manifests::broker_group(broker, group, replication, None, context));
            for member in BrokerMember::of_group(broker.replica_per_group) {
                let stateful_set = names::broker_stateful_set(&broker.metadata.name, group, member);
                new.awaited.push(Awaited { stateful_set, pods: 1, version: version.clone() });
            }
        }
        new
    }

    /// The text of the user's broker-common.conf: of the documents, else of the namespace.
    fn user_config(&mut self, broker: &Broker) -> Option<String> {
        let config = broker.user_config()?;
        let brought = self.parsed.config_maps().find(|(document, _)| document.name() == config.config_map);
        let object = match brought {
            Some((document, _)) => self.manifest(document, ""),
            None => self.inventory.config_maps.get(config.config_map).cloned(),
        };
        if object.is_none() {
            self.planned.warnings.push(format!(
                "Broker/{}: ConfigMap/{} of `spec.volumes` does not exist; pods wait until it does",
                broker.metadata.name, config.config_map
            ));
        }
        config.text_in(object.as_ref()?).map(str::to_owned)
    }
}

fn new_name_servers(name_service: &NameService, context: &Context) -> NewNameServers {
    NewNameServers {
        objects: manifests::name_servers(name_service, context),
        awaited: Awaited {
            stateful_set: names::name_servers(&name_service.metadata.name),
            pods: name_service.size,
            version: context.rocketmq_version_of(&name_service.image).map(|version| version.to_string()),
        },
    }
}

fn proof(new: Option<&NameService>, known: Option<&Known>, resized: Option<u32>) -> Proof {
    match new.or_else(|| known.and_then(Known::name_service_fields)) {
        None => Proof::Registrations,
        Some(name_service) => Proof::Routes {
            stateful_set: names::name_servers(&name_service.metadata.name),
            size: resized.unwrap_or(name_service.size),
        },
    }
}

fn name_service_of(document: &Document) -> Option<&NameService> {
    match &document.content {
        Content::NameService(name_service) => Some(name_service),
        _ => None,
    }
}

fn broker_of(document: &Document) -> Option<&Broker> {
    match &document.content {
        Content::Broker(broker) => Some(broker),
        _ => None,
    }
}

/// The paths of the fields that differ. Where a document names the namespace that it is applied in, nothing does.
fn fields_changed(former: &Document, new: &Document) -> Vec<String> {
    changes(former, new)
        .into_iter()
        .filter(|change| change.path != "metadata.namespace")
        .map(|change| change.path)
        .collect()
}

/// Fields of a Broker that have operations of their own.
const SCALED: [&str; 2] = ["spec.size", "spec.replicaPerGroup"];

fn unsupported(document: &Document, fields: &[String]) -> OpsError {
    let fields: Vec<String> = fields
        .iter()
        .filter(|field| !SCALED.contains(&field.as_str()))
        .map(|field| format!("`{field}`"))
        .collect();
    OpsError::refused(format!(
        "{}: a change of {} is not supported yet",
        document.reference(),
        fields.join(", ")
    ))
}
