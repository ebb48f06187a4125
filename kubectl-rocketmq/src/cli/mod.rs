//! Verbs and flags: what was typed becomes a request to `ops`, what comes back becomes a page.

pub mod apply;
pub mod args;
pub mod bundle_file;
pub mod change;
pub mod confirm;
pub mod connection;
pub mod context;
pub mod delete;
pub mod duration;
pub mod metadata;
pub mod object;
pub mod operations;
pub mod progress;
pub mod scale;
pub mod signals;
pub mod sources;
pub mod start;
pub mod status;
pub mod version;
