//! Keeps the desired list in broker.conf and, where the version takes it live, in the running broker. Being the only
//! one that writes the file, it writes every key that the agent owns.
//!
//! The order is the file first, then code 25, then the file again, because the broker answers code 25 with success
//! even if it could not write its file, and rewrites the whole file if it could (`Configuration.update`, all
//! tags). So whenever Java is started, it starts with the present list.

use std::sync::Arc;

use proto::describe::{BrokerList, ListMode};
use rocketmq::model::name_server::{self, NameServerList};
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::properties::Properties;
use rocketmq::text::error_line;
use tokio::sync::{Mutex, watch};

use crate::atomic_file::{self, FileError};
use crate::clock::now_millis;
use crate::config::{Broker, Config};
use crate::configuration::{NAMESRV_ADDR, OwnedSettings};
use crate::name_servers::address_server::LiveList;
use crate::process::Observation;
use crate::state::State;

/// Readable and writable by RocketMQ, which may run as another user of the same group.
const CONFIGURATION_MODE: u32 = 0o664;

/// Keeps the list.
#[derive(Debug)]
pub struct ListKeeper {
    config: Arc<Config>,
    broker: Broker,
    state: Arc<State>,
    desired: watch::Receiver<Option<NameServerList>>,
    process: watch::Receiver<Observation>,
    live: watch::Sender<LiveList>,
    /// One writer at a time.
    applying: Mutex<()>,
}

/// Why a list does not stand where it should.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The file.
    #[error("the broker's file does not have the list")]
    File(#[from] FileError),
    /// The broker could not be asked or told.
    #[error("the broker cannot be given the list")]
    Broker(#[from] RemotingError),
    /// The broker said yes and did not.
    #[error("the broker took the list `{wanted}` but says that its list is `{live}`")]
    NotTaken {
        /// What it was told.
        wanted: String,
        /// What it says.
        live: String,
    },
}

impl ListKeeper {
    /// A keeper that has done nothing yet.
    pub fn new(
        config: Arc<Config>,
        broker: Broker,
        state: Arc<State>,
        process: watch::Receiver<Observation>,
    ) -> Self {
        Self {
            config,
            broker,
            desired: state.desired(),
            state,
            process,
            live: watch::Sender::new(LiveList::default()),
            applying: Mutex::new(()),
        }
    }

    /// Where the address server tells what it served.
    pub fn served(&self) -> watch::Sender<LiveList> {
        self.live.clone()
    }

    /// Brings file and broker to the desired list whenever one of the three changes, for ever.
    pub async fn run(&self) {
        let (mut desired, mut process) = (self.desired.clone(), self.process.clone());
        let mut former_error = String::new();
        loop {
            let error = self.apply().await.err().map(|error| error_line(&error)).unwrap_or_default();
            if !error.is_empty() && error != former_error {
                tracing::warn!(error, "the list of name servers");
            }
            former_error = error;
            // Both senders live as long as the agent. A broker's death counts, too: it may have left half a file.
            tokio::select! {
                _ = desired.changed() => {}
                _ = process.changed() => {}
                () = tokio::time::sleep(self.config.pace.live_list) => {}
            }
        }
    }

    /// Brings file and broker to the desired list. No list is no error, and neither is a broker that does not answer
    /// or dies under the call: it starts with the file, and gets the list when it answers again.
    pub async fn apply(&self) -> Result<(), ListError> {
        let _one = self.applying.lock().await;
        let Some(list) = self.desired.borrow().clone() else { return Ok(()) };
        self.correct_file(&list).await?;
        if self.broker.list_mode() == ListMode::AddressServer {
            return Ok(());
        }
        let Some(client) = self.process.borrow().answering().cloned() else { return Ok(()) };
        match self.set_live(&client, &list).await {
            Err(ListError::Broker(error)) if error.is_silence() => {
                tracing::info!(error = error_line(&error), "the broker gets the list when it answers again");
                Ok(())
            }
            ended => ended,
        }
    }

    async fn set_live(&self, client: &Client, list: &NameServerList) -> Result<(), ListError> {
        let wanted = list.namesrv_addr();
        let mut live = live_list(client).await?;
        if live != wanted {
            tracing::info!(wanted, live, "the broker gets the list");
            client.update_broker_config(&Properties::from_iter([(NAMESRV_ADDR, wanted.as_str())])).await?;
            live = live_list(client).await?;
            self.correct_file(list).await?;
        }
        self.seen_live(&live);
        if live == wanted { Ok(()) } else { Err(ListError::NotTaken { wanted, live }) }
    }

    /// Writes broker.conf if it is not as it must be. A file that is not there yet begins with the user's lines.
    async fn correct_file(&self, list: &NameServerList) -> Result<(), FileError> {
        let paths = &self.config.paths;
        let text = match atomic_file::read_text(&paths.configuration)? {
            Some(text) => text,
            None => atomic_file::read_text(&paths.user_lines)?.unwrap_or_default(),
        };
        let owned = OwnedSettings::of_broker(
            &self.broker,
            &self.config.pod_ip,
            &paths.store_seen_by_rocketmq,
            list,
            self.config.ports.address_server,
            self.state.metadata().permission,
        );
        match owned.correct(&text) {
            Some(corrected) => {
                tracing::info!(list = list.namesrv_addr(), "broker.conf is written");
                atomic_file::write(&paths.configuration, corrected, CONFIGURATION_MODE).await
            }
            None => Ok(()),
        }
    }

    fn seen_live(&self, live: &str) {
        let addresses = name_server::split(live);
        self.live.send_if_modified(|former| {
            let changed = former.addresses != addresses;
            if changed {
                *former = LiveList { addresses, since_millis: now_millis() };
            }
            changed
        });
    }

    /// For the CLI: where each value of the list stands, without the registrations.
    pub fn describe(&self) -> BrokerList {
        let live = self.live.borrow().clone();
        let file = match self.broker.list_mode() {
            ListMode::NamesrvAddr => {
                let text = atomic_file::read_text(&self.config.paths.configuration).ok().flatten();
                let properties = Properties::from_java(&text.unwrap_or_default());
                name_server::split(properties.get(NAMESRV_ADDR).unwrap_or_default())
            }
            ListMode::AddressServer => {
                let desired = self.desired.borrow();
                desired
                    .iter()
                    .flat_map(|list| &list.name_servers)
                    .map(|entry| entry.address.clone())
                    .collect()
            }
        };
        BrokerList {
            mode: self.broker.list_mode(),
            file,
            live: live.addresses,
            live_since_millis: live.since_millis,
            registrations: Vec::new(),
        }
    }
}

async fn live_list(client: &Client) -> Result<String, RemotingError> {
    let config = client.broker_config().await?.value;
    Ok(config.settings.get(NAMESRV_ADDR).unwrap_or_default().to_owned())
}
