//! A running operation, told line by line. Pure: whoever drives it brings the time.

use std::collections::BTreeMap;
use std::time::Duration;

use ops::progress::{Progress, StepState};
use rocketmq::text::printable;

use crate::output::style::Style;
use crate::output::text::{bytes, duration, short_duration};

/// Without a terminal, silence never lasts longer than this.
const HEARTBEAT_EACH: Duration = Duration::from_secs(30);

/// Without a terminal, a step that is over sooner is told once, when it is over.
const TOLD_AFTER: Duration = Duration::from_secs(1);

/// Remembers where an operation stands, so that every line can say it.
#[derive(Debug, Default)]
pub struct Narrator {
    /// True where the running step is shown in place, so that it needs no line of its own.
    redraws: bool,
    /// True where what is waited for is told one by one.
    watches: bool,
    step: Option<RunningStep>,
    last_line: Duration,
}

#[derive(Debug)]
struct RunningStep {
    position: String,
    sentence: String,
    verb: &'static str,
    since: Duration,
    waiting: Option<String>,
    rows: Vec<String>,
    transfer: Transfer,
    told: bool,
}

/// What the running step moves, all of it that runs side by side together.
#[derive(Debug, Default)]
struct Transfer {
    /// Bytes that are there, and how many there are.
    parts: BTreeMap<String, (u64, u64)>,
    /// When it was first heard of, and what was there by then: a transfer that goes on begins in its middle.
    began: Option<(Duration, u64)>,
}

impl Transfer {
    fn heard(&mut self, what: &str, moved: u64, of: u64, now: Duration) {
        let known = self.parts.insert(what.to_owned(), (moved, of));
        let (when, before) = self.began.unwrap_or((now, 0));
        self.began = Some((when, if known.is_none() { before + moved } else { before }));
    }

    /// `62%  1.2 MiB of 1.9 MiB, 0.4 MiB/s, about 2s left`; nothing where nothing is left to move.
    fn words(&self, now: Duration) -> Option<String> {
        let (moved, of) = self.parts.values().fold((0_u64, 0_u64), |(moved, of), part| {
            (moved.saturating_add(part.0), of.saturating_add(part.1))
        });
        let (when, before) = self.began?;
        if moved >= of {
            return None;
        }
        let percent = u128::from(moved) * 100 / u128::from(of);
        let mut words = format!("{percent}%  {} of {}", bytes(moved), bytes(of));
        let (seconds, since) = (now.saturating_sub(when).as_secs_f64(), moved.saturating_sub(before));
        if seconds >= TOLD_AFTER.as_secs_f64() && since > 0 {
            let rate = since as f64 / seconds;
            let left = Duration::try_from_secs_f64(((of - moved) as f64 / rate).ceil());
            let left = left.unwrap_or(Duration::MAX);
            words.push_str(&format!(", {}/s, about {} left", bytes(rate as u64), duration(left)));
        }
        Some(words)
    }
}

impl Narrator {
    /// A narrator; `redraws` where a line can be redrawn in place, `watches` where what is waited for is told one by one.
    #[must_use]
    pub fn new(redraws: bool, watches: bool) -> Self {
        Self { redraws, watches, ..Self::default() }
    }

    /// The line for something that happened, if it deserves one.
    pub fn line(&mut self, progress: &Progress, now: Duration, style: Style) -> Option<String> {
        let line = match progress {
            Progress::Started { operation, cluster, steps } => Some(format!(
                "operation {} on cluster {}, {steps} steps",
                style.title(printable(operation)),
                printable(cluster)
            )),
            Progress::Waiting { what, rows } => {
                if let Some(step) = &mut self.step {
                    step.waiting = Some(printable(what).into_owned());
                    step.rows = rows.iter().map(|row| printable(row).into_owned()).collect();
                }
                None
            }
            Progress::Moved { what, bytes, of } => {
                if let Some(step) = &mut self.step {
                    step.transfer.heard(what, *bytes, *of, now);
                }
                None
            }
            Progress::Step { number, total, sentence, state } => {
                let digits = total.to_string().len();
                self.step_line(&format!("{number:>digits$}/{total}"), &printable(sentence), state, now, style)
            }
        };
        if line.is_some() {
            self.last_line = now;
        }
        line
    }

