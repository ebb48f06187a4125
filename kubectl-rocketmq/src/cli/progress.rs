//! Watches a running operation: tells its progress, keeps the line alive, hands signals on.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use ops::progress::{Interrupt, Observer, Progress};
use tokio::time::Instant;

use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};
use crate::output::printer::Printer;
use crate::output::progress_view::Narrator;

/// How often the line of the running step is brought up to date.
const PULSE_EACH: Duration = Duration::from_secs(1);

/// How long an operation may take to write down that it was left.
const LEAVES_WITHIN: Duration = Duration::from_secs(3);

/// Tells an operation's progress.
#[derive(Debug)]
pub struct Watcher {
    printer: Arc<Printer>,
    started: Instant,
    told: Mutex<Told>,
}

#[derive(Debug)]
struct Told {
    narrator: Narrator,
    operation: Option<String>,
}

impl Watcher {
    /// A watcher that starts now; `all` where what is waited for is told one by one.
    #[must_use]
    pub fn new(printer: Arc<Printer>, all: bool) -> Self {
        let narrator = Narrator::new(printer.redraws(), all);
        Self { printer, started: Instant::now(), told: Mutex::new(Told { narrator, operation: None }) }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, line: &str) {
        if self.printer.redraws() {
            self.printer.note(line);
        } else {
            // A log is read later, so each line carries its time.
            #[expect(clippy::disallowed_methods, reason = "for people who read the log")]
            self.printer.note(&format!("{}  {line}", Timestamp::now().strftime("%H:%M:%SZ")));
        }
    }

    /// Keeps the line of the running step alive, or gives a sign of life where there is no such line.
    pub async fn pulse(&self) -> Infallible {
        loop {
            tokio::time::sleep(PULSE_EACH).await;
            let now = self.started.elapsed();
            let heartbeat = self.told().narrator.heartbeat(now);
            if let Some(line) = heartbeat {
                self.tell(&line);
            }
            self.redraw();
        }
    }

    fn redraw(&self) {
        if self.printer.redraws() {
            let line = self.told().narrator.live(self.started.elapsed());
            self.printer.waiting(line.as_deref());
        }
    }

    /// The first signal lets the running step end, the second leaves it where it is. Ends only in the latter case,
    /// and only if the operation itself does not end in time.
    pub async fn signals(&self, context: &mut Context, interrupt: &Interrupt) -> Failure {
        context.signals.next().await;
        interrupt.after_step("interrupted");
        self.tell("interrupted: the running step is finished first, unless it only waits; once more leaves it where it is");
        context.signals.next().await;
        interrupt.now("interrupted twice");
        tokio::time::sleep(LEAVES_WITHIN).await;
        let operation = self.told().operation.clone();
        let failure = Failure::new(ExitStatus::Halfway, "interrupted twice: left at once");
        match operation {
            Some(operation) => failure
                .state(format!("operation {operation} is in doubt at its last step"))
                .hint(format!("kubectl rocketmq ops show {operation}{}", context.namespace_flag())),
            None => failure.hint(format!("kubectl rocketmq ops list{}", context.namespace_flag())),
        }
    }
}

impl Observer for Watcher {
    fn progress(&self, progress: Progress) {
        let line = {
            let mut told = self.told();
            if let Progress::Started { operation, .. } = &progress {
                told.operation = Some(operation.clone());
            }
            told.narrator.line(&progress, self.started.elapsed(), self.printer.note_style())
        };
        self.redraw();
        if let Some(line) = line {
            self.tell(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::ConnectionArgs;
    use crate::cli::signals::Signals;
    use crate::output::captured::Captured;
    use crate::output::format::Format;

    fn watcher() -> (Arc<Printer>, Captured) {
        let stderr = Captured::default();
        let printer =
            Printer::to_writers(Format::Text, Box::new(Captured::default()), Box::new(stderr.clone()));
        (Arc::new(printer), stderr)
    }

    fn started() -> Progress {
        Progress::Started { operation: "op-7f3a".to_owned(), cluster: "demo".to_owned(), steps: 2 }
    }

    #[tokio::test(start_paused = true)]
    async fn two_interrupts_leave_at_once_and_name_the_operation() {
        let (printer, stderr) = watcher();
        let (sender, signals) = Signals::by_hand();
        let connection = ConnectionArgs { namespace: Some("mq".to_owned()), ..ConnectionArgs::default() };
        let mut context = Context { printer: printer.clone(), signals, connection };
        let watcher = Watcher::new(printer, false);
        watcher.progress(started());
        sender.try_send(()).unwrap();
        sender.try_send(()).unwrap();
        let failure = watcher.signals(&mut context, &Interrupt::new()).await;
        assert_eq!(failure.status, ExitStatus::Halfway);
        assert_eq!(failure.state.as_deref(), Some("operation op-7f3a is in doubt at its last step"));
        assert_eq!(failure.hint.as_deref(), Some("kubectl rocketmq ops show op-7f3a -n mq"));
        assert!(
            stderr.text().contains("interrupted: the running step is finished first"),
            "{}",
            stderr.text()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_terminal_lines_carry_the_time_and_silence_ends_after_30_seconds() {
        let (printer, stderr) = watcher();
        let watcher = Watcher::new(printer, false);
        watcher.progress(started());
        let sentence = "wait for name servers".to_owned();
        watcher.progress(Progress::Step {
            number: 1,
            total: 2,
            sentence,
            state: ops::progress::StepState::Running,
        });
        // Paused time goes on by itself while everybody waits.
        let pulse = tokio::time::timeout(Duration::from_millis(32_500), watcher.pulse()).await;
        assert!(pulse.is_err());
        insta::with_settings!({filters => vec![(r"\d\d:\d\d:\d\dZ", "TIME")]}, {
            insta::assert_snapshot!(stderr.text(), @r"
            TIME  operation op-7f3a on cluster demo, 2 steps
            TIME  1/2  running  wait for name servers
            TIME  1/2  running  wait for name servers (31s)
            ");
        });
    }
}
