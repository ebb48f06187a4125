//! Frames that real name servers and brokers of 4.5.0, 4.9.7, 5.3.3 and 5.5.0, and RocketMQ's own clients, have sent over
//! the wire (see `examples/record`), read by this crate. The cluster was `demo` with the broker `demo-0` and a topic
//! `orders` with 4 read and 8 write queues; of offsets and request modes 5 queues, of the group `billing` among others.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]
#![expect(clippy::disallowed_methods, reason = "the frames are files")]

mod brokers;
mod consumers;
mod coverage;
mod frames;
mod name_servers;
mod registration;
mod requests;
mod tables;
