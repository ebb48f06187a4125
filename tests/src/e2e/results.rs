//! `docs/exhaustive.md`: when each of the tests that take hours passed last, and what it saw. They are too many for one
//! sitting, so each writes its own section, with the commit that it ran on.

use std::time::Instant;

use jiff::Timestamp;

use crate::e2e::scene::{Failed, Lane, Scene, scene};
use crate::error::Result;
use crate::sections;

/// The page.
pub(crate) const PAGE: &str = "docs/exhaustive.md";

const ABOUT: &str = "# What takes too long for every run

Written by `cargo lab test --exhaustive`, whose tests run on a real Kubernetes and real RocketMQ. Each writes its section when \
it passes, so sections may be of different commits. Where the plugin is killed, that is with SIGKILL, as soon as the journal of \
its operation has so many events, and the operation is ended from elsewhere. Name servers: after every event. Broker groups: \
once a step, at its first event. The kill may come an event late; the second column says where it came. One event is left out: \
after the last step's `started` only its `done` is missing, and the operation is over before a kill arrives. On fakes every \
event of every operation is tested, in every run.
";

/// The columns: which scale, how far its journal was, how it was ended, what was found then.
const HEAD: &str = "| scale | the journal's last event | ended by | found |\n|---|---|---|---|\n";

/// What a test saw: nothing but that it passed, or a row for each kill.
#[derive(Debug, Default)]
pub struct Table {
    rows: String,
}

impl Table {
    /// Adds what was seen once.
    pub fn row(&mut self, cells: &[&str; 4]) {
        self.rows.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
}

impl From<()> for Table {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// Runs a test as [`scene`] does, and writes its section when it passes. `about` says what it does.
///
/// # Errors
/// What was wrong, and when the page cannot be written.
pub fn exhaustive<T: Into<Table>>(
    row: &str,
    about: &str,
    lane: Lane,
    act: impl FnOnce(&Scene) -> Result<T>,
) -> std::result::Result<(), Failed> {
    scene(row, lane, |scene| {
        let (commit, start) = (sections::commit(PAGE)?, Instant::now());
        let table = act(scene)?.into();
        let passed = sections::passed(&commit, Timestamp::now(), start.elapsed());
        sections::write(PAGE, ABOUT, row, &section(about, &passed, &table))
    })
}

fn section(about: &str, passed: &str, table: &Table) -> String {
    let passed = format!("{about}. {passed}");
    if table.rows.is_empty() { passed } else { format!("{passed}\n{HEAD}{}", table.rows) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::default();
        table.row(&["1 -> 2", "3: step 2 started", "resume", "2"]);
        table
    }

    #[test]
    fn a_section_tells_when_and_of_which_commit_and_has_its_table() {
        let told = |table: &Table| section("Out", "Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n", table);
        assert_eq!(told(&Table::default()), "Out. Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n");
        assert_eq!(
            told(&table()),
            "Out. Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n\n\
             | scale | the journal's last event | ended by | found |\n|---|---|---|---|\n\
             | 1 -> 2 | 3: step 2 started | resume | 2 |\n"
        );
    }
}
