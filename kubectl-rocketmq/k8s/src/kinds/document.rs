//! From a text to checked documents, or to the first thing that is wrong with it.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::MessageFormatter as _;

use super::error::{FieldError, InputError, nearest, one_of};
use super::spec::{Broker, Metadata, NameService};
use super::{fields, rules, strict};

/// The API version of the operator's kinds, the only one they ever had since 0.1.
const API_VERSION: &str = "rocketmq.apache.org/v1alpha1";
/// The kinds that are applied.
const KINDS: [&str; 3] = ["NameService", "Broker", "ConfigMap"];
/// What `kubectl apply` leaves on objects that it made; it is no wish of the user's.
const LAST_APPLIED_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// All that a text asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// What is to be applied, in the order of the text.
    pub documents: Vec<Document>,
    /// What is not, for the user to know.
    pub warnings: Vec<String>,
}

impl Parsed {
    /// The one namespace that the documents name; `asked` is the one that the user named beside them.
    ///
    /// # Errors
    /// When they name different ones.
    pub fn namespace<'a>(&'a self, asked: Option<&'a str>) -> Result<Option<&'a str>, InputError> {
        let mut named = asked.map(|namespace| ("the command line".to_owned(), namespace));
        for document in &self.documents {
            match (&named, document.namespace()) {
                (Some((who, namespace)), Some(other)) if *namespace != other => {
                    return Err(InputError::new(format!(
                        "{} is for namespace `{other}`, {who} for `{namespace}`",
                        document.reference()
                    ))
                    .with_hint("one command works in one namespace"));
                }
                (None, Some(namespace)) => named = Some((document.reference(), namespace)),
                _ => {}
            }
        }
        Ok(named.map(|(_, namespace)| namespace))
    }

    /// The NameServices among the documents.
    pub fn name_services(&self) -> impl Iterator<Item = (&Document, &NameService)> {
        self.documents.iter().filter_map(|document| match &document.content {
            Content::NameService(name_service) => Some((document, &**name_service)),
            _ => None,
        })
    }

    /// The Brokers among the documents.
    pub fn brokers(&self) -> impl Iterator<Item = (&Document, &Broker)> {
        self.documents.iter().filter_map(|document| match &document.content {
            Content::Broker(broker) => Some((document, &**broker)),
            _ => None,
        })
    }

    /// The ConfigMaps among the documents.
    pub fn config_maps(&self) -> impl Iterator<Item = (&Document, &ConfigMap)> {
        self.documents.iter().filter_map(|document| match &document.content {
            Content::ConfigMap(config_map) => Some((document, &**config_map)),
            _ => None,
        })
    }
}

/// One document, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// What it asks for.
    pub content: Content,
    source: Value,
    yaml: String,
}

/// What a document asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Name servers.
    NameService(Box<NameService>),
    /// Broker groups.
    Broker(Box<Broker>),
    /// A ConfigMap that the kinds refer to.
    ConfigMap(Box<ConfigMap>),
}

impl Document {
    /// Its kind, as the document writes it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.content {
            Content::NameService(_) => "NameService",
            Content::Broker(_) => "Broker",
            Content::ConfigMap(_) => "ConfigMap",
        }
    }

    /// Its object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.content {
            Content::NameService(name_service) => &name_service.metadata.name,
            Content::Broker(broker) => &broker.metadata.name,
            Content::ConfigMap(config_map) => config_map.metadata.name.as_deref().unwrap_or_default(),
        }
    }

    /// The namespace that it names.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        match &self.content {
            Content::NameService(name_service) => name_service.metadata.namespace.as_deref(),
            Content::Broker(broker) => broker.metadata.namespace.as_deref(),
            Content::ConfigMap(config_map) => config_map.metadata.namespace.as_deref(),
        }
    }

    /// Kind and name, as messages say it: `Broker/broker`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}/{}", self.kind(), self.name())
    }

    /// The document's text, written anew without comments; [`parse`] reads the same document from it.
    #[must_use]
    pub fn yaml(&self) -> &str {
        &self.yaml
    }

    /// The document's fields as they were written.
    pub(super) fn source(&self) -> &Value {
        &self.source
    }
}

/// Reads a text of one or more YAML documents.
///
/// # Errors
/// The first thing that is wrong with it; nothing of it may then be applied.
pub fn parse(text: &str) -> Result<Parsed, InputError> {
    let sources = read_yaml(text)?;
    if sources.is_empty() {
        return Err(InputError::new("it holds no document"));
    }
    let mut parsed = Parsed { documents: Vec::new(), warnings: Vec::new() };
    for (index, source) in sources.into_iter().enumerate() {
        match read_document(source, index + 1)? {
            Read::Apply(document) => parsed.documents.push(document),
            Read::Skip(warning) => parsed.warnings.push(warning),
        }
    }
    rules::check(&parsed.documents)?;
    Ok(parsed)
}

fn read_yaml(text: &str) -> Result<Vec<Value>, InputError> {
    let options = serde_saphyr::options! {
        // `defaultMode: 0644` is octal to kubectl.
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().map_or_else(String::new, |location| {
            format!("line {}, column {}: ", location.line(), location.column())
        });
        let problem = serde_saphyr::UserMessageFormatter.format_message(error.without_snippet());
        InputError::new(format!("{place}this is not YAML: {problem}"))
    })
}

