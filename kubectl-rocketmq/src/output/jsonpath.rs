//! `-o jsonpath=`: kubectl's templates, `{.a.b}` between literal text, asked of a JSON document.
//!
//! The paths themselves are a kept crate's (RFC 9535); here kubectl's spelling is mapped to it. `range` and `end`
//! are refused by name.

use jsonpath_rust::JsonPath;
use serde_json::Value;
use thiserror::Error;

/// A template that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Path(String),
}

/// Why a template is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TemplateError {
    /// A brace has no partner.
    #[error("`{0}` has an opening brace without a closing one")]
    Unclosed(String),
    /// Nothing between the braces.
    #[error("`{{}}` names nothing; write for example `{{.nameServers}}`")]
    Empty,
    /// A part of kubectl's templates that is not supported here.
    #[error("`{0}` is not supported here; `[*]` selects every element")]
    Unsupported(String),
    /// Not a path.
    #[error("`{0}` is not a path")]
    NotAPath(String),
}

impl Template {
    /// Checks a template. A bare path without braces counts as one in braces.
    ///
    /// # Errors
    /// When a brace is not closed or what stands in braces is neither a path nor a quoted text.
    pub fn parse(template: &str) -> Result<Self, TemplateError> {
        if !template.contains('{') && template.starts_with(['.', '$', '[']) {
            return Ok(Self(vec![parse_braced(template)?]));
        }
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let inside = &rest[open + 1..];
            let close =
                closing_brace(inside).ok_or_else(|| TemplateError::Unclosed(rest[open..].to_owned()))?;
            parts.push(parse_braced(&inside[..close])?);
            rest = &inside[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// The text of a document by this template. What is not there is empty, as kubectl prints it.
    #[must_use]
    pub fn render(&self, document: &Value) -> String {
        self.0
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Path(path) => {
                    let found = document.query(path).unwrap_or_default();
                    found.into_iter().map(plain).collect::<Vec<_>>().join(" ")
                }
            })
            .collect()
    }
}

/// The brace that closes what was opened before `inside`; braces in quotes do not count.
fn closing_brace(inside: &str) -> Option<usize> {
    let mut quote = None;
    let mut escaped = false;
    for (index, character) in inside.char_indices() {
        match (quote, character) {
            _ if escaped => escaped = false,
            (_, '\\') => escaped = true,
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '}') => return Some(index),
            _ => {}
        }
    }
    None
}

fn parse_braced(inside: &str) -> Result<Part, TemplateError> {
    let inside = inside.trim();
    if inside.is_empty() {
        return Err(TemplateError::Empty);
    }
    if let Some(text) = quoted(inside) {
        return Ok(Part::Text(text));
    }
    let word = inside.split_whitespace().next().unwrap_or(inside);
    if matches!(word, "range" | "end") {
        return Err(TemplateError::Unsupported(word.to_owned()));
    }
    let path = to_rfc_9535(inside);
    // The crate has no parse without a query; an empty document answers every well-formed path.
    Value::Null.query(&path).map_err(|_| TemplateError::NotAPath(inside.to_owned()))?;
    Ok(Part::Path(path))
}

fn quoted(text: &str) -> Option<String> {
    let inner = ['"', '\''].iter().find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))?;
    let mut unescaped = String::new();
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some('n') => unescaped.push('\n'),
                Some('t') => unescaped.push('\t'),
                Some('r') => unescaped.push('\r'),
                Some(other) => unescaped.push(other),
                None => unescaped.push('\\'),
            },
            (other, false) => unescaped.push(other),
        }
    }
    Some(unescaped)
}

/// kubectl's paths may omit the `$`, escape dots in keys by a backslash and write keys with dashes.
fn to_rfc_9535(path: &str) -> String {
    let rooted = if path.starts_with('$') {
        path.to_owned()
    } else if let Some(rest) = path.strip_prefix('@') {
        format!("${rest}")
    } else if path.starts_with(['.', '[']) {
        format!("${path}")
    } else {
        format!("$.{path}")
    };
    let mut mapped = String::new();
    let mut characters = rooted.chars().peekable();
    let mut in_brackets = 0_usize;
    while let Some(character) = characters.next() {
        match character {
            '[' => in_brackets += 1,
            ']' => in_brackets = in_brackets.saturating_sub(1),
            '.' if in_brackets == 0 && characters.peek().is_some_and(|next| is_key_character(*next)) => {
                let mut key = String::new();
                while let Some(next) = characters.peek().copied() {
                    match next {
                        '\\' => {
                            characters.next();
                            key.extend(characters.next());
                        }
                        _ if is_key_character(next) => key.extend(characters.next()),
                        _ => break,
                    }
                }
                // After `..` a bracket means "anywhere below", after a plain step it takes the dot's place.
                if mapped.ends_with('.') {
                    mapped.push('.');
                }
                mapped.push_str(&format!("['{}']", key.replace('\'', "\\'")));
                continue;
            }
            _ => {}
        }
        mapped.push(character);
    }
    mapped
}

fn is_key_character(character: char) -> bool {
    !matches!(character, '.' | '[' | ']' | '*' | ' ')
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn templates_of_kubectl_select_the_same_text() {
        let document = json!({
            "namesrvAddr": "a:9876;b:9876",
            "labels": {"app.kubernetes.io/name": "demo"},
            "brokers": [{"name": "b-0", "disk-ratio": 0.5}, {"name": "b-1", "disk-ratio": 0.25}],
        });
        let check = |template: &str, expected: &str| {
            let parsed = Template::parse(template).unwrap();
            assert_eq!(parsed.render(&document), expected, "{template}");
        };
        check("{.namesrvAddr}", "a:9876;b:9876");
        check("{$.namesrvAddr}", "a:9876;b:9876");
        check("{@.namesrvAddr}", "a:9876;b:9876");
        check("{namesrvAddr}", "a:9876;b:9876");
        check(".namesrvAddr", "a:9876;b:9876");
        check("export ADDR={.namesrvAddr}{\"\\n\"}", "export ADDR=a:9876;b:9876\n");
        check("{.brokers[*].name}", "b-0 b-1");
        check("{.brokers[0].disk-ratio}", "0.5");
        check("{.brokers[-1].name}", "b-1");
        check("{..name}", "b-0 b-1");
        check("{.brokers[?(@.name==\"b-1\")].disk-ratio}", "0.25");
        check("{.labels.app\\.kubernetes\\.io/name}", "demo");
        check("{.brokers[0]}", "{\"name\":\"b-0\",\"disk-ratio\":0.5}");
        check("{.absent.too}", "");
        check("no path", "no path");
    }

    #[test]
    fn wrong_templates_are_refused_with_the_part_that_is_wrong() {
        let check = |template: &str, expected: &str| {
            assert_eq!(Template::parse(template).unwrap_err().to_string(), expected, "{template}");
        };
        check("{.a", "`{.a` has an opening brace without a closing one");
        check("{}", "`{}` names nothing; write for example `{.nameServers}`");
        check(
            "{range .brokers[*]}{.name}{end}",
            "`range` is not supported here; `[*]` selects every element",
        );
        check("{.a[}", "`.a[` is not a path");
    }
}
