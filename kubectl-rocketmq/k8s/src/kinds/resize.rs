//! A NameService or Broker of another size, a Broker with another number of slaves, for the record of a cluster that
//! was scaled.

use serde_json::{Value, json};

use super::document::{Content, Document, parse};
use super::error::InputError;

impl Document {
    /// The same NameService or Broker with another `spec.size`.
    ///
    /// # Errors
    /// When it is neither, or none can have that size.
    pub fn with_size(&self, size: u32) -> Result<Self, InputError> {
        match self.content {
            Content::NameService(_) | Content::Broker(_) => self.with_number("size", size),
            Content::ConfigMap(_) => Err(InputError::new(format!("{} has no size", self.reference()))),
        }
    }

    /// The same Broker with another `spec.replicaPerGroup`.
    ///
    /// # Errors
    /// When it is none, or none can have so many slaves.
    pub fn with_replica_per_group(&self, replicas: u32) -> Result<Self, InputError> {
        match self.content {
            Content::Broker(_) => self.with_number("replicaPerGroup", replicas),
            _ => Err(InputError::new(format!("{} has no slaves", self.reference()))),
        }
    }

    fn with_number(&self, field: &str, number: u32) -> Result<Self, InputError> {
        let mut source = self.source().clone();
        let Some(spec) = source.get_mut("spec").and_then(Value::as_object_mut) else {
            return Err(InputError::new(format!("{} has no `spec`", self.reference())));
        };
        spec.insert(field.to_owned(), json!(number));
        let text = serde_saphyr::to_string(&source).map_err(|error| {
            InputError::new(format!("{} cannot be written as YAML: {error}", self.reference()))
        })?;
        let documents = parse(&text)?.documents;
        documents.into_iter().next().ok_or_else(|| InputError::new(format!("{} is lost", self.reference())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::changes;

    fn document(kind: &str, spec: &str) -> Document {
        let text = format!(
            "apiVersion: rocketmq.apache.org/v1alpha1\nkind: {kind}\nmetadata:\n  name: demo\nspec: {{{spec}}}\n"
        );
        parse(&text).unwrap().documents.remove(0)
    }

    fn broker() -> Document {
        document(
            "Broker",
            "size: 1, brokerImage: 'rocketmq:5.3.3', storageMode: EmptyDir, scalePodName: demo-0-master-0",
        )
    }

    #[test]
    fn only_the_size_changes() {
        let name_service =
            document("NameService", "size: 1, nameServiceImage: 'rocketmq:5.3.3', storageMode: EmptyDir");
        for document in [name_service, broker()] {
            let resized = document.with_size(3).unwrap();
            let changed: Vec<String> = changes(&document, &resized).iter().map(ToString::to_string).collect();
            assert_eq!(changed, ["`spec.size` 1 -> 3"]);
            assert_eq!(resized.with_size(1).unwrap(), document);
        }
    }

    #[test]
    fn only_the_number_of_slaves_changes() {
        let one = broker().with_replica_per_group(1).unwrap();
        let two = one.with_replica_per_group(2).unwrap();
        let changed: Vec<String> = changes(&one, &two).iter().map(ToString::to_string).collect();
        assert_eq!(changed, ["`spec.replicaPerGroup` 1 -> 2"]);
        let name_service =
            document("NameService", "size: 1, nameServiceImage: 'rocketmq:5.3.3', storageMode: EmptyDir");
        let error = name_service.with_replica_per_group(1).unwrap_err();
        assert_eq!(error.message, "NameService/demo has no slaves");
    }

    #[test]
    fn a_size_that_none_can_have_is_refused() {
        assert!(broker().with_size(0).is_err());
        let config_map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\n";
        let config_map = parse(config_map).unwrap().documents.remove(0);
        assert_eq!(config_map.with_size(2).unwrap_err().message, "ConfigMap/settings has no size");
    }
}
