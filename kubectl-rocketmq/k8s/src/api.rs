//! Reading and changing single objects. Every change carries the state that was seen: a resourceVersion on replace,
//! uid and resourceVersion on delete.

use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams, Preconditions};
use saga::Permit;
use serde_json::Value;

use crate::client::{Cluster, FIELD_MANAGER};
use crate::error::{ApiError, ApiErrorKind};
use crate::objects::{Kind, Object};

/// How often a write is repeated because only the object's status had changed in between.
const STATUS_RACES: u32 = 5;

impl Cluster {
    /// An object of the namespace; `None` if it does not exist.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn object(&self, kind: Kind, name: &str) -> Result<Option<Object>, ApiError> {
        let (api, act) = (self.dynamic_api(kind), format!("cannot read {kind}/{name}"));
        match self.call(&act, || api.get_opt(name)).await? {
            None => Ok(None),
            Some(object) => from_answer(&act, kind, object).map(Some),
        }
    }

    /// The objects of the namespace that a label selector chooses.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn list(&self, kind: Kind, selector: &str) -> Result<Vec<Object>, ApiError> {
        let (api, act) = (self.dynamic_api(kind), format!("cannot list {}", kind.plural()));
        let found =
            self.call(&act, || async { api.list(&ListParams::default().labels(selector)).await }).await?;
        found.items.into_iter().map(|object| from_answer(&act, kind, object)).collect()
    }

    /// The objects of all namespaces that a label selector chooses.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn list_everywhere(&self, kind: Kind, selector: &str) -> Result<Vec<Object>, ApiError> {
        let (api, act) = (self.dynamic_api_everywhere(kind), format!("cannot list {}", kind.plural()));
        let found =
            self.call(&act, || async { api.list(&ListParams::default().labels(selector)).await }).await?;
        found.items.into_iter().map(|object| from_answer(&act, kind, object)).collect()
    }

    /// Creates an object.
    ///
    /// # Errors
    /// When there is one of that name, or the API does not answer or refuses.
    pub async fn create(&self, _permit: &Permit, object: &Object) -> Result<(), ApiError> {
        self.create_unjournaled(object).await
    }

    /// Replaces an object that is still at its `resource_version`.
    ///
    /// # Errors
    /// When somebody else has changed it since, or the API does not answer or refuses.
    pub async fn replace(&self, _permit: &Permit, object: &Object) -> Result<(), ApiError> {
        let (api, act) = (self.dynamic_api(object.kind), format!("cannot change {}", object.reference()));
        let mut wanted = object.clone();
        for _ in 0..STATUS_RACES {
            let body = to_request(&act, &wanted)?;
            let (replaced, doubt) = self
                .call_noting_doubt(&act, || async { api.replace(&wanted.name, &post(false), &body).await })
                .await;
            let error = match replaced {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == ApiErrorKind::Conflict => error,
                Err(error) => return Err(error),
            };
            let Some(present) = self.object(object.kind, &object.name).await? else { return Err(error) };
            if doubt && present.has_content_of(object) && present.uid == object.uid {
                return Ok(());
            }
            if !wanted.is_same_but_status(&present) {
                return Err(error);
            }
            wanted = wanted.at_version_of(&present);
        }
        Err(ApiError::new(ApiErrorKind::Conflict, act)
            .because(["its status changes all the time".to_owned()]))
    }

    /// Deletes exactly this object. One that is gone already is no error.
    ///
    /// # Errors
    /// When somebody else has changed it since, or the API does not answer or refuses.
    pub async fn delete(&self, _permit: &Permit, object: &Object) -> Result<(), ApiError> {
        self.delete_unjournaled(object).await
    }

    /// Deletes an object; for old journals too, which stand outside of operations.
    pub(crate) async fn delete_unjournaled(&self, object: &Object) -> Result<(), ApiError> {
        let (api, act) = (self.dynamic_api(object.kind), format!("cannot delete {}", object.reference()));
        let mut seen = object.clone();
        for _ in 0..STATUS_RACES {
            let params = DeleteParams::background().preconditions(Preconditions {
                resource_version: seen.resource_version.clone(),
                uid: seen.uid.clone(),
            });
            let error = match self.call(&act, || api.delete(&seen.name, &params)).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == ApiErrorKind::NotFound => return Ok(()),
                Err(error) if error.kind == ApiErrorKind::Conflict => error,
                Err(error) => return Err(error),
            };
            let Some(present) = self.object(object.kind, &object.name).await? else { return Ok(()) };
            if !seen.is_same_but_status(&present) {
                return Err(error);
            }
            seen = present;
        }
        Err(ApiError::new(ApiErrorKind::Conflict, act)
            .because(["its status changes all the time".to_owned()]))
    }

    /// Asks the API whether it would create the object; nothing is stored.
    ///
    /// # Errors
    /// What creating it would fail with.
    pub async fn dry_run_create(&self, object: &Object) -> Result<(), ApiError> {
        let (api, act) = (self.dynamic_api(object.kind), format!("cannot create {}", object.reference()));
        let body = to_request(&act, object)?;
        self.call(&act, || async { api.create(&post(true), &body).await }).await.map(drop)
    }

    /// Asks the API whether it would replace the object; nothing is stored.
    ///
    /// # Errors
    /// What replacing it would fail with.
    pub async fn dry_run_replace(&self, object: &Object) -> Result<(), ApiError> {
        let (api, act) = (self.dynamic_api(object.kind), format!("cannot change {}", object.reference()));
        let body = to_request(&act, object)?;
        self.call(&act, || async { api.replace(&object.name, &post(true), &body).await }).await.map(drop)
    }

    /// Creates an object; for the journal and the lock too, which stand outside of operations.
    pub(crate) async fn create_unjournaled(&self, object: &Object) -> Result<(), ApiError> {
        let (api, act) = (self.dynamic_api(object.kind), format!("cannot create {}", object.reference()));
        let body = to_request(&act, object)?;
        let (created, doubt) =
            self.call_noting_doubt(&act, || async { api.create(&post(false), &body).await }).await;
        match created {
            Ok(_) => Ok(()),
            // An earlier try may have been ours although its answer was lost.
            Err(error) if doubt && error.kind == ApiErrorKind::Exists => {
                match self.object(object.kind, &object.name).await? {
                    Some(present) if present.has_content_of(object) => Ok(()),
                    _ => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

pub(crate) fn post(dry_run: bool) -> PostParams {
    PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) }
}

fn to_request(act: &str, object: &Object) -> Result<DynamicObject, ApiError> {
    serde_json::from_value(object.to_manifest())
        .map_err(|error| ApiError::new(ApiErrorKind::Invalid, act).because([error.to_string()]))
}

fn from_answer(act: &str, kind: Kind, object: DynamicObject) -> Result<Object, ApiError> {
    let error = |reason: String| ApiError::new(ApiErrorKind::Other, act).because([reason]);
    let mut manifest = serde_json::to_value(object).map_err(|cause| error(cause.to_string()))?;
    if let Value::Object(manifest) = &mut manifest {
        // Elements of a list come without a kind.
        manifest.insert("kind".to_owned(), Value::from(kind.as_str()));
    }
    Object::from_manifest(manifest).map_err(|cause| error(cause.to_string()))
}
