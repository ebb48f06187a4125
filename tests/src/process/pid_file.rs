//! A pid file that cannot be mistaken: beside the process id it holds the process's start time and the machine's boot,
//! so that a recycled id is never taken for the lab's.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::table;
use crate::error::{Context, Result};
use crate::home;

/// Which process a component is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PidFile {
    /// The component.
    pub name: String,
    /// Its process id.
    pub pid: u32,
    start_ticks: u64,
    boot_id: String,
}

impl PidFile {
    /// Describes the living process `pid`.
    pub fn of_process(name: &str, pid: u32) -> Option<Self> {
        let start_ticks = table::stat(pid)?.start_ticks;
        Some(Self { name: name.to_owned(), pid, start_ticks, boot_id: table::boot_id() })
    }

    /// Whether this very process, not a later one with its id, is alive.
    pub fn is_alive(&self) -> bool {
        self.boot_id == table::boot_id()
            && table::stat(self.pid).is_some_and(|now| !now.is_zombie && now.start_ticks == self.start_ticks)
    }

    /// Writes it into `folder`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string(self).context(|| "cannot write a pid file")?;
        home::write_file(&folder.join(format!("{}.json", self.name)), text)
    }

    /// All pid files of `folder`; a file that is none is left out.
    pub fn read_all(folder: &Path) -> Vec<Self> {
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let mut all: Vec<Self> = entries
            .flatten()
            .filter_map(|entry| std::fs::read(entry.path()).ok())
            .filter_map(|text| serde_json::from_slice(&text).ok())
            .collect();
        all.sort_by(|a, b| a.name.cmp(&b.name));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_alive_and_a_recycled_id_is_not() {
        let process = PidFile::of_process("test", std::process::id()).unwrap();
        assert!(process.is_alive());
        assert!(!PidFile { start_ticks: process.start_ticks + 1, ..process.clone() }.is_alive());
        assert!(!PidFile { boot_id: "another boot".to_owned(), ..process }.is_alive());
    }

    #[test]
    fn a_process_that_ended_is_not_alive() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = PidFile::of_process("test", child.id()).unwrap();
        assert!(process.is_alive());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!process.is_alive());
    }

    #[test]
    fn files_are_read_back_and_rubbish_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let process = PidFile::of_process("etcd", std::process::id()).unwrap();
        process.write(folder.path()).unwrap();
        std::fs::write(folder.path().join("kubelet.json"), "12345").unwrap();
        assert_eq!(PidFile::read_all(folder.path()), [process]);
        assert!(PidFile::read_all(&folder.path().join("none")).is_empty());
    }
}
