//! The record of a cluster: what was applied, what was made, and the desired list of name servers. It is the
//! ConfigMap that agents mount, so its keys are file names to them.

use std::collections::{BTreeMap, BTreeSet};

use rocketmq::model::name_server::NameServerList;
use saga::Permit;
use serde_json::{Map, Value, json};

use crate::client::Cluster;
use crate::error::{ApiError, ApiErrorKind};
use crate::names;
use crate::objects::{Kind, Object};

/// Key of the inventory: one reference a line.
const INVENTORY: &str = "inventory";

/// Before the keys of applied documents.
const DOCUMENT: &str = "document.";

/// The record of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The cluster's name.
    pub cluster: String,
    /// Applied documents by reference, `nameservice/demo`, as their text.
    pub documents: BTreeMap<String, String>,
    /// References of the objects that were made, `StatefulSet/demo`.
    pub inventory: BTreeSet<String>,
    /// The desired list; `None` before the first is published.
    pub name_servers: Option<NameServerList>,
    /// The state that was read; `None` for a record that does not exist yet.
    pub resource_version: Option<String>,
}

/// A record that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record ConfigMap/{name} cannot be read: {reason}")]
pub struct RecordError {
    name: String,
    reason: String,
}

impl Record {
    /// The record of a cluster that has none yet.
    #[must_use]
    pub fn new(cluster: &str) -> Self {
        Self {
            cluster: cluster.to_owned(),
            documents: BTreeMap::new(),
            inventory: BTreeSet::new(),
            name_servers: None,
            resource_version: None,
        }
    }

    /// From the ConfigMap.
    ///
    /// # Errors
    /// When a key has content that this version does not understand.
    pub fn from_object(object: &Object) -> Result<Self, RecordError> {
        let error = |reason: String| RecordError { name: object.name.clone(), reason };
        let cluster = object
            .labels
            .get(names::LABEL_INSTANCE)
            .ok_or_else(|| error(format!("it has no label `{}`", names::LABEL_INSTANCE)))?;
        let mut record = Self::new(cluster);
        record.resource_version.clone_from(&object.resource_version);
        let data = object.content.get("data").and_then(Value::as_object);
        for (key, value) in data.into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            if key == names::RECORD_NAME_SERVERS_KEY {
                let list =
                    serde_json::from_str(text).map_err(|cause| error(format!("key `{key}`: {cause}")))?;
                record.name_servers = Some(list);
            } else if key == INVENTORY {
                record.inventory = text.lines().map(str::to_owned).collect();
            } else if let Some((kind, name)) =
                key.strip_prefix(DOCUMENT).and_then(|rest| rest.split_once('.'))
            {
                record.documents.insert(format!("{kind}/{name}"), text.to_owned());
            }
        }
        Ok(record)
    }

    /// The ConfigMap.
    #[must_use]
    pub fn to_object(&self, namespace: &str) -> Object {
        let mut data = Map::new();
        for (reference, text) in &self.documents {
            // A kind has no dot and a key no slash, so the first dot stands for the slash.
            data.insert(format!("{DOCUMENT}{}", reference.replacen('/', ".", 1)), json!(text));
        }
        let inventory: Vec<&str> = self.inventory.iter().map(String::as_str).collect();
        data.insert(INVENTORY.to_owned(), json!(inventory.join("\n")));
        if let Some(list) = &self.name_servers {
            data.insert(names::RECORD_NAME_SERVERS_KEY.to_owned(), json!(json!(list).to_string()));
        }
        let mut object = Object::new(Kind::ConfigMap, namespace, &names::record(&self.cluster))
            .with_labels(names::labels(&self.cluster, names::COMPONENT_RECORD))
            .with_field("data", Value::Object(data));
        object.resource_version.clone_from(&self.resource_version);
        object
    }
}

impl Cluster {
    /// The record of a RocketMQ cluster; `None` if it has none.
    ///
    /// # Errors
    /// When the API does not answer or refuses, or what is stored is no record.
    pub async fn record(&self, cluster: &str) -> Result<Option<Record>, ApiError> {
        let object = self.object(Kind::ConfigMap, &names::record(cluster)).await?;
        object.as_ref().map(read).transpose()
    }

    /// The records of the namespace, one a cluster.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub async fn records(&self) -> Result<Vec<Record>, ApiError> {
        self.list(Kind::ConfigMap, &names::component_selector(names::COMPONENT_RECORD, None))
            .await?
            .iter()
            .map(read)
            .collect()
    }

    /// Creates the record, or replaces the one that was read.
    ///
    /// # Errors
    /// When somebody else has written it since, or the API does not answer or refuses.
    pub async fn write_record(&self, permit: &Permit, record: &Record) -> Result<(), ApiError> {
        let object = record.to_object(self.namespace());
        if object.resource_version.is_some() {
            self.replace(permit, &object).await
        } else {
            self.create(permit, &object).await
        }
    }

    /// Deletes the record if there is one.
    ///
    /// # Errors
    /// When the API does not answer or refuses.
    pub async fn delete_record(&self, permit: &Permit, cluster: &str) -> Result<(), ApiError> {
        match self.object(Kind::ConfigMap, &names::record(cluster)).await? {
            Some(object) => self.delete(permit, &object).await,
            None => Ok(()),
        }
    }
}

fn read(object: &Object) -> Result<Record, ApiError> {
    Record::from_object(object).map_err(|error| ApiError::new(ApiErrorKind::Other, error.to_string()))
}

#[cfg(test)]
mod tests {
    use rocketmq::model::name_server::NameServerEntry;

    use super::*;

    fn record() -> Record {
        Record {
            documents: BTreeMap::from([
                ("nameservice/demo".to_owned(), "kind: NameService\n".to_owned()),
                ("broker/demo.a".to_owned(), "kind: Broker\n".to_owned()),
            ]),
            inventory: ["StatefulSet/demo", "Service/demo"].map(str::to_owned).into(),
            name_servers: Some(NameServerList {
                generation: 3,
                name_servers: vec![NameServerEntry {
                    address: "demo-0.demo.mq.svc:9876".to_owned(),
                    pod_ip: "10.244.0.7".to_owned(),
                }],
            }),
            resource_version: Some("12".to_owned()),
            ..Record::new("demo")
        }
    }

    #[test]
    fn a_record_is_what_was_stored() {
        assert_eq!(Record::from_object(&record().to_object("mq")).unwrap(), record());
        assert_eq!(Record::from_object(&Record::new("a").to_object("mq")).unwrap(), Record::new("a"));
    }

    #[test]
    fn agents_find_the_list_under_its_key() {
        let object = record().to_object("mq");
        assert_eq!(object.name, "rocketmq-demo");
        assert!(object.is_managed());
        assert_eq!(
            object.content["data"]["name-servers"],
            r#"{"generation":3,"list":[{"address":"demo-0.demo.mq.svc:9876","podIP":"10.244.0.7"}]}"#
        );
    }

    #[test]
    fn a_list_that_is_no_list_is_an_error_that_names_the_key() {
        let mut object = record().to_object("mq");
        object.content["data"]["name-servers"] = json!("{}");
        let error = Record::from_object(&object).unwrap_err().to_string();
        assert_eq!(
            error,
            "the record ConfigMap/rocketmq-demo cannot be read: key `name-servers`: missing field `generation` at line 1 column 2"
        );
    }
}
