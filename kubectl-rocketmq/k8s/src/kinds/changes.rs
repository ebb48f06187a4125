//! What differs between an applied document and a new one of the same object, field by field.

use serde_json::Value;

use super::document::Document;
use super::error::join;

/// One field that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChange {
    /// Where, for example `spec.size`.
    pub path: String,
    /// What it was; `None` if the field was not there.
    pub from: Option<String>,
    /// What it shall be; `None` if the field is gone.
    pub to: Option<String>,
}

impl std::fmt::Display for FieldChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let or_absent = |value: &Option<String>| value.clone().unwrap_or_else(|| "(absent)".to_owned());
        write!(f, "`{}` {} -> {}", self.path, or_absent(&self.from), or_absent(&self.to))
    }
}

/// What differs, in the order of the former document. Comments, layout and the order of fields do not count, nor does
/// what has no effect: `status`, and `allowRestart`, which no change of ours needs.
#[must_use]
pub fn changes(former: &Document, new: &Document) -> Vec<FieldChange> {
    let mut found = Vec::new();
    compare("", Some(former.source()), Some(new.source()), &mut found);
    found
}

const WITHOUT_EFFECT: [&str; 2] = ["status", "spec.allowRestart"];

fn compare(path: &str, former: Option<&Value>, new: Option<&Value>, found: &mut Vec<FieldChange>) {
    if former == new || WITHOUT_EFFECT.contains(&path) {
        return;
    }
    match (former, new) {
        (Some(Value::Object(former)), Some(Value::Object(new))) => {
            for (field, value) in former {
                compare(&join(path, field), Some(value), new.get(field), found);
            }
            for (field, value) in new.iter().filter(|(field, _)| !former.contains_key(*field)) {
                compare(&join(path, field), None, Some(value), found);
            }
        }
        (Some(Value::Array(former)), Some(Value::Array(new))) => {
            for index in 0..former.len().max(new.len()) {
                compare(&format!("{path}[{index}]"), former.get(index), new.get(index), found);
            }
        }
        _ => found.push(FieldChange {
            path: path.to_owned(),
            from: former.map(Value::to_string),
            to: new.map(Value::to_string),
        }),
    }
}
