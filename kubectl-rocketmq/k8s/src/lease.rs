//! The lock of a cluster: a coordination Lease. Every acquisition counts its transitions up, which is the fence
//! that agents check; ages are measured by the API server's clock, so the clocks of two machines do not matter. A holder
//! that has not renewed it is waited for until it has run out, unless it was a process of this machine that is dead.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{DeleteParams, ListParams, Preconditions};
use saga::{ClusterLock, LIVES_FOR, LockError};
use tokio::time::timeout;

use crate::api::post;
use crate::client::Cluster;
use crate::error::{ApiError, ApiErrorKind};
use crate::holder;
use crate::names;

/// How long one renewal may take; the next one comes 10 s later.
const RENEW_WITHIN: Duration = Duration::from_secs(8);

/// How often an acquisition is tried again when another process writes at the same moment.
const RACES: u32 = 5;

/// Who has a Lease that nobody has.
const NOBODY: &str = "nobody";

/// The lock of one RocketMQ cluster, for one process.
#[derive(Debug)]
pub struct KubernetesLease {
    cluster: Cluster,
    rocketmq_cluster: String,
    holder: String,
    held: Mutex<Option<Lease>>,
}

impl KubernetesLease {
    /// The lock of a RocketMQ cluster in the namespace of `cluster`.
    #[must_use]
    pub fn new(cluster: &Cluster, rocketmq_cluster: &str) -> Self {
        Self {
            cluster: cluster.clone(),
            rocketmq_cluster: rocketmq_cluster.to_owned(),
            holder: holder::ours(),
            held: Mutex::new(None),
        }
    }

    /// The same, with a given holder, which no other process may have.
    #[must_use]
    pub fn with_holder(mut self, holder: &str) -> Self {
        holder.clone_into(&mut self.holder);
        self
    }

    fn name(&self) -> String {
        names::lease(&self.rocketmq_cluster)
    }

    fn held(&self) -> Option<Lease> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn hold(&self, lease: Option<Lease>) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = lease;
    }

    async fn read(&self) -> Result<Option<Lease>, ApiError> {
        let (api, name) = (self.cluster.api::<Lease>(), self.name());
        self.cluster.call(&format!("cannot read Lease/{name}"), || api.get_opt(&name)).await
    }

    /// What the Lease is when this process has it for another while.
    fn taken(&self, former: Option<Lease>, now: Timestamp) -> Lease {
        let counted = former.as_ref().and_then(|lease| lease.spec.as_ref()?.lease_transitions);
        let transitions = counted.unwrap_or_else(|| first_count(now));
        let mut metadata = former.map_or_else(ObjectMeta::default, |lease| lease.metadata);
        metadata.name = Some(self.name());
        metadata.labels = Some(names::labels(&self.rocketmq_cluster, names::COMPONENT_LEASE));
        metadata.managed_fields = None;
        Lease {
            metadata,
            spec: Some(LeaseSpec {
                holder_identity: Some(self.holder.clone()),
                lease_duration_seconds: i32::try_from(LIVES_FOR.as_secs()).ok(),
                acquire_time: Some(MicroTime(now)),
                renew_time: Some(MicroTime(now)),
                lease_transitions: Some(transitions + 1),
                ..LeaseSpec::default()
            }),
        }
    }

    async fn write(&self, lease: &Lease, exists: bool) -> Result<Lease, ApiError> {
        let (api, name) = (self.cluster.api::<Lease>(), self.name());
        let act = format!("cannot write Lease/{name}");
        if exists {
            self.cluster.call(&act, || async { api.replace(&name, &post(false), lease).await }).await
        } else {
            self.cluster.call(&act, || async { api.create(&post(false), lease).await }).await
        }
    }

    /// Changes the Lease that we hold, or says who has it now.
    async fn change(&self, change: impl Fn(&mut LeaseSpec) + Sync) -> Result<Lease, LockError> {
        let (api, name) = (self.cluster.api::<Lease>(), self.name());
        let act = format!("cannot renew Lease/{name}");
        let held = self.held().ok_or_else(|| LockError::Lost { holder: NOBODY.to_owned() })?;
        let mut present = held.clone();
        for _ in 0..RACES {
            present.metadata.managed_fields = None;
            change(present.spec.get_or_insert_default());
            let write = || async { api.replace(&name, &post(false), &present).await };
            match self.cluster.call(&act, write).await {
                Ok(written) => return Ok(written),
                Err(error) if error.kind == ApiErrorKind::NotFound => {
                    return Err(LockError::Lost { holder: NOBODY.to_owned() });
                }
                Err(error) if error.kind == ApiErrorKind::Conflict => {}
                Err(error) => return Err(failed(&error)),
            }
            // Our own write, its answer lost or given up, or somebody's note: go on from there. Else it is lost.
            present = match self.read().await.map_err(|error| failed(&error))? {
                Some(present) if is_same_holding(&present, &held) => present,
                Some(present) => return Err(LockError::Lost { holder: holder_of(&present).to_owned() }),
                None => return Err(LockError::Lost { holder: NOBODY.to_owned() }),
            };
        }
        Err(LockError::Failed { message: act, causes: vec!["it is written all the time".to_owned()] })
    }
}