    fn step_line(
        &mut self,
        position: &str,
        sentence: &str,
        state: &StepState,
        now: Duration,
        style: Style,
    ) -> Option<String> {
        let took = self.step.as_ref().map_or(Duration::ZERO, |step| now.saturating_sub(step.since));
        let took = style.faint(format!("({})", short_duration(took)));
        let line = |word: String, rest: &str| format!("{position}  {word}  {sentence}{rest}");
        let verb = match state {
            StepState::Running => "running",
            StepState::Undoing => "undoing",
            ended => {
                self.step = None;
                return Some(match ended {
                    StepState::AlreadyDone => line(style.faint("as is  "), ""),
                    StepState::Done => line(style.good("done   "), &format!("  {took}")),
                    StepState::Undone => line(style.good("undone "), &format!("  {took}")),
                    StepState::Failed(reason) => {
                        line(style.bad("failed "), &format!(": {}", printable(reason)))
                    }
                    StepState::Paused(reason) => {
                        line(style.warning("paused "), &format!(": {}", printable(reason)))
                    }
                    StepState::UndoFailed(reason) => {
                        line(style.bad("stuck  "), &format!(": {}", printable(reason)))
                    }
                    StepState::Running | StepState::Undoing => return None,
                });
            }
        };
        self.step = Some(RunningStep {
            position: position.to_owned(),
            sentence: sentence.to_owned(),
            verb,
            since: now,
            waiting: None,
            rows: Vec::new(),
            transfer: Transfer::default(),
            told: false,
        });
        None
    }

    /// The line that is redrawn in place: what runs and what it waits for; below it that one by one.
    #[must_use]
    pub fn live(&self, now: Duration) -> Option<String> {
        let step = self.step.as_ref()?;
        let now_at = step.transfer.words(now).or_else(|| step.waiting.clone());
        let waiting = now_at.map(|what| format!(": {what}")).unwrap_or_default();
        let so_far = duration(now.saturating_sub(step.since));
        let mut text = format!("{}  {}  {}{waiting} ({so_far})", step.position, step.verb, step.sentence);
        for row in step.rows.iter().filter(|_| self.watches) {
            text.push_str("\n  ");
            text.push_str(row);
        }
        Some(text)
    }

