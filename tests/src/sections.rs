//! Pages of `docs` that runs write: a section each, in the order of their titles, with the commit that it is of.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::command::Run;
use crate::error::{Context, Result};
use crate::home;

/// Where a section begins.
const SECTION: &str = "\n## ";

/// What stands before the commit that a section is of.
const AT_COMMIT: &str = " at commit ";

/// What stands behind it where the tree was not that of the commit.
const WITH_CHANGES: &str = " with changes";

/// What users install.
const PRODUCT: [&str; 6] = ["rocketmq", "proto", "agent", "kubectl-rocketmq", "Cargo.toml", "Cargo.lock"];

/// Sections are written side by side, and each changes its page.
static ALONE: Mutex<()> = Mutex::new(());

/// The commit that is run, and whether anything but the page was changed since.
///
/// # Errors
/// When git does not tell.
pub(crate) fn commit(page: &str) -> Result<String> {
    let git = |arguments: &[&str]| Run::new("git").args(arguments).in_folder(home::repository()).output();
    let page = format!(":(exclude){page}");
    let commit = git(&["rev-parse", "--short=10", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no", "--", ".", &page])?;
    let more = if changed.trim().is_empty() { "" } else { WITH_CHANGES };
    Ok(format!("{}{more}", commit.trim()))
}

/// Sections of a page that are not of today's product: each title, and how many commits have changed the product since.
///
/// # Errors
/// When the page cannot be read.
pub(crate) fn outdated(page: &str) -> Result<Vec<String>> {
    let path = home::repository().join(page);
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    Ok(commits(&text).filter_map(|(title, commit)| Some(format!("{title} ({})", behind(commit)?))).collect())
}

/// How a commit differs from today's in what users install; `None` if it does not.
fn behind(commit: &str) -> Option<String> {
    if commit.ends_with(WITH_CHANGES) {
        return Some(commit.to_owned());
    }
    let range = format!("{commit}..HEAD");
    let arguments = ["rev-list", "--count", &range, "--"];
    let since = Run::new("git").args(arguments).args(PRODUCT).in_folder(home::repository()).output();
    match since.as_deref().map(str::trim) {
        Ok("0") => None,
        Ok(count) => Some(format!("{count} commits ago")),
        Err(_) => Some(format!("{commit}, which this clone does not have")),
    }
}

/// Each section's title and commit.
fn commits(page: &str) -> impl Iterator<Item = (&str, &str)> {
    page.split(SECTION).skip(1).filter_map(|section| {
        let (title, text) = section.split_once('\n')?;
        let (_, commit) = text.split_once(AT_COMMIT)?;
        Some((title, commit.split(',').next()?))
    })
}

/// What a section says first.
pub(crate) fn passed(commit: &str, at: Timestamp, took: Duration) -> String {
    let day = at.strftime("%Y-%m-%d");
    format!("Passed on {day}{AT_COMMIT}{commit}, in {} s.\n", took.as_secs())
}

/// Puts a section into the place of its former one, or into its place by name. `about` is what stands above all of them.
///
/// # Errors
/// When the page cannot be read or written.
pub(crate) fn write(page: &str, about: &str, title: &str, section: &str) -> Result<()> {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = home::repository().join(page);
    let text = std::fs::read_to_string(&path).context(|| format!("cannot read {}", path.display()))?;
    home::write_file(&path, with_section(&text, about, title, section))
}

fn with_section(page: &str, about: &str, title: &str, section: &str) -> String {
    let title_of = |section: &str| section.lines().next().unwrap_or_default().to_owned();
    let new = format!("{title}\n\n{section}");
    let mut sections: Vec<&str> =
        page.split(SECTION).skip(1).filter(|section| title_of(section) != title).collect();
    sections.push(&new);
    sections.sort_by_key(|section| title_of(section));
    let sections: Vec<String> =
        sections.iter().map(|section| format!("{SECTION}{}\n", section.trim_end())).collect();
    format!("{about}{}", sections.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_begins_with_day_commit_and_time() {
        let at = "2026-11-29T04:00:00Z".parse().unwrap();
        let text = passed("5cb842a", at, Duration::from_millis(2700));
        assert_eq!(text, "Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n");
    }

    #[test]
    fn each_section_tells_its_commit() {
        let page = "About.\n\n## in\n\nIn. Passed on 2026-11-29 at commit 5cb842a, in 2 s.\n\n## out\n\nOut. Passed on \
                    2026-11-29 at commit ccd551d with changes, in 2 s.\n\n| a |\n";
        assert_eq!(commits(page).collect::<Vec<_>>(), [("in", "5cb842a"), ("out", "ccd551d with changes")]);
    }

    #[test]
    fn a_section_takes_the_place_of_its_former_one_and_leaves_the_others() {
        let first = with_section("", "About.\n", "in", "Before.\n\n| a |\n");
        let second = with_section(&first, "About.\n", "drain", "Drained.\n");
        assert_eq!(second, "About.\n\n## drain\n\nDrained.\n\n## in\n\nBefore.\n\n| a |\n");
        let third = with_section(&second, "About.\n", "in", "After.\n");
        assert_eq!(third, "About.\n\n## drain\n\nDrained.\n\n## in\n\nAfter.\n");
    }
}