impl ClusterLock for KubernetesLease {
    async fn acquire(&self) -> Result<u64, LockError> {
        for _ in 0..RACES {
            let former = self.read().await.map_err(|error| failed(&error))?;
            let now = self.cluster.server_time().await.map_err(|error| failed(&error))?;
            if let Some((holder, age)) = former.as_ref().and_then(|lease| living_holder(lease, now))
                && holder != self.holder
            {
                return Err(LockError::Held { holder: holder::words(holder).to_owned(), age });
            }
            let exists = former.is_some();
            match self.write(&self.taken(former, now), exists).await {
                Ok(lease) => {
                    let fence = lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0);
                    self.hold(Some(lease));
                    return u64::try_from(fence).map_err(|_| LockError::Failed {
                        message: format!("Lease/{} counts below zero", self.name()),
                        causes: Vec::new(),
                    });
                }
                // Somebody was faster, or an earlier try was ours: look again.
                Err(error)
                    if matches!(
                        error.kind,
                        ApiErrorKind::Conflict | ApiErrorKind::Exists | ApiErrorKind::NotFound
                    ) => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(LockError::Failed {
            message: format!("cannot take Lease/{}", self.name()),
            causes: vec!["others write it all the time".to_owned()],
        })
    }

    async fn renew(&self) -> Result<(), LockError> {
        let renewal = async {
            let now = self.cluster.server_time().await.map_err(|error| failed(&error))?;
            self.change(|spec| spec.renew_time = Some(MicroTime(now))).await
        };
        let lease = timeout(RENEW_WITHIN, renewal).await.unwrap_or_else(|_| {
            let causes = vec![format!("it took longer than {}s", RENEW_WITHIN.as_secs())];
            Err(LockError::Failed { message: format!("cannot renew Lease/{}", self.name()), causes })
        })?;
        self.hold(Some(lease));
        Ok(())
    }

    async fn release(&self) -> Result<(), LockError> {
        match self.change(|spec| spec.holder_identity = None).await {
            // Given back already by a write of ours whose answer was lost, or gone: nobody has to wait for it.
            Err(LockError::Lost { holder }) if holder == NOBODY => {}
            result => drop(result?),
        }
        self.hold(None);
        Ok(())
    }

    async fn remove(&self) -> Result<(), LockError> {
        // Given back first: between the two steps nobody may find it held by a process that has gone.
        let lease = self.change(|spec| spec.holder_identity = None).await?;
        self.hold(None);
        let (api, name) = (self.cluster.api::<Lease>(), self.name());
        let params = DeleteParams::default().preconditions(Preconditions {
            resource_version: lease.metadata.resource_version,
            uid: lease.metadata.uid,
        });
        match self.cluster.call(&format!("cannot delete Lease/{name}"), || api.delete(&name, &params)).await {
            Err(error) if matches!(error.kind, ApiErrorKind::NotFound | ApiErrorKind::Conflict) => Ok(()),
            result => result.map(drop).map_err(|error| failed(&error)),
        }
    }
}

impl Cluster {
    /// Who is changing which RocketMQ cluster of the namespace right now, and how long ago each was last seen.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn lock_holders(&self) -> Result<BTreeMap<String, (String, Duration)>, ApiError> {
        let params = ListParams::default().labels(&names::component_selector(names::COMPONENT_LEASE, None));
        let api = self.api::<Lease>();
        let leases = self.call("cannot list leases", || async { api.list(&params).await }).await?;
        let now = self.server_time().await?;
        let holding = |lease: &Lease| {
            let cluster = lease.metadata.labels.as_ref()?.get(names::LABEL_INSTANCE)?.clone();
            let (holder, age) = living_holder(lease, now)?;
            Some((cluster, (holder::words(holder).to_owned(), age)))
        };
        Ok(leases.items.iter().filter_map(holding).collect())
    }
}

/// Where a Lease begins to count: the minutes since 1970, so that one that was deleted by hand goes on above every
/// fence that agents have seen.
fn first_count(now: Timestamp) -> i32 {
    i32::try_from(now.as_second() / 60).unwrap_or(0)
}

/// The holder of a Lease that has not run out and is not known to be dead, and how long ago it was renewed.
fn living_holder(lease: &Lease, now: Timestamp) -> Option<(&str, Duration)> {
    let spec = lease.spec.as_ref()?;
    let holder = spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())?;
    let lives_for = u64::try_from(spec.lease_duration_seconds?).ok()?;
    let renewed = spec.renew_time.as_ref().or(spec.acquire_time.as_ref())?.0;
    let age = Duration::try_from(now.duration_since(renewed)).unwrap_or(Duration::ZERO);
    (age <= Duration::from_secs(lives_for) && !holder::is_dead(holder)).then_some((holder, age))
}

fn holder_of(lease: &Lease) -> &str {
    let holder = lease.spec.as_ref().and_then(|spec| spec.holder_identity.as_deref());
    holder.filter(|holder| !holder.is_empty()).map_or(NOBODY, holder::words)
}

fn is_same_holding(present: &Lease, ours: &Lease) -> bool {
    let holding = |lease: &Lease| {
        let spec = lease.spec.as_ref()?;
        Some((lease.metadata.uid.clone()?, spec.holder_identity.clone()?, spec.lease_transitions?))
    };
    holding(present).is_some() && holding(present) == holding(ours)
}

fn failed(error: &ApiError) -> LockError {
    LockError::Failed { message: error.message.clone(), causes: error.causes() }
}
