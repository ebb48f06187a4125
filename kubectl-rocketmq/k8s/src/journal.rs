//! Journals of operations in ConfigMaps: one an operation, labelled with its cluster, which it outlives.
//!
//! Keys: `header` and `params` when the operation is made, then `event-0000`, `event-0001`, ... each appended by a
//! patch that names the resourceVersion, so that two writers never both succeed. Before-images are compressed;
//! one that would make the ConfigMap too large gets a ConfigMap `<operation>-<n>` of its own, written before the
//! event that points to it.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use kube::api::{Patch, PatchParams};
use saga::{Entry, Header, Journal, JournalStore, Listed, Revision, StoreError, Stored};
use serde_json::{Map, Value, json};

use crate::client::{Cluster, FIELD_MANAGER};
use crate::error::{ApiError, ApiErrorKind};
use crate::names;
use crate::objects::{Kind, Object};

/// etcd takes 1.5 MB and the API 1 MiB a ConfigMap; the rest is for events without before-images.
const LARGEST: usize = 700 * 1024;

/// A before-image larger than this when unpacked is not ours.
const LARGEST_UNPACKED: u64 = 64 << 20;

/// How many finished operations a cluster keeps.
const KEPT: usize = 20;

const HEADER: &str = "header";
const PARAMS: &str = "params";
const EVENT: &str = "event-";
/// The key of a further ConfigMap.
const IMAGE: &str = "before";
/// The fields of an event that stand for `before`.
const PACKED: &str = "beforeGzip";
const ELSEWHERE: &str = "beforeIn";

/// The journals of a namespace.
#[derive(Debug, Clone)]
pub struct ConfigMapJournals {
    cluster: Cluster,
}

/// What [`Revision`] holds: the resourceVersion, the bytes used, and how many further ConfigMaps there are.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    resource_version: String,
    bytes: usize,
    parts: u32,
}

impl Place {
    fn of(object: &Object) -> Self {
        let data = data_of(object);
        let parts =
            data.iter().filter(|(key, text)| key.starts_with(EVENT) && text.contains(ELSEWHERE)).count();
        Self {
            resource_version: object.resource_version.clone().unwrap_or_default(),
            bytes: data.iter().map(|(key, text)| key.len() + text.len()).sum(),
            parts: u32::try_from(parts).unwrap_or(u32::MAX),
        }
    }

    fn to_revision(&self) -> Revision {
        Revision(format!("{} {} {}", self.resource_version, self.bytes, self.parts))
    }

    fn from_revision(revision: &Revision) -> Option<Self> {
        let mut words = revision.0.split(' ');
        Some(Self {
            resource_version: words.next()?.to_owned(),
            bytes: words.next()?.parse().ok()?,
            parts: words.next()?.parse().ok()?,
        })
    }
}

