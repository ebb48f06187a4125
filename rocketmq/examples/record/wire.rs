//! Connections that keep what passes, and the files that it is kept in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::Serialization;
use rocketmq::remoting::request_code::RequestCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::{CHANGES, Outcome};

/// How long a frame is waited for.
const DEADLINE: Duration = Duration::from_secs(120);

/// The files of one version and one serialization.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    folder: PathBuf,
    serialization: Serialization,
}

impl Store {
    pub(crate) fn new(folder: &Path, serialization: Serialization) -> Self {
        Self { folder: folder.to_owned(), serialization }
    }

    pub(crate) const fn serialization(&self) -> Serialization {
        self.serialization
    }

    fn path(&self, name: &str) -> PathBuf {
        let suffix = match self.serialization {
            Serialization::Json => "json",
            Serialization::Binary => "binary",
        };
        self.folder.join(format!("{name}.{suffix}.frame"))
    }

    /// Keeps a frame unless there is one of this name.
    pub(crate) fn keep(&self, name: &str, frame: &Frame, bytes: &[u8]) -> Outcome<()> {
        let path = self.path(name);
        if frame.serialization == self.serialization && !path.exists() {
            std::fs::write(path, bytes)?;
        }
        Ok(())
    }

    pub(crate) async fn await_files(&self, names: &[String]) -> Outcome<()> {
        for name in names {
            self.await_file(name).await?;
        }
        Ok(())
    }

    /// Waits until a frame is there.
    pub(crate) async fn await_file(&self, name: &str) -> Outcome<()> {
        let path = self.path(name);
        let found = async {
            while !path.exists() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(DEADLINE, found).await.map_err(|_| format!("no {} came", path.display()))?;
        Ok(())
    }
}

/// A port that passes everything on to a peer and keeps the first request of each kind that comes, and the first answer
/// to one that changes something.
#[derive(Debug)]
pub(crate) struct Listener {
    port: u16,
    peer: String,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    /// An address in answers, and the one of the same length that the client gets in its place.
    instead: Option<(String, String)>,
    label: Mutex<Option<&'static str>>,
    /// Keeps only registrations, and those only while there is a label.
    silent: bool,
}

/// A listener at work.
#[derive(Debug)]
pub(crate) struct Serving {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Listener {
    pub(crate) fn new(port: u16, peer: &str, store: Store) -> Self {
        let shared = Shared { store, instead: None, label: Mutex::default(), silent: false };
        Self { port, peer: peer.to_owned(), shared: Arc::new(shared) }
    }

    /// Answers name one address where the peer named another, so that clients come to where they are recorded.
    pub(crate) fn instead(self, addresses: (String, String)) -> Self {
        self.with(|shared| Shared { instead: Some(addresses), ..shared })
    }

    /// Keeps nothing until it has a label.
    pub(crate) fn silent(self) -> Self {
        self.with(|shared| Shared { silent: true, ..shared })
    }

    fn with(self, change: impl FnOnce(Shared) -> Shared) -> Self {
        match Arc::try_unwrap(self.shared) {
            Ok(shared) => Self { shared: Arc::new(change(shared)), ..self },
            Err(shared) => Self { shared, ..self },
        }
    }

    pub(crate) async fn serve(self) -> Outcome<Serving> {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await?;
        let (peer, shared) = (self.peer, Arc::clone(&self.shared));
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&peer).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                let asked = Asked::default();
                tokio::spawn(pass(from_client, to_server, Arc::clone(&shared), Arc::clone(&asked), true));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&shared), asked, false));
            }
        });
        Ok(Serving { shared: self.shared, task })
    }
}

impl Serving {
    /// Keeps registrations as this kind from now on.
    pub(crate) fn label(&self, label: Option<&'static str>) {
        *self.shared.label.lock().unwrap_or_else(PoisonError::into_inner) = label;
    }

    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

/// The requests of a client that are not answered yet, by opaque, each with its name.
type Asked = Arc<Mutex<HashMap<i32, String>>>;

impl Shared {
    /// What a frame is kept as; requests of a server to its client, and their answers, are not.
    fn name(&self, frame: &Frame, asked: &Asked, from_client: bool) -> Option<String> {
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        if frame.header.is_response() {
            let request = if from_client { None } else { asked.remove(&frame.header.opaque) };
            return request.map(|kind| format!("{kind}-answer"));
        }
        let code = RequestCode(frame.header.code);
        if !from_client || code.name().is_none() {
            return None;
        }
        let label = *self.label.lock().unwrap_or_else(PoisonError::into_inner);
        let kind = match label {
            Some(label) if code == RequestCode::REGISTER_BROKER => format!("{}-{label}", code.0),
            _ if self.silent => return None,
            _ => code.0.to_string(),
        };
        if CHANGES.contains(&code) {
            asked.insert(frame.header.opaque, kind.clone());
        }
        Some(format!("{kind}-request"))
    }
}

async fn pass<R, W>(from: R, mut to: W, shared: Arc<Shared>, asked: Asked, from_client: bool) -> Outcome<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = Reader::new(from);
    while let Some((frame, bytes)) = reader.next().await? {
        if let Some(name) = shared.name(&frame, &asked, from_client) {
            shared.store.keep(&name, &frame, &bytes)?;
        }
        match &shared.instead {
            Some((real, other)) if !from_client => to.write_all(&replaced(&bytes, real, other)).await?,
            _ => to.write_all(&bytes).await?,
        }
    }
    Ok(to.shutdown().await?)
}

/// The bytes with one text in place of another of the same length, so that lengths in them stay right.
fn replaced(bytes: &[u8], real: &str, other: &str) -> Vec<u8> {
    let (real, other) = (real.as_bytes(), other.as_bytes());
    let mut bytes = bytes.to_vec();
    for start in 0..bytes.len() {
        if bytes.get(start..start + real.len()) == Some(real) {
            bytes.splice(start..start + real.len(), other.iter().copied());
        }
    }
    bytes
}

/// Reads frames together with their bytes.
pub(crate) struct Reader<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }

    pub(crate) async fn next(&mut self) -> Outcome<Option<(Frame, Bytes)>> {
        loop {
            let mut rest = self.buffer.clone();
            if let Some(frame) = Frame::decode(&mut rest)? {
                let bytes = self.buffer.split_to(self.buffer.len() - rest.len()).freeze();
                return Ok(Some((frame, bytes)));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}
