//! The requests that this project sends, one function each, typed in and out. What each sends and gets stands in
//! RocketMQ's class that its documentation names; "all tags" are 4.4.0 to 5.3.3.

mod answer;
pub mod broker;
pub mod consumers;
pub mod name_server;
mod queues;
pub mod registration;
mod tables;
