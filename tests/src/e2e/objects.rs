//! Objects as they change: each version that the API server sends, not only those that a look happens to see.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::error::{Context, LabError, Result};

/// A `kubectl get --watch` under way.
#[derive(Debug)]
pub struct Objects {
    child: Child,
    versions: Receiver<Value>,
}

impl Objects {
    /// Watches the objects that `kubectl get WHAT` names.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub fn watch(kubectl: &Kubectl, what: &[&str]) -> Result<Self> {
        let mut child = Command::new("kubectl")
            .args(["-n", kubectl.namespace(), "get"])
            .args(what)
            .args(["-o", "json", "--watch"])
            .envs(kubectl.environment())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .context(|| "cannot run `kubectl get --watch`")?;
        let stdout = child.stdout.take().ok_or_else(|| LabError::new("`kubectl` has no stdout"))?;
        let (send, versions) = channel();
        std::thread::spawn(move || {
            // Ends with the stream, or when nobody listens any more.
            let values = serde_json::Deserializer::from_reader(BufReader::new(stdout)).into_iter::<Value>();
            for value in values.map_while(std::result::Result::ok) {
                if send.send(value).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, versions })
    }

    /// The first that `find` finds in the versions still unread.
    ///
    /// # Errors
    /// When it finds none within `deadline`, or the watch ends.
    pub fn find<T>(
        &mut self,
        what: &str,
        deadline: Duration,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        let end = Instant::now() + deadline;
        loop {
            match self.versions.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(version) => {
                    if let Some(found) = find(&version) {
                        return Ok(found);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    return Err(LabError::new(format!("waited {} s in vain for {what}", deadline.as_secs())));
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(LabError::new(format!("the watch ended before {what}")));
                }
            }
        }
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
