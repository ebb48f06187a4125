//! `brokerPermission` that an operation keeps: in the agent's state, in broker.conf, and in the running broker.
//!
//! A broker is opened only by a call, or by starting with the file. The watch only takes permissions away that somebody
//! gave to a broker that is kept closed; one that somebody closed by hand stays closed.

use std::sync::Arc;

use proto::proof::ClusterKey;
use rocketmq::model::permission::Permission;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::properties::Properties;
use rocketmq::text::error_line;
use tokio::sync::{Mutex, watch};

use crate::atomic_file;
use crate::config::Config;
use crate::configuration::{BROKER_PERMISSION, permission};
use crate::key;
use crate::name_servers::list::{ListError, ListKeeper};
use crate::process::Observation;
use crate::state::{MetadataRecord, State, StateError};

/// Keeps the permission.
#[derive(Debug)]
pub struct PermissionKeeper {
    config: Arc<Config>,
    state: Arc<State>,
    list: Arc<ListKeeper>,
    process: watch::Receiver<Observation>,
    /// One at a time: between the state and the broker a change is not what somebody else did.
    changing: Mutex<()>,
}

/// Why a permission does not stand where it should.
#[derive(Debug, thiserror::Error)]
pub enum PermissionError {
    /// It is not remembered.
    #[error(transparent)]
    State(#[from] StateError),
    /// The file.
    #[error("broker.conf does not have the permission")]
    File(#[from] ListError),
    /// The broker does not answer.
    #[error("the broker cannot be given the permission: it does not answer: {0}")]
    Silent(String),
    /// The broker could not be asked or told.
    #[error("the broker cannot be given the permission")]
    Broker(#[from] RemotingError),
    /// The broker said yes and did not.
    #[error("the broker took the permission {} but says that it has {}", wanted.bits(), live.bits())]
    NotTaken {
        /// What it was told.
        wanted: Permission,
        /// What it says.
        live: Permission,
    },
}

impl PermissionKeeper {
    /// A keeper that has done nothing yet.
    pub fn new(
        config: Arc<Config>,
        state: Arc<State>,
        list: Arc<ListKeeper>,
        process: watch::Receiver<Observation>,
    ) -> Self {
        Self { config, state, list, process, changing: Mutex::default() }
    }

    /// Sets it: first where a restart finds it, then live, and reads it back. Each may be repeated.
    pub async fn set(&self, key: &ClusterKey, wanted: Permission) -> Result<Permission, PermissionError> {
        let record = |record: &mut MetadataRecord| {
            record.permission = Some(wanted);
            record.opened |= wanted.is_writable();
        };
        let _alone = self.changing.lock().await;
        self.state.record_metadata(Some(key), record).await?;
        self.list.apply().await?;
        let client = {
            let process = self.process.borrow();
            process.answering().cloned().ok_or_else(|| PermissionError::Silent(process.problem.clone()))?
        };
        let live = self.set_live(&client, wanted).await?;
        tracing::info!(permission = %live, "the broker's permission is set");
        Ok(live)
    }

    async fn set_live(&self, client: &Client, wanted: Permission) -> Result<Permission, PermissionError> {
        let bits = wanted.bits().to_string();
        client.update_broker_config(&Properties::from_iter([(BROKER_PERMISSION, bits.as_str())])).await?;
        let live = live(client).await?;
        // The broker has rewritten its file.
        self.list.apply().await?;
        if live == wanted { Ok(live) } else { Err(PermissionError::NotTaken { wanted, live }) }
    }

    /// Takes away what a running broker has and should not have, for ever.
    pub async fn run(&self) {
        let mut process = self.process.clone();
        let mut former_error = String::new();
        loop {
            let error = self.take_away().await.err().map(|error| error_line(&error)).unwrap_or_default();
            if !error.is_empty() && error != former_error {
                tracing::warn!(error, "the broker's permission");
            }
            former_error = error;
            tokio::select! {
                _ = process.changed() => {}
                () = tokio::time::sleep(self.config.pace.live_list) => {}
            }
        }
    }

    async fn take_away(&self) -> Result<(), PermissionError> {
        let _alone = self.changing.lock().await;
        let Some(kept) = self.state.metadata().permission else { return Ok(()) };
        if exceeds(Permission::READ_WRITE, kept).is_none() {
            return Ok(());
        }
        let Some(client) = self.process.borrow().answering().cloned() else { return Ok(()) };
        let found = live(&client).await?;
        if exceeds(found, kept).is_none() {
            return Ok(());
        }
        tracing::warn!(%found, %kept, "somebody gave the broker a permission that an operation keeps from it");
        if found.is_writable() {
            // Clients may have written, so the store is not only imported any more.
            self.mark_opened().await?;
        }
        self.set_live(&client, kept).await.map(drop)
    }

    /// A pod that waits for no metadata is of no operation that will open its broker: what one that was undone kept from
    /// clients is theirs again.
    pub async fn forget_undone(&self) -> Result<(), StateError> {
        if self.config.awaited_metadata.is_some() || !self.state.metadata().store_is_only_imported() {
            return Ok(());
        }
        let key = key::mounted(&self.config.paths.key);
        self.state.record_metadata(key.as_ref(), |record| record.permission = None).await
    }

    /// Before the broker starts with a file that lets clients write, it is remembered that they may have.
    pub async fn before_start(&self) -> Result<(), PermissionError> {
        if !self.state.metadata().store_is_only_imported() {
            return Ok(());
        }
        let text = atomic_file::read_text(&self.config.paths.configuration).map_err(ListError::from)?;
        if permission(&Properties::from_java(&text.unwrap_or_default())).is_writable() {
            self.mark_opened().await?;
        }
        Ok(())
    }

    async fn mark_opened(&self) -> Result<(), StateError> {
        let key = key::mounted(&self.config.paths.key);
        self.state.record_metadata(key.as_ref(), |record| record.opened = true).await
    }
}

/// What clients may do by `found` and not by `kept`; `None` if nothing.
fn exceeds(found: Permission, kept: Permission) -> Option<Permission> {
    let more = found.bits() & !kept.bits() & Permission::READ_WRITE.bits();
    (more != 0).then(|| Permission::from_bits(more))
}

async fn live(client: &Client) -> Result<Permission, RemotingError> {
    Ok(permission(&client.broker_config().await?.value.settings))
}
