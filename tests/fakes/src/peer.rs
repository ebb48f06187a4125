//! What both fakes share: listening, reading requests in both header serializations, answering in their own as
//! real peers do, remembering what came, and waiting for conditions.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::{Header, Serialization};
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::timeout;

/// A condition that does not hold by then will not.
const CONDITION_DEADLINE: Duration = Duration::from_secs(20);

/// Numbers the connections of a fake in the order in which they were accepted, from 1 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// On which connection.
    pub connection: ConnectionId,
    /// What was asked.
    pub code: RequestCode,
    /// The version that the sender said of itself.
    pub version: Version,
    /// How the header was written.
    pub serialization: Serialization,
    /// The fields of the header.
    pub fields: BTreeMap<String, String>,
    /// The body.
    pub body: Bytes,
}

impl Received {
    /// A field of the header; empty if absent, as Java's null mostly behaves.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A condition that was waited for in vain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it was never so that {what}; at the end: {state}")]
pub struct Unmet {
    what: String,
    state: String,
}

/// An answer before it becomes a frame.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: ResponseCode,
    pub(crate) remark: Option<String>,
    pub(crate) fields: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn success() -> Self {
        Self { code: ResponseCode::SUCCESS, remark: None, fields: BTreeMap::new(), body: Bytes::new() }
    }

    pub(crate) fn refusal(code: ResponseCode, remark: impl Into<String>) -> Self {
        Self { code, remark: Some(remark.into()), ..Self::success() }
    }

    /// To a request that the peer does not know: 5.3.3 says so, 4.5.0 says nothing.
    pub(crate) fn unknown_request(code: RequestCode, peer: Version) -> Option<Self> {
        let remark = format!(" request type {} not supported", code.0);
        peer.is_5().then(|| Self::refusal(ResponseCode::REQUEST_CODE_NOT_SUPPORTED, remark))
    }

    /// A data version as peers write it; 4.x has no state version.
    pub(crate) fn data_version(version: DataVersion, peer: Version) -> Value {
        let mut written = json!(version);
        if peer.is_5() {
            written["stateVersion"] = Value::from(version.state_version);
        }
        written
    }

    pub(crate) fn with_body(body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::success() }
    }

    #[must_use]
    pub(crate) fn field(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }
}

/// What a fake keeps beside its own state.
#[derive(Debug, Clone)]
pub(crate) struct Common {
    pub(crate) version: Version,
    pub(crate) received: Vec<Received>,
    pub(crate) open: Vec<ConnectionId>,
    serialization: Serialization,
    silent: bool,
    refusals: BTreeMap<RequestCode, ResponseCode>,
    handles: BTreeMap<ConnectionId, AbortHandle>,
}

impl Common {
    pub(crate) fn new(version: Version) -> Self {
        Self {
            version,
            received: Vec::new(),
            open: Vec::new(),
            serialization: Serialization::Json,
            silent: false,
            refusals: BTreeMap::new(),
            handles: BTreeMap::new(),
        }
    }
}

/// The state of a fake and how it answers.
pub(crate) trait Peer: std::fmt::Debug + Send + Sync + 'static {
    fn common(&mut self) -> &mut Common;
    /// `None` leaves the request unanswered.
    fn answer(&mut self, request: &Received) -> Option<Reply>;
    fn connection_closed(&mut self, connection: ConnectionId);
}

/// A fake that listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Server<P: Peer> {
    pub(crate) address: SocketAddr,
    pub(crate) state: Arc<watch::Sender<P>>,
    accepting: JoinHandle<()>,
}

