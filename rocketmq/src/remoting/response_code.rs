//! Codes of answers (`RemotingSysResponseCode`, `ResponseCode`, all tags unless said).

use std::fmt;

/// How a peer answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponseCode(pub i32);

impl ResponseCode {
    /// Done.
    pub const SUCCESS: Self = Self(0);
    /// An error, in words in the remark.
    pub const SYSTEM_ERROR: Self = Self(1);
    /// Too busy; nothing was done.
    pub const SYSTEM_BUSY: Self = Self(2);
    /// The peer does not know this request.
    pub const REQUEST_CODE_NOT_SUPPORTED: Self = Self(3);
    /// Not allowed, for example a setting of the black list.
    pub const NO_PERMISSION: Self = Self(16);
    /// The topic does not exist or has no route.
    pub const TOPIC_NOT_EXIST: Self = Self(17);
    /// Nothing is stored under this key.
    pub const QUERY_NOT_FOUND: Self = Self(22);
    /// The subscription group does not exist.
    pub const SUBSCRIPTION_GROUP_NOT_EXIST: Self = Self(26);
    /// A field or the body is not what it should be (5.x).
    pub const INVALID_PARAMETER: Self = Self(29);
    /// Nobody of the group is connected.
    pub const CONSUMER_NOT_ONLINE: Self = Self(206);
    /// A client did not answer the broker in time.
    pub const CONSUME_MSG_TIMEOUT: Self = Self(207);

    fn words(self) -> Option<&'static str> {
        Some(match self {
            Self::SUCCESS => "success",
            Self::SYSTEM_ERROR => "system error",
            Self::SYSTEM_BUSY => "system busy",
            Self::REQUEST_CODE_NOT_SUPPORTED => "request not supported",
            Self::NO_PERMISSION => "no permission",
            Self::TOPIC_NOT_EXIST => "topic does not exist",
            Self::QUERY_NOT_FOUND => "not found",
            Self::SUBSCRIPTION_GROUP_NOT_EXIST => "subscription group does not exist",
            Self::INVALID_PARAMETER => "invalid parameter",
            Self::CONSUMER_NOT_ONLINE => "consumer not online",
            Self::CONSUME_MSG_TIMEOUT => "client timed out",
            _ => return None,
        })
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.words() {
            Some(words) => write!(f, "{words} (code {})", self.0),
            None => write!(f, "code {}", self.0),
        }
    }
}
