//! The key between the plugin and a cluster's agents: one Secret, mounted into agents only.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saga::Permit;
use serde_json::{Value, json};

use crate::client::Cluster;
use crate::error::{ApiError, ApiErrorKind};
use crate::names;
use crate::objects::{Kind, Object};

/// The length of a key.
const LENGTH: usize = 32;

/// A cluster's key. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct AgentKey([u8; LENGTH]);

impl AgentKey {
    /// Its bytes, as agents read them from the mounted file.
    #[must_use]
    pub fn bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    fn random() -> Self {
        Self(rand::random())
    }

    fn from_object(object: &Object) -> Result<Self, ApiError> {
        let error = |reason: &str| {
            ApiError::new(ApiErrorKind::Other, format!("cannot use the key in {}", object.reference()))
                .because([reason.to_owned()])
        };
        let data =
            object.content.get("data").and_then(|data| data.get(names::SECRET_KEY)).and_then(Value::as_str);
        let text = data.ok_or_else(|| error("it is missing"))?;
        let bytes = STANDARD.decode(text).map_err(|_| error("it is not base64"))?;
        bytes.try_into().map(Self).map_err(|_| error("it has not 32 bytes"))
    }

    fn to_object(&self, namespace: &str, cluster: &str) -> Object {
        Object::new(Kind::Secret, namespace, &names::key_secret(cluster))
            .with_labels(names::labels(cluster, names::COMPONENT_AGENT_KEY))
            .with_field("type", json!("Opaque"))
            .with_field("data", json!({ names::SECRET_KEY: STANDARD.encode(self.0) }))
    }
}

impl fmt::Debug for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Cluster {
    /// The key of a RocketMQ cluster; `None` if it has none.
    ///
    /// # Errors
    /// When the API does not answer or refuses, or what is stored is no key.
    pub async fn agent_key(&self, cluster: &str) -> Result<Option<AgentKey>, ApiError> {
        let object = self.object(Kind::Secret, &names::key_secret(cluster)).await?;
        object.as_ref().map(AgentKey::from_object).transpose()
    }

    /// Makes a key if the cluster has none.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn create_key(&self, permit: &Permit, cluster: &str) -> Result<(), ApiError> {
        match self.create(permit, &AgentKey::random().to_object(self.namespace(), cluster)).await {
            Err(error) if error.kind == ApiErrorKind::Exists => self.agent_key(cluster).await.map(drop),
            result => result,
        }
    }

    /// Deletes the key if there is one.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn delete_key(&self, permit: &Permit, cluster: &str) -> Result<(), ApiError> {
        match self.object(Kind::Secret, &names::key_secret(cluster)).await? {
            Some(object) => self.delete(permit, &object).await,
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_was_stored_and_is_not_printed() {
        let key = AgentKey::random();
        let object = key.to_object("mq", "demo");
        assert_eq!(object.name, "rocketmq-demo-agent-key");
        assert_eq!(AgentKey::from_object(&object).unwrap(), key);
        assert_eq!(format!("{key:?}"), "<redacted>");
        assert_ne!(AgentKey::random(), key);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let object = AgentKey([0; 32]).to_object("mq", "demo").with_field("data", json!({"key": "c2hvcnQ="}));
        let error = AgentKey::from_object(&object).unwrap_err();
        assert_eq!(error.message, "cannot use the key in Secret/rocketmq-demo-agent-key");
        assert_eq!(error.causes(), ["it has not 32 bytes"]);
    }
}
