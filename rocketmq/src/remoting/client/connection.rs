//! The two tasks of a connection and the answers that are waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::remoting::frame::Frame;

/// Requests that may wait to be written; further ones wait for a place within their own deadline.
const QUEUED_REQUESTS: usize = 32;

/// A peer that takes no byte of a request for so long counts as gone. Java peers read all the time.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);

/// Why nothing can be sent or received, in words.
#[derive(Debug, Clone)]
pub(super) struct SendError(pub(super) String);

#[derive(Debug)]
pub(super) struct Connection {
    outgoing: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Who waits for which answer; `None` once the connection is closed.
    waiting: Mutex<Option<HashMap<i32, oneshot::Sender<Frame>>>>,
    closed: watch::Sender<Option<String>>,
}

impl Connection {
    pub(super) fn serve<R, W>(read: R, write: W) -> Self
    where
        R: AsyncRead + Send + Unpin + 'static,
        W: AsyncWrite + Send + Unpin + 'static,
    {
        let (outgoing, queue) = mpsc::channel(QUEUED_REQUESTS);
        let shared =
            Arc::new(Shared { waiting: Mutex::new(Some(HashMap::new())), closed: watch::Sender::new(None) });
        let reader = Arc::clone(&shared);
        let reading = tokio::spawn(async move {
            let reason = read_answers(read, &reader).await;
            reader.close(reason);
        });
        let writer = Arc::clone(&shared);
        tokio::spawn(async move {
            let reason = write_requests(write, queue, &writer).await;
            // The reader's half must go too, or the socket would stay open.
            reading.abort();
            writer.close(reason);
        });
        Self { outgoing, shared }
    }

    /// Notes that an answer will be waited for. To be done before the request is sent.
    pub(super) fn register(&self, opaque: i32) -> Result<Waiting, SendError> {
        let (sender, answer) = oneshot::channel();
        match self.shared.waiting().as_mut() {
            Some(waiting) => waiting.insert(opaque, sender),
            None => return Err(self.closed_error()),
        };
        Ok(Waiting { shared: Arc::clone(&self.shared), opaque, answer })
    }

    pub(super) async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.outgoing.send(frame).await.map_err(|_| self.closed_error())
    }

    pub(super) fn close_reason(&self) -> Option<String> {
        self.shared.closed.borrow().clone()
    }

    pub(super) async fn closed(&self) -> String {
        self.shared.closed().await
    }

    fn closed_error(&self) -> SendError {
        SendError(self.close_reason().unwrap_or_else(|| "it is closing".to_owned()))
    }
}

impl Shared {
    /// Nothing is left half done under this lock, so a panic elsewhere does not spoil it.
    fn waiting(&self) -> std::sync::MutexGuard<'_, Option<HashMap<i32, oneshot::Sender<Frame>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells everybody, once; the first reason is the true one.
    fn close(&self, reason: String) {
        self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            if first {
                *closed = Some(reason);
            }
            first
        });
        self.waiting().take();
    }

    async fn closed(&self) -> String {
        let mut closed = self.closed.subscribe();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => String::new(),
        }
    }
}

/// An answer that somebody waits for. Dropping it forgets the request.
#[derive(Debug)]
pub(super) struct Waiting {
    shared: Arc<Shared>,
    opaque: i32,
    answer: oneshot::Receiver<Frame>,
}

impl Waiting {
    pub(super) async fn wait(mut self) -> Result<Frame, SendError> {
        match (&mut self.answer).await {
            Ok(frame) => Ok(frame),
            Err(_) => Err(SendError(self.shared.closed().await)),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = self.shared.waiting().as_mut() {
            waiting.remove(&self.opaque);
        }
    }
}

/// Reads until the end and says why it ended.
async fn read_answers<R: AsyncRead + Unpin>(mut read: R, shared: &Shared) -> String {
    let mut buffer = BytesMut::new();
    loop {
        loop {
            match Frame::decode(&mut buffer) {
                Ok(Some(frame)) => deliver(frame, shared),
                Ok(None) => break,
                Err(error) => return error.to_string(),
            }
        }
        match read.read_buf(&mut buffer).await {
            Ok(0) => return "the peer closed it".to_owned(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

fn deliver(frame: Frame, shared: &Shared) {
    let header = &frame.header;
    if !header.is_response() {
        // Peers send requests of their own to whom they take for a client; none of them needs an answer.
        tracing::debug!(code = header.code, "request from the peer left unanswered");
        return;
    }
    let waiting = shared.waiting().as_mut().and_then(|waiting| waiting.remove(&header.opaque));
    // Whoever waited may be gone: its deadline has passed.
    if waiting.is_none_or(|waiting| waiting.send(frame).is_err()) {
        tracing::debug!("answer came after its deadline");
    }
}

/// Writes until no handle is left or the connection is closed, and says why it ended.
async fn write_requests<W: AsyncWrite + Unpin>(
    mut write: W,
    mut queue: mpsc::Receiver<Bytes>,
    shared: &Shared,
) -> String {
    loop {
        let frame = tokio::select! {
            frame = queue.recv() => frame,
            reason = shared.closed() => return reason,
        };
        let Some(frame) = frame else {
            let _ = timeout(WRITE_DEADLINE, write.shutdown()).await;
            return "this side closed it".to_owned();
        };
        match timeout(WRITE_DEADLINE, write.write_all(&frame)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error.to_string(),
            Err(_) => return format!("the peer took no bytes for {} s", WRITE_DEADLINE.as_secs()),
        }
    }
}
