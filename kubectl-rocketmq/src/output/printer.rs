//! The only place that prints.
//!
//! Data goes to standard output and nothing else does. Progress, warnings, questions and hints go to standard
//! error, so that a pipe sees data alone.

#![expect(clippy::disallowed_methods, reason = "the door to the terminal (I2)")]

use std::fmt;
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::output::error_view;
use crate::output::format::Format;
use crate::output::page::Page;
use crate::output::style::{ColorChoice, Style, Surroundings};

/// How often the spinner turns.
const SPIN_EACH: Duration = Duration::from_millis(120);

/// A stream and how it may be written to.
struct Stream {
    writer: Mutex<Box<dyn Write + Send>>,
    style: Style,
}

impl Stream {
    fn write(&self, text: &str) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed pipe (`| head`) is the reader's choice and no error of ours; nobody is left to be told of others.
        let _ = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
    }
}

/// Prints.
pub struct Printer {
    format: Format,
    stdout: Stream,
    stderr: Stream,
    /// True where data are shown as they are written.
    on_terminal: bool,
    /// Present where progress may redraw a line in place.
    spinner: Option<ProgressBar>,
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Printer").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Printer {
    /// A printer on the process's own streams.
    #[must_use]
    pub fn on_process(format: Format, color: ColorChoice) -> Self {
        let environment = |name: &str| std::env::var(name).unwrap_or_default();
        let surroundings = |is_terminal: bool| Surroundings {
            is_terminal,
            no_color: !environment("NO_COLOR").is_empty(),
            dumb_terminal: environment("TERM") == "dumb",
        };
        let (stdout, stderr) =
            (surroundings(std::io::stdout().is_terminal()), surroundings(std::io::stderr().is_terminal()));
        Self {
            format,
            stdout: Stream {
                writer: Mutex::new(Box::new(std::io::stdout())),
                style: Style::new(color.colours(stdout)),
            },
            stderr: Stream {
                writer: Mutex::new(Box::new(std::io::stderr())),
                style: Style::new(color.colours(stderr)),
            },
            on_terminal: stdout.is_terminal,
            spinner: (stderr.is_terminal && !stderr.dumb_terminal).then(spinner),
        }
    }

    /// A printer on other streams, for tests: no colour, no cursor codes.
    #[must_use]
    pub fn to_writers(format: Format, stdout: Box<dyn Write + Send>, stderr: Box<dyn Write + Send>) -> Self {
        let plain = |writer| Stream { writer: Mutex::new(writer), style: Style::PLAIN };
        Self { format, stdout: plain(stdout), stderr: plain(stderr), on_terminal: false, spinner: None }
    }

    /// The form that data is printed in.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// The style of data.
    #[must_use]
    pub fn data_style(&self) -> Style {
        self.stdout.style
    }

    /// The style of everything that is no data.
    #[must_use]
    pub fn note_style(&self) -> Style {
        self.stderr.style
    }

    /// True where data go to a terminal.
    #[must_use]
    pub fn on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// True where a line can be redrawn in place.
    #[must_use]
    pub fn redraws(&self) -> bool {
        self.spinner.is_some()
    }

    /// Prints a page in the form that was asked for.
    pub fn page(&self, page: &Page) {
        self.suspended(|| self.stdout.write(&page.render(&self.format)));
    }

    /// Prints text of our own as data, for example help.
    pub fn data(&self, text: &str) {
        self.suspended(|| self.stdout.write(text));
    }

    /// Writes bytes as data. Unlike text for people, half of them is an error.
    ///
    /// # Errors
    /// When standard output takes no more.
    pub fn bytes(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut written = Ok(());
        self.suspended(|| {
            let mut writer = self.stdout.writer.lock().unwrap_or_else(PoisonError::into_inner);
            written = writer.write_all(bytes).and_then(|()| writer.flush());
        });
        written
    }

    /// Prints lines that are no data. `text` needs no line end.
    pub fn note(&self, text: &str) {
        self.suspended(|| self.stderr.write(&format!("{}\n", text.trim_end_matches('\n'))));
    }

