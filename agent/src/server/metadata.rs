//! What both services do about metadata of the broker: between gRPC's messages and [`crate::metadata`].

use std::pin::{Pin, pin};
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use proto::chunk::ChunkError;
use proto::describe::ExportOptions;
use proto::pb;
use proto::pb::read_tables_response::Part;
use rocketmq::metadata::Subscription;
use rocketmq::remoting::client::Client;
use rocketmq::text::error_line;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::{Code, Response, Status, Streaming};

use crate::agent::{Agent, BrokerSide};
use crate::atomic_file::{self, FileError};
use crate::metadata::apply::ApplyError;
use crate::metadata::commit::CommitError;
use crate::metadata::export::{PrepareError, SeedPiece, next_piece};
use crate::metadata::receive::{ReceiveError, Receiving};
use crate::metadata::spool::BundleHash;
use crate::metadata::subscriptions::{self, TableError};
use crate::metadata::{SILENCE, consumers};
use crate::permission::PermissionError;

/// Pieces on their way between two threads: enough that neither waits for the other all the time.
const PIECES_ON_THE_WAY: usize = 2;

pub(super) type Chunks<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What the agent has beside a broker.
pub(super) fn side(agent: &Agent) -> Result<&BrokerSide, Status> {
    agent.broker.as_ref().ok_or_else(|| Status::failed_precondition("the agent stands beside no broker"))
}

pub(super) fn subscriptions(client: Client) -> Response<Chunks<pb::SubscriptionsChunk>> {
    let (pieces, told) = mpsc::channel(PIECES_ON_THE_WAY);
    tokio::spawn(subscriptions::tell(client, pieces));
    let chunks = received(told).map(|piece| {
        let subscriptions = piece.map_err(|error| of_table(&error))?;
        Ok(pb::SubscriptionsChunk { subscriptions: subscriptions.into_iter().map(Into::into).collect() })
    });
    Response::new(Box::pin(chunks))
}

/// Writes a bundle, for an operation that its first message has admitted.
pub(super) async fn prepare_export(
    agent: &Agent,
    client: &Client,
    first: pb::PrepareExportRequest,
    requests: Streaming<pb::PrepareExportRequest>,
) -> Result<Response<pb::PrepareExportResponse>, Status> {
    let options = options(first.options)?;
    let (pieces, seeds) = mpsc::channel(PIECES_ON_THE_WAY);
    let forwarded = forward(first.subscriptions, requests, |request| request.subscriptions, pieces);
    let prepared = fed(side(agent)?.metadata.prepare(client, options, seeds), forwarded).await;
    Ok(Response::new(prepared.map_err(|error| of_prepare(&error))?.into()))
}

/// Tells the tables; writes nothing.
pub(super) async fn read_tables(
    agent: Arc<Agent>,
    client: Client,
    mut requests: Streaming<pb::ReadTablesRequest>,
) -> Result<Response<Chunks<pb::ReadTablesResponse>>, Status> {
    let first = first(&mut requests).await?;
    let options = options(first.options)?;
    let metadata = Arc::clone(&side(&agent)?.metadata);
    let (out, parts) = mpsc::channel(PIECES_ON_THE_WAY);
    let (pieces, seeds) = mpsc::channel(PIECES_ON_THE_WAY);
    tokio::spawn(async move {
        let files = (!first.only_summary).then(|| out.clone());
        let forwarded = forward(first.subscriptions, requests, |request| request.subscriptions, pieces);
        let summary = fed(metadata.read_tables(&client, options, seeds, files), forwarded).await;
        // A caller that is gone need not be told.
        drop(out.send(summary.map(|summary| Part::Summary(summary.into()))).await);
    });
    let messages = received(parts).map(|part| match part {
        Ok(part) => Ok(pb::ReadTablesResponse { part: Some(part) }),
        Err(error) => Err(of_prepare(&error)),
    });
    Ok(Response::new(Box::pin(messages)))
}

fn options(options: Option<pb::ExportOptions>) -> Result<ExportOptions, Status> {
    options.map(ExportOptions::from).ok_or_else(|| Status::invalid_argument("the call has no options"))
}

