//! The gate, and the desired list in the file and live.

use std::fs;

use fakes::FakeBroker;
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rocketmq::model::version::Version;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Pod, broker_at, list, name_server, setup};

fn setting(pod: &Pod, key: &str) -> Option<String> {
    Properties::from_java(&pod.configuration()).get(key).map(str::to_owned)
}

#[tokio::test]
async fn the_gate_opens_when_folders_file_and_list_are_there() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = FakeBroker::start(setup(version, &[&server])).await.unwrap();
    let pod = Pod::of_broker(&broker, Some(version));
    let running = pod.start();
    let waiting = || running.agent.gate.borrow().waiting_for.contains("a list of name servers");
    running.until("the gate waits for a list", waiting).await;
    assert!(pod.config.paths.logs.is_dir() && pod.config.paths.store.is_dir());
    assert!(!pod.config.paths.configuration.exists());

    pod.mount_list(1, &[&server]);
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
    assert_eq!(setting(&pod, "namesrvAddr"), Some(server.address()));
    assert_eq!(setting(&pod, "deleteWhen").as_deref(), Some("04"), "the user's line");
}

#[tokio::test]
async fn without_a_record_the_stored_list_opens_the_gate() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(7, &[&server]);
    let running = pod.start();
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
    drop(running);

    fs::remove_file(&pod.config.paths.record).unwrap();
    fs::remove_file(&pod.config.paths.configuration).unwrap();
    let running = pod.start();
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
    assert_eq!(running.agent.describe().desired, Some(list(7, &[&server])));
}

#[tokio::test]
async fn a_volume_that_cannot_be_used_keeps_the_gate_closed_and_says_why() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&server]);
    // Also root cannot make a folder below a file.
    fs::write(pod.config.paths.volume.join("logs"), "").unwrap();
    let running = pod.start();
    let logs = pod.config.paths.volume.join("logs").display().to_string();
    running.until("it names the folder", || running.agent.gate.borrow().waiting_for.contains(&logs)).await;
    fs::remove_file(pod.config.paths.volume.join("logs")).unwrap();
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
}

#[tokio::test]
async fn a_new_list_is_in_the_file_before_it_is_live_and_read_back() {
    let version = Version::V5_3_3;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&old]);
    let running = pod.start();
    let live = || running.agent.describe().list.unwrap().live;
    running.until("the live list is known", || live() == [old.address()]).await;

    pod.mount_list(2, &[&old, &new]);
    let both = list(2, &[&old, &new]);
    running.until("the new list is live", || live() == [old.address(), new.address()]).await;
    assert_eq!(broker.live_list(), [old.address(), new.address()]);
    assert_eq!(setting(&pod, "namesrvAddr"), Some(both.namesrv_addr()));
    assert_eq!(broker.received_of(RequestCode::UPDATE_BROKER_CONFIG).len(), 1);
    assert_eq!(running.agent.describe().holds_other_than(&both), None);
}

#[tokio::test]
async fn a_live_list_that_somebody_changes_is_set_right() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&server]);
    let running = pod.start();
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
    broker.set_setting("namesrvAddr", "elsewhere:9876");
    broker.until("the list is set right", |state| state.live_list() == [server.address()]).await.unwrap();
}

#[tokio::test]
async fn a_file_that_the_broker_or_its_death_left_wrong_is_repaired() {
    let version = Version::V5_3_3;
    let server = name_server(version).await;
    let broker = broker_at(version, &[&server]).await;
    let pod = Pod::of_broker(&broker, Some(version));
    pod.mount_list(1, &[&server]);
    let running = pod.start();
    running.until("the gate is open", || running.agent.gate.borrow().open).await;

    let rewritten =
        format!("namesrvAddr=elsewhere:9876\nlistenPort={}\nother=kept\n", broker.socket_address().port());
    fs::write(&pod.config.paths.configuration, rewritten).unwrap();
    let address = server.address();
    running.until("it is repaired", || setting(&pod, "namesrvAddr").as_deref() == Some(&address)).await;
    assert_eq!(setting(&pod, "other").as_deref(), Some("kept"));

    fs::write(&pod.config.paths.configuration, "namesr").unwrap();
    drop(broker);
    running.until("it is repaired", || setting(&pod, "namesrvAddr").as_deref() == Some(&address)).await;
    assert!(setting(&pod, "storePathRootDir").is_some());
}

/// One GET on the address server.
async fn get(port: u16, path: &str) -> (u16, String) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = hyper::Request::get(path).header("host", "127.0.0.1").body(Empty::<Bytes>::new()).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// A port that nobody uses: free a moment ago, and not given out again soon.
async fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn an_old_broker_fetches_its_list_from_the_agent() {
    let version = Version::V4_5_0;
    let (old, new) = (name_server(version).await, name_server(version).await);
    let broker = broker_at(version, &[&old]).await;
    let mut pod = Pod::of_broker(&broker, Some(version));
    let port = free_port().await;
    pod.config.ports.address_server = port;
    let running = pod.start();
    running.until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    assert_eq!(get(port, "/rocketmq/nsaddr").await.0, 503, "no list yet, and never a blank answer");
    assert_eq!(get(port, "/").await.0, 404);

    pod.mount_list(1, &[&old, &new]);
    running.until("the gate is open", || running.agent.gate.borrow().open).await;
    let both = list(1, &[&old, &new]);
    assert_eq!(setting(&pod, "namesrvAddr"), None);
    assert_eq!(setting(&pod, "rmqAddressServerDomain"), Some(format!("127.0.0.1:{port}")));
    assert!(running.agent.describe().holds_other_than(&both).unwrap().contains("has not fetched"));

    assert_eq!(get(port, "/rocketmq/nsaddr?nofix=1").await, (200, both.namesrv_addr()));
    assert_eq!(running.agent.describe().holds_other_than(&both), None);
    let described = running.agent.describe().list.unwrap();
    assert_eq!(described.live, [old.address(), new.address()]);
    assert!(described.live_since_millis > 0);

    pod.mount_list(2, &[&old]);
    running
        .until("the shorter list is obeyed", || running.agent.describe().desired == Some(list(2, &[&old])))
        .await;
    let reason = running.agent.describe().holds_other_than(&list(2, &[&old])).unwrap();
    assert!(reason.contains("has not fetched the list without"), "{reason}");
    assert_eq!(broker.received_of(RequestCode::UPDATE_BROKER_CONFIG).len(), 0);
}
