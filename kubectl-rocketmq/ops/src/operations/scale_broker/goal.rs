//! What was asked for, held against the record. Pure.

use k8s::kinds::{Broker, Document};

use super::ScaleBrokerRequest;
use crate::error::OpsError;
use crate::operations::groups::broker_of;
use crate::operations::known::Known;

/// A Broker that shall have another number of groups.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The Broker with its new size.
    pub document: Document,
    /// How many groups it has.
    pub from: u32,
    /// How many it shall have.
    pub to: u32,
}

impl Goal {
    /// The Broker's fields.
    #[must_use]
    pub fn broker(&self) -> Option<&Broker> {
        broker_of(&self.document)
    }
}

/// What is to be reached; `None` when the Broker has this size already, or the cluster has no such Broker.
///
/// # Errors
/// `Usage` for a size that no Broker can have.
pub fn goal(known: &Known, request: &ScaleBrokerRequest) -> Result<Option<Goal>, OpsError> {
    let Some(document) = known.brokers.iter().find(|document| document.name() == request.name) else {
        return Ok(None);
    };
    let (from, to) = (broker_of(document).map_or(0, |broker| broker.size), request.size);
    if to == 0 {
        let error =
            OpsError::usage("the size must be at least 1: the last group of a Broker is never removed");
        let (name, namespace) = (document.name(), &known.namespace);
        return Err(error.hint(format!("kubectl rocketmq delete broker/{name} -n {namespace}")));
    }
    if to == from {
        return Ok(None);
    }
    let document = document.with_size(to).map_err(|error| OpsError::usage(error.message))?;
    Ok(Some(Goal { document, from, to }))
}
