//! `kubectl` commands that go on: a watch, a log that is followed. One process in place of one for each look.

use std::io::BufReader;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use crate::e2e::kubectl::Kubectl;
use crate::error::{Context, LabError, Result};
use crate::{progress, wait};

/// How often a wait says what is missing.
const SAY_AGAIN: Duration = Duration::from_secs(10);

/// How often a wait looks whether the run is ending.
const LISTEN: Duration = Duration::from_secs(1);

/// What a command prints, piece by piece.
#[derive(Debug)]
pub(super) struct Stream<T> {
    child: Child,
    pieces: Receiver<T>,
}

/// How a search in a stream ended, without an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<T> {
    /// With this.
    One(T),
    /// The command ended before.
    Nothing,
}

impl<T: Send + 'static> Stream<T> {
    /// Starts `kubectl ARGUMENTS`; `read` sends on what it prints, until nobody listens any more.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub(super) fn start(
        kubectl: &Kubectl,
        arguments: &[&str],
        read: impl FnOnce(BufReader<ChildStdout>, Sender<T>) + Send + 'static,
    ) -> Result<Self> {
        let mut child = Command::new("kubectl")
            .args(["-n", kubectl.namespace()])
            .args(arguments)
            .envs(kubectl.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(|| format!("cannot run `kubectl {}`", arguments.join(" ")))?;
        let stdout = child.stdout.take().ok_or_else(|| LabError::new("`kubectl` has no stdout"))?;
        let (send, pieces) = channel();
        std::thread::spawn(move || read(BufReader::new(stdout), send));
        Ok(Self { child, pieces })
    }

    /// What was printed since the last call, without waiting.
    pub(super) fn unread(&self) -> Vec<T> {
        self.pieces.try_iter().collect()
    }

    /// The first that `find` finds in the pieces still unread. Says every ten seconds that it waits for `what`.
    ///
    /// # Errors
    /// When it finds none until `end`.
    pub(super) fn find<U>(
        &self,
        what: &str,
        end: Instant,
        mut find: impl FnMut(&T) -> Option<U>,
    ) -> Result<Found<U>> {
        let start = Instant::now();
        let mut say = start + SAY_AGAIN;
        loop {
            let left = end.saturating_duration_since(Instant::now()).min(LISTEN);
            match self.pieces.recv_timeout(left) {
                Ok(piece) => {
                    if let Some(found) = find(&piece) {
                        return Ok(Found::One(found));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(Found::Nothing),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let waited = start.elapsed().as_secs();
            if wait::has_given_up() {
                return Err(LabError::given_up(format!("no longer waiting for {what}: the run is ending")));
            }
            if Instant::now() >= end {
                return Err(LabError::new(format!("waited {waited} s in vain for {what}")));
            }
            if Instant::now() >= say {
                say += SAY_AGAIN;
                progress::note(format!("waiting for {what} ({waited} s)"));
            }
        }
    }
}

impl<T> Drop for Stream<T> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
