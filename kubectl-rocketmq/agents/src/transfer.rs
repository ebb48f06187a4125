//! The bytes of bundles, on their way from an agent, to one, or from one to another. They go on where they were cut
//! off: a reader asks for the rest of what it has not seen, and a receiver says how far it has verified.
//!
//! Memory: a relay holds the piece that it has read and the one that it hands over, of 1 MiB at most each.

use std::future::Future;
use std::pin::pin;
use std::slice::{Chunks, Iter};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures::SinkExt;
use futures::channel::mpsc;
use proto::chunk::LARGEST_CHUNK;
use proto::describe::BundleDescription;
use proto::pb;
use proto::pb::receive_metadata_request::{Part, Start};
use saga::Permit;
use sha2::{Digest, Sha256};
use tonic::Streaming;

use crate::calls::{TABLE_WITHIN, fence};
use crate::connect::{Agent, Dial};
use crate::error::AgentError;
use crate::pool::{Agents, Member, PAUSES};

/// How long the next piece may take. There is no deadline for a bundle: lines differ, and a slow one is no error.
const PIECE_WITHIN: Duration = TABLE_WITHIN;

/// A piece of a bundle, verified.
struct Piece {
    chunk: pb::MetadataChunk,
    bytes: Vec<u8>,
}

/// The pieces of a bundle in order, wherever they come from.
trait Pieces: Send {
    /// The next one; `None` after the last.
    fn next_piece(&mut self) -> impl Future<Output = Result<Option<Piece>, AgentError>> + Send;
}

/// Reads a prepared bundle of an agent, piece by piece, each verified. A lost connection is made anew and the rest
/// asked for.
struct BundleReader<'a, D> {
    agents: &'a Agents<D>,
    source: Member<'a>,
    bundle: &'a BundleDescription,
    at: u64,
    /// Of everything before [`BundleReader::at`]; `None` where reading began in the middle.
    whole: Option<Sha256>,
    pieces: Option<(Agent, Streaming<pb::MetadataChunk>)>,
    pauses: Iter<'static, Duration>,
}

impl<'a, D: Dial> BundleReader<'a, D> {
    /// A reader that begins at an offset. One that begins at the first byte verifies the whole.
    fn new(agents: &'a Agents<D>, source: Member<'a>, bundle: &'a BundleDescription, offset: u64) -> Self {
        let whole = (offset == 0).then(Sha256::new);
        Self { agents, source, bundle, at: offset, whole, pieces: None, pauses: PAUSES.iter() }
    }

    async fn piece(&mut self) -> Result<Piece, AgentError> {
        let call = "ReadExport";
        if self.pieces.is_none() {
            let agent = self.agents.connection(self.source.peer, self.source.key).await?;
            let mut client = agent.inspect.clone();
            let request = pb::ReadExportRequest { sha256: self.bundle.sha256.clone(), offset: self.at };
            let pieces = agent.ask(call, PIECE_WITHIN, client.read_export(agent.request(request))).await?;
            self.pieces = Some((agent, pieces));
        }
        let Some((agent, pieces)) = &mut self.pieces else { return Err(self.damaged("it has no bytes")) };
        let chunk = agent.in_time(call, PIECE_WITHIN, agent.next(call, pieces)).await?;
        let Some(chunk) = chunk else {
            return Err(self.damaged(&format!("it ends at byte {} of {}", self.at, self.bundle.bytes)));
        };
        let bytes = self.checked(&chunk)?;
        self.at += bytes.len() as u64;
        if let Some(whole) = &mut self.whole {
            whole.update(&bytes);
        }
        Ok(Piece { chunk, bytes })
    }

