//! One connection to a peer and any number of requests on it at once, matched with their answers by `opaque`.
//!
//! Two tasks serve a connection: one writes, one reads. It ends when the peer closes it, when a frame cannot be
//! read, or when the last handle is dropped; what was sent by then is still written out.

mod connection;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::model::version::Version;
use crate::remoting::error::RemotingError;
use crate::remoting::frame::Frame;
use crate::remoting::header::{Header, Serialization};
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;
use connection::{Connection, SendError};

/// The version that requests carry unless they say otherwise. Name servers from 4.9.4 on answer some requests of
/// such a version in strict JSON; peers that do not know it take it for their newest.
pub const CLIENT_VERSION: Version = Version::V5_3_3;

/// A handle on a connection. Clones share it; it closes with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Arc<Connection>,
    next_opaque: Arc<AtomicI32>,
    address: Arc<str>,
    local: Option<SocketAddr>,
    deadline: Duration,
}

/// A request before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    header: Header,
    body: Bytes,
}

/// What a peer said, with the version that it said of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer<T> {
    /// The peer's version.
    pub version: Version,
    /// What it said.
    pub value: T,
}

impl<T> Answer<T> {
    /// The same answer, read further.
    pub fn map<U>(self, read: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { version: self.version, value: read(self.value) }
    }
}

impl Request {
    /// A request without fields and body.
    #[must_use]
    pub fn new(code: RequestCode) -> Self {
        Self { header: Header::request(code, CLIENT_VERSION), body: Bytes::new() }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, key: &str, value: impl ToString) -> Self {
        self.header.ext_fields.insert(key.to_owned(), value.to_string());
        self
    }

    /// Adds a field if there is a value for it.
    #[must_use]
    pub fn optional_field(self, key: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.field(key, value),
            None => self,
        }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    /// Sends it as a peer of this version would.
    #[must_use]
    pub const fn as_version(mut self, version: Version) -> Self {
        self.header.version = version;
        self
    }

    /// What it asks for.
    #[must_use]
    pub const fn code(&self) -> RequestCode {
        RequestCode(self.header.code)
    }
}

impl Client {
    /// Connects to `host:port`. `deadline` bounds the connecting, name resolution included, and becomes the
    /// deadline of each request.
    ///
    /// # Errors
    /// [`RemotingError::Connect`] if there is no connection in time.
    pub async fn connect(address: &str, deadline: Duration) -> Result<Self, RemotingError> {
        let connected = match timeout(deadline, TcpStream::connect(address)).await {
            Ok(connected) => connected,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut)),
        };
        let failed = |source| RemotingError::Connect { address: address.to_owned(), source };
        let stream = connected.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let local = stream.local_addr().ok();
        let (read, write) = stream.into_split();
        Ok(Self::over(Connection::serve(read, write), address, local, deadline))
    }

    /// Speaks over a stream that is there already. `address` only names the peer in errors.
    pub fn on_stream<S>(stream: S, address: &str, deadline: Duration) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (read, write) = tokio::io::split(stream);
        Self::over(Connection::serve(read, write), address, None, deadline)
    }

    fn over(connection: Connection, address: &str, local: Option<SocketAddr>, deadline: Duration) -> Self {
        Self {
            connection: Arc::new(connection),
            next_opaque: Arc::new(AtomicI32::new(0)),
            address: Arc::from(address),
            local,
            deadline,
        }
    }

    /// The same connection with another deadline for each request.
    #[must_use]
    pub fn with_deadline(&self, deadline: Duration) -> Self {
        Self { deadline, ..self.clone() }
    }

    /// The peer's address as it was given.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// This end of the connection, for TCP.
    #[must_use]
    pub const fn local_address(&self) -> Option<SocketAddr> {
        self.local
    }

    /// True once the connection is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.connection.close_reason().is_some()
    }

    /// Waits until the connection is closed and says why, in words.
    pub async fn closed(&self) -> String {
        self.connection.closed().await
    }

    /// Sends a request and waits for its answer, whatever its code.
    ///
    /// # Errors
    /// If it cannot be sent, the connection closes first, or the deadline passes. In the latter two cases the
    /// peer may have done it all the same.
    pub async fn exchange(&self, request: Request) -> Result<Frame, RemotingError> {
        let code = request.code();
        let exchanged = async {
            let opaque = self.next_opaque.fetch_add(1, Ordering::Relaxed);
            let frame = self.encode(request, opaque, false)?;
            let answer = self.connection.register(opaque).map_err(|error| self.send_error(error))?;
            self.connection.send(frame).await.map_err(|error| self.send_error(error))?;
            answer.wait().await.map_err(|error| self.send_error(error))
        };
        match timeout(self.deadline, exchanged).await {
            Ok(result) => result,
            Err(_) => Err(RemotingError::Deadline {
                address: self.address.to_string(),
                request: code,
                after: self.deadline,
            }),
        }
    }

    /// Sends a request and waits for its success.
    ///
    /// # Errors
    /// As [`Client::exchange`], and [`RemotingError::Refused`] for every other code.
    pub async fn call(&self, request: Request) -> Result<Frame, RemotingError> {
        let code = request.code();
        let frame = self.exchange(request).await?;
        if ResponseCode(frame.header.code) == ResponseCode::SUCCESS {
            return Ok(frame);
        }
        Err(RemotingError::Refused {
            address: self.address.to_string(),
            request: code,
            code: ResponseCode(frame.header.code),
            remark: frame.header.remark.unwrap_or_default(),
        })
    }

    /// Sends a request that wants no answer, and waits until it is handed to the connection.
    ///
    /// # Errors
    /// If it cannot be sent in time.
    pub async fn oneway(&self, request: Request) -> Result<(), RemotingError> {
        let code = request.code();
        let frame = self.encode(request, self.next_opaque.fetch_add(1, Ordering::Relaxed), true)?;
        match timeout(self.deadline, self.connection.send(frame)).await {
            Ok(sent) => sent.map_err(|error| self.send_error(error)),
            Err(_) => Err(RemotingError::Deadline {
                address: self.address.to_string(),
                request: code,
                after: self.deadline,
            }),
        }
    }

    fn encode(&self, request: Request, opaque: i32, oneway: bool) -> Result<Bytes, RemotingError> {
        let code = request.code();
        let mut header = request.header;
        header.opaque = opaque;
        if oneway {
            header.set_oneway();
        }
        // Always JSON: the binary serialization cuts codes above 32767.
        Frame { serialization: Serialization::Json, header, body: request.body }.encode().map_err(|source| {
            RemotingError::Unsendable { address: self.address.to_string(), request: code, source }
        })
    }

    fn send_error(&self, error: SendError) -> RemotingError {
        RemotingError::Closed { address: self.address.to_string(), reason: error.0 }
    }
}

#[cfg(test)]
mod tests;
