//! The recorded frames, and peers that answer with them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq::model::kv::KvEntry;
use rocketmq::model::route::{RegisteredBroker, TopicRow};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::{Header, Serialization};
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

pub(crate) const V4_9_7: Version = Version::from_ordinal(407);
pub(crate) const V5_5_0: Version = Version::from_ordinal(513);

/// A version of which there are frames.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded {
    pub(crate) version: Version,
    /// Where its broker was.
    pub(crate) address: &'static str,
    /// Where the broker's slave was.
    pub(crate) slave: &'static str,
    pub(crate) serialization: Serialization,
}

/// Every version, in both header serializations.
pub(crate) fn recorded() -> impl Iterator<Item = Recorded> {
    let versions = [
        (Version::V4_5_0, "127.0.0.1:21911", "127.0.0.1:21931"),
        (V4_9_7, "127.0.0.1:23911", "127.0.0.1:23931"),
        (Version::V5_3_3, "127.0.0.1:22911", "127.0.0.1:22931"),
        (V5_5_0, "127.0.0.1:24911", "127.0.0.1:24931"),
    ];
    versions.into_iter().flat_map(|(version, address, slave)| {
        [Serialization::Json, Serialization::Binary].map(|serialization| Recorded {
            version,
            address,
            slave,
            serialization,
        })
    })
}

pub(crate) fn folder(version: Version) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version.to_string())
}

pub(crate) fn decode_whole(bytes: &[u8], name: &str) -> Frame {
    let mut buffer = BytesMut::from(bytes);
    let frame = Frame::decode(&mut buffer).unwrap().unwrap_or_else(|| panic!("{name} is cut"));
    assert!(buffer.is_empty(), "{name} goes on");
    frame
}

impl Recorded {
    pub(crate) fn path(self, code: RequestCode, kind: &str) -> PathBuf {
        let suffix = match self.serialization {
            Serialization::Json => "json",
            Serialization::Binary => "binary",
        };
        folder(self.version).join(format!("{}-{kind}.{suffix}.frame", code.0))
    }

    pub(crate) fn frame(self, code: RequestCode, kind: &str) -> Frame {
        let path = self.path(code, kind);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        decode_whole(&bytes, &path.display().to_string())
    }

    /// A client whose peer answers each request with what a real peer answered.
    pub(crate) fn replay(self) -> Client {
        self.replay_kind("answer")
    }

    /// The same with answers of a special kind.
    pub(crate) fn replay_kind(self, kind: &'static str) -> Client {
        self.replay_noting(kind, Arc::default())
    }

    /// The same, and it notes what it is asked.
    pub(crate) fn replay_noting(
        self,
        kind: &'static str,
        asked: Arc<Mutex<BTreeSet<RequestCode>>>,
    ) -> Client {
        let (here, there) = duplex(1 << 20);
        tokio::spawn(answer_all(there, self, kind, asked));
        Client::on_stream(here, "golden", Duration::from_secs(10))
    }

    pub(crate) fn demo_broker(self) -> RegisteredBroker {
        RegisteredBroker {
            cluster: "demo".to_owned(),
            broker_name: "demo-0".to_owned(),
            broker_id: 0,
            address: self.address.to_owned(),
        }
    }
}

async fn answer_all(
    mut stream: DuplexStream,
    recorded: Recorded,
    kind: &'static str,
    asked: Arc<Mutex<BTreeSet<RequestCode>>>,
) {
    let mut buffer = BytesMut::new();
    loop {
        while let Some(request) = Frame::decode(&mut buffer).unwrap() {
            let code = RequestCode(request.header.code);
            asked.lock().unwrap().insert(code);
            let mut answer = recorded.frame(code, kind);
            answer.header.opaque = request.header.opaque;
            stream.write_all(&answer.encode().unwrap()).await.unwrap();
        }
        if stream.read_buf(&mut buffer).await.unwrap() == 0 {
            return;
        }
    }
}

pub(crate) fn orders_row() -> TopicRow {
    TopicRow {
        topic: "orders".to_owned(),
        broker_name: "demo-0".to_owned(),
        read_queues: 4,
        write_queues: 8,
        permission: 6,
    }
}

pub(crate) fn order_conf() -> KvEntry {
    KvEntry {
        namespace: "ORDER_TOPIC_CONFIG".to_owned(),
        key: "orders".to_owned(),
        value: "demo-0:4".to_owned(),
    }
}

/// What a client sends: its first request, answered by a refusal.
pub(crate) async fn sent<F: Future<Output = ()> + Send + 'static>(ask: impl FnOnce(Client) -> F) -> Frame {
    let (here, mut there) = duplex(1 << 20);
    let asking = tokio::spawn(ask(Client::on_stream(here, "nobody", Duration::from_secs(10))));
    let mut buffer = BytesMut::new();
    let request = loop {
        if let Some(request) = Frame::decode(&mut buffer).unwrap() {
            break request;
        }
        assert_ne!(there.read_buf(&mut buffer).await.unwrap(), 0);
    };
    let header = Header::response(&request.header, ResponseCode::SYSTEM_BUSY, Version::V5_3_3);
    let refusal = Frame { serialization: Serialization::Json, header, body: Bytes::new() };
    there.write_all(&refusal.encode().unwrap()).await.unwrap();
    asking.await.unwrap();
    request
}