    fn checked(&self, chunk: &pb::MetadataChunk) -> Result<Vec<u8>, AgentError> {
        if chunk.offset != self.at {
            return Err(self.damaged(&format!("byte {} came instead of byte {}", chunk.offset, self.at)));
        }
        let bytes = chunk.unpack().map_err(|error| self.damaged(&error.to_string()))?;
        if bytes.is_empty() || bytes.len() as u64 > self.bundle.bytes - self.at {
            return Err(self.damaged(&format!("{} bytes came at byte {}", bytes.len(), self.at)));
        }
        Ok(bytes)
    }

    fn verify(&mut self) -> Result<(), AgentError> {
        let Some(found) = self.whole.take().map(|whole| HEXLOWER.encode(&whole.finalize())) else {
            return Ok(());
        };
        if found == self.bundle.sha256 {
            return Ok(());
        }
        Err(self.damaged(&format!("its SHA-256 is {found} instead of {}", self.bundle.sha256)))
    }

    fn damaged(&self, what: &str) -> AgentError {
        AgentError::Damaged { pod: self.source.peer.pod.clone(), what: what.to_owned() }
    }
}

impl<D: Dial> Pieces for BundleReader<'_, D> {
    async fn next_piece(&mut self) -> Result<Option<Piece>, AgentError> {
        loop {
            if self.at == self.bundle.bytes {
                return self.verify().map(|()| None);
            }
            let error = match self.piece().await {
                Ok(piece) => {
                    self.pauses = PAUSES.iter();
                    return Ok(Some(piece));
                }
                Err(error) => error,
            };
            self.pieces = None;
            if !error.is_lost() {
                return Err(error);
            }
            self.agents.forget(self.source.peer).await;
            let Some(pause) = self.pauses.next() else { return Err(error) };
            tracing::debug!(pod = self.source.peer.pod, at = self.at, %error, "the rest of a bundle is asked for");
            tokio::time::sleep(*pause).await;
        }
    }
}

/// What is left to send of a bundle in memory, and where it begins.
struct Here<'a> {
    rest: Chunks<'a, u8>,
    offset: u64,
}

impl Pieces for Here<'_> {
    async fn next_piece(&mut self) -> Result<Option<Piece>, AgentError> {
        let Some(bytes) = self.rest.next() else { return Ok(None) };
        let chunk = pb::MetadataChunk::pack(self.offset, bytes);
        self.offset += bytes.len() as u64;
        Ok(Some(Piece { chunk, bytes: bytes.to_vec() }))
    }
}

/// What comes to an agent, and who is told how far it has come.
struct Receipt<'a> {
    permit: &'a Permit,
    sha256: &'a str,
    bytes: u64,
    moved: &'a (dyn Fn(u64) + Send + Sync),
}

impl<D: Dial> Agents<D> {
    /// Brings a prepared bundle of one agent to another. What the other has verified is not sent again.
    ///
    /// # Errors
    /// The last attempt's; attempts are counted from the last byte on that came further than before.
    pub async fn relay(
        &self,
        permit: &Permit,
        source: Member<'_>,
        target: Member<'_>,
        bundle: &BundleDescription,
        moved: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), AgentError> {
        let receipt = Receipt { permit, sha256: &bundle.sha256, bytes: bundle.bytes, moved };
        self.bring(target, &receipt, |offset| BundleReader::new(self, source, bundle, offset)).await
    }

