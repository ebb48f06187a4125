//! A connection to a port of a pod through the Kubernetes API. It works as soon as the container that listens
//! runs, so it reaches an agent while the pod still waits behind its gate.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1 as core;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::client::Cluster;
use crate::error::{ApiError, ApiErrorKind};

/// How long the API may take to open the connection; it took 20 ms on a local cluster.
const OPEN_WITHIN: Duration = Duration::from_secs(15);

/// A stream to a port of a pod. Dropping it ends the connection.
pub struct PortForward {
    stream: DuplexStream,
    port: u16,
    /// What the kubelet says when it cannot connect to the port.
    refusal: Option<BoxFuture<'static, Option<String>>>,
}

impl std::fmt::Debug for PortForward {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PortForward").finish_non_exhaustive()
    }
}

impl Cluster {
    /// Opens a connection to a port of a pod. That nothing listens there is seen at the first read.
    ///
    /// # Errors
    /// When the pod does not exist or does not run, or the API does not answer or refuses.
    pub async fn port_forward(&self, pod: &str, port: u16) -> Result<PortForward, ApiError> {
        let act = format!("cannot connect to port {port} of Pod/{pod}");
        let api = self.api::<core::Pod>();
        let mut forwarder = self.call_once(&act, OPEN_WITHIN, api.portforward(pod, &[port])).await?;
        let refusal = forwarder.take_error(port).map(FutureExt::boxed);
        match forwarder.take_stream(port) {
            Some(stream) => Ok(PortForward { stream, port, refusal }),
            None => {
                Err(ApiError::new(ApiErrorKind::Other, act)
                    .because(["the port was not forwarded".to_owned()]))
            }
        }
    }
}

impl AsyncRead for PortForward {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buf.filled().len();
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > filled || buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        // The end: only now is it known whether the connection ever was one.
        let Some(refusal) = &mut self.refusal else { return Poll::Ready(Ok(())) };
        let said = std::task::ready!(refusal.as_mut().poll(cx));
        self.refusal = None;
        match said {
            // The kubelet's own words name sandboxes and network namespaces.
            Some(reason) if reason.contains("connection refused") => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("nothing listens on port {}", self.port),
            ))),
            Some(reason) => Poll::Ready(Err(io::Error::other(reason))),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for PortForward {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