    /// Prints a warning.
    pub fn warning(&self, text: &str) {
        self.note(&format!("{} {text}", self.stderr.style.warning("warning:")));
    }

    /// Prints a question and leaves the cursor behind it.
    pub fn question(&self, text: &str) {
        self.suspended(|| self.stderr.write(&format!("{text} ")));
    }

    /// Shows what is being waited for, in place, where that is possible; `None` when nothing is. Its first line is cut to
    /// the width of the terminal, further ones stand below.
    pub fn waiting(&self, text: Option<&str>) {
        let Some(spinner) = &self.spinner else { return };
        match text {
            Some(text) => {
                if spinner.message().is_empty() {
                    spinner.reset();
                    spinner.enable_steady_tick(SPIN_EACH);
                }
                let (line, below) = text.split_at(text.find('\n').unwrap_or(text.len()));
                spinner.set_message(line.to_owned());
                spinner.set_prefix(below.to_owned());
            }
            None => {
                spinner.disable_steady_tick();
                spinner.set_message("");
                spinner.set_prefix("");
                spinner.finish_and_clear();
            }
        }
    }

    /// Prints the error that a command ends with: where a document was asked for, the error is that document.
    pub fn failure(&self, failure: &Failure) {
        self.waiting(None);
        match &self.format {
            Format::Json => self.stdout.write(&error_view::document(failure).to_json()),
            Format::Yaml => self.stdout.write(&error_view::document(failure).to_yaml()),
            _ => self.stderr.write(&error_view::text(failure, self.stderr.style)),
        }
    }

    /// Takes the spinner away while something is written.
    fn suspended(&self, write: impl FnOnce()) {
        match &self.spinner {
            // A spinner that waits for nothing would draw itself behind what is written, over a question's answer.
            Some(spinner) if !spinner.message().is_empty() => spinner.suspend(write),
            _ => write(),
        }
    }
}

/// Where log lines go, when the user asks for them.
#[must_use]
pub fn log_writer() -> impl Write {
    std::io::stderr()
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // ASCII: not every locale and font has the dots.
    match ProgressStyle::with_template("{spinner} {wide_msg}{prefix}") {
        Ok(style) => spinner.with_style(style.tick_chars("|/-\\ ")),
        Err(_) => spinner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::ExitStatus;
    use crate::output::captured::Captured;
    use crate::output::document::Document;

    fn printer(format: Format) -> (Printer, Captured, Captured) {
        let (stdout, stderr) = (Captured::default(), Captured::default());
        (Printer::to_writers(format, Box::new(stdout.clone()), Box::new(stderr.clone())), stdout, stderr)
    }

    #[test]
    fn only_data_reaches_standard_output() {
        let (printer, stdout, stderr) = printer(Format::Text);
        printer.note("step 1 of 2");
        printer.warning("old image");
        printer.question("Continue? [y/N]");
        printer.waiting(Some("pods"));
        printer.page(&Page {
            text: "demo\n".to_owned(),
            document: Document::new(&serde_json::json!({})),
            names: Vec::new(),
        });
        assert_eq!(stdout.text(), "demo\n");
        assert_eq!(stderr.text(), "step 1 of 2\nwarning: old image\nContinue? [y/N] ");
    }

    #[test]
    fn an_error_is_a_document_where_a_document_was_asked_for() {
        let failure = Failure::new(ExitStatus::Failed, "no cluster");
        let (text, text_stdout, text_stderr) = printer(Format::Text);
        text.failure(&failure);
        assert_eq!((text_stdout.text().as_str(), text_stderr.text().as_str()), ("", "error: no cluster\n"));
        let (json, json_stdout, json_stderr) = printer(Format::Json);
        json.failure(&failure);
        let document: serde_json::Value = serde_json::from_str(&json_stdout.text()).unwrap();
        assert_eq!((document["exitCode"].as_u64(), json_stderr.text().as_str()), (Some(1), ""));
    }
}
