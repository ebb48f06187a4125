//! The steps that operations are made of, by what they act on.

pub mod broker_groups;
pub mod name_servers;
pub mod objects;
pub mod pods;
pub mod prove;
pub mod record;
