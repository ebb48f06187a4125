//! Every operation of the plugin: what is there (inventory), what would be done (plan), and the steps that do it.
//! Knows neither kube nor tonic; what it needs of them stands in [`world`].
//!
//! # What the command line calls
//!
//! | call | gives |
//! |---|---|
//! | [`session::Session::connect`] | a [`session::Session`] from kubectl's flags ([`session::ConnectionFlags`]) |
//! | [`command::apply`], [`command::scale_name_service`], [`command::scale_broker`], [`command::delete`] | a [`command::Prepared`]: plan, warnings, what to ask |
//! | [`command::resume`], [`command::undo`] | the same for an operation of the journal |
//! | [`command::Prepared::plan`] | the [`report::PlanReport`] to print; `--dry-run=client` ends here |
//! | [`command::Prepared::dry_run_on_server`] | the API server's own checks; `--dry-run=server` ends here |
//! | [`command::Prepared::confirmation`] | the question to ask, if any |
//! | [`command::Prepared::run`] | runs it with an [`progress::Observer`] and an [`progress::Interrupt`], ends in a [`report::CommandReport`] |
//! | [`command::import_metadata`] | the same for `metadata import`, and what differs |
//! | [`metadata::export()`], [`metadata::diff()`] | a broker's metadata as a bundle, and how two of them differ |
//! | [`status::collect`], [`status::collect_all`] | the [`status::StatusReport`] pages |
//! | [`history::list`], [`history::show`] | `ops list`, `ops show` |
//! | [`version::facts`] | `version` |
//!
//! Every report is a plain value that serialises in camelCase with units in names. Every failure is an
//! [`error::OpsError`], whose kind the exit code follows.

pub mod clients;
pub mod command;
pub mod error;
pub mod history;
pub mod live;
pub mod matrix;
pub mod metadata;
pub mod operations;
pub mod progress;
pub mod report;
pub mod session;
pub mod status;
pub mod steps;
pub mod version;
pub mod world;

mod aftermath;
#[cfg(test)]
mod fake;
mod members;
mod wait;
