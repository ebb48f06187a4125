//! RocketMQ as its peers see it: [`model`] holds its values, [`remoting`] its wire protocol and the requests
//! that this project sends, [`metadata`] the tables that one broker hands to another, [`text`] how people read errors
//! and names. Knows neither Kubernetes nor gRPC.
//!
//! Own code, because no crate reads what 4.x brokers answer: their JSON has unquoted integer keys, and their
//! headers may be binary.

pub mod metadata;
pub mod model;
pub mod remoting;
pub mod text;
