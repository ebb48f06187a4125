//! Objects as they change: each version that the API server sends, not only those that a look happens to see.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::e2e::kubectl::Kubectl;
use crate::e2e::stream::{Found, Stream};
use crate::error::{LabError, Result};

/// A `kubectl get --watch` under way.
#[derive(Debug)]
pub struct Objects(Stream<Value>);

impl Objects {
    /// Watches the objects that `kubectl get WHAT` names.
    ///
    /// # Errors
    /// When `kubectl` cannot be started.
    pub fn watch(kubectl: &Kubectl, what: &[&str]) -> Result<Self> {
        let arguments = [&["get"], what, &["-o", "json", "--watch"]].concat();
        let stream = Stream::start(kubectl, &arguments, |stdout, send| {
            // Ends with the stream, or when nobody listens any more.
            let values = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
            for value in values.map_while(std::result::Result::ok) {
                if send.send(value).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self(stream))
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
        match self.0.find(what, Instant::now() + deadline, find)? {
            Found::One(found) => Ok(found),
            Found::Nothing => Err(LabError::new(format!("the watch ended before {what}"))),
        }
    }

    /// The versions that came since the last call, without waiting.
    pub fn unread(&self) -> Vec<Value> {
        self.0.unread()
    }
}
