use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

use super::*;
use crate::remoting::frame::MAX_FRAME_BYTES;

const DEADLINE: Duration = Duration::from_secs(10);
const PEER: &str = "broker:10911";

/// The peer's end of a connection.
struct Peer {
    stream: DuplexStream,
    buffer: BytesMut,
}

impl Peer {
    fn connect() -> (Client, Self) {
        let (here, there) = duplex(64 * 1024);
        (Client::on_stream(here, PEER, DEADLINE), Self { stream: there, buffer: BytesMut::new() })
    }

    /// The next request; `None` when the client has closed the connection.
    async fn next(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = Frame::decode(&mut self.buffer).unwrap() {
                return Some(frame);
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap() == 0 {
                return None;
            }
        }
    }

    async fn answer(&mut self, request: &Frame, code: ResponseCode, remark: Option<&str>, body: &[u8]) {
        let mut header = Header::response(&request.header, code, Version::V4_5_0);
        header.remark = remark.map(str::to_owned);
        let frame =
            Frame { serialization: Serialization::Binary, header, body: Bytes::copy_from_slice(body) };
        self.stream.write_all(&frame.encode().unwrap()).await.unwrap();
    }
}

fn request(number: usize) -> Request {
    Request::new(RequestCode::GET_BROKER_RUNTIME_INFO).field("number", number)
}

#[tokio::test]
async fn answers_find_their_requests_in_any_order() {
    let (client, mut peer) = Peer::connect();
    let answering = tokio::spawn(async move {
        let mut requests = Vec::new();
        while requests.len() < 20 {
            requests.push(peer.next().await.unwrap());
        }
        for request in requests.iter().rev() {
            let number = request.header.ext_fields["number"].clone();
            peer.answer(request, ResponseCode::SUCCESS, None, number.as_bytes()).await;
        }
        peer
    });
    let asked = (0..20).map(|number| {
        let client = client.clone();
        async move { (number, client.call(request(number)).await.unwrap()) }
    });
    for (number, answer) in join_all(asked).await {
        assert_eq!(answer.body, number.to_string());
        assert_eq!(answer.header.version, Version::V4_5_0);
    }
    answering.await.unwrap();
}

#[tokio::test]
async fn requests_have_json_headers_and_unequal_opaques() {
    let (client, mut peer) = Peer::connect();
    client.oneway(request(0)).await.unwrap();
    client.oneway(request(1)).await.unwrap();
    let (first, second) = (peer.next().await.unwrap(), peer.next().await.unwrap());
    assert_eq!(first.serialization, Serialization::Json);
    assert!(first.header.is_oneway());
    assert_ne!(first.header.opaque, second.header.opaque);
}

#[tokio::test(start_paused = true)]
async fn a_request_ends_at_its_deadline_and_others_go_on() {
    let (client, mut peer) = Peer::connect();
    let hasty = client.with_deadline(Duration::from_millis(20));
    let error = hasty.call(request(0)).await.unwrap_err();
    assert_eq!(error.to_string(), "broker:10911 did not answer GET_BROKER_RUNTIME_INFO (28) within 20 ms");

    let late = peer.next().await.unwrap();
    peer.answer(&late, ResponseCode::SUCCESS, None, b"late").await;
    let (answer, ()) = tokio::join!(client.call(request(1)), async {
        let next = peer.next().await.unwrap();
        peer.answer(&next, ResponseCode::SUCCESS, None, b"in time").await;
    });
    assert_eq!(answer.unwrap().body, "in time");
}

#[tokio::test]
async fn a_refusal_tells_code_and_first_line_of_the_remark() {
    let (client, mut peer) = Peer::connect();
    let (answer, ()) = tokio::join!(client.call(request(0)), async {
        let next = peer.next().await.unwrap();
        peer.answer(&next, ResponseCode::NO_PERMISSION, Some("key is black-listed\n\tat Java"), b"").await;
    });
    let error = answer.unwrap_err();
    assert_eq!(error.response_code(), Some(ResponseCode::NO_PERMISSION));
    assert_eq!(
        error.to_string(),
        "broker:10911 refused GET_BROKER_RUNTIME_INFO (28): no permission (code 16), key is black-listed"
    );
}

#[tokio::test]
async fn a_peer_that_goes_fails_all_requests_and_is_noticed() {
    let (client, mut peer) = Peer::connect();
    let (answer, ()) = tokio::join!(client.call(request(0)), async {
        peer.next().await.unwrap();
        drop(peer);
    });
    let expected = "connection to broker:10911 is closed: the peer closed it";
    assert_eq!(answer.unwrap_err().to_string(), expected);
    assert_eq!(client.closed().await, "the peer closed it");
    assert!(client.is_closed());
    assert_eq!(client.call(request(1)).await.unwrap_err().to_string(), expected);
    assert_eq!(client.oneway(request(1)).await.unwrap_err().to_string(), expected);
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_closes_the_connection() {
    let (client, mut peer) = Peer::connect();
    peer.stream.write_all(&[0xff; 8]).await.unwrap();
    assert_eq!(client.closed().await, format!("frame of 4294967299 bytes is larger than {MAX_FRAME_BYTES}"));
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn the_last_handle_closes_the_connection_after_what_was_sent() {
    let (client, mut peer) = Peer::connect();
    let other = client.clone();
    drop(client);
    other.oneway(request(0)).await.unwrap();
    drop(other);
    assert!(peer.next().await.is_some());
    assert!(peer.next().await.is_none());
}

#[tokio::test]
async fn a_request_above_the_frame_limit_is_not_sent() {
    let (client, mut peer) = Peer::connect();
    let error = client.call(request(0).body(vec![b'x'; MAX_FRAME_BYTES])).await.unwrap_err();
    assert_eq!(error.to_string(), "GET_BROKER_RUNTIME_INFO (28) cannot be sent to broker:10911");
    client.oneway(request(1)).await.unwrap();
    assert_eq!(peer.next().await.unwrap().header.ext_fields["number"], "1");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (client, peer) = Peer::connect();
    client.oneway(request(0).body(vec![0; 1024 * 1024])).await.unwrap();
    assert_eq!(client.closed().await, "the peer took no bytes for 30 s");
    drop(peer);
}

#[tokio::test]
async fn requests_of_the_peer_are_left_alone() {
    let (client, mut peer) = Peer::connect();
    let mut header = Header::request(RequestCode(40), Version::V5_3_3);
    header.opaque = 0;
    let frame = Frame { serialization: Serialization::Json, header, body: Bytes::new() };
    peer.stream.write_all(&frame.encode().unwrap()).await.unwrap();
    let (answer, ()) = tokio::join!(client.call(request(0)), async {
        let next = peer.next().await.unwrap();
        peer.answer(&next, ResponseCode::SUCCESS, None, b"fine").await;
    });
    assert_eq!(answer.unwrap().body, "fine");
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_names_the_address() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Client::connect(&address, DEADLINE).await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to {address}"));
}

proptest! {
    #[test]
    fn whatever_a_peer_sends_ends_in_an_answer_or_an_error(bytes: Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, mut peer) = Peer::connect();
            let (answer, ()) = tokio::join!(client.call(request(0)), async move {
                peer.stream.write_all(&bytes).await.unwrap();
            });
            assert!(answer.is_err());
        });
    }
}
