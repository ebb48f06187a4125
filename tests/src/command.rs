//! Short-lived programs: each has a deadline, and a failure says which program, how it ended and what it printed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Context, LabError, Result};
use crate::process::table;
use crate::{progress, timings, wait};

const POLL: Duration = Duration::from_millis(20);

/// A program to run once.
#[derive(Debug)]
pub struct Run {
    command: Command,
    name: String,
    deadline: Duration,
}

impl Run {
    /// `program`, looked up on PATH, with two minutes to end.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let name = Path::new(program.as_ref()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        Self { command, name, deadline: Duration::from_secs(120) }
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = S>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable.
    #[must_use]
    pub fn without_env(mut self, name: &str) -> Self {
        self.command.env_remove(name);
        self
    }

    /// Sets the working folder.
    #[must_use]
    pub fn in_folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Sets how long the program may take.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Gives the program `text` on its standard input.
    ///
    /// # Errors
    /// When the text cannot be kept for the program.
    pub fn input(mut self, text: &str) -> Result<Self> {
        let mut file = tempfile::tempfile().context(|| "cannot make a temporary file")?;
        std::io::Write::write_all(&mut file, text.as_bytes())
            .and_then(|()| file.rewind())
            .context(|| "cannot write a temporary file")?;
        self.command.stdin(file);
        Ok(self)
    }

    /// Runs it and returns what it printed on stdout.
    ///
    /// # Errors
    /// When it cannot be started, fails (with its stderr) or is late.
    pub fn output(mut self) -> Result<String> {
        // Files, not pipes: a full pipe nobody reads would hold the program up.
        let mut out = tempfile::tempfile().context(|| "cannot make a temporary file")?;
        let mut err = tempfile::tempfile().context(|| "cannot make a temporary file")?;
        self.command.stdout(duplicate(&out)?).stderr(duplicate(&err)?);
        match self.finish() {
            Ok(()) => read_all(&mut out),
            Err(error) => {
                let printed = read_all(&mut err)? + &read_all(&mut out)?;
                Err(error.with_output(&printed))
            }
        }
    }

    /// Runs it with all its output in the file `log`.
    ///
    /// # Errors
    /// When it cannot be started, fails (with the log's end) or is late.
    pub fn logged(mut self, log: &Path) -> Result<()> {
        let file = File::create(log).context(|| format!("cannot write {}", log.display()))?;
        self.command.stdout(duplicate(&file)?).stderr(file);
        self.finish().map_err(|error| error.with_log(log))
    }

    /// Runs it and returns what it printed on stdout, while its stderr is shown.
    ///
    /// # Errors
    /// When it cannot be started, fails or is late.
    pub fn answered(mut self) -> Result<String> {
        let mut out = tempfile::tempfile().context(|| "cannot make a temporary file")?;
        self.command.stdout(duplicate(&out)?);
        let ended = self.finish();
        let printed = read_all(&mut out)?;
        ended.map(|()| printed.clone()).map_err(|error| error.with_output(&printed))
    }

    /// Runs it with its output on the terminal, and gives every line of its stdout to `line` too.
    ///
    /// # Errors
    /// When it cannot be started, fails or is late.
    pub fn echoed(mut self, mut line: impl FnMut(&str) + Send) -> Result<()> {
        self.command.stdout(Stdio::piped());
        let mut child = self.spawn()?;
        let output = child.stdout.take();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for text in output
                    .into_iter()
                    .flat_map(|output| BufReader::new(output).lines())
                    .map_while(io::Result::ok)
                {
                    progress::answer(&text);
                    line(&text);
                }
            });
            self.wait_for(child)
        })
    }

    /// Runs it with its output on the terminal.
    ///
    /// # Errors
    /// When it cannot be started, fails or is late.
    pub fn shown(mut self) -> Result<()> {
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        let child = self.spawn()?;
        self.wait_for(child)
    }

    fn spawn(&mut self) -> Result<Child> {
        if wait::has_given_up() {
            return Err(LabError::given_up(format!("`{}` was not started: the run is ending", self.name)));
        }
        self.command.spawn().map_err(|error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let error = LabError::new(format!("cannot run `{}`", self.name)).because(error);
            if missing { error.hint(format!("is `{}` installed and on PATH?", self.name)) } else { error }
        })
    }

    fn wait_for(&self, mut child: Child) -> Result<()> {
        let start = Instant::now();
        loop {
            if let Some(cpu) = table::cpu_of_ended(child.id()) {
                timings::used(cpu);
            }
            if let Some(status) = child.try_wait().context(|| format!("cannot wait for `{}`", self.name))? {
                if status.success() {
                    return Ok(());
                }
                return Err(LabError::new(format!("`{}` failed: {status}", self.shown_command())));
            }
            let given_up = wait::has_given_up();
            if given_up || start.elapsed() > self.deadline {
                let _ = child.kill();
                let _ = child.wait();
                let command = self.shown_command();
                if given_up {
                    return Err(LabError::given_up(format!("`{command}` was stopped: the run is ending")));
                }
                return Err(LabError::new(format!(
                    "`{command}` did not end within {} s",
                    self.deadline.as_secs()
                )));
            }
            #[expect(clippy::disallowed_methods, reason = "no portable wait for a child has a deadline")]
            std::thread::sleep(POLL);
        }
    }

    fn shown_command(&self) -> String {
        let mut text = self.name.clone();
        for argument in self.command.get_args().take(8) {
            text.push(' ');
            text.push_str(&argument.to_string_lossy());
        }
        if self.command.get_args().count() > 8 {
            text.push_str(" ...");
        }
        text
    }
}

/// The file that `program` names on PATH, if there is one.
pub fn find_on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn duplicate(file: &File) -> Result<File> {
    file.try_clone().context(|| "cannot duplicate a file descriptor")
}

fn read_all(file: &mut File) -> Result<String> {
    let mut bytes = Vec::new();
    file.rewind().and_then(|()| file.read_to_end(&mut bytes)).context(|| "cannot read a program's output")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_is_what_the_program_printed() {
        assert_eq!(Run::new("printf").arg("hello").output().unwrap(), "hello");
    }

    #[test]
    fn input_reaches_the_program() {
        assert_eq!(Run::new("cat").input("text").unwrap().output().unwrap(), "text");
    }

    #[test]
    fn a_failure_shows_what_was_printed() {
        let error = Run::new("sh").args(["-c", "echo no space >&2; exit 3"]).output().unwrap_err();
        assert!(error.report().contains("exit status: 3"), "{}", error.report());
        assert!(error.report().contains("no space"), "{}", error.report());
    }

    #[test]
    fn every_echoed_line_is_given_on_also_when_the_program_fails() {
        let mut lines = Vec::new();
        let run = Run::new("sh").args(["-c", "echo one; echo two; exit 1"]);
        run.echoed(|line| lines.push(line.to_owned())).unwrap_err();
        assert_eq!(lines, ["one", "two"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Run::new("no-such-program").output().unwrap_err();
        assert!(error.report().contains("is `no-such-program` installed"), "{}", error.report());
    }

    #[test]
    fn a_late_program_is_ended() {
        let error = Run::new("sleep").arg("60").deadline(Duration::from_millis(50)).output().unwrap_err();
        assert!(error.to_string().contains("did not end within"), "{error}");
    }
}
