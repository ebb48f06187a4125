//! `docs/exhaustive.md`: when each of the tests that take hours passed last, and what it saw. They are too many for one
//! sitting, so each writes its own section, with the commit that it ran on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::command::Run;
use crate::e2e::scene::{Failed, Lane, Scene, scene};
use crate::error::{Context, Result};
use crate::home;

const PAGE: &str = "docs/exhaustive.md";

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

/// Where a section begins.
const SECTION: &str = "\n## ";

/// Tests end side by side, and each changes the page.
static ALONE: Mutex<()> = Mutex::new(());

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
        let (commit, start) = (commit()?, Instant::now());
        let table = act(scene)?.into();
        write(row, &section(about, &commit, Timestamp::now(), start.elapsed(), &table))
    })
}

/// The commit that is run, and whether anything but the page was changed since.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| Run::new("git").args(arguments).in_folder(home::repository()).output();
    let page = format!(":(exclude){PAGE}");
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", &page])?;
    let more = if changed.trim().is_empty() { "" } else { " with changes" };
    Ok(format!("{}{more}", commit.trim()))
}

fn section(about: &str, commit: &str, at: Timestamp, took: Duration, table: &Table) -> String {
    let day = at.strftime("%Y-%m-%d");
    let passed = format!("{about}. Passed on {day} at commit {commit}, in {} s.\n", took.as_secs());
    if table.rows.is_empty() { passed } else { format!("{passed}\n{HEAD}{}", table.rows) }
}

fn write(row: &str, section: &str) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = home::repository().join(PAGE);
    let page = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    home::write_file(&path, with_section(&page, row, section))
}

/// The page with this section in the place of its former one, or in its place by name.
fn with_section(page: &str, row: &str, section: &str) -> String {
    let title = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let new = format!("{row}\n\n{section}");
    let mut sections: Vec<&str> =
        page.split(SECTION).skip(1).filter(|section| title(section) != row).collect();
    sections.push(&new);
    sections.sort_by_key(|section| title(section));
    let sections: Vec<String> =
        sections.iter().map(|section| format!("{SECTION}{}\n", section.trim_end())).collect();
    format!("{ABOUT}{}", sections.concat())
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
        let at = "2026-11-29T04:00:00Z".parse().unwrap();
        let told = |table: &Table| section("Out", "5cb842a", at, Duration::from_millis(2700), table);
        assert_eq!(told(&Table::default()), "Out. Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n");
        assert_eq!(
            told(&table()),
            "Out. Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n\n\
             | scale | the journal's last event | ended by | found |\n|---|---|---|---|\n\
             | 1 -> 2 | 3: step 2 started | resume | 2 |\n"
        );
    }

    #[test]
    fn a_section_takes_the_place_of_its_former_one_and_leaves_the_others() {
        let first = with_section("", "in", "Before.\n\n| a |\n");
        let second = with_section(&first, "drain", "Drained.\n");
        assert_eq!(second, format!("{ABOUT}\n## drain\n\nDrained.\n\n## in\n\nBefore.\n\n| a |\n"));
        let third = with_section(&second, "in", "After.\n");
        assert_eq!(third, format!("{ABOUT}\n## drain\n\nDrained.\n\n## in\n\nAfter.\n"));
    }
}
