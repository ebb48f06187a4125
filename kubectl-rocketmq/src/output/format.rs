//! `-o`: the forms that data is printed in.

use std::str::FromStr;

use crate::output::jsonpath::Template;

/// A value of `-o`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For people with wide terminals: more columns.
    Wide,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// `kind/name`, one a line.
    Name,
    /// Parts of the JSON document by a template.
    JsonPath(Template),
}

impl Format {
    /// True when the whole document is printed for machines, so that an error must be one as well.
    #[must_use]
    pub fn is_document(&self) -> bool {
        matches!(self, Self::Json | Self::Yaml)
    }

    /// True when people read it.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Wide)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').unwrap_or((text, "")) {
            ("json", "") => Ok(Self::Json),
            ("yaml", "") => Ok(Self::Yaml),
            ("name", "") => Ok(Self::Name),
            ("wide", "") => Ok(Self::Wide),
            ("jsonpath", "") => {
                Err("a template must follow, for example `jsonpath={.namesrvAddr}`".to_owned())
            }
            ("jsonpath", template) => {
                Template::parse(template).map(Self::JsonPath).map_err(|error| error.to_string())
            }
            _ => Err("allowed are json, yaml, name, wide and jsonpath=TEMPLATE".to_owned()),
        }
    }
}

/// What the arguments ask for before they are parsed, so that errors of the arguments themselves already keep to
/// it. Later values win, as they do in the parser.
#[must_use]
pub fn requested<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Format {
    let mut format = Format::Text;
    let mut value_follows = false;
    for argument in arguments {
        let value = if std::mem::take(&mut value_follows) {
            Some(argument)
        } else {
            match argument {
                "--" => break,
                "-o" | "--output" => {
                    value_follows = true;
                    None
                }
                _ => argument.strip_prefix("--output=").or_else(|| {
                    argument.strip_prefix("-o").map(|value| value.strip_prefix('=').unwrap_or(value))
                }),
            }
        };
        if let Some(Ok(found)) = value.map(str::parse) {
            format = found;
        }
    }
    format
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_values_are_answered_with_the_known_ones() {
        let check = |text: &str, expected: &str| assert_eq!(text.parse::<Format>().unwrap_err(), expected);
        check("xml", "allowed are json, yaml, name, wide and jsonpath=TEMPLATE");
        check("json=x", "allowed are json, yaml, name, wide and jsonpath=TEMPLATE");
        check("jsonpath", "a template must follow, for example `jsonpath={.namesrvAddr}`");
    }

    #[test]
    fn the_format_is_known_before_the_arguments_are_parsed() {
        let check = |arguments: &[&str], expected: Format| {
            assert_eq!(requested(arguments.iter().copied()), expected, "{arguments:?}");
        };
        check(&["status"], Format::Text);
        check(&["status", "-o", "json"], Format::Json);
        check(&["status", "-ojson"], Format::Json);
        check(&["-o=yaml", "status"], Format::Yaml);
        check(&["status", "--output=json"], Format::Json);
        check(&["status", "--output", "json", "--nonsense"], Format::Json);
        check(&["status", "-o", "xml"], Format::Text);
        check(&["status", "--", "-o", "json"], Format::Text);
    }
}
