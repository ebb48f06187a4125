//! Reads that are no single object of a [`crate::objects::Kind`]: pods, events, endpoints, nodes, the namespace.

use k8s_openapi::api::core::v1 as core;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{Api, ListParams};

use crate::client::Cluster;
use crate::error::ApiError;
use crate::names;
use crate::objects::Kind;
use crate::pods::Pod;
use crate::trouble::{self, Warning};

/// The label that Kubernetes puts on the EndpointSlices of a Service.
const SERVICE_OF_SLICE: &str = "kubernetes.io/service-name";

impl Cluster {
    /// The pods of a StatefulSet, by ordinal.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn pods(&self, stateful_set: &str) -> Result<Vec<Pod>, ApiError> {
        let selector = names::stateful_set_selector(stateful_set);
        let selector: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let act = format!("cannot list the pods of StatefulSet/{stateful_set}");
        let (api, params) = (self.api::<core::Pod>(), ListParams::default().labels(&selector.join(",")));
        let found = self.call(&act, || api.list(&params)).await?;
        let mut pods: Vec<Pod> = found.items.into_iter().map(Pod::from_api).collect();
        pods.sort_by_key(|pod| (pod.ordinal(), pod.name.clone()));
        Ok(pods)
    }

    /// A pod by name; `None` if it does not exist.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn pod(&self, name: &str) -> Result<Option<Pod>, ApiError> {
        let api = self.api::<core::Pod>();
        let found = self.call(&format!("cannot read Pod/{name}"), || api.get_opt(name)).await?;
        Ok(found.map(Pod::from_api))
    }

    /// Why a pod does not come up, in words; `None` while nothing is known to be wrong with it.
    pub async fn trouble(&self, pod: &Pod) -> Option<String> {
        if let Some(trouble) = trouble::of_pod(pod) {
            return Some(trouble);
        }
        if !trouble::is_being_set_up(pod) {
            return None;
        }
        let warnings = self.warnings(&format!("involvedObject.uid={}", pod.uid)).await.ok()?;
        trouble::of_warnings(&warnings)
    }

    /// Why a StatefulSet makes no pods, in words: the latest warning about it.
    pub async fn trouble_of_stateful_set(&self, name: &str) -> Option<String> {
        let uid = self.object(Kind::StatefulSet, name).await.ok()??.uid?;
        trouble::of_warnings(&self.warnings(&format!("involvedObject.uid={uid}")).await.ok()?)
    }

    async fn warnings(&self, fields: &str) -> Result<Vec<Warning>, ApiError> {
        let api = self.api::<core::Event>();
        let params = ListParams::default().fields(&format!("{fields},type=Warning"));
        let found = self.call("cannot list events", || api.list(&params)).await?;
        Ok(found.items.into_iter().map(Warning::from_api).collect())
    }

    /// The host names that the EndpointSlices of a headless Service publish, of pods that are not ready too.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn endpoint_hostnames(&self, service: &str) -> Result<Vec<String>, ApiError> {
        let api = self.api::<EndpointSlice>();
        let params = ListParams::default().labels(&format!("{SERVICE_OF_SLICE}={service}"));
        let act = format!("cannot read the endpoints of Service/{service}");
        let found = self.call(&act, || api.list(&params)).await?;
        let endpoints = found.items.into_iter().flat_map(|slice| slice.endpoints);
        let mut names: Vec<String> = endpoints.filter_map(|endpoint| endpoint.hostname).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// True when the namespace of this run exists.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn namespace_exists(&self) -> Result<bool, ApiError> {
        let api: Api<core::Namespace> = Api::all(self.client.clone());
        let found = self.call("cannot read the namespace", || api.get_opt(self.namespace())).await?;
        Ok(found.is_some())
    }

    /// How many nodes take new pods.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn schedulable_nodes(&self) -> Result<usize, ApiError> {
        let api: Api<core::Node> = Api::all(self.client.clone());
        let found =
            self.call("cannot list nodes", || async { api.list(&ListParams::default()).await }).await?;
        Ok(found.items.iter().filter(|node| takes_pods(node)).count())
    }
}

fn takes_pods(node: &core::Node) -> bool {
    let Some(spec) = &node.spec else { return true };
    let closed = |taint: &core::Taint| taint.effect == "NoSchedule" || taint.effect == "NoExecute";
    !spec.unschedulable.unwrap_or(false)
        && !spec.taints.as_ref().is_some_and(|taints| taints.iter().any(closed))
}
