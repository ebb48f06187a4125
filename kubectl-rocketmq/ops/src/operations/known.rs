//! A cluster as its record describes it: the documents that were applied, and what follows from their names.

use agents::types::NameServerList;
use k8s::kinds::{Broker, Content, Document, NameService, parse};
use k8s::names::{self, BrokerMember};
use k8s::record::Record;

use crate::error::OpsError;
use crate::steps::name_servers::{Followers, ListSource};
use crate::world::World;

/// A cluster that has a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Known {
    /// Its namespace.
    pub namespace: String,
    /// Its record.
    pub record: Record,
    /// Its NameService; `None` when its brokers follow name servers that this plugin does not manage.
    pub name_service: Option<Document>,
    /// Its Brokers.
    pub brokers: Vec<Document>,
}

impl Known {
    /// Reads the documents of a record.
    ///
    /// # Errors
    /// When this version cannot read one of them.
    pub fn of(namespace: &str, record: Record) -> Result<Self, OpsError> {
        let namespace = namespace.to_owned();
        let mut known = Self { namespace, name_service: None, brokers: Vec::new(), record };
        for (reference, text) in &known.record.documents {
            let parsed = parse(text).map_err(|error| {
                OpsError::failed(format!(
                    "`{reference}` in the record of cluster `{}` cannot be read",
                    known.record.cluster
                ))
                .causes([error.message])
            })?;
            for document in parsed.documents {
                match document.content {
                    Content::NameService(_) => known.name_service = Some(document),
                    Content::Broker(_) => known.brokers.push(document),
                    Content::ConfigMap(_) => {}
                }
            }
        }
        Ok(known)
    }

    /// All clusters of the namespace.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn all<W: World>(world: &W) -> Result<Vec<Self>, OpsError> {
        world.records().await?.into_iter().map(|record| Self::of(world.namespace(), record)).collect()
    }

    /// The cluster's name.
    #[must_use]
    pub fn cluster(&self) -> &str {
        &self.record.cluster
    }

    /// Its NameService's fields.
    #[must_use]
    pub fn name_service_fields(&self) -> Option<&NameService> {
        match &self.name_service.as_ref()?.content {
            Content::NameService(name_service) => Some(name_service),
            _ => None,
        }
    }

    /// Its Brokers' fields.
    pub fn broker_fields(&self) -> impl Iterator<Item = &Broker> {
        self.brokers.iter().filter_map(|document| match &document.content {
            Content::Broker(broker) => Some(&**broker),
            _ => None,
        })
    }

    /// The StatefulSet of its name servers, if it has its own.
    #[must_use]
    pub fn name_server_set(&self) -> Option<String> {
        self.name_service.as_ref().map(|document| names::name_servers(document.name()))
    }

    /// Takes a scale of its name servers for done, for what is planned to come after it.
    ///
    /// # Errors
    /// For a size that no NameService can have.
    pub(crate) fn resize_name_service(&mut self, size: u32) -> Result<(), OpsError> {
        if let Some(document) = &mut self.name_service {
            *document = document.with_size(size).map_err(|error| OpsError::usage(error.message))?;
        }
        Ok(())
    }

    /// Takes a scale of one of its Brokers for done.
    pub(crate) fn resized_broker(mut self, resized: &Document) -> Self {
        let brokers = self.brokers.iter_mut();
        brokers
            .filter(|document| document.name() == resized.name())
            .for_each(|document| document.clone_from(resized));
        self
    }

    /// The brokers that follow its list.
    #[must_use]
    pub fn followers(&self) -> Followers {
        let mut followers = Followers { cluster: self.cluster().to_owned(), ..Followers::default() };
        self.broker_fields().for_each(|broker| add_broker(&mut followers, broker));
        followers
    }
}

/// Adds the brokers of a Broker to those that follow a list.
pub(crate) fn add_broker(followers: &mut Followers, broker: &Broker) {
    for group in 0..broker.size {
        for member in BrokerMember::of_group(broker.replica_per_group) {
            let stateful_set = names::broker_stateful_set(&broker.metadata.name, group, member);
            match member {
                BrokerMember::Master => followers.masters.push(stateful_set),
                BrokerMember::Replica(_) => followers.slaves.push(stateful_set),
            }
        }
    }
}

/// Key of a document in a record, `nameservice/demo`.
pub(crate) fn document_key(document: &Document) -> String {
    format!("{}/{}", document.kind().to_lowercase(), document.name())
}

/// Where the list of another size comes from: addresses are of the kind that the recorded list has, so that a
/// cluster does not change from names to addresses half way.
pub(crate) fn source_like(
    list: Option<&NameServerList>,
    stateful_set: &str,
    namespace: &str,
    size: u32,
) -> ListSource {
    let by_address = list.is_some_and(|list| {
        list.name_servers
            .iter()
            .any(|entry| entry.address == format!("{}:{}", entry.pod_ip, names::NAME_SERVER_PORT))
    });
    let stateful_set = stateful_set.to_owned();
    if by_address {
        ListSource::PodIp { stateful_set, size }
    } else {
        ListSource::Dns { stateful_set, namespace: namespace.to_owned(), size }
    }
}
