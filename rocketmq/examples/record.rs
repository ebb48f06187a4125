//! Records the golden frames of `tests/golden` from real peers, one file a frame, as the bytes went over the wire.
//!
//! `record ask NAME_SERVER BROKER FOLDER` asks a name server and a broker that is registered there everything that
//! this crate asks without changing it, in both header serializations, and keeps the answers. A peer answers in its
//! own serialization, whatever the request's: `-Drocketmq.serialize.type=ROCKETMQ` makes it binary. The broker is
//! `demo-0` of cluster `demo`, with a topic `orders` that has an order configuration, and a group `billing` with an offset
//! in each of its queues and, on 5.x, the request mode POP.
//! `record between PORT HOST:PORT FOLDER` passes bytes between a Java client that connects to the port and the
//! peer, and keeps the first request and the first answer of each kind.

#![expect(clippy::disallowed_methods, reason = "frames become files")]

use std::collections::HashMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::{Header, Serialization};
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

type Question = (RequestCode, Vec<(&'static str, String)>, &'static str);

fn questions_to_broker() -> Vec<Question> {
    [
        RequestCode::GET_ALL_TOPIC_CONFIG,
        RequestCode::GET_BROKER_CONFIG,
        RequestCode::GET_BROKER_RUNTIME_INFO,
        RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
        RequestCode::GET_ALL_CONSUMER_OFFSET,
    ]
    .map(|code| (code, Vec::new(), ""))
    .into()
}

fn questions_to_name_server(broker: &str) -> Vec<Question> {
    let text = |text: &str| text.to_owned();
    let namespace = ("namespace", text("ORDER_TOPIC_CONFIG"));
    vec![
        (RequestCode::GET_KV_CONFIG, vec![namespace.clone(), ("key", text("orders"))], ""),
        (RequestCode::GET_KVLIST_BY_NAMESPACE, vec![namespace], ""),
        (RequestCode::GET_ROUTEINFO_BY_TOPIC, vec![("topic", text("orders"))], ""),
        (RequestCode::GET_BROKER_CLUSTER_INFO, vec![], ""),
        (RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, vec![], ""),
        (RequestCode::GET_TOPICS_BY_CLUSTER, vec![("cluster", text("demo"))], ""),
        (RequestCode::GET_NAMESRV_CONFIG, vec![], ""),
        (
            RequestCode::QUERY_DATA_VERSION,
            vec![
                ("brokerName", text("demo-0")),
                ("brokerId", text("0")),
                ("clusterName", text("demo")),
                ("brokerAddr", text(broker)),
            ],
            r#"{"timestamp":1,"counter":1}"#,
        ),
    ]
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(folder) = arguments.last() {
        std::fs::create_dir_all(folder)?;
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["ask", name_server, broker, folder] => {
            ask(name_server, questions_to_name_server(broker), Path::new(folder)).await?;
            let version = ask(broker, questions_to_broker(), Path::new(folder)).await?;
            // 4.x would not answer.
            let later = version.has_request_modes().then_some(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE);
            let later = later.map(|code| (code, Vec::new(), "")).into_iter().collect();
            ask(broker, later, Path::new(folder)).await.map(drop)
        }
        ["between", port, peer, folder] => between(port.parse()?, peer, PathBuf::from(folder)).await,
        _ => Err("usage: record ask NAME_SERVER BROKER FOLDER | record between PORT HOST:PORT FOLDER".into()),
    }
}

/// Asks and records; tells the version of the peer.
async fn ask(peer: &str, questions: Vec<Question>, folder: &Path) -> Outcome<Version> {
    let mut version = Version::V4_5_0;
    for (code, fields, body) in questions {
        for serialization in [Serialization::Json, Serialization::Binary] {
            // An old client: newer ones get strict JSON for routes from name servers of 4.9.4 and later.
            let mut header = Header::request(code, Version::V4_5_0);
            header.ext_fields =
                fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
            let request = Frame { serialization, header, body: Bytes::from_static(body.as_bytes()) };
            let mut stream = TcpStream::connect(peer).await?;
            stream.write_all(&request.encode()?).await?;
            let mut reader = Recorder::new(stream);
            let (answer, bytes) = reader.next().await?.ok_or("the peer closed the connection")?;
            if ResponseCode(answer.header.code) != ResponseCode::SUCCESS {
                return Err(format!("{peer} refused {code}: {:?}", answer.header.remark).into());
            }
            version = answer.header.version;
            std::fs::write(path(folder, code, "answer", answer.serialization), &bytes)?;
        }
    }
    Ok(version)
}

async fn between(port: u16, peer: &str, folder: PathBuf) -> Outcome<()> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (client, _) = listener.accept().await?;
        let server = TcpStream::connect(peer).await?;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let asked = Asked::default();
        tokio::spawn(pass(from_client, to_server, folder.clone(), Arc::clone(&asked)));
        tokio::spawn(pass(from_server, to_client, folder.clone(), asked));
    }
}

/// Which request an open opaque belongs to.
type Asked = Arc<Mutex<HashMap<i32, RequestCode>>>;

/// Passes frames on and keeps the first of each kind.
async fn pass<R, W>(from: R, mut to: W, folder: PathBuf, asked: Asked) -> Outcome<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut reader = Recorder::new(from);
    while let Some((frame, bytes)) = reader.next().await? {
        let file = kind_of(&frame, &asked).map(|(code, kind)| path(&folder, code, kind, frame.serialization));
        if let Some(file) = file.filter(|file| !file.exists()) {
            std::fs::write(file, &bytes)?;
        }
        to.write_all(&bytes).await?;
    }
    Ok(to.shutdown().await?)
}

fn kind_of(frame: &Frame, asked: &Asked) -> Option<(RequestCode, &'static str)> {
    let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
    if frame.header.is_response() {
        return asked.remove(&frame.header.opaque).map(|code| (code, "answer"));
    }
    let code = RequestCode(frame.header.code);
    asked.insert(frame.header.opaque, code);
    Some((code, "request"))
}

/// Reads frames together with their bytes.
struct Recorder<R> {
    reader: R,
    buffer: BytesMut,
}

impl<R: AsyncRead + Unpin> Recorder<R> {
    fn new(reader: R) -> Self {
        Self { reader, buffer: BytesMut::new() }
    }

    async fn next(&mut self) -> Outcome<Option<(Frame, Bytes)>> {
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

fn path(folder: &Path, code: RequestCode, kind: &str, serialization: Serialization) -> PathBuf {
    let serialization = match serialization {
        Serialization::Json => "json",
        Serialization::Binary => "binary",
    };
    folder.join(format!("{}-{kind}.{serialization}.frame", code.0))
}
