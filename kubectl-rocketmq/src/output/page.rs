//! What a command shows: one report in the forms that `-o` offers.

use crate::output::document::Document;
use crate::output::format::Format;

/// A report, ready to be printed in any form.
#[derive(Debug, Clone)]
pub struct Page {
    /// For people.
    pub text: String,
    /// For machines.
    pub document: Document,
    /// What the page is about, `kind/name` each.
    pub names: Vec<String>,
}

impl Page {
    /// The page in a form, the last line ended.
    #[must_use]
    pub fn render(&self, format: &Format) -> String {
        match format {
            Format::Text | Format::Wide => self.text.clone(),
            Format::Json => self.document.to_json(),
            Format::Yaml => self.document.to_yaml(),
            Format::Name => self.names.iter().map(|name| format!("{name}\n")).collect(),
            // As kubectl does it: exactly the template, so that `$(...)` and files get no extra line end.
            Format::JsonPath(template) => template.render(self.document.value()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_report_in_every_form() {
        let page = Page {
            text: "demo  HEALTHY\n".to_owned(),
            document: Document::new(&json!({"name": "demo"})),
            names: vec!["nameservice/demo".to_owned()],
        };
        let check =
            |format: &str, expected: &str| assert_eq!(page.render(&format.parse().unwrap()), expected);
        assert_eq!(page.render(&Format::Text), "demo  HEALTHY\n");
        check("wide", "demo  HEALTHY\n");
        check("name", "nameservice/demo\n");
        check("jsonpath={.name}", "demo");
        check("yaml", "name: demo\n");
    }
}
