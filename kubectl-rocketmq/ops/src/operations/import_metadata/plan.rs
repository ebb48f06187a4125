//! From an inventory to the parameters of the operation, or to the reason why not. Pure.

use rocketmq::metadata::{
    ChangeKind, Difference, EntryChange, Kept, Metadata, Origin, REGISTRATION_LIMIT, difference, keeps_topic,
    registration_bytes,
};
use rocketmq::model::topic::TopicConfig;
use serde::{Deserialize, Serialize};

use super::packed::{self, Packed};
use super::{Inventory, Params};
use crate::error::OpsError;
use crate::metadata::{DiffReport, diff_report};

/// What there is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The operation; `None` when the broker has everything already.
    pub params: Option<Params>,
    /// What differs, entry by entry; what only the broker has is left out, because it stays.
    pub changes: DiffReport,
    /// What the user should know before.
    pub warnings: Vec<String>,
}

/// How many entries of which kind are created or changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Topics.
    pub topics: Count,
    /// Subscription groups.
    pub groups: Count,
    /// Request modes.
    pub request_modes: Count,
}

/// How many entries of one kind are created or changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Count {
    /// New ones.
    pub created: usize,
    /// Those that are there otherwise.
    pub changed: usize,
}

/// Makes the plan.
///
/// # Errors
/// `Usage` for a bundle that is not for importing, `Refused` when a guard refuses.
pub fn plan(inventory: &Inventory) -> Result<Planned, OpsError> {
    let Inventory { pod, cluster, present, bundle } = inventory;
    if !bundle.sanitised {
        return Err(OpsError::usage(format!(
            "`{}` also holds what broker `{}` made for itself, so it cannot be imported",
            bundle.name, bundle.origin.broker_name
        ))
        .hint("export it again without --raw"));
    }
    let wanted = importable(bundle.metadata.clone(), &present.origin);
    let mut difference = difference(&wanted, &present.metadata);
    leave_out_extras(&mut difference);
    let changes = diff_report(&pod.name, &bundle.name, &difference);
    if difference.is_empty() {
        return Ok(Planned { params: None, changes, warnings: Vec::new() });
    }
    let entries = difference.to_apply(&wanted);
    check_size(&pod.name, &present.metadata, &entries)?;
    let counts = Counts {
        topics: Count::of(&difference.topics),
        groups: Count::of(&difference.groups),
        request_modes: Count::of(&difference.request_modes),
    };
    let params = Params {
        cluster: cluster.clone(),
        pod: pod.name.clone(),
        file: bundle.name.clone(),
        entries: pack(&bundle.name, &entries, &bundle.origin)?,
        origin: bundle.origin.clone(),
        counts,
    };
    Ok(Planned { params: Some(params), changes, warnings: warnings(&bundle.origin, &present.origin) })
}

/// What another broker may have may still be this one's own, by its name.
fn importable(mut metadata: Metadata, target: &Origin) -> Metadata {
    metadata.topics.retain(|_, topic| keeps_topic(topic, target) != Kept::No);
    metadata
}

fn leave_out_extras(difference: &mut Difference) {
    difference.topics.retain(EntryChange::applies);
    difference.groups.retain(EntryChange::applies);
    difference.request_modes.retain(EntryChange::applies);
}

/// A broker whose registration grows over the frame limit of 16 MiB vanishes from every route while it lives (seen
/// on 5.3.3).
fn check_size(pod: &str, present: &Metadata, entries: &Metadata) -> Result<(), OpsError> {
    let stay = present.topics.iter().filter(|(name, _)| !entries.topics.contains_key(*name));
    let all: Vec<&TopicConfig> = stay.map(|(_, topic)| topic).chain(entries.topics.values()).collect();
    let bytes = registration_bytes(all.iter().copied());
    if bytes <= REGISTRATION_LIMIT {
        return Ok(());
    }
    Err(OpsError::refused(format!(
        "nothing is imported into `{pod}`: with {} topics its registration would have {bytes} bytes, \
         {REGISTRATION_LIMIT} are allowed",
        all.len()
    ))
    .causes([
        "name servers drop a broker whose registration is larger than 16 MiB, with all its routes".to_owned()
    ])
    .hint("delete topics that nobody uses, or give other broker groups a part of them"))
}

fn pack(file: &str, entries: &Metadata, origin: &Origin) -> Result<Packed, OpsError> {
    let packed = Packed::new(entries, origin).map_err(|error| {
        OpsError::failed(format!("what differs of `{file}` cannot be packed")).causes([error.to_string()])
    })?;
    if packed.bytes() <= packed::LARGEST {
        return Ok(packed);
    }
    Err(OpsError::refused(format!(
        "what differs of `{file}` takes {} bytes packed, but a journal has room for {}",
        packed.bytes(),
        packed::LARGEST
    ))
    .hint("import it in parts; a new broker group gets everything by `kubectl rocketmq scale broker`"))
}

fn warnings(source: &Origin, target: &Origin) -> Vec<String> {
    if source.version <= target.version {
        return Vec::new();
    }
    vec![format!(
        "the bundle is of RocketMQ {}, the broker runs {}: it may not keep fields that it does not know",
        source.version, target.version
    )]
}

impl Count {
    fn of<N>(changes: &[EntryChange<N>]) -> Self {
        let created = changes.iter().filter(|change| change.kind == ChangeKind::Missing).count();
        Self { created, changed: changes.len() - created }
    }
}

impl Counts {
    /// What is done, in words: `create 3 topics, change 1; create 1 group`.
    pub(super) fn sentence(&self) -> String {
        let kinds = [(self.topics, "topic"), (self.groups, "group"), (self.request_modes, "request mode")];
        let parts: Vec<String> = kinds.into_iter().filter_map(|(count, noun)| count.sentence(noun)).collect();
        parts.join("; ")
    }
}

impl Count {
    fn sentence(self, noun: &str) -> Option<String> {
        let many = |number: usize| if number == 1 { noun.to_owned() } else { format!("{noun}s") };
        match (self.created, self.changed) {
            (0, 0) => None,
            (created, 0) => Some(format!("create {created} {}", many(created))),
            (0, changed) => Some(format!("change {changed} {}", many(changed))),
            (created, changed) => Some(format!("create {created} {}, change {changed}", many(created))),
        }
    }
}
