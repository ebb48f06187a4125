//! The command line of the plugin: flags, help, exit codes, and every printed character.

pub mod cli;
pub mod failure;
pub mod output;