impl<P: Peer> Server<P> {
    pub(crate) fn serve(listener: TcpListener, state: P) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let state = Arc::new(watch::Sender::new(state));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { address, state, accepting })
    }

    /// Stops listening and gives the address back.
    pub(crate) async fn stop(&mut self) -> SocketAddr {
        self.accepting.abort();
        // It ends by being aborted.
        let _ = (&mut self.accepting).await;
        self.address
    }

    pub(crate) fn read<T>(&self, read: impl FnOnce(&P) -> T) -> T {
        read(&self.state.borrow())
    }

    pub(crate) fn change(&self, change: impl FnOnce(&mut P)) {
        self.state.send_modify(change);
    }

    pub(crate) fn set_serialization(&self, serialization: Serialization) {
        self.change(|state| state.common().serialization = serialization);
    }

    pub(crate) fn set_silent(&self, silent: bool) {
        self.change(|state| state.common().silent = silent);
    }

    pub(crate) fn refuse(&self, request: RequestCode, code: Option<ResponseCode>) {
        self.change(|state| match code {
            Some(code) => drop(state.common().refusals.insert(request, code)),
            None => drop(state.common().refusals.remove(&request)),
        });
    }

    pub(crate) fn close_connections(&self) {
        self.change(|state| {
            for (_, handle) in std::mem::take(&mut state.common().handles) {
                handle.abort();
            }
        });
    }

    pub(crate) async fn until(&self, what: &str, holds: impl FnMut(&P) -> bool) -> Result<(), Unmet> {
        let mut watching = self.state.subscribe();
        match timeout(CONDITION_DEADLINE, watching.wait_for(holds)).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Unmet { what: what.to_owned(), state: self.read(|state| format!("{state:?}")) }),
        }
    }
}

impl<P: Peer> Drop for Server<P> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until it is aborted; its connections go with it.
async fn accept<P: Peer>(listener: TcpListener, state: Arc<watch::Sender<P>>) {
    let mut connections = JoinSet::new();
    let mut last = 0;
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        // As Netty's servers; a connection that is closed already shows when it is read.
        let _ = stream.set_nodelay(true);
        last += 1;
        let id = ConnectionId(last);
        // Counted as open before anybody can learn that it was accepted.
        state.send_modify(|state| state.common().open.push(id));
        let open = Open { id, state: Arc::clone(&state) };
        let handle = connections.spawn(async move { open.serve(stream).await });
        state.send_if_modified(|state| {
            state.common().handles.insert(id, handle);
            false
        });
        while connections.try_join_next().is_some() {}
    }
}

/// An open connection. However its task ends, the fake learns that it is closed.
struct Open<P: Peer> {
    id: ConnectionId,
    state: Arc<watch::Sender<P>>,
}

impl<P: Peer> Drop for Open<P> {
    fn drop(&mut self) {
        self.state.send_modify(|state| {
            state.common().open.retain(|open| *open != self.id);
            state.common().handles.remove(&self.id);
            state.connection_closed(self.id);
        });
    }
}

impl<P: Peer> Open<P> {
    async fn serve(self, mut stream: TcpStream) {
        let mut buffer = BytesMut::new();
        loop {
            match Frame::decode(&mut buffer) {
                Ok(Some(frame)) => {
                    if let Some(answer) = self.answer(frame)
                        && stream.write_all(&answer).await.is_err()
                    {
                        return;
                    }
                }
                Ok(None) => match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                },
                // As Netty's decoder does.
                Err(_) => return,
            }
        }
    }

    fn answer(&self, request: Frame) -> Option<Bytes> {
        if request.header.is_response() {
            return None;
        }
        let received = Received {
            connection: self.id,
            code: RequestCode(request.header.code),
            version: request.header.version,
            serialization: request.serialization,
            fields: request.header.ext_fields.clone(),
            body: request.body,
        };
        let mut answer = None;
        self.state.send_modify(|state| {
            state.common().received.push(received.clone());
            if state.common().silent {
                return;
            }
            let reply = match state.common().refusals.get(&received.code) {
                Some(code) => Some(Reply::refusal(*code, "refused by the test")),
                None => state.answer(&received),
            };
            answer = reply.map(|reply| (reply, state.common().version, state.common().serialization));
        });
        let (reply, version, serialization) = answer?;
        if request.header.is_oneway() {
            return None;
        }
        let mut header = Header::response(&request.header, reply.code, version);
        header.remark = reply.remark;
        header.ext_fields = reply.fields;
        Frame { serialization, header, body: reply.body }.encode().ok()
    }
}
