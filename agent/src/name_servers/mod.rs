//! How a broker's name servers follow the desired list without a restart.
//!
//! - [`list`]: the list in broker.conf and live.
//! - [`address_server`]: the HTTP server that brokers up to 4.9.3 fetch it from.
//! - [`follow`]: one loop for each name server of the list: is my broker there as itself? If not at all, bridge.
//! - [`judge`]: what that loop decides, pure.
//! - [`bridge`]: the bridge itself.
//! - [`registrations`]: what the loops found, for each other and for the CLI.
//! - [`unregister`]: beside a name server: brokers that are gone out of its table.

pub mod address_server;
pub mod bridge;
pub mod follow;
pub mod judge;
pub mod list;
pub mod registrations;
pub mod unregister;
