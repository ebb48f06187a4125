//! Rules across documents and for names: what the API server would refuse half way through is refused before anything
//! is made.

use std::collections::BTreeMap;

use super::document::{Content, Document};
use super::error::{FieldError, InputError};
use super::spec::{Broker, NameService};
use crate::names::{self, BrokerMember};

/// A StatefulSet puts `<name>-<revision>` into a label of at most 63 characters, the revision being a hash of up to 10.
const STATEFUL_SET_NAME_MAX: usize = 52;
/// The longest DNS label (RFC 1123).
const DNS_LABEL_MAX: usize = 63;
/// The longest DNS subdomain (RFC 1123).
const DNS_SUBDOMAIN_MAX: usize = 253;

/// Checks all documents of one text.
pub(super) fn check(documents: &[Document]) -> Result<(), InputError> {
    // What each object that will be made is made from.
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for document in documents {
        let reference = document.reference();
        let objects = match &document.content {
            Content::NameService(name_service) => name_service_objects(name_service),
            Content::Broker(broker) => broker_objects(broker),
            Content::ConfigMap(_) => config_map_objects(document.name()),
        }
        .map_err(|error| InputError::from(error).in_document(&reference))?;
        for object in objects {
            match made.get(&object) {
                Some(other) if *other == reference => {
                    return Err(InputError::new(format!("{reference} occurs twice")));
                }
                Some(other) => {
                    return Err(InputError::new(format!("{other} and {reference} would both make {object}"))
                        .with_hint("give one of them another name"));
                }
                None => {}
            }
            made.insert(object, reference.clone());
        }
    }
    Ok(())
}

fn name_service_objects(name_service: &NameService) -> Result<Vec<String>, FieldError> {
    let name = &name_service.metadata.name;
    dns_label(name)?;
    // It names a Service, whose names may not begin with a digit (RFC 1035).
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        return Err(FieldError::value("metadata.name", format!("must begin with a letter, but is `{name}`")));
    }
    let stateful_set = names::name_servers(name);
    stateful_set_fits(&stateful_set)?;
    pod_fits(&names::pod(&stateful_set, name_service.size.saturating_sub(1)))?;
    Ok(vec![format!("StatefulSet/{stateful_set}"), format!("PodDisruptionBudget/{stateful_set}")])
}

fn broker_objects(broker: &Broker) -> Result<Vec<String>, FieldError> {
    let name = &broker.metadata.name;
    dns_label(name)?;
    let mut objects = Vec::new();
    for group in 0..broker.size {
        for member in BrokerMember::of_group(broker.replica_per_group) {
            let stateful_set = names::broker_stateful_set(name, group, member);
            stateful_set_fits(&stateful_set)?;
            objects.push(format!("StatefulSet/{stateful_set}"));
        }
        objects.push(format!("PodDisruptionBudget/{}", names::broker_group(name, group)));
    }
    Ok(objects)
}

fn config_map_objects(name: &str) -> Result<Vec<String>, FieldError> {
    let is_subdomain = name.len() <= DNS_SUBDOMAIN_MAX && name.split('.').all(is_dns_word);
    if is_subdomain {
        Ok(vec![format!("ConfigMap/{name}")])
    } else {
        Err(FieldError::value(
            "metadata.name",
            format!("must be lower case letters, digits, `-` and `.`, but is `{name}`"),
        ))
    }
}

fn dns_label(name: &str) -> Result<(), FieldError> {
    if is_dns_word(name) {
        return Ok(());
    }
    Err(FieldError::value(
        "metadata.name",
        format!(
            "must be lower case letters, digits and `-`, with a letter or digit at both ends, but is `{name}`"
        ),
    ))
}

fn is_dns_word(word: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !word.is_empty() && word.bytes().all(inner) && !word.starts_with('-') && !word.ends_with('-')
}

fn stateful_set_fits(stateful_set: &str) -> Result<(), FieldError> {
    fits("StatefulSet", stateful_set, STATEFUL_SET_NAME_MAX)
}

fn pod_fits(pod: &str) -> Result<(), FieldError> {
    fits("pod", pod, DNS_LABEL_MAX)
}

fn fits(kind: &str, name: &str, max: usize) -> Result<(), FieldError> {
    if name.len() <= max {
        return Ok(());
    }
    Err(FieldError::value(
        "metadata.name",
        format!(
            "is too long: the name of {kind} `{name}` would have {} characters, {max} are allowed",
            name.len()
        ),
    ))
}
