//! RocketMQ's remoting protocol: frames and headers, its dialect of JSON, its properties text, one connection
//! with many requests ([`client::Client`]), and the requests that this project sends ([`requests`]).

pub mod client;
pub mod error;
pub mod frame;
pub mod header;
pub mod json;
pub mod properties;
pub mod request_code;
pub mod requests;
pub mod response_code;
