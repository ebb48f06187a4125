//! Tables of what was seen, for `docs/`.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{Context, Result};
use crate::home;

/// The columns: which scale, how far its journal was, how it was ended, what was found then.
const HEAD: &str = "| scale | the journal's last event | ended by | found |\n|---|---|---|---|\n";

/// One table.
#[derive(Debug)]
pub struct Table {
    title: String,
    rows: String,
}

impl Table {
    /// A table without rows.
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), rows: String::new() }
    }

    /// Adds what was seen once.
    pub fn row(&mut self, cells: &[&str; 4]) {
        self.rows.push_str(&format!("| {} |\n", cells.join(" | ")));
    }

    /// Leaves it where [`gathered`] finds it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self) -> Result<()> {
        home::make_folder(&folder())?;
        let name: String = self.title.chars().filter(char::is_ascii_alphanumeric).collect();
        home::write_file(&folder().join(format!("{name}.md")), self.text())
    }

    fn text(&self) -> String {
        format!("## {}\n\n{HEAD}{}", self.title, self.rows)
    }
}

/// Forgets the tables of an earlier run.
///
/// # Errors
/// When they cannot be removed.
pub fn forget() -> Result<()> {
    match std::fs::remove_dir_all(folder()) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot remove {}", folder().display()))
        }
        _ => Ok(()),
    }
}

/// The tables that the last run left, one after the other.
///
/// # Errors
/// When they cannot be read.
pub fn gathered() -> Result<String> {
    let unreadable = || format!("cannot read the tables in {}", folder().display());
    let entries = std::fs::read_dir(folder()).context(unreadable)?;
    let mut files = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .context(unreadable)?;
    files.sort();
    let texts = files.iter().map(std::fs::read_to_string).collect::<std::io::Result<Vec<_>>>();
    Ok(texts.context(unreadable)?.join("\n"))
}

fn folder() -> PathBuf {
    home::repository().join("target/e2e/tables")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_markdown() {
        let mut table = Table::new("Out");
        table.row(&["1 -> 2", "3: step 2 started", "resume", "2"]);
        assert_eq!(
            table.text(),
            "## Out\n\n| scale | the journal's last event | ended by | found |\n|---|---|---|---|\n\
             | 1 -> 2 | 3: step 2 started | resume | 2 |\n"
        );
    }
}
