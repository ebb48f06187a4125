//! Times of a run's parts: the lab's own steps, and the rows of the e2e suite, which another process runs and tells in a
//! file. The table of them says where a run's time goes.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{Context, Result};

/// The variable that names the file in which the e2e suite tells its rows.
pub(crate) const ROWS: &str = "ROCKETMQ_E2E_ROWS";

/// A step of the lab or a row of the e2e suite that has ended, well or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// When it began to act.
    pub began: Timestamp,
    /// How long it had waited until then.
    pub waited: Duration,
    /// How long it acted.
    pub took: Duration,
    /// CPU time of its programs and pods; unknown where nobody counts it.
    pub cpu: Option<Duration>,
}

/// One line of the file of rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Line {
    Began(String),
    Ended(Part),
}

static ENDED: Mutex<Vec<Part>> = Mutex::new(Vec::new());
static UNDER_WAY: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
/// Lines of rows that end at one moment must not mix.
static ROWS_ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    static CPU: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

/// Counts CPU time of a program that this thread has run.
pub(crate) fn used(cpu: Duration) {
    CPU.set(CPU.get() + cpu);
}

/// CPU time of the programs that this thread has run so far.
pub(crate) fn used_so_far() -> Duration {
    CPU.get()
}

/// Runs a step and remembers how long it took. Its programs run on this thread.
///
/// # Errors
/// What `act` says.
pub fn step<T>(name: &str, act: impl FnOnce() -> Result<T>) -> Result<T> {
    lock(&UNDER_WAY).insert(name.to_owned(), Instant::now());
    let (began, start, cpu) = (Timestamp::now(), Instant::now(), used_so_far());
    let result = act();
    let took = start.elapsed();
    lock(&UNDER_WAY).remove(name);
    lock(&ENDED).push(Part {
        name: name.to_owned(),
        began,
        waited: Duration::ZERO,
        took,
        cpu: Some(used_so_far().saturating_sub(cpu)),
    });
    result
}

/// Tells the lab, if it asked for it, that a row begins.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn row_begins(name: &str) -> Result<()> {
    tell(&Line::Began(name.to_owned()))
}

/// Tells the lab, if it asked for it, that a row has ended.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn row_ended(part: Part) -> Result<()> {
    tell(&Line::Ended(part))
}

fn tell(line: &Line) -> Result<()> {
    let Some(path) = std::env::var_os(ROWS) else { return Ok(()) };
    let text = serde_json::to_string(line).context(|| "a row's times are no JSON")?;
    let _alone = lock(&ROWS_ALONE);
    File::options()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| writeln!(file, "{text}"))
        .context(|| format!("cannot write {}", Path::new(&path).display()))
}

/// The rows that the suite has told in the file: those that have ended, and those under way.
fn rows(file: &Path) -> (Vec<Part>, Vec<String>) {
    let (mut ended, mut under_way) = (Vec::new(), Vec::new());
    let text = std::fs::read_to_string(file).unwrap_or_default();
    for line in text.lines().filter_map(|line| serde_json::from_str(line).ok()) {
        match line {
            Line::Began(name) => under_way.push(name),
            Line::Ended(part) => {
                under_way.retain(|name| *name != part.name);
                ended.push(part);
            }
        }
    }
    (ended, under_way)
}

/// The names of steps and rows that have begun and not ended.
pub(crate) fn under_way(file: &Path) -> Vec<String> {
    lock(&UNDER_WAY).keys().cloned().chain(rows(file).1).collect()
}

/// Every step and row that has ended, as a Markdown table in the order in which they began, and their sums.
pub(crate) fn table(since: Timestamp, file: &Path) -> String {
    let mut parts = lock(&ENDED).clone();
    let (rows, _) = rows(file);
    let sum = |text: &str, parts: &[Part]| {
        let took: Duration = parts.iter().map(|part| part.took).sum();
        let cpu: Duration = parts.iter().filter_map(|part| part.cpu).sum();
        format!("| {text} | | | {} | {} |\n", took.as_secs(), cpu.as_secs())
    };
    let sums = sum("sum of the steps", &parts) + &sum("sum of the rows", &rows);
    parts.extend(rows);
    parts.sort_by_key(|part| part.began);
    let lines: String = parts
        .iter()
        // What was there already took no time.
        .filter(|part| part.took >= Duration::from_secs(1))
        .map(|part| {
            let began = part.began.duration_since(since).as_secs();
            let cpu = part.cpu.map_or_else(String::new, |cpu| cpu.as_secs().to_string());
            let (waited, took) = (part.waited.as_secs(), part.took.as_secs());
            format!("| {} | {began} | {waited} | {took} | {cpu} |\n", part.name)
        })
        .collect();
    format!("| step or row | began, s | waited, s | took, s | CPU, s |\n|---|---|---|---|---|\n{lines}{sums}")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, began: i64, took: u64) -> Part {
        Part {
            name: name.to_owned(),
            began: Timestamp::from_second(began).unwrap(),
            waited: Duration::from_secs(3),
            took: Duration::from_secs(took),
            cpu: Some(Duration::from_secs(5)),
        }
    }

    #[test]
    fn rows_are_told_from_process_to_process() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rows");
        let lines =
            [Line::Began("five".into()), Line::Began("four".into()), Line::Ended(part("five", 20, 9))];
        let text: String = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n").collect();
        // A line that was cut off with the suite.
        std::fs::write(&file, text + "{\"Ended\":{\"na").unwrap();
        assert_eq!(rows(&file), (vec![part("five", 20, 9)], vec!["four".to_owned()]));
        let table = table(Timestamp::from_second(10).unwrap(), &file);
        assert!(table.contains("| five | 10 | 3 | 9 | 5 |\n"), "{table}");
        assert!(table.contains("| sum of the rows | | | 9 | 5 |\n"), "{table}");
    }

    #[test]
    fn a_step_counts_the_cpu_time_of_this_threads_programs() {
        step("a counted step", || {
            used(Duration::from_secs(4));
            assert!(under_way(Path::new("")).contains(&"a counted step".to_owned()));
            Ok(())
        })
        .unwrap();
        let ended = lock(&ENDED).iter().find(|part| part.name == "a counted step").cloned().unwrap();
        assert_eq!(ended.cpu, Some(Duration::from_secs(4)));
        assert!(!under_way(Path::new("")).contains(&"a counted step".to_owned()));
    }
}
