//! Records the golden frames of `tests/golden` from real peers, one file a frame, as the bytes went over the wire:
//!
//! ```text
//! cargo run -p rocketmq --example record -- LIB PORT FOLDER
//! cargo run -p rocketmq --example record -- ~/.cache/kubectl-rocketmq-lab/images/rocketmq-5.3.3/lib 22900 rocketmq/tests/golden/5.3.3
//! ```
//!
//! LIB holds the jars of one version of RocketMQ: name server, broker and tools with all that they need, as
//! `mvn dependency:copy-dependencies` fetches them and `cargo lab images` keeps them. PORT is the first of fifty free
//! ports. A frame that FOLDER has already is kept, so a run adds what is missing: delete a file to record it again. It
//! needs a JDK and takes two to five minutes, because everything is done twice: a peer answers in its own header
//! serialization (`-Drocketmq.serialize.type`).
//!
//! What a run does, in this order:
//! 1. It starts a name server and the broker `demo-0` of the cluster `demo`, which registers through a recording
//!    connection, and asks before it registers again (`forceRegister=false`): requests 103, 322.
//! 2. Java's administration client (`Golden.java`) makes the topic `orders` with 4 read and 8 write queues and the KV
//!    entry of its order, and asks all that it can ask. Requests of a client are kept as they come, answers of those that
//!    change something too. Then this program asks every question, as this crate's clients do: `Stage::Tables`.
//! 3. Java makes groups with offsets, and a backlog: messages read and unread, delayed, half, and on the timer wheel (5.x);
//!    `shipping` is online, `watching` broadcasts, `popping` pops (5.x): `Stage::Backlog`.
//! 4. Java makes topics of every permission; the broker registers them with each permission of its own: kinds `perms`
//!    (6), `readonly` (4) and `writeonly` (2) of 103, and the table they come from (21). A slave is started behind
//!    recording connections to name server and master, for its registration and what only slaves ask (45, 61, 402).
//! 5. The broker is stopped cleanly: 104.
//!
//! Kinds of a frame other than `request` and `answer` say what is special: `absent` is the answer about a thing that is
//! not there, `offline` that about a group of which nobody is connected.

#![expect(clippy::disallowed_methods, reason = "frames become files")]

mod peers;
mod questions;
mod wire;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rocketmq::remoting::header::Serialization;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;

use crate::peers::{Java, Ports, Version};
use crate::questions::{Question, Stage};
use crate::wire::{Listener, Store};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Requests that change something: their answers are kept as Java's client gets them.
const CHANGES: [RequestCode; 13] = [
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::UPDATE_AND_CREATE_TOPIC,
    RequestCode::UPDATE_AND_CREATE_TOPIC_LIST,
    RequestCode::UPDATE_BROKER_CONFIG,
    RequestCode::PUT_KV_CONFIG,
    RequestCode::DELETE_KV_CONFIG,
    RequestCode::REGISTER_BROKER,
    RequestCode::UNREGISTER_BROKER,
    RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP,
    RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST,
    RequestCode::UPDATE_NAMESRV_CONFIG,
    RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN,
    RequestCode::SET_MESSAGE_REQUEST_MODE,
];

/// How long a broker may take to send on what it was told to change: increments of earlier changes come first.
const SETTLED: Duration = Duration::from_secs(3);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [lib, port, folder] = arguments.as_slice() else {
        return Err("usage: record LIB PORT FOLDER".into());
    };
    let folder = PathBuf::from(folder);
    std::fs::create_dir_all(&folder)?;
    let ports = Ports::from(port.parse::<u16>()?);
    for serialization in [Serialization::Json, Serialization::Binary] {
        record(Path::new(lib), ports, &folder, serialization).await?;
    }
    Ok(())
}

async fn record(lib: &Path, ports: Ports, folder: &Path, serialization: Serialization) -> Outcome<()> {
    // Answers tell this path.
    let work = tempfile::Builder::new().prefix("rocketmq-").tempdir_in("/tmp")?;
    let java = Java::new(lib, work.path(), serialization)?;
    let version = java.version();
    let store = Store::new(folder, serialization);
    let (real, master) = (ports.address(ports.name_server()), ports.address(ports.broker()));

    let name_server = java.name_server(ports).await?;
    let registering = Listener::new(ports.of_master(), &real, store.clone()).serve().await?;
    let broker = java.broker(ports, "demo-0", 0, ports.of_master()).await?;
    // A name server of 5.x refuses a registration of one topic, which is what a broker tells of a new one.
    Question::brokers().until(&store, &real, "demo-0").await?;

    let for_clients = (master.clone(), ports.address(ports.of_clients_to_broker()));
    let asking = Listener::new(ports.of_clients(), &real, store.clone()).instead(for_clients).serve().await?;
    let at_broker = Listener::new(ports.of_clients_to_broker(), &master, store.clone()).serve().await?;
    let mut client = java.client(ports).await?;

    client.reach("tables").await?;
    answers(&store, version, &real, &master, Stage::Tables).await?;
    client.reach("backlog").await?;
    answers(&store, version, &real, &master, Stage::Backlog).await?;
    client.reach("permissions").await?;
    tokio::time::sleep(SETTLED).await;
    for (kind, permission) in [("perms", 6), ("readonly", 4), ("writeonly", 2)] {
        registering.label(Some(kind));
        questions::set_permission(&store, &master, permission).await?;
        store.await_file(&format!("103-{kind}-request")).await?;
        tokio::time::sleep(SETTLED).await;
        if kind == "perms" {
            Question::table("perms").record(&store, &master).await?;
        }
    }
    registering.label(None);
    client.finish().await?;

    let for_slave = (master.clone(), ports.address(ports.of_slave_to_master()));
    let slave_registers =
        Listener::new(ports.of_slave(), &real, store.clone()).instead(for_slave).silent().serve().await?;
    let from_master = Listener::new(ports.of_slave_to_master(), &master, store.clone()).serve().await?;
    let slave = java.broker(ports, "demo-0", 1, ports.of_slave()).await?;
    let slave_address = ports.address(ports.slave());
    Question::table("slave").until(&store, &slave_address, "\"inherits\"").await?;
    store.await_files(&questions::of_slaves(version)).await?;
    slave_registers.label(Some("slave"));
    questions::set_permission(&store, &slave_address, 6).await?;
    store.await_file("103-slave-request").await?;
    tokio::time::sleep(SETTLED).await;
    Question::table("slave").record(&store, &slave_address).await?;

    slave_registers.stop();
    slave.stop().await?;
    broker.stop().await?;
    name_server.stop().await?;
    [registering, asking, at_broker, from_master].into_iter().for_each(|listener| listener.stop());
    Ok(())
}

/// Asks everything of a stage.
async fn answers(
    store: &Store,
    version: Version,
    name_server: &str,
    broker: &str,
    stage: Stage,
) -> Outcome<()> {
    for question in questions::of_name_server(stage, broker) {
        question.record(store, name_server).await?;
    }
    for question in questions::of_broker(stage, version) {
        question.record(store, broker).await?;
    }
    Ok(())
}

fn refused(peer: &str, code: RequestCode, answered: ResponseCode, remark: Option<&str>) -> String {
    format!("{peer} answered {code} with {}: {}", answered.0, remark.unwrap_or_default())
}
