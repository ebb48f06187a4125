//! Headers of frames, in both of RocketMQ's serializations: JSON, which this project writes and every peer reads,
//! and the binary one, which a peer may choose for itself.

mod binary;
mod text;

use std::collections::BTreeMap;

use crate::model::version::Version;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// Bit 0 of the flag marks an answer, bit 1 a request that wants none (`RemotingCommand`, all tags).
const RESPONSE: i32 = 1;
const ONEWAY: i32 = 2;

/// How a header is written. An answer uses the request's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Serialization {
    /// `SerializeType.JSON`.
    Json,
    /// `SerializeType.ROCKETMQ`: compact, but it cuts codes to 16 bits.
    Binary,
}

impl Serialization {
    /// The byte of the frame.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Json => 0,
            Self::Binary => 1,
        }
    }

    /// The serialization of a frame's byte.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Json),
            1 => Some(Self::Binary),
            _ => None,
        }
    }

    /// Writes a header.
    ///
    /// # Errors
    /// The binary serialization holds no codes and versions above 16 bits and no keys above 32 KiB.
    pub fn write(self, header: &Header) -> Result<Vec<u8>, HeaderError> {
        match self {
            Self::Json => Ok(text::write(header)),
            Self::Binary => binary::write(header),
        }
    }

    /// Reads a header.
    ///
    /// # Errors
    /// If it is not a header of this serialization.
    pub fn read(self, bytes: &[u8]) -> Result<Header, HeaderError> {
        match self {
            Self::Json => text::read(bytes),
            Self::Binary => binary::read(bytes),
        }
    }
}

/// The header of a request or an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What is asked, or how it was answered.
    pub code: i32,
    /// The sender's language.
    pub language: Language,
    /// The sender's version.
    pub version: Version,
    /// Numbers the request; its answer repeats it.
    pub opaque: i32,
    /// Bits that tell requests from answers, see [`Header::is_response`].
    pub flag: i32,
    /// Words beside the code.
    pub remark: Option<String>,
    /// The fields of the request or answer.
    pub ext_fields: BTreeMap<String, String>,
}

impl Header {
    /// A request from this project.
    #[must_use]
    pub fn request(code: RequestCode, version: Version) -> Self {
        Self {
            code: code.0,
            // Every tag knows it, and none treats it specially; RUST is unknown before 4.9.4.
            language: Language::Other,
            version,
            opaque: 0,
            flag: 0,
            remark: None,
            ext_fields: BTreeMap::new(),
        }
    }

    /// The answer to a request.
    #[must_use]
    pub fn response(request: &Self, code: ResponseCode, version: Version) -> Self {
        Self {
            code: code.0,
            language: Language::Java,
            version,
            opaque: request.opaque,
            flag: RESPONSE,
            remark: None,
            ext_fields: BTreeMap::new(),
        }
    }

    /// True for an answer.
    #[must_use]
    pub const fn is_response(&self) -> bool {
        self.flag & RESPONSE != 0
    }

    /// True for a request that wants no answer.
    #[must_use]
    pub const fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    /// Marks a request that wants no answer.
    pub const fn set_oneway(&mut self) {
        self.flag |= ONEWAY;
    }
}

/// A header that cannot be read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header is malformed: {0}")]
pub struct HeaderError(pub(crate) String);

macro_rules! languages {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $text:literal;)*) => {
        /// The language of a sender (`LanguageCode`; RUST since 4.9.4, NODE_JS later).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Language {
            $($(#[$doc])* $name,)*
        }

        impl Language {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The byte of binary headers.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code,)* }
            }

            /// The name in JSON headers.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The language of a byte; later ones are [`Language::Other`].
            #[must_use]
            pub const fn from_code(code: u8) -> Self {
                match code { $($code => Self::$name,)* _ => Self::Other }
            }

            /// The language of a name; later ones are [`Language::Other`].
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name { $($text => Self::$name,)* _ => Self::Other }
            }
        }
    };
}

languages! {
    /// Java, RocketMQ's own.
    Java = 0, "JAVA";
    /// C++.
    Cpp = 1, "CPP";
    /// .NET.
    Dotnet = 2, "DOTNET";
    /// Python.
    Python = 3, "PYTHON";
    /// Delphi.
    Delphi = 4, "DELPHI";
    /// Erlang.
    Erlang = 5, "ERLANG";
    /// Ruby.
    Ruby = 6, "RUBY";
    /// None of the others.
    Other = 7, "OTHER";
    /// HTTP.
    Http = 8, "HTTP";
    /// Go.
    Go = 9, "GO";
    /// PHP.
    Php = 10, "PHP";
    /// OpenMessaging.
    Oms = 11, "OMS";
    /// Rust.
    Rust = 12, "RUST";
    /// Node.js.
    NodeJs = 13, "NODE_JS";
}

#[cfg(test)]
pub(crate) mod tests;
