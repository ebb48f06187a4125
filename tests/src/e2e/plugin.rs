//! `kubectl rocketmq` as a user types it: through `kubectl`, with its exit code, its two streams, and a way to kill it.

use std::fs::File;
use std::io::Seek;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::error::{Context, LabError, Result};
use crate::wait::{self, Look};

/// How long one command may take: the longest is a scale-in of brokers that poll their list each two minutes.
const ENDS_WITHIN: Duration = Duration::from_secs(600);

/// A command of the plugin that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// What was typed.
    pub command: String,
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its data.
    pub stdout: String,
    /// Its progress, warnings and errors.
    pub stderr: String,
}

impl Ended {
    /// The command, if it ended with `code`.
    ///
    /// # Errors
    /// When it ended otherwise, with all that it printed.
    pub fn expect_code(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let ended = self.code.map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        Err(LabError::new(format!("`{}` ended {ended}, not with {code}", self.command))
            .because(format!("stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr)))
    }

    /// Its data as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.stdout)
            .context(|| format!("`{}` printed no JSON:\n{}\n{}", self.command, self.stdout, self.stderr))
    }
}

/// A command of the plugin under way.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: File,
    stderr: File,
}

impl Running {
    /// Starts `kubectl rocketmq ARGUMENTS -n NAMESPACE`, with `input` on its stdin.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(kubectl: &Kubectl, arguments: &[&str], input: &str) -> Result<Self> {
        let temporary = || tempfile::tempfile().context(|| "cannot make a temporary file");
        let duplicate = |file: &File| file.try_clone().context(|| "cannot duplicate a file descriptor");
        let (stdout, stderr, mut stdin) = (temporary()?, temporary()?, temporary()?);
        std::io::Write::write_all(&mut stdin, input.as_bytes())
            .and_then(|()| stdin.rewind())
            .context(|| "cannot write a temporary file")?;
        let mut words = vec!["rocketmq"];
        words.extend(arguments);
        if !arguments.contains(&"-n") && !arguments.contains(&"-A") {
            words.extend(["-n", kubectl.namespace()]);
        }
        let child = Command::new("kubectl")
            .args(&words)
            .envs(kubectl.environment())
            .stdin(stdin)
            .stdout(Stdio::from(duplicate(&stdout)?))
            .stderr(Stdio::from(duplicate(&stderr)?))
            .spawn()
            .context(|| "cannot run `kubectl`")?;
        Ok(Self { command: format!("kubectl {}", words.join(" ")), child, stdout, stderr })
    }

    /// Its process, which is the plugin's: `kubectl` replaces itself by it.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL. `kubectl` has replaced itself by the plugin, so this is the plugin.
    ///
    /// # Errors
    /// When it had ended already.
    pub fn kill(mut self) -> Result<Ended> {
        if let Some(status) =
            self.child.try_wait().context(|| format!("cannot wait for `{}`", self.command))?
        {
            let ended = self.ended(status.code())?;
            return Err(LabError::new(format!("`{}` had ended before it was killed", ended.command))
                .because(format!("{ended:?}")));
        }
        self.signal(Signal::SIGKILL)?;
        self.wait()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let pid = i32::try_from(self.child.id()).context(|| "a process id that is none")?;
        kill(Pid::from_raw(pid), signal).context(|| format!("cannot signal `{}`", self.command))
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// When it does not within ten minutes.
    pub fn wait(self) -> Result<Ended> {
        self.wait_for(ENDS_WITHIN)
    }

    /// Waits until it ends, which may take longer than usual.
    ///
    /// # Errors
    /// When it does not within `deadline`.
    pub fn wait_for(mut self, deadline: Duration) -> Result<Ended> {
        let waited = wait::until(&format!("the end of `{}`", self.command), deadline, || {
            match self.child.try_wait() {
                Ok(Some(status)) => Look::Ready(status.code()),
                Ok(None) => Look::NotYet("it is still running".to_owned()),
                Err(error) => Look::Never(LabError::new("cannot wait for a child").because(error)),
            }
        });
        match waited {
            Ok(code) => self.ended(code),
            Err(error) => {
                let _ = self.child.kill();
                let _ = self.child.wait();
                let ended = self.ended(None)?;
                Err(error.because(format!("stdout:\n{}\nstderr:\n{}", ended.stdout, ended.stderr)))
            }
        }
    }

    /// What it printed on stderr so far.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn stderr(&mut self) -> Result<String> {
        read(&mut self.stderr)
    }

    fn ended(&mut self, code: Option<i32>) -> Result<Ended> {
        Ok(Ended {
            command: self.command.clone(),
            code,
            stdout: read(&mut self.stdout)?,
            stderr: read(&mut self.stderr)?,
        })
    }
}

impl Kubectl {
    /// Runs `kubectl rocketmq ARGUMENTS`, whatever its exit code.
    ///
    /// # Errors
    /// When it cannot be run or does not end.
    pub fn rocketmq(&self, arguments: &[&str]) -> Result<Ended> {
        Running::start(self, arguments, "")?.wait()
    }
}

/// Reads a file that a child writes with another descriptor of the same offset: by position, so that the child's own
/// place in it is kept.
fn read(file: &mut File) -> Result<String> {
    use std::os::unix::fs::FileExt;
    let mut bytes = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let count =
            file.read_at(&mut piece, bytes.len() as u64).context(|| "cannot read a command's output")?;
        if count == 0 {
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        bytes.extend(&piece[..count]);
    }
}