impl ConfigMapJournals {
    /// The journals of the namespace of `cluster`.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone() }
    }

    fn object(&self, name: &str, cluster: &str, data: Map<String, Value>) -> Object {
        Object::new(Kind::ConfigMap, self.cluster.namespace(), name)
            .with_labels(names::labels(cluster, names::COMPONENT_JOURNAL))
            .with_field("data", Value::Object(data))
    }

    async fn journals(&self, cluster: Option<&str>) -> Result<Vec<Object>, StoreError> {
        let selector = names::component_selector(names::COMPONENT_JOURNAL, cluster);
        self.cluster.list(Kind::ConfigMap, &selector).await.map_err(|error| failed(&error))
    }

    /// Stores a before-image beside the journal. One of a run that was killed before it wrote the event is
    /// replaced: nothing points to it.
    async fn write_part(&self, journal: &Object, number: u32, packed: &str) -> Result<String, StoreError> {
        let name = names::journal_part(&journal.name, number);
        let cluster = journal.labels.get(names::LABEL_INSTANCE).map_or("", String::as_str);
        let part = self.object(&name, cluster, Map::from_iter([(IMAGE.to_owned(), json!(packed))]));
        match self.cluster.create_unjournaled(&part).await {
            Err(error) if error.kind == ApiErrorKind::Exists => {
                let patch = Patch::Merge(json!({"data": {IMAGE: packed}}));
                self.patch(&name, &patch).await.0.map_err(|error| failed(&error))?;
            }
            result => result.map_err(|error| failed(&error))?,
        }
        Ok(name)
    }

    async fn patch(&self, name: &str, patch: &Patch<Value>) -> (Result<String, ApiError>, bool) {
        let (api, act) =
            (self.cluster.dynamic_api(Kind::ConfigMap), format!("cannot write ConfigMap/{name}"));
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let (patched, doubt) =
            self.cluster.call_noting_doubt(&act, || async { api.patch(name, &params, patch).await }).await;
        (patched.map(|object| object.metadata.resource_version.unwrap_or_default()), doubt)
    }

    /// Drops the oldest finished operations of a cluster beyond [`KEPT`]. What cannot be dropped now is dropped
    /// at the next operation.
    async fn prune(&self, cluster: &str) -> Result<(), StoreError> {
        let objects = self.journals(Some(cluster)).await?;
        let mut finished: Vec<Journal> = read_all(&objects)
            .into_iter()
            .filter_map(|listed| listed.journal.ok())
            .filter(|journal| journal.status().is_finished())
            .collect();
        finished.sort_by_key(|journal| std::cmp::Reverse(journal.header().created));
        for journal in finished.iter().skip(KEPT) {
            // The journal first: a part without it is dropped with the next journal of that name, or stays unread.
            let own = |object: &&Object| {
                let rest = object.name.strip_prefix(&names::journal(journal.id()));
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            };
            for object in objects.iter().filter(own) {
                self.cluster.delete_unjournaled(object).await.map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }
}

impl JournalStore for ConfigMapJournals {
    async fn create(&self, header: &Header) -> Result<Revision, StoreError> {
        if let Err(error) = self.prune(&header.cluster).await {
            tracing::warn!(%error, "old journals were not dropped");
        }
        let name = names::journal(&header.id);
        let object = self.object(&name, &header.cluster, pack_header(header)?);
        if Place::of(&object).bytes > LARGEST {
            return Err(too_large(&header.id));
        }
        self.cluster.create_unjournaled(&object).await.map_err(|error| match error.kind {
            ApiErrorKind::Exists => StoreError::Exists { id: header.id.clone() },
            _ => failed(&error),
        })?;
        let stored = self.cluster.object(Kind::ConfigMap, &name).await.map_err(|error| failed(&error))?;
        let stored = stored.ok_or_else(|| unreadable(&header.id, "it is gone although it was created"))?;
        Ok(Place::of(&stored).to_revision())
    }

    async fn append(
        &self,
        id: &str,
        revision: &Revision,
        number: usize,
        entry: &Entry,
    ) -> Result<Revision, StoreError> {
        let mut place =
            Place::from_revision(revision).ok_or_else(|| StoreError::Conflict { id: id.to_owned() })?;
        let (name, key) = (names::journal(id), format!("{EVENT}{number:04}"));
        let (mut event, image) = pack_entry(id, entry)?;
        if let Some(packed) = image {
            if place.bytes + packed.len() <= LARGEST {
                event.insert(PACKED.to_owned(), json!(packed));
            } else if packed.len() <= LARGEST {
                place.parts += 1;
                let journal =
                    self.cluster.object(Kind::ConfigMap, &name).await.map_err(|error| failed(&error))?;
                let journal = journal.ok_or_else(|| StoreError::Conflict { id: id.to_owned() })?;
                event.insert(
                    ELSEWHERE.to_owned(),
                    json!(self.write_part(&journal, place.parts, &packed).await?),
                );
            } else {
                return Err(too_large(id));
            }
        }
        let text = Value::Object(event).to_string();
        let patch = Patch::Merge(json!({
            "metadata": {"resourceVersion": place.resource_version},
            "data": {key.clone(): text},
        }));
        let (patched, doubt) = self.patch(&name, &patch).await;
        place.bytes += key.len() + text.len();
        match patched {
            Ok(resource_version) => Ok(Place { resource_version, ..place }.to_revision()),
            Err(error) if error.kind == ApiErrorKind::Conflict => {
                // An earlier try may have been ours although its answer was lost.
                let stored =
                    self.cluster.object(Kind::ConfigMap, &name).await.map_err(|error| failed(&error))?;
                match stored {
                    Some(stored) if doubt && is_last(&stored, &key, &text) => {
                        Ok(Place::of(&stored).to_revision())
                    }
                    _ => Err(StoreError::Conflict { id: id.to_owned() }),
                }
            }
            Err(error) => Err(failed(&error)),
        }
    }

    async fn load(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        let object = self
            .cluster
            .object(Kind::ConfigMap, &names::journal(id))
            .await
            .map_err(|error| failed(&error))?;
        let Some(object) = object.filter(is_journal) else { return Ok(None) };
        let mut parts = BTreeMap::new();
        for number in 1..=Place::of(&object).parts {
            let name = names::journal_part(&object.name, number);
            if let Some(part) =
                self.cluster.object(Kind::ConfigMap, &name).await.map_err(|error| failed(&error))?
            {
                parts.insert(name, image_of(&part));
            }
        }
        let journal = unpack(&object, &parts).map_err(|reason| unreadable(id, &reason))?;
        Ok(Some(Stored { journal, revision: Place::of(&object).to_revision() }))
    }

    async fn list(&self, cluster: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        Ok(read_all(&self.journals(cluster).await?))
    }
}

fn read_all(objects: &[Object]) -> Vec<Listed> {
    let parts = objects.iter().filter(|object| !is_journal(object));
    let parts: BTreeMap<String, String> = parts.map(|part| (part.name.clone(), image_of(part))).collect();
    let journals = objects.iter().filter(|object| is_journal(object));
    let mut listed: Vec<Listed> =
        journals.map(|object| Listed { id: object.name.clone(), journal: unpack(object, &parts) }).collect();
    listed.sort_by_key(|listed| listed.journal.as_ref().ok().map(|journal| journal.header().created));
    listed
}

fn is_journal(object: &Object) -> bool {
    data_of(object).iter().any(|(key, _)| *key == HEADER)
}

/// True when this event is the last of a stored journal.
fn is_last(stored: &Object, key: &str, text: &str) -> bool {
    let last = data_of(stored).into_iter().filter(|(key, _)| key.starts_with(EVENT)).max();
    last == Some((key, text))
}

fn data_of(object: &Object) -> Vec<(&str, &str)> {
    let data = object.content.get("data").and_then(Value::as_object);
    data.into_iter().flatten().filter_map(|(key, text)| Some((key.as_str(), text.as_str()?))).collect()
}

fn image_of(part: &Object) -> String {
    data_of(part)
        .into_iter()
        .find(|(key, _)| *key == IMAGE)
        .map(|(_, text)| text.to_owned())
        .unwrap_or_default()
}

fn pack_header(header: &Header) -> Result<Map<String, Value>, StoreError> {
    let error = |reason: String| unreadable(&header.id, &reason);
    let params = pack(&header.params).map_err(error)?;
    let shown = Header { params: Value::Null, ..header.clone() };
    let shown = serde_json::to_string(&shown).map_err(|cause| error(cause.to_string()))?;
    Ok(Map::from_iter([(HEADER.to_owned(), json!(shown)), (PARAMS.to_owned(), json!(params))]))
}

/// An event without its before-image, and the image packed.
fn pack_entry(id: &str, entry: &Entry) -> Result<(Map<String, Value>, Option<String>), StoreError> {
    let error = |reason: String| unreadable(id, &reason);
    match serde_json::to_value(entry).map_err(|cause| error(cause.to_string()))? {
        Value::Object(mut event) => {
            let image = event.remove("before").map(|before| pack(&before)).transpose().map_err(error)?;
            Ok((event, image))
        }
        other => Err(error(format!("an event is no map: {other}"))),
    }
}

fn unpack(object: &Object, parts: &BTreeMap<String, String>) -> Result<Journal, String> {
    let data: BTreeMap<&str, &str> = data_of(object).into_iter().collect();
    let header = data.get(HEADER).ok_or("it has no header")?;
    let mut header: Header = serde_json::from_str(header).map_err(|error| error.to_string())?;
    if header.journal_format != saga::FORMAT {
        return Err(format!(
            "it has format {}, this version knows {} (written by version {})",
            header.journal_format,
            saga::FORMAT,
            header.version
        ));
    }
    header.params = unpack_value(data.get(PARAMS).ok_or("it has no parameters")?)?;
    let events = data.iter().filter(|(key, _)| key.starts_with(EVENT));
    let entries =
        events.map(|(_, text)| unpack_entry(text, parts)).collect::<Result<Vec<Entry>, String>>()?;
    Journal::replay(header, entries).map_err(|error| error.to_string())
}

fn unpack_entry(text: &str, parts: &BTreeMap<String, String>) -> Result<Entry, String> {
    let mut event: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let elsewhere = event.remove(ELSEWHERE);
    let packed = match (event.remove(PACKED), elsewhere.as_ref().and_then(Value::as_str)) {
        (Some(Value::String(packed)), _) => Some(packed),
        (_, Some(name)) => {
            Some(parts.get(name).cloned().ok_or_else(|| format!("ConfigMap/{name} is missing"))?)
        }
        _ => None,
    };
    if let Some(packed) = packed {
        event.insert("before".to_owned(), unpack_value(&packed)?);
    }
    serde_json::from_value(Value::Object(event)).map_err(|error| error.to_string())
}

fn pack(value: &Value) -> Result<String, String> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let packed = encoder.write_all(value.to_string().as_bytes()).and_then(|()| encoder.finish());
    packed.map(|bytes| STANDARD.encode(bytes)).map_err(|error| error.to_string())
}

fn unpack_value(packed: &str) -> Result<Value, String> {
    let bytes = STANDARD.decode(packed).map_err(|error| error.to_string())?;
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice())
        .take(LARGEST_UNPACKED)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

fn failed(error: &ApiError) -> StoreError {
    StoreError::Failed { message: error.message.clone(), causes: error.causes() }
}

fn unreadable(id: &str, reason: &str) -> StoreError {
    StoreError::Unreadable { id: id.to_owned(), reason: reason.to_owned() }
}

fn too_large(id: &str) -> StoreError {
    StoreError::Failed {
        message: format!("the journal of operation `{id}` is too large"),
        causes: vec![format!("one entry has more than {} KiB when compressed", LARGEST / 1024)],
    }
}
