//! A connection to one Kubernetes cluster and namespace, from kubectl's flags.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use k8s::client::Cluster;
pub use k8s::connection::Connection as ConnectionFlags;
use k8s::journal::ConfigMapJournals;
use k8s::lease::KubernetesLease;
use k8s::names;
use k8s::objects::Kind;

use crate::error::OpsError;
use crate::live::{LiveWorld, Unproved};
use crate::world::WorldError;

/// A connection, for as many commands as there are.
#[derive(Debug, Clone)]
pub struct Session {
    cluster: Cluster,
    /// The namespace of the command line, if it named one.
    asked_namespace: Option<String>,
}

impl Session {
    /// Prepares the connection. Nothing is asked yet.
    ///
    /// # Errors
    /// When the files and flags describe no connection.
    pub async fn connect(flags: &ConnectionFlags) -> Result<Self, OpsError> {
        let cluster =
            Cluster::connect(flags).await.map_err(|error| OpsError::from(WorldError::from_error(&error)))?;
        Ok(Self { cluster, asked_namespace: flags.namespace.clone() })
    }

    /// The namespace that commands work in.
    #[must_use]
    pub fn namespace(&self) -> &str {
        self.cluster.namespace()
    }

    pub(crate) fn asked_namespace(&self) -> Option<&str> {
        self.asked_namespace.as_deref()
    }

    pub(crate) fn in_namespace(&self, namespace: &str) -> Self {
        Self { cluster: self.cluster.in_namespace(namespace), ..self.clone() }
    }

    pub(crate) fn kubernetes(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn world(&self, unproved: Unproved) -> LiveWorld {
        LiveWorld::new(&self.cluster, unproved)
    }

    pub(crate) fn journals(&self) -> ConfigMapJournals {
        ConfigMapJournals::new(&self.cluster)
    }

    pub(crate) fn lock(&self, cluster: &str) -> KubernetesLease {
        KubernetesLease::new(&self.cluster, cluster)
    }

    /// The namespaces that have clusters or journals, in order.
    pub(crate) async fn namespaces(&self) -> Result<Vec<String>, OpsError> {
        let mut namespaces = BTreeSet::new();
        for component in [names::COMPONENT_RECORD, names::COMPONENT_JOURNAL] {
            let selector = names::component_selector(component, None);
            let found = self.cluster.list_everywhere(Kind::ConfigMap, &selector).await;
            let found = found.map_err(|error| OpsError::from(WorldError::from_error(&error)))?;
            namespaces.extend(found.into_iter().map(|object| object.namespace));
        }
        Ok(namespaces.into_iter().collect())
    }

    /// Who is changing which cluster of the namespace right now. Where Leases may not be read nobody is known to.
    pub(crate) async fn holders(&self) -> BTreeMap<String, (String, Duration)> {
        self.cluster.lock_holders().await.inspect_err(|error| tracing::debug!(%error)).unwrap_or_default()
    }
}