    /// Brings a bundle to an agent; gives its SHA-256.
    ///
    /// # Errors
    /// As [`Agents::relay`].
    pub async fn send(
        &self,
        permit: &Permit,
        target: Member<'_>,
        bundle: &[u8],
        moved: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<String, AgentError> {
        let sha256 = HEXLOWER.encode(&Sha256::digest(bundle));
        let receipt = Receipt { permit, sha256: &sha256, bytes: bundle.len() as u64, moved };
        let from = |offset| {
            let rest = usize::try_from(offset).ok().and_then(|offset| bundle.get(offset..));
            Here { rest: rest.unwrap_or_default().chunks(LARGEST_CHUNK), offset }
        };
        self.bring(target, &receipt, from).await?;
        Ok(sha256)
    }

    async fn bring<P: Pieces>(
        &self,
        target: Member<'_>,
        receipt: &Receipt<'_>,
        open: impl Fn(u64) -> P + Send + Sync,
    ) -> Result<(), AgentError> {
        let (open, verified) = (&open, &AtomicU64::new(0));
        loop {
            let before = verified.load(Ordering::Relaxed);
            let came =
                self.ask(target.peer, target.key, |agent| async move {
                    agent.receive(receipt, verified, open).await
                })
                .await;
            match came {
                Err(AgentError::Lost { .. } | AgentError::Answered { .. })
                    if verified.load(Ordering::Relaxed) > before => {}
                came => return came.map(drop),
            }
        }
    }
}

impl Agent {
    /// Receives what this agent has not verified yet. `verified` learns what it had.
    async fn receive<P: Pieces>(
        &self,
        receipt: &Receipt<'_>,
        verified: &AtomicU64,
        open: &(impl Fn(u64) -> P + Send + Sync),
    ) -> Result<(), AgentError> {
        let call = "ReceiveMetadata";
        self.proved()?;
        let had = self.verified_of(receipt).await?;
        verified.fetch_max(had, Ordering::Relaxed);
        (receipt.moved)(had);
        if had == receipt.bytes {
            return Ok(());
        }
        let (mut sender, parts) = mpsc::channel(0);
        let mut client = self.control.clone();
        let answer = client.receive_metadata(self.request(parts));
        let mut answer = pin!(async {
            answer
                .await
                .map_err(|status| AgentError::from_status(&self.pod, call, PIECE_WITHIN.as_secs(), status))
        });
        let hand_over = async {
            let start = Start {
                fence: Some(fence(receipt.permit)),
                sha256: receipt.sha256.to_owned(),
                bytes: receipt.bytes,
            };
            let mut part = Part::Start(start);
            let (mut pieces, mut offset) = (open(had), had);
            loop {
                let request = pb::ReceiveMetadataRequest { part: Some(part) };
                let sent = async { Ok(sender.send(request).await) };
                if self.in_time(call, PIECE_WITHIN, sent).await?.is_err() {
                    // Nobody takes more: the answer says why.
                    break;
                }
                (receipt.moved)(offset);
                let Some(piece) = pieces.next_piece().await? else { break };
                offset += piece.bytes.len() as u64;
                part = Part::Chunk(piece.chunk);
            }
            // Its end is the end of the stream, which the agent waits for.
            drop(sender);
            Ok::<(), AgentError>(())
        };
        let answered = tokio::select! {
            answered = &mut answer => answered,
            handed_over = hand_over => match handed_over {
                Ok(()) => self.in_time(call, PIECE_WITHIN, answer).await,
                Err(error) => return Err(error),
            },
        };
        let has = match answered {
            Ok(answer) => answer.into_inner().verified_bytes,
            Err(error) => {
                // Pieces of a call that was cut off may have been taken after the agent was asked what it has: then
                // ours came out of place, and it has more than it said.
                if let (AgentError::Answered { .. }, Ok(has)) = (&error, self.verified_of(receipt).await) {
                    verified.fetch_max(has, Ordering::Relaxed);
                }
                return Err(error);
            }
        };
        verified.fetch_max(has, Ordering::Relaxed);
        if has == receipt.bytes {
            return Ok(());
        }
        Err(AgentError::Damaged {
            pod: self.pod.clone(),
            what: format!("it has verified {has} of {} bytes", receipt.bytes),
        })
    }

    /// How much of a bundle this agent has.
    async fn verified_of(&self, receipt: &Receipt<'_>) -> Result<u64, AgentError> {
        let state = self.describe().await?.metadata;
        let state = state.filter(|state| state.receiving_sha256 == receipt.sha256);
        Ok(state.map_or(0, |state| state.verified_bytes).min(receipt.bytes))
    }
}
