//! The gate: RocketMQ's container is first started when the agent has made what it needs. A crashed container is
//! started again without asking, so from then on the file is ready at every moment.

use std::io::ErrorKind;
use std::path::Path;

use proto::describe::Gate;
use rocketmq::text::error_line;
use tokio::sync::watch;

use crate::agent::Agent;
use crate::atomic_file::{self, FileError};
use crate::config::Neighbour;
use crate::configuration::OwnedSettings;
use crate::{key, metadata};

/// Makes the volume's root writable for the agent, on the node.
const PREPARE_SCRIPT: &str = "deploy/storage/hostpath/prepare-host-path.sh";

/// Folders of RocketMQ, which may run as another user of the agent's group.
pub const DATA_MODE: u32 = 0o775;

/// Files that RocketMQ starts with and writes itself later.
pub const DATA_FILE_MODE: u32 = 0o664;

/// The folder of broker.conf: whoever RocketMQ and its preStop hook run as writes there. Nothing else can, for
/// only this pod mounts it.
const CONFIGURATION_FOLDER_MODE: u32 = 0o777;

/// A gate that is closed because nothing is prepared yet.
pub fn closed() -> watch::Sender<Gate> {
    watch::Sender::new(waiting("the agent to start".to_owned()))
}

/// Prepares everything, tries again while something is in the way, and opens the gate.
pub async fn open_when_ready(agent: &Agent) {
    loop {
        let gate = match prepare(agent).await {
            Ok(()) => Gate { open: true, waiting_for: String::new() },
            Err(reason) => waiting(reason),
        };
        let open = gate.open;
        agent.gate.send_if_modified(|former| {
            let changed = *former != gate;
            if changed {
                tracing::info!(open, waiting_for = gate.waiting_for, "the gate");
                *former = gate;
            }
            changed
        });
        if open {
            return;
        }
        tokio::time::sleep(agent.config.pace.files).await;
    }
}

async fn prepare(agent: &Agent) -> Result<(), String> {
    let paths = &agent.config.paths;
    let volume = |error: FileError| not_made(&error, &paths.volume, nix::unistd::getuid().as_raw());
    atomic_file::ensure_folder(&paths.logs, DATA_MODE).map_err(volume)?;
    atomic_file::ensure_folder(&paths.store, DATA_MODE).map_err(volume)?;
    atomic_file::ensure_folder(paths.state_folder(), 0o755).map_err(volume)?;
    if !*agent.loaded.borrow() {
        let key = key::mounted(&paths.key);
        agent.state.load(key.as_ref()).await.map_err(|error| error_line(&error))?;
        metadata::remove_drafts(paths).map_err(|error| error_line(&error))?;
        agent.loaded.send_replace(true);
    }
    if let Some(folder) = paths.configuration.parent() {
        atomic_file::ensure_folder(folder, CONFIGURATION_FOLDER_MODE).map_err(|error| error_line(&error))?;
    }
    match (&agent.config.neighbour, &agent.broker) {
        (Neighbour::Broker(_), Some(broker)) => {
            if let Some(reason) = broker.metadata.waiting_for() {
                return Err(reason);
            }
            if agent.state.desired().borrow().is_none() {
                return Err(
                    "a list of name servers: neither the mounted record nor the agent's state has one".into(),
                );
            }
            broker.permission.forget_undone().await.map_err(|error| error_line(&error))?;
            broker.list.apply().await.map_err(|error| error_line(&error))?;
            broker.permission.before_start().await.map_err(|error| error_line(&error))
        }
        _ => write_name_server_configuration(agent).await.map_err(|error| error_line(&error)),
    }
}

async fn write_name_server_configuration(agent: &Agent) -> Result<(), FileError> {
    let paths = &agent.config.paths;
    let text = atomic_file::read_text(&paths.configuration)?.unwrap_or_default();
    let owned = OwnedSettings::of_name_server(&paths.store_seen_by_rocketmq, agent.config.ports.name_server);
    match owned.correct(&text) {
        Some(corrected) => atomic_file::write(&paths.configuration, corrected, 0o664).await,
        None => Ok(()),
    }
}

fn waiting(reason: String) -> Gate {
    Gate { open: false, waiting_for: reason }
}

/// What is in the way on the volume mounted at `root`, and, if it is its owner, what helps.
fn not_made(error: &FileError, root: &Path, uid: u32) -> String {
    let root = root.display();
    match error.source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "a data volume that uid {uid} can write: {}; run `{PREPARE_SCRIPT}` on the node for the folder that is \
             mounted at `{root}`",
            error_line(error),
        ),
        _ => format!("its folders on the data volume `{root}`: {}", error_line(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_of_another_owner_names_the_folder_the_user_and_the_script() {
        let folder = Path::new("/var/rocketmq/volume/logs");
        let check = |kind: ErrorKind| {
            let error = FileError::new("make", folder, kind.into());
            not_made(&error, Path::new("/var/rocketmq/volume"), 3000)
        };
        assert_eq!(
            check(ErrorKind::PermissionDenied),
            "a data volume that uid 3000 can write: cannot make /var/rocketmq/volume/logs: permission denied; run \
             `deploy/storage/hostpath/prepare-host-path.sh` on the node for the folder that is mounted at \
             `/var/rocketmq/volume`"
        );
        assert_eq!(
            check(ErrorKind::StorageFull),
            "its folders on the data volume `/var/rocketmq/volume`: cannot make /var/rocketmq/volume/logs: no storage \
             space"
        );
    }
}