/// Hands on the pairs of a call, message by message.
async fn forward<T>(
    first: Vec<pb::Subscription>,
    mut requests: Streaming<T>,
    pairs: fn(T) -> Vec<pb::Subscription>,
    pieces: mpsc::Sender<SeedPiece>,
) {
    let mut piece = Some(first);
    while let Some(subscriptions) = piece.take() {
        let subscriptions = subscriptions.into_iter().map(Subscription::from).collect();
        if pieces.send(SeedPiece::Ok(subscriptions)).await.is_err() {
            return;
        }
        match next(&mut requests).await {
            Ok(request) => piece = request.map(pairs),
            // Who takes the pieces tells it.
            Err(status) => drop(pieces.send(Err(status.message().to_owned())).await),
        }
    }
}

/// Does work that takes what is forwarded to it meanwhile.
async fn fed<T>(work: impl Future<Output = T>, forwarded: impl Future<Output = ()>) -> T {
    let mut work = pin!(work);
    tokio::select! {
        done = &mut work => done,
        () = forwarded => work.await,
    }
}

pub(super) fn read_export(
    agent: &Agent,
    request: &pb::ReadExportRequest,
) -> Result<Response<Chunks<pb::MetadataChunk>>, Status> {
    let metadata = &side(agent)?.metadata;
    let hash: BundleHash = parsed(&request.sha256)?;
    let file = metadata.prepared(&hash).map_err(|error| Status::internal(error_line(&error)))?;
    let file = file.ok_or_else(|| {
        Status::not_found(format!("no bundle of SHA-256 {hash} is prepared, or another has taken its place"))
    })?;
    let path = agent.config.paths.state_folder().to_owned();
    let chunks = stream::try_unfold((Arc::new(file), request.offset), move |(file, offset)| {
        let path = path.clone();
        async move {
            let reading = Arc::clone(&file);
            let about = path.clone();
            let read = atomic_file::off_the_runtime(&about, move || {
                let bytes =
                    next_piece(&reading, offset).map_err(|source| FileError::new("read", &path, source))?;
                let end = offset + bytes.len() as u64;
                Ok((end > offset).then(|| (pb::MetadataChunk::pack(offset, &bytes), end)))
            });
            let piece = read.await.map_err(|error: FileError| Status::internal(error_line(&error)))?;
            Ok(piece.map(|(piece, end)| (piece, (file, end))))
        }
    });
    Ok(Response::new(Box::pin(chunks)))
}

pub(super) async fn consumers(
    agent: &Agent,
    client: &Client,
    only_online: bool,
) -> Result<Response<pb::ConsumersResponse>, Status> {
    let groups = if only_online {
        let named = |group| pb::OnlineGroup { group, ..Default::default() };
        consumers::online_groups(client).await.map(|groups| groups.into_iter().map(named).collect())
    } else {
        let side = side(agent)?;
        let online = side.metadata.consumers.online(client, side.broker.name.as_str()).await;
        online.map(|groups| groups.into_iter().map(Into::into).collect())
    };
    Ok(Response::new(pb::ConsumersResponse { groups: groups.map_err(|error| of_table(&error))? }))
}

/// Takes the bytes that follow the first message, for an operation with this fence.
pub(super) async fn receive(
    agent: &Agent,
    start: pb::receive_metadata_request::Start,
    fence: u64,
    mut requests: Streaming<pb::ReceiveMetadataRequest>,
) -> Result<Response<pb::ReceiveMetadataResponse>, Status> {
    use pb::receive_metadata_request::Part;

    let metadata = &side(agent)?.metadata;
    let hash = parsed(&start.sha256)?;
    let begun = Receiving::begin_alone(metadata, hash, start.bytes).await;
    let mut receiving = begun.map_err(|error| of_receive(&error))?;
    while let Some(request) = next(&mut requests).await? {
        if agent.state.highest_fence() > fence {
            return Err(superseded());
        }
        let Some(Part::Chunk(chunk)) = request.part else {
            return Err(Status::invalid_argument("a message after the first has no bytes"));
        };
        let bytes = chunk.unpack().map_err(|error| of_chunk(&error))?;
        let taken = receiving.take_off_the_runtime(chunk.offset, bytes).await;
        receiving = taken.map_err(|error| of_receive(&error))?;
    }
    let finished = receiving.finish_off_the_runtime().await;
    let verified_bytes = finished.map_err(|error| of_receive(&error))?;
    Ok(Response::new(pb::ReceiveMetadataResponse { verified_bytes }))
}

