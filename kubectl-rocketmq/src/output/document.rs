//! Documents for machines: JSON and YAML.

use rocketmq::text::is_unprintable;
use serde::Serialize;
use serde_json::Value;

/// A report as machines read it. Reports carry `apiVersion` and `kind` themselves, first.
#[derive(Debug, Clone, PartialEq)]
pub struct Document(Value);

impl Document {
    /// From a report.
    #[must_use]
    pub fn new(report: &impl Serialize) -> Self {
        // Only maps whose keys are no text fail, and reports have none.
        Self(serde_json::to_value(report).unwrap_or_default())
    }

    /// The document as a value.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }

    /// As indented JSON, the last line ended.
    #[must_use]
    pub fn to_json(&self) -> String {
        let json = format!("{:#}\n", self.0);
        if json.is_ascii() { json } else { escape_in_strings(&json) }
    }

    /// As YAML.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // A JSON document is a YAML document, should the writer ever refuse one.
        serde_saphyr::to_string(&self.0).unwrap_or_else(|_| self.to_json())
    }
}

/// JSON leaves some control characters beyond ASCII as they are; all of them stand in strings.
fn escape_in_strings(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if character != '\n' && is_unprintable(character) {
            escaped.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_keep_their_order_in_both_forms() {
        let document =
            Document::new(&json!({"apiVersion": "v1", "kind": "Status", "healthy": true, "a": []}));
        insta::assert_snapshot!(document.to_json(), @r#"
        {
          "apiVersion": "v1",
          "kind": "Status",
          "healthy": true,
          "a": []
        }
        "#);
        insta::assert_snapshot!(document.to_yaml(), @r"
        apiVersion: v1
        kind: Status
        healthy: true
        a: []
        ");
    }

    #[test]
    fn control_characters_stay_escaped_in_json() {
        let json = Document::new(&json!({"name": "a\u{1b}b\u{9b}c主"})).to_json();
        assert!(json.contains("a\\u001bb\\u009bc主"), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["name"], "a\u{1b}b\u{9b}c主");
    }
}
