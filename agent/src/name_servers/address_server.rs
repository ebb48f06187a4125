//! The HTTP address server: `GET /rocketmq/nsaddr` answers the desired list as one line
//! (`TopAddressing.fetchNSAddr`, all tags). Brokers that are started without `namesrvAddr` poll it and apply what
//! changed while they run.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode, server::conn::http1};
use hyper_util::rt::TokioIo;
use rocketmq::model::name_server::{self, NameServerList};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock::now_millis;

/// A list and since when it is the broker's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LiveList {
    /// Its addresses; none = not known.
    pub addresses: Vec<String>,
    /// When it was first seen, or last served; 0 = never.
    pub since_millis: u64,
}

/// Serves the desired list, for ever, and remembers what it served last.
pub async fn serve(
    listener: TcpListener,
    desired: watch::Receiver<Option<NameServerList>>,
    served: watch::Sender<LiveList>,
) {
    let mut connections = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "the address server cannot accept a connection");
                // Out of file descriptors, most likely: another try at once would spin.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (desired, served) = (desired.clone(), served.clone());
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(&request, desired.borrow().as_ref(), &served);
                async { Ok::<_, Infallible>(answer) }
            });
            if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(%error, "a connection of the address server");
            }
        });
    }
}

fn answer(
    request: &Request<Incoming>,
    desired: Option<&NameServerList>,
    served: &watch::Sender<LiveList>,
) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path(), desired) {
        (&Method::GET, "/rocketmq/nsaddr", Some(list)) if !list.name_servers.is_empty() => {
            let text = list.namesrv_addr();
            served
                .send_replace(LiveList { addresses: name_server::split(&text), since_millis: now_millis() });
            (StatusCode::OK, text)
        }
        // Never a blank 200: 4.5.0 and 4.9.3 take it as "no name servers".
        (&Method::GET, "/rocketmq/nsaddr", _) => {
            (StatusCode::SERVICE_UNAVAILABLE, "no list of name servers yet".to_owned())
        }
        _ => (StatusCode::NOT_FOUND, "only GET /rocketmq/nsaddr".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