enum Read {
    Apply(Document),
    Skip(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame {
    api_version: Option<String>,
    kind: Option<String>,
}

fn read_document(source: Value, number: usize) -> Result<Read, InputError> {
    let place = format!("document {number}");
    let Value::Object(fields) = &source else {
        return Err(InputError::new(format!(
            "{place}: must be a mapping with apiVersion, kind, metadata and spec"
        )));
    };
    let located = |error: FieldError| InputError::from(error).in_document(&place);
    let frame: Frame = strict::read_part(fields, "").map_err(located)?;
    let Some(kind) = frame.kind else { return Err(located(FieldError::missing_here("kind"))) };
    let name = fields.get("metadata").and_then(|metadata| metadata.get("name")).and_then(Value::as_str);
    let place = name.map_or(format!("{place} ({kind})"), |name| format!("{kind}/{name}"));
    let located = |error: FieldError| InputError::from(error).in_document(&place);

    let expected = match kind.as_str() {
        "Console" => {
            return Ok(Read::Skip(format!("{place} is skipped: kubectl rocketmq runs no console")));
        }
        "TopicTransfer" | "Controller" => {
            return Err(InputError::new(format!("{place}: kind `{kind}` is not supported yet")));
        }
        "ConfigMap" => "v1",
        "NameService" | "Broker" => API_VERSION,
        _ => return Err(unknown_kind(&place, &kind)),
    };
    match frame.api_version.as_deref() {
        Some(version) if version == expected => {}
        Some(version) => {
            return Err(located(FieldError::value(
                "apiVersion",
                format!("must be `{expected}`, but is `{version}`"),
            )));
        }
        None => return Err(located(FieldError::missing_here("apiVersion"))),
    }
    let content = match kind.as_str() {
        "ConfigMap" => config_map(&source).map(|config_map| Content::ConfigMap(Box::new(config_map))),
        "NameService" => parts(fields)
            .and_then(|(metadata, spec)| fields::name_service(metadata, spec))
            .map(|name_service| Content::NameService(Box::new(name_service))),
        _ => parts(fields)
            .and_then(|(metadata, spec)| fields::broker(metadata, spec))
            .map(|broker| Content::Broker(Box::new(broker))),
    }
    .map_err(located)?;
    let yaml = serde_saphyr::to_string(&source)
        .map_err(|error| InputError::new(format!("{place}: cannot be written as YAML: {error}")))?;
    Ok(Read::Apply(Document { content, source, yaml }))
}

fn unknown_kind(place: &str, kind: &str) -> InputError {
    let error = InputError::new(format!("{place}: kind `{kind}` is not one of {}", one_of(&KINDS)));
    // A Service or a Deployment looks like none of ours; a misspelt Broker does.
    match nearest(kind, &KINDS).filter(|near| strsim::damerau_levenshtein(kind, near) <= 2) {
        Some(near) => error.with_hint(format!("did you mean `{near}`?")),
        None => error.with_hint("apply other kinds with `kubectl apply`"),
    }
}

/// Metadata and spec of one of the operator's kinds.
fn parts(fields: &Map<String, Value>) -> Result<(Metadata, &Map<String, Value>), FieldError> {
    // A status comes with what `kubectl get -o yaml` printed, and is no wish.
    strict::refuse_unknown(fields, &["apiVersion", "kind", "metadata", "spec", "status"], "")?;
    let metadata = match fields.get("metadata") {
        None | Some(Value::Null) => return Err(FieldError::missing_here("name").at("metadata")),
        Some(metadata) => metadata_of(strict::read(metadata, "metadata")?)?,
    };
    match fields.get("spec") {
        None | Some(Value::Null) => Err(FieldError::missing_here("spec")),
        Some(Value::Object(spec)) => Ok((metadata, spec)),
        Some(_) => Err(FieldError::value("spec", "must be a mapping")),
    }
}

fn metadata_of(metadata: ObjectMeta) -> Result<Metadata, FieldError> {
    let Some(name) = metadata.name.filter(|name| !name.is_empty()) else {
        return Err(FieldError::missing_here("name").at("metadata"));
    };
    let mut annotations = metadata.annotations.unwrap_or_default();
    annotations.remove(LAST_APPLIED_ANNOTATION);
    Ok(Metadata {
        name,
        namespace: metadata.namespace.filter(|namespace| !namespace.is_empty()),
        labels: metadata.labels.unwrap_or_default(),
        annotations,
    })
}

fn config_map(source: &Value) -> Result<ConfigMap, FieldError> {
    let mut config_map: ConfigMap = strict::read(source, "")?;
    let metadata = metadata_of(config_map.metadata)?;
    config_map.metadata = ObjectMeta {
        name: Some(metadata.name),
        namespace: metadata.namespace,
        labels: Some(metadata.labels),
        annotations: Some(metadata.annotations),
        ..ObjectMeta::default()
    };
    Ok(config_map)
}
