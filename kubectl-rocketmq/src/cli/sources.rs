//! Files that `-f` names.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use ops::command::Source;

use crate::failure::{ExitStatus, Failure};

/// What `-f` takes for standard input.
const STANDARD_INPUT: &str = "-";

/// `-f`.
#[derive(Debug, Clone, Args)]
pub struct FileArgs {
    /// YAML file, - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

impl FileArgs {
    /// Reads the files.
    ///
    /// # Errors
    /// `Usage` when one cannot be read.
    pub async fn read(&self) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::with_capacity(self.files.len());
        for file in self.files.clone() {
            let read = tokio::task::spawn_blocking(move || read(&file));
            sources.push(read.await.map_err(|error| unreadable("the files", &error.to_string()))??);
        }
        Ok(sources)
    }
}

fn read(file: &PathBuf) -> Result<Source, Failure> {
    let path = file.display().to_string();
    let (name, text) = if path == STANDARD_INPUT {
        let mut text = String::new();
        ("standard input".to_owned(), std::io::stdin().read_to_string(&mut text).map(|_| text))
    } else {
        (path, std::fs::read_to_string(file))
    };
    match text {
        Ok(text) => Ok(Source { name, text }),
        Err(error) => Err(unreadable(&format!("`{name}`"), &error.to_string())),
    }
}

fn unreadable(what: &str, cause: &str) -> Failure {
    Failure::new(ExitStatus::Usage, format!("cannot read {what}")).cause(cause).state("nothing was changed")
}
