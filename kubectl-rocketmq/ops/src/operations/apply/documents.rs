//! From texts to documents that are checked together.

use k8s::kinds::{Parsed, parse};

use crate::command::Source;
use crate::error::OpsError;

/// What texts ask for together.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Their documents.
    pub parsed: Parsed,
    /// The namespace that they name, if they do.
    pub namespace: Option<String>,
}

/// Reads texts. `asked` is the namespace that the user named beside them.
///
/// # Errors
/// `Usage` with the first thing that is wrong, and the file it is in.
pub fn read(sources: &[Source], asked: Option<&str>) -> Result<Input, OpsError> {
    let mut all = Parsed { documents: Vec::new(), warnings: Vec::new() };
    for source in sources {
        let parsed = parse(&source.text).map_err(|error| wrong(&source.name, error))?;
        all.documents.extend(parsed.documents);
        all.warnings.extend(parsed.warnings);
    }
    if sources.len() > 1 {
        // What is right in each file may clash with another file.
        let texts: Vec<&str> = all.documents.iter().map(|document| document.yaml()).collect();
        if !texts.is_empty() {
            let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            parse(&texts.join("\n---\n")).map_err(|error| wrong(&names.join(", "), error))?;
        }
    }
    let namespace = all.namespace(asked).map_err(|error| {
        let names: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        wrong(&names.join(", "), error)
    })?;
    let namespace = namespace.map(str::to_owned);
    Ok(Input { parsed: all, namespace })
}

fn wrong(place: &str, error: k8s::kinds::InputError) -> OpsError {
    let usage = OpsError::usage(format!("{place}: {}", error.message));
    match error.hint {
        Some(hint) => usage.hint(hint),
        None => usage,
    }
}
