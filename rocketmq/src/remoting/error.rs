//! Why a request to a peer has no answer, or not the wanted one.

use std::io;
use std::time::Duration;

use crate::remoting::frame::FrameError;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// An error of a connection or a request. Each names the peer's address.
#[derive(Debug, thiserror::Error)]
pub enum RemotingError {
    /// The connection could not be made.
    #[error("cannot connect to {address}")]
    Connect {
        /// The peer.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// The connection is closed; the request may have been done all the same.
    #[error("connection to {address} is closed: {reason}")]
    Closed {
        /// The peer.
        address: String,
        /// Who closed it and why, in words.
        reason: String,
    },
    /// No answer in time; the request may have been done all the same.
    #[error("{address} did not answer {request} within {} ms", after.as_millis())]
    Deadline {
        /// The peer.
        address: String,
        /// What was asked.
        request: RequestCode,
        /// The deadline.
        after: Duration,
    },
    /// The peer answered with another code than success.
    #[error("{address} refused {request}: {code}{}", remark_text(remark))]
    Refused {
        /// The peer.
        address: String,
        /// What was asked.
        request: RequestCode,
        /// The answer's code.
        code: ResponseCode,
        /// The answer's remark, empty if it has none.
        remark: String,
    },
    /// The answer could not be read.
    #[error("answer of {address} to {request} cannot be read: {reason}")]
    Malformed {
        /// The peer.
        address: String,
        /// What was asked.
        request: RequestCode,
        /// Why not, in words.
        reason: String,
    },
    /// The request cannot be sent, because it is larger than every peer takes.
    #[error("{request} cannot be sent to {address}")]
    Unsendable {
        /// The peer.
        address: String,
        /// What should be asked.
        request: RequestCode,
        /// Why not.
        source: FrameError,
    },
}

/// Java's remarks may be stack traces; their first line tells what happened.
fn remark_text(remark: &str) -> String {
    match remark.lines().next().map(str::trim) {
        None | Some("") => String::new(),
        Some(line) => format!(", {line}"),
    }
}

impl RemotingError {
    /// True when the peer said nothing: it is gone, or hangs. What was asked may have been done all the same.
    #[must_use]
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Connect { .. } | Self::Closed { .. } | Self::Deadline { .. })
    }

    /// The code of a refusal.
    #[must_use]
    pub fn response_code(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}
