//! Topics, subscription groups and offsets of the broker beside the agent: out of it as a bundle, and into it, before its
//! first start as files, later by RocketMQ's requests.
//!
//! - [`spool`]: bundles on the agent's volume.
//! - [`export`], [`subscriptions`]: out of a running broker.
//! - [`receive`], [`commit`]: into a new broker, behind the closed gate.
//! - [`apply`]: into a running broker.
//! - [`consumers`]: who holds its queues.
//!
//! Nothing here holds a table whole but the answer of the broker that it is read from. Work that waits for the disk or
//! goes through a table has a thread of its own and takes its lock along, so a caller who goes away leaves nothing that
//! two do at once.

pub mod apply;
pub mod commit;
pub mod consumers;
pub mod export;
pub mod receive;
pub mod spool;
pub mod subscriptions;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proto::describe::MetadataState;
use tokio::sync::{Mutex, watch};

use crate::atomic_file::{self, FileError};
use crate::config::Config;
use crate::paths::Paths;
use crate::state::State;
use consumers::Consumers;
use spool::Spool;

/// What an agent beside a broker does with metadata.
#[derive(Debug)]
pub struct MetadataKeeper {
    config: Arc<Config>,
    state: Arc<State>,
    /// Held by whoever writes or reads the bundle that comes in.
    incoming: Arc<Mutex<()>>,
    /// Held by whoever makes a bundle to go out.
    outgoing: Arc<Mutex<()>>,
    /// Why the last commit failed, in words; empty when none did.
    failure: watch::Sender<String>,
    /// Who holds the broker's queues.
    pub consumers: Consumers,
}

impl MetadataKeeper {
    /// A keeper that has done nothing yet.
    pub fn new(config: Arc<Config>, state: Arc<State>) -> Self {
        Self {
            config,
            state,
            incoming: Arc::default(),
            outgoing: Arc::default(),
            failure: watch::Sender::default(),
            consumers: Consumers::default(),
        }
    }

    /// Why the broker must not be started yet; `None` if it may.
    pub fn waiting_for(&self) -> Option<String> {
        let awaited = self.config.awaited_metadata.as_ref()?;
        if self.state.metadata().committed == awaited.as_str() {
            return None;
        }
        let waiting = format!("metadata: `kubectl rocketmq` has not committed them yet (token {awaited})");
        let failure = self.failure.borrow().clone();
        Some(if failure.is_empty() { waiting } else { format!("{waiting}; the last try failed: {failure}") })
    }

    /// For the CLI.
    pub fn describe(&self) -> MetadataState {
        let awaited = self.config.awaited_metadata.as_ref().map(ToString::to_string).unwrap_or_default();
        let committed = self.state.metadata().committed;
        let paths = &self.config.paths;
        let earlier_store = if awaited.is_empty() || awaited == committed {
            None
        } else {
            // What cannot be looked at is in the way, too.
            self.earlier_store().unwrap_or_else(|_| Some(paths.store.clone()))
        };
        let incoming = Spool::Incoming.present(paths.state_folder()).ok().flatten();
        let verified_bytes = incoming.as_ref().and_then(|hash| {
            let path = Spool::Incoming.path(paths.state_folder(), hash);
            path.symlink_metadata().ok().map(|metadata| metadata.len())
        });
        MetadataState {
            awaited,
            committed,
            earlier_store: earlier_store.map(|folder| folder.display().to_string()).unwrap_or_default(),
            receiving_sha256: incoming.map(|hash| hash.to_string()).unwrap_or_default(),
            verified_bytes: verified_bytes.unwrap_or_default(),
        }
    }

    /// The store's folder, if an earlier broker's data lie in it. What an agent imported for a broker that was never
    /// opened to clients is none.
    fn earlier_store(&self) -> Result<Option<PathBuf>, FileError> {
        let store = &self.config.paths.store;
        if self.state.metadata().store_is_only_imported() || atomic_file::names_in(store)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(store.clone()))
    }
}

/// How long the broker may take for an answer that has a whole table: 85,000 topics took a second on a machine that had
/// nothing else to do (5.3.3).
pub const TABLE_DEADLINE: Duration = Duration::from_secs(60);

/// A caller who sends or takes nothing for so long is taken for gone: others wait for it.
pub const SILENCE: Duration = Duration::from_secs(30);

/// What is not whole yet lies under names that begin so, in the agent's own folder.
const DRAFT: &str = "draft.";

/// Where a draft lies.
fn draft(paths: &Paths, name: &str) -> PathBuf {
    paths.state_folder().join(format!("{DRAFT}{name}"))
}

/// Removes what a killed agent left.
pub fn remove_drafts(paths: &Paths) -> Result<(), FileError> {
    let folder: &Path = paths.state_folder();
    for name in atomic_file::names_in(folder)? {
        if name.to_string_lossy().starts_with(DRAFT) {
            tracing::info!(name = %name.display(), "what an earlier agent left half done is removed");
            atomic_file::remove_tree(&folder.join(name))?;
        }
    }
    Ok(())
}
