//! Which topics and groups belong together at the broker: those with stored offsets, and what groups that are online
//! subscribe to. Told piece by piece, since there may be as many pairs as fit into a frame; pairs may come twice.

use futures::{StreamExt, stream};
use rocketmq::metadata::Subscription;
use rocketmq::metadata::walk::{self, WalkError};
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use tokio::sync::mpsc;

use crate::atomic_file::{self, FileError};
use crate::metadata::TABLE_DEADLINE;

/// Pairs in one piece: of usual names some 60 kB, of the longest 800.
const PAIRS_IN_A_PIECE: usize = 2_000;

/// Groups that the broker is asked about at once, on the one connection.
pub const ASKED_AT_ONCE: usize = 16;

/// Why the broker's tables could not be gone through.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It does not tell them.
    #[error(transparent)]
    Broker(#[from] RemotingError),
    /// They cannot be read.
    #[error("a table of the broker cannot be read")]
    Walk(#[from] WalkError),
    /// There is no thread for it.
    #[error(transparent)]
    Thread(#[from] FileError),
    /// Whoever asked is gone.
    #[error("nobody wants the answer any more")]
    Unwanted,
}

/// Where pieces go.
pub type Pieces = mpsc::Sender<Result<Vec<Subscription>, TableError>>;

/// Tells every pair, then ends. Ends early if nobody listens any more.
pub async fn tell(client: Client, pieces: Pieces) {
    if let Err(error) = tell_all(&client.with_deadline(TABLE_DEADLINE), &pieces).await {
        // Of no use to those who do not listen.
        let _ = pieces.send(Err(error)).await;
    }
}

async fn tell_all(client: &Client, pieces: &Pieces) -> Result<(), TableError> {
    let offsets = client.consumer_offsets_body().await?.value;
    let told = pieces.clone();
    off_the_runtime(move || {
        let mut piece = Vec::new();
        walk::offsets(&offsets, |subscription, _| {
            piece.push(subscription);
            if piece.len() < PAIRS_IN_A_PIECE { Ok(()) } else { hand_over(&told, &mut piece) }
        })?;
        hand_over(&told, &mut piece)
    })
    .await?;
    let mut asked = stream::iter(groups(client).await?)
        .map(|group| async move {
            let connections = client.consumer_connections(&group).await?.value;
            let topics = connections.into_iter().flat_map(|found| found.subscriptions.into_keys());
            Ok(topics.map(|topic| Subscription { topic, group: group.clone() }).collect())
        })
        .buffer_unordered(ASKED_AT_ONCE)
        .filter(|piece| std::future::ready(!piece.as_ref().is_ok_and(Vec::is_empty)));
    while let Some(piece) = asked.next().await {
        let failed = piece.is_err();
        pieces.send(piece).await.map_err(|_| TableError::Unwanted)?;
        if failed {
            return Ok(());
        }
    }
    Ok(())
}

fn hand_over(pieces: &Pieces, piece: &mut Vec<Subscription>) -> Result<(), TableError> {
    pieces.blocking_send(Ok(std::mem::take(piece))).map_err(|_| TableError::Unwanted)
}

/// The names of the broker's subscription groups.
pub async fn groups(client: &Client) -> Result<Vec<String>, TableError> {
    let body = client.subscription_groups_body().await?.value;
    off_the_runtime(move || {
        let mut groups = Vec::new();
        walk::groups(&body, |name, _| {
            groups.push(name);
            Ok::<_, TableError>(())
        })?;
        Ok(groups)
    })
    .await
}

/// Goes through a table on a thread of its own: a large one takes a second.
pub async fn off_the_runtime<T: Send + 'static>(
    walk: impl FnOnce() -> Result<T, TableError> + Send + 'static,
) -> Result<T, TableError> {
    atomic_file::off_the_runtime("the broker's tables".as_ref(), walk).await
}