    /// Where nothing is redrawn: the step that has begun, and a sign of life when nothing was said for a while.
    pub fn heartbeat(&mut self, now: Duration) -> Option<String> {
        if self.redraws {
            return None;
        }
        let step = self.step.as_mut()?;
        let line = if !step.told && now.saturating_sub(step.since) >= TOLD_AFTER {
            format!("{}  {}  {}", step.position, step.verb, step.sentence)
        } else if now.saturating_sub(self.last_line) >= HEARTBEAT_EACH {
            self.live(now)?
        } else {
            return None;
        };
        self.step.as_mut()?.told = true;
        self.last_line = now;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(state: StepState) -> Progress {
        Progress::Step { number: 2, total: 7, sentence: "wait for name servers".to_owned(), state }
    }

    fn started() -> Progress {
        Progress::Started { operation: "op-7f3a".to_owned(), cluster: "demo".to_owned(), steps: 7 }
    }

    fn waits(what: &str, rows: &[&str]) -> Progress {
        Progress::Waiting { what: what.to_owned(), rows: rows.iter().map(|row| (*row).to_owned()).collect() }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn without_a_terminal_every_change_is_a_line() {
        let mut narrator = Narrator::new(false, false);
        let waiting = waits("1 of 3 ready\u{1b}[2J", &[]);
        let mut told = vec![narrator.line(&started(), at(0), Style::PLAIN)];
        told.push(narrator.line(&step(StepState::Running), at(1), Style::PLAIN));
        told.push(narrator.line(&waiting, at(2), Style::PLAIN));
        told.push(narrator.heartbeat(at(3)));
        told.push(narrator.heartbeat(at(4)));
        told.push(narrator.line(&step(StepState::Done), at(5), Style::PLAIN));
        insta::assert_snapshot!(told.into_iter().flatten().collect::<Vec<_>>().join("\n"), @r"
        operation op-7f3a on cluster demo, 7 steps
        2/7  running  wait for name servers
        2/7  done     wait for name servers  (4.0s)
        ");
    }

    #[test]
    fn a_step_that_is_over_at_once_is_one_line() {
        let mut narrator = Narrator::new(false, false);
        assert_eq!(narrator.line(&step(StepState::Running), at(1), Style::PLAIN), None);
        assert_eq!(narrator.heartbeat(at(1)), None);
        assert!(narrator.line(&step(StepState::Done), at(1), Style::PLAIN).is_some());
        assert_eq!(narrator.heartbeat(at(90)), None);
    }

    #[test]
    fn a_heartbeat_says_what_is_waited_for_each_30_seconds() {
        let mut narrator = Narrator::new(false, false);
        narrator.line(&step(StepState::Running), at(0), Style::PLAIN);
        assert!(narrator.heartbeat(at(1)).is_some());
        narrator.line(&waits("1 of 3 ready", &[]), at(20), Style::PLAIN);
        assert_eq!(narrator.heartbeat(at(30)), None);
        assert_eq!(
            narrator.heartbeat(at(31)).as_deref(),
            Some("2/7  running  wait for name servers: 1 of 3 ready (31s)")
        );
        assert_eq!(narrator.heartbeat(at(32)), None);
        assert!(narrator.heartbeat(at(61)).is_some());
    }

    #[test]
    fn what_is_waited_for_is_told_one_by_one_to_whoever_watches() {
        for watches in [false, true] {
            let mut narrator = Narrator::new(true, watches);
            narrator.line(&step(StepState::Running), at(0), Style::PLAIN);
            narrator.line(&waits("9 left", &["GROUP  UNREAD", "a\n      9"]), at(1), Style::PLAIN);
            let rows = if watches { "\n  GROUP  UNREAD\n  a\\n      9" } else { "" };
            let line = "2/7  running  wait for name servers: 9 left (2s)";
            assert_eq!(narrator.live(at(2)), Some(format!("{line}{rows}")));
        }
    }

    #[test]
    fn a_transfer_tells_how_far_how_fast_and_how_long_still() {
        let mut narrator = Narrator::new(true, false);
        let moved = |what: &str, bytes: u64, of: u64| Progress::Moved { what: what.to_owned(), bytes, of };
        let mut tell = |progress: &Progress, now: u64| {
            assert_eq!(narrator.line(progress, at(now), Style::PLAIN), None);
            narrator.live(at(now)).unwrap_or_default()
        };
        let mut told = vec![tell(&step(StepState::Running), 0)];
        told.push(tell(&moved("a", 1 << 20, 4 << 20), 10));
        // Another begins in its middle: what was there before is no speed.
        told.push(tell(&moved("b", 2 << 20, 4 << 20), 12));
        told.push(tell(&moved("a", 3 << 20, 4 << 20), 14));
        told.push(tell(&moved("a", 4 << 20, 4 << 20), 15));
        told.push(tell(&moved("b", 4 << 20, 4 << 20), 16));
        told.push(tell(&waits("the gate", &[]), 17));
        insta::assert_snapshot!(told.join("\n"), @r"
        2/7  running  wait for name servers (0s)
        2/7  running  wait for name servers: 25%  1.0 MiB of 4.0 MiB (10s)
        2/7  running  wait for name servers: 37%  3.0 MiB of 8.0 MiB (12s)
        2/7  running  wait for name servers: 62%  5.0 MiB of 8.0 MiB, 512.0 KiB/s, about 6s left (14s)
        2/7  running  wait for name servers: 75%  6.0 MiB of 8.0 MiB, 614.4 KiB/s, about 4s left (15s)
        2/7  running  wait for name servers (16s)
        2/7  running  wait for name servers: the gate (17s)
        ");
    }

    #[test]
    fn a_transfer_of_nothing_and_one_outside_a_step_say_nothing() {
        let mut narrator = Narrator::new(true, false);
        let nothing = Progress::Moved { what: "a".to_owned(), bytes: 0, of: 0 };
        assert_eq!((narrator.line(&nothing, at(0), Style::PLAIN), narrator.live(at(0))), (None, None));
        narrator.line(&step(StepState::Running), at(0), Style::PLAIN);
        narrator.line(&nothing, at(1), Style::PLAIN);
        assert_eq!(narrator.live(at(9)).as_deref(), Some("2/7  running  wait for name servers (9s)"));
    }

    #[test]
    fn on_a_terminal_the_running_step_is_redrawn_instead() {
        let mut narrator = Narrator::new(true, false);
        assert_eq!(narrator.line(&step(StepState::Running), at(0), Style::PLAIN), None);
        assert_eq!(narrator.live(at(3)).as_deref(), Some("2/7  running  wait for name servers (3s)"));
        assert_eq!(narrator.heartbeat(at(90)), None);
        narrator.line(&step(StepState::Done), at(91), Style::PLAIN);
        assert_eq!(narrator.live(at(92)), None);
    }

    #[test]
    fn failures_and_the_way_back_are_told() {
        let mut narrator = Narrator::new(true, false);
        let told: Vec<String> = [
            StepState::Failed("no\nanswer".to_owned()),
            StepState::Paused("not drained".to_owned()),
            StepState::Undoing,
            StepState::Undone,
            StepState::UndoFailed("conflict".to_owned()),
            StepState::AlreadyDone,
        ]
        .into_iter()
        .filter_map(|state| narrator.line(&step(state), at(1), Style::PLAIN))
        .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        2/7  failed   wait for name servers: no\nanswer
        2/7  paused   wait for name servers: not drained
        2/7  undone   wait for name servers  (0.0s)
        2/7  stuck    wait for name servers: conflict
        2/7  as is    wait for name servers
        ");
    }
}
