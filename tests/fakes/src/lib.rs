//! Real peers on loopback for fast tests: a name server and a broker that speak RocketMQ's remoting protocol in
//! both header serializations and keep its observable rules, of 4.x or of 5.x by the version they are given.
//! What time does to a real one (registration periods, expiry), a test tells a fake to do.

pub mod broker;
pub mod name_server;
mod peer;
mod routes;

pub use broker::{BrokerSetup, FakeBroker, OnlineGroup};
pub use name_server::FakeNameServer;
pub use peer::{ConnectionId, Received, Unmet};
pub use routes::{ListedBroker, Registration};
