//! Objects as they are named on the command line: `nameservice NAME`, `nameservice/NAME`, `broker/NAME`.

use clap::Args;
use ops::command::NamedKind;

use crate::failure::{ExitStatus, Failure};

/// A kind and a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectReference {
    /// Its kind.
    pub kind: NamedKind,
    /// Its name.
    pub name: String,
}

/// The words that name an object.
#[derive(Debug, Clone, Args)]
pub struct ObjectArgs {
    /// What: `nameservice` (short `ns`) or `broker`; `KIND/NAME` in one word is the same
    #[arg(value_name = "KIND[/NAME]")]
    pub kind: Option<String>,
    /// Its name
    #[arg(value_name = "NAME", requires = "kind")]
    pub name: Option<String>,
}

impl ObjectArgs {
    /// The object, or `None` when no word was given.
    ///
    /// # Errors
    /// `Usage` when the words name no object.
    pub fn reference(&self) -> Result<Option<ObjectReference>, Failure> {
        let Some(kind) = &self.kind else { return Ok(None) };
        let (kind, name) = match (kind.split_once('/'), &self.name) {
            (Some((kind, name)), None) => (kind, name),
            (None, Some(name)) => (kind.as_str(), name.as_str()),
            (Some(_), Some(extra)) => {
                return Err(usage(format!("`{kind}` has a name already, `{extra}` is one too many")));
            }
            (None, None) => return Err(usage(format!("`{kind}` needs a name, for example `{kind} demo`"))),
        };
        if name.is_empty() || name.contains('/') {
            return Err(usage(format!("`{name}` is no name")));
        }
        Ok(Some(ObjectReference { kind: parse_kind(kind)?, name: name.to_owned() }))
    }
}

/// The spellings that kubectl would take: singular, plural, short, any case.
fn parse_kind(text: &str) -> Result<NamedKind, Failure> {
    match text.to_ascii_lowercase().as_str() {
        "nameservice" | "nameservices" | "ns" => Ok(NamedKind::NameService),
        "broker" | "brokers" => Ok(NamedKind::Broker),
        "topictransfer" | "topictransfers" | "controller" | "controllers" | "console" | "consoles" => {
            Err(usage(format!("kind `{text}` is not supported yet; `nameservice` and `broker` are")))
        }
        _ => Err(usage(format!("`{text}` is no kind; `nameservice` and `broker` are"))),
    }
}

fn usage(message: String) -> Failure {
    Failure::new(ExitStatus::Usage, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: &str, name: Option<&str>) -> Result<Option<ObjectReference>, String> {
        let arguments = ObjectArgs { kind: Some(kind.to_owned()), name: name.map(str::to_owned) };
        arguments.reference().map_err(|failure| failure.message)
    }

    #[test]
    fn objects_are_named_in_one_word_or_two() {
        let check = |kind: &str, name: Option<&str>, expected: NamedKind| {
            assert_eq!(
                parse(kind, name),
                Ok(Some(ObjectReference { kind: expected, name: "demo".to_owned() }))
            );
        };
        check("nameservice", Some("demo"), NamedKind::NameService);
        check("ns", Some("demo"), NamedKind::NameService);
        check("NameService/demo", None, NamedKind::NameService);
        check("broker/demo", None, NamedKind::Broker);
        check("brokers", Some("demo"), NamedKind::Broker);
    }

    #[test]
    fn words_that_name_nothing_are_refused() {
        let check = |kind: &str, name: Option<&str>, expected: &str| {
            assert_eq!(parse(kind, name).unwrap_err(), expected);
        };
        check("nameservice", None, "`nameservice` needs a name, for example `nameservice demo`");
        check("ns/demo", Some("other"), "`ns/demo` has a name already, `other` is one too many");
        check("ns/", None, "`` is no name");
        check("pod", Some("demo"), "`pod` is no kind; `nameservice` and `broker` are");
        check("console/x", None, "kind `console` is not supported yet; `nameservice` and `broker` are");
    }
}
