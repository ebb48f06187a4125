//! One writer per cluster: a lock that lives for a while, and a fence that counts its holders.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often the holder renews the lock.
pub const RENEW_EVERY: Duration = Duration::from_secs(10);

/// How long the lock outlives its last renewal: four renewals may fail. Only of a holder that is known to be dead it need
/// not be waited for.
pub const LIVES_FOR: Duration = Duration::from_secs(45);

/// Why the lock is not, or no longer, ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// Somebody else holds it and has renewed it lately.
    #[error("`{holder}` is changing the cluster, last seen {}s ago", age.as_secs())]
    Held {
        /// Who.
        holder: String,
        /// How long ago they renewed it.
        age: Duration,
    },
    /// We had it, and somebody else has taken it.
    #[error("the cluster's lock was taken over by `{holder}`")]
    Lost {
        /// Who has it now; `nobody` when it is gone.
        holder: String,
    },
    /// It could not be asked for.
    #[error("{message}")]
    Failed {
        /// What failed.
        message: String,
        /// Why, outermost first.
        causes: Vec<String>,
    },
}

/// The lock of one cluster, held by one process.
pub trait ClusterLock: Send + Sync {
    /// Takes the lock, from a dead holder too, and returns its fence, which is higher than that of every holder before.
    fn acquire(&self) -> impl Future<Output = Result<u64, LockError>> + Send;

    /// Lets the lock live on.
    fn renew(&self) -> impl Future<Output = Result<(), LockError>> + Send;

    /// Gives the lock back; its count of holders stays.
    fn release(&self) -> impl Future<Output = Result<(), LockError>> + Send;

    /// Takes the lock itself away, with a cluster that is gone.
    fn remove(&self) -> impl Future<Output = Result<(), LockError>> + Send;
}

#[derive(Debug, Default)]
struct Holders {
    count: u64,
    holder: Option<u64>,
}

/// A lock in memory, for tests. A clone is another process on the same lock; whoever acquires takes it over, as
/// if the former holder had been dead for long enough.
#[derive(Debug, Default)]
pub struct MemoryLock {
    holders: Arc<Mutex<Holders>>,
    ours: Mutex<Option<u64>>,
}

impl Clone for MemoryLock {
    fn clone(&self) -> Self {
        Self { holders: Arc::clone(&self.holders), ours: Mutex::new(None) }
    }
}

impl ClusterLock for MemoryLock {
    async fn acquire(&self) -> Result<u64, LockError> {
        let mut holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        holders.count += 1;
        holders.holder = Some(holders.count);
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = holders.holder;
        Ok(holders.count)
    }

    async fn renew(&self) -> Result<(), LockError> {
        let holders = self.holders.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if ours.is_some() && *ours == holders.holder {
            return Ok(());
        }
        let holder = holders.holder.map_or_else(|| "nobody".to_owned(), |count| format!("holder {count}"));
        Err(LockError::Lost { holder })
    }

    async fn release(&self) -> Result<(), LockError> {
        self.renew().await?;
        self.holders.lock().unwrap_or_else(PoisonError::into_inner).holder = None;
        Ok(())
    }

    async fn remove(&self) -> Result<(), LockError> {
        self.release().await
    }
}