/// The message that begins a call.
pub(super) async fn first<T>(requests: &mut Streaming<T>) -> Result<T, Status> {
    next(requests).await?.ok_or_else(|| Status::invalid_argument("the call has no first message"))
}

/// The next message, if it comes in time.
pub(super) async fn next<T>(requests: &mut Streaming<T>) -> Result<Option<T>, Status> {
    match timeout(SILENCE, requests.message()).await {
        Ok(message) => message,
        Err(_) => {
            Err(Status::deadline_exceeded(format!("the caller sent nothing for {} s", SILENCE.as_secs())))
        }
    }
}

pub(super) fn parsed<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, Status> {
    text.parse().map_err(|error: T::Err| Status::invalid_argument(error.to_string()))
}

fn superseded() -> Status {
    Status::aborted("another operation came meanwhile")
}

fn received<T>(receiver: mpsc::Receiver<T>) -> impl Stream<Item = T> {
    stream::unfold(receiver, |mut receiver| async move { Some((receiver.recv().await?, receiver)) })
}

fn of_table(error: &TableError) -> Status {
    Status::unavailable(error_line(error))
}

fn of_prepare(error: &PrepareError) -> Status {
    let code = match error {
        PrepareError::Broker(_) | PrepareError::Identity(_) => Code::Unavailable,
        PrepareError::Tables(_) => Code::FailedPrecondition,
        PrepareError::SeedsOfWhole | PrepareError::Order(_) | PrepareError::Seeds(_) => Code::InvalidArgument,
        PrepareError::File(_) => Code::Internal,
    };
    Status::new(code, error_line(error))
}

fn of_chunk(error: &ChunkError) -> Status {
    let code = match error {
        ChunkError::Damaged(_) => Code::DataLoss,
        ChunkError::TooLong(_) => Code::InvalidArgument,
    };
    Status::new(code, error_line(error))
}

fn of_receive(error: &ReceiveError) -> Status {
    let code = match error {
        ReceiveError::TooLarge(_) | ReceiveError::TooMuch(_) => Code::InvalidArgument,
        ReceiveError::OutOfPlace { .. } => Code::OutOfRange,
        ReceiveError::Bundle { .. } => Code::DataLoss,
        ReceiveError::File(_) => Code::Internal,
    };
    Status::new(code, error_line(error))
}

pub(super) fn of_commit(error: &CommitError) -> Status {
    let code = match error {
        CommitError::Token(_) | CommitError::Hash(_) => Code::InvalidArgument,
        CommitError::NoRoom { .. } => Code::ResourceExhausted,
        CommitError::OtherBundle { .. } => Code::DataLoss,
        CommitError::File(_) | CommitError::State(_) => Code::Internal,
        CommitError::NotAwaited
        | CommitError::OtherToken { .. }
        | CommitError::EarlierData(_)
        | CommitError::NoBundle(_)
        | CommitError::NotSanitised(_)
        | CommitError::Bundle(_)
        | CommitError::Table(_) => Code::FailedPrecondition,
    };
    Status::new(code, error_line(error))
}

pub(super) fn of_apply(error: &ApplyError) -> Status {
    let code = match error {
        ApplyError::Broker { .. } => Code::Unavailable,
        ApplyError::Refused { source, .. } if source.is_silence() => Code::Unavailable,
        ApplyError::OtherBundle { .. } => Code::DataLoss,
        ApplyError::Superseded => return superseded(),
        ApplyError::File(_) => Code::Internal,
        ApplyError::NoBundle(_)
        | ApplyError::Bundle(_)
        | ApplyError::Table(_)
        | ApplyError::Walk(_)
        | ApplyError::Refused { .. }
        | ApplyError::NoSuchTable { .. }
        | ApplyError::NotTaken { .. } => Code::FailedPrecondition,
    };
    Status::new(code, error_line(error))
}

pub(super) fn of_permission(error: &PermissionError) -> Status {
    let code = match error {
        PermissionError::State(_) => Code::Internal,
        PermissionError::File(_) | PermissionError::Silent(_) | PermissionError::Broker(_) => {
            Code::Unavailable
        }
        PermissionError::NotTaken { .. } => Code::FailedPrecondition,
    };
    Status::new(code, error_line(error))
}
