//! What is asked of the peers, and in which state of theirs.

use std::time::Duration;

use bytes::Bytes;
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::header::Header;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::wire::{Reader, Store};
use crate::{Outcome, refused};

/// A state of the peers in which they are asked, see the top of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Tables,
    Backlog,
}

/// A request whose answer is kept.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    code: RequestCode,
    /// What is special about it; empty for nothing.
    kind: &'static str,
    fields: Vec<(&'static str, String)>,
    body: &'static str,
    /// The codes that the answer may have.
    expected: &'static [ResponseCode],
    /// What the body has once the peer is as far.
    awaited: &'static str,
}

/// How long a state is waited for; a slave of 5.x takes over its master's tables after a minute.
const DEADLINE: Duration = Duration::from_secs(180);

const FOUND: &[ResponseCode] = &[ResponseCode::SUCCESS];

impl Question {
    fn new<const N: usize>(code: RequestCode, fields: [(&'static str, &str); N]) -> Self {
        let fields = fields.map(|(key, value)| (key, value.to_owned())).into();
        Self { code, kind: "", fields, body: "", expected: FOUND, awaited: "" }
    }

    /// The topic table.
    pub(crate) fn table(kind: &'static str) -> Self {
        Self::new(RequestCode::GET_ALL_TOPIC_CONFIG, []).kind(kind)
    }

    /// Every broker.
    pub(crate) fn brokers() -> Self {
        Self::new(RequestCode::GET_BROKER_CLUSTER_INFO, [])
    }

    fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }

    /// About something that is not there.
    fn absent(self, code: &'static [ResponseCode]) -> Self {
        Self { kind: "absent", expected: code, ..self }
    }

    fn awaiting(self, awaited: &'static str) -> Self {
        Self { awaited, ..self }
    }

    /// Asks until the peer is as far, and keeps the answer.
    pub(crate) async fn record(&self, store: &Store, peer: &str) -> Outcome<()> {
        let (frame, bytes) = self.answer(store, peer, self.awaited).await?;
        let name = match self.kind {
            "" => format!("{}-answer", self.code.0),
            kind => format!("{}-{kind}-answer", self.code.0),
        };
        store.keep(&name, &frame, &bytes)
    }

    /// Asks until the body has a text.
    pub(crate) async fn until(&self, store: &Store, peer: &str, awaited: &str) -> Outcome<()> {
        self.answer(store, peer, awaited).await.map(drop)
    }

    async fn answer(&self, store: &Store, peer: &str, awaited: &str) -> Outcome<(Frame, Bytes)> {
        let asked = async {
            loop {
                let (frame, bytes) = self.ask(store, peer).await?;
                if contains(&frame.body, awaited) {
                    return Ok((frame, bytes));
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        };
        let answer: Result<Outcome<_>, _> = timeout(DEADLINE, asked).await;
        answer.map_err(|_| format!("{peer} never answered {} with {awaited}", self.code))?
    }

    async fn ask(&self, store: &Store, peer: &str) -> Outcome<(Frame, Bytes)> {
        // An old client: newer ones get strict JSON for routes from name servers of 4.9.4 and later.
        let mut header = Header::request(self.code, Version::V4_5_0);
        header.ext_fields =
            self.fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        let body = Bytes::from_static(self.body.as_bytes());
        let request = Frame { serialization: store.serialization(), header, body };
        let mut stream = TcpStream::connect(peer).await?;
        stream.write_all(&request.encode()?).await?;
        let (answer, bytes) = Reader::new(stream).next().await?.ok_or("the peer closed the connection")?;
        let code = ResponseCode(answer.header.code);
        if !self.expected.contains(&code) {
            return Err(refused(peer, self.code, code, answer.header.remark.as_deref()).into());
        }
        Ok((answer, bytes))
    }
}

fn contains(body: &[u8], text: &str) -> bool {
    String::from_utf8_lossy(body).contains(text)
}

/// Sets what a broker may do, on which it registers at once.
pub(crate) async fn set_permission(store: &Store, broker: &str, permission: u8) -> Outcome<()> {
    let body = match permission {
        2 => "brokerPermission=2\n",
        4 => "brokerPermission=4\n",
        _ => "brokerPermission=6\n",
    };
    let question = Question { body, ..Question::new(RequestCode::UPDATE_BROKER_CONFIG, []) };
    question.ask(store, broker).await.map(drop)
}

pub(crate) fn of_name_server(stage: Stage, broker: &str) -> Vec<Question> {
    if stage == Stage::Backlog {
        return Vec::new();
    }
    let namespace = ("namespace", "ORDER_TOPIC_CONFIG");
    let no_namespace = ("namespace", "NO_SUCH");
    let version = Question::new(
        RequestCode::QUERY_DATA_VERSION,
        [("brokerName", "demo-0"), ("brokerId", "0"), ("clusterName", "demo"), ("brokerAddr", broker)],
    );
    let missing: &[ResponseCode] = &[ResponseCode::QUERY_NOT_FOUND];
    vec![
        Question::new(RequestCode::GET_KV_CONFIG, [namespace, ("key", "orders")]),
        Question::new(RequestCode::GET_KV_CONFIG, [namespace, ("key", "none")]).absent(missing),
        Question::new(RequestCode::GET_KVLIST_BY_NAMESPACE, [namespace]),
        Question::new(RequestCode::GET_KVLIST_BY_NAMESPACE, [no_namespace]).absent(missing),
        Question::new(RequestCode::GET_ROUTEINFO_BY_TOPIC, [("topic", "orders")]),
        Question::new(RequestCode::GET_ROUTEINFO_BY_TOPIC, [("topic", "none")])
            .absent(&[ResponseCode::TOPIC_NOT_EXIST]),
        Question::brokers(),
        Question::new(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER, []),
        Question::new(RequestCode::GET_TOPICS_BY_CLUSTER, [("cluster", "demo")]),
        Question::new(RequestCode::GET_NAMESRV_CONFIG, []),
        Question { body: r#"{"timestamp":1,"counter":1}"#, ..version },
    ]
}

pub(crate) fn of_broker(stage: Stage, version: Version) -> Vec<Question> {
    match stage {
        Stage::Tables => vec![
            Question::table(""),
            Question::new(RequestCode::GET_BROKER_CONFIG, []),
            Question::new(RequestCode::GET_BROKER_RUNTIME_INFO, []),
            Question::new(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, []),
        ],
        Stage::Backlog => backlog(version),
    }
}

fn backlog(version: Version) -> Vec<Question> {
    let offset = |group, queue| {
        let fields = [("consumerGroup", group), ("topic", "orders"), ("queueId", queue)];
        Question::new(RequestCode::QUERY_CONSUMER_OFFSET, fields)
    };
    let stats = |topic| Question::new(RequestCode::GET_TOPIC_STATS_INFO, [("topic", topic)]);
    let members =
        |group| Question::new(RequestCode::GET_CONSUMER_CONNECTION_LIST, [("consumerGroup", group)]);
    let held = |group, client| {
        let fields = [("consumerGroup", group), ("clientId", client), ("jstackEnable", "false")];
        Question::new(RequestCode::GET_CONSUMER_RUNNING_INFO, fields)
    };
    // Blank is every topic.
    let remembered = |group, client| {
        let fields = [("topic", " "), ("group", group), ("clientAddr", client)];
        Question::new(RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS, fields)
    };
    let queue = [("topic", "orders"), ("queueId", "0")];
    let mut questions = vec![
        offset("shipping", "0"),
        // 4.x says 0 of a queue that nobody has written to, 5.x that it knows nothing.
        Question {
            expected: &[ResponseCode::SUCCESS, ResponseCode::QUERY_NOT_FOUND],
            ..offset("watching", "3").kind("unread")
        },
        Question::new(RequestCode::GET_MAX_OFFSET, queue),
        Question::new(RequestCode::GET_MIN_OFFSET, queue),
        Question::new(RequestCode::GET_ALL_CONSUMER_OFFSET, []).awaiting(if version.is_5() {
            "orders@watching@broadcast"
        } else {
            "orders@shipping"
        }),
        // Level 1 has delivered its message, the last level has one that is not due and may not be named.
        Question::new(RequestCode::GET_ALL_DELAY_OFFSET, []).awaiting("1:1"),
        Question::new(RequestCode::GET_BROKER_RUNTIME_INFO, []).kind("backlog"),
        Question::new(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, []).kind("groups"),
        stats("orders"),
        // Of a topic with more queues to read than to write.
        Question {
            expected: &[ResponseCode::SUCCESS, ResponseCode::TOPIC_NOT_EXIST],
            ..stats("shrunk").kind("shrunk").awaiting("shrunk\"}")
        },
        // Its topic comes with the first check of transactions (4.5.0).
        Question {
            expected: &[ResponseCode::SUCCESS, ResponseCode::TOPIC_NOT_EXIST],
            ..stats("RMQ_SYS_TRANS_HALF_TOPIC").kind("half").awaiting(r#""maxOffset":1"#)
        },
        stats("none").absent(&[ResponseCode::TOPIC_NOT_EXIST]),
        members("shipping"),
        members("watching").kind("broadcast"),
        members("none").absent(&[ResponseCode::CONSUMER_NOT_ONLINE]),
        held("shipping", "127.0.0.1@golden"),
        held("shipping", "127.0.0.1@none").absent(&[ResponseCode::SYSTEM_ERROR]),
        // A member of 5.x knows no offset of a queue without messages until its first pull is answered.
        remembered("shipping", "127.0.0.1@golden").awaiting("\"queueId\":3"),
        remembered("shipping", "127.0.0.1@none").kind("absent"),
        Question {
            expected: &[ResponseCode::SYSTEM_ERROR],
            ..remembered("none", "127.0.0.1@golden").kind("offline")
        },
    ];
    if version.is_5() {
        questions.extend([
            Question::new(RequestCode::GET_TIMER_METRICS, []).awaiting("\"orders\""),
            Question::new(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE, []),
            held("popping", "127.0.0.1@golden").kind("pop").awaiting("\"queueId\":-1"),
        ]);
    }
    questions
}

/// The requests that only slaves send, as files.
pub(crate) fn of_slaves(version: Version) -> Vec<String> {
    let mut codes = vec![
        RequestCode::GET_ALL_TOPIC_CONFIG,
        RequestCode::GET_ALL_CONSUMER_OFFSET,
        RequestCode::GET_ALL_DELAY_OFFSET,
        RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG,
    ];
    if version.is_5() {
        codes.extend([RequestCode::GET_ALL_MESSAGE_REQUEST_MODE, RequestCode::GET_TIMER_METRICS]);
    }
    codes.into_iter().map(|code| format!("{}-request", code.0)).collect()
}
