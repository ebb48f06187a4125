//! What the loops found at each name server of the desired list.

use std::collections::BTreeMap;

use proto::describe::{Owner, Registration};
use rocketmq::model::route::RegisteredBroker;
use rocketmq::remoting::client::Client;
use tokio::sync::watch;

use crate::clock::now_millis;

/// What is known of one name server.
#[derive(Debug, Clone)]
pub struct Found {
    owner: Owner,
    reason: String,
    since_millis: u64,
    /// The start of the broker that its own entry belongs to, and the connection that showed it.
    own: Option<(u64, Client)>,
}

/// What is known of each name server, by address.
#[derive(Debug, Default)]
pub struct Registrations {
    found: watch::Sender<BTreeMap<String, Found>>,
}

impl Registrations {
    /// Tells what was found at a name server. `own`: since which start of the broker it shows its own entry, and
    /// the connection to ask it again.
    pub fn tell(&self, name_server: &str, owner: Owner, reason: &str, own: Option<(u64, Client)>) {
        self.found.send_if_modified(|found| {
            let former = found.get(name_server);
            let same_owner = former.is_some_and(|former| former.owner == owner);
            let since_millis = match former {
                Some(former) if same_owner => former.since_millis,
                _ => now_millis(),
            };
            let changed = !former.is_some_and(|former| same_owner && former.reason == reason);
            if changed {
                tracing::info!(name_server, owner = ?owner, reason, "the broker's entry");
            }
            found.insert(
                name_server.to_owned(),
                Found { owner, reason: reason.to_owned(), since_millis, own },
            );
            changed
        });
    }

    /// Forgets every name server that is not of the list.
    pub fn keep_only(&self, listed: impl Fn(&str) -> bool) {
        self.found.send_modify(|found| found.retain(|name_server, _| listed(name_server)));
    }

    /// True if the broker is listed at one name server at least.
    pub fn any_listed(&self) -> bool {
        self.found.borrow().values().any(|found| matches!(found.owner, Owner::Broker | Owner::Bridge))
    }

    /// Changes of any of it.
    pub fn changes(&self) -> watch::Receiver<BTreeMap<String, Found>> {
        self.found.subscribe()
    }

    /// For the CLI, in the order of `addresses`. A name server that was not looked at yet is left out.
    pub fn describe<'a>(&self, addresses: impl Iterator<Item = &'a str>) -> Vec<Registration> {
        let found = self.found.borrow();
        addresses
            .filter_map(|address| {
                let found = found.get(address)?;
                Some(Registration {
                    name_server: address.to_owned(),
                    owner: found.owner,
                    reason: found.reason.clone(),
                    since_millis: found.since_millis,
                })
            })
            .collect()
    }

    /// Asks now whether another name server than `here` shows the entry that `broker`, started at this time, made
    /// itself. What was seen a moment ago does not count: a broker that is stopped leaves them all within
    /// milliseconds.
    pub async fn shown_elsewhere(
        &self,
        here: &str,
        broker: &RegisteredBroker,
        boot_timestamp_millis: u64,
    ) -> bool {
        let others: Vec<Client> = self
            .found
            .borrow()
            .iter()
            .filter(|(address, _)| *address != here)
            .filter_map(|(_, found)| found.own.as_ref())
            .filter(|(boot, _)| *boot == boot_timestamp_millis)
            .map(|(_, client)| client.clone())
            .collect();
        for client in others {
            if client.cluster_info().await.is_ok_and(|answer| answer.value.contains(broker)) {
                return true;
            }
        }
        false
    }
}
