//! Begins, resumes and undoes operations under the cluster's lock, which is renewed in the background. A lock that
//! is lost stops the run before its next step.

use std::convert::Infallible;
use std::sync::OnceLock;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::interrupt::Interrupt;
use crate::journal::{FORMAT, Header, Journal, Status};
use crate::lock::{ClusterLock, LIVES_FOR, LockError, RENEW_EVERY};
use crate::operation::{Operation, Registry};
use crate::outcome::{End, Outcome, Refusal};
use crate::permit::Permit;
use crate::progress::{Observer, Progress};
use crate::run::{Faults, Run, Way};
use crate::store::{JournalStore, Revision, StoreError, Stored};

/// Everything that a run needs beside its operation.
pub struct Executor<'a, W, J, L> {
    pub(crate) world: &'a W,
    pub(crate) journals: &'a J,
    pub(crate) lock: &'a L,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) faults: Faults,
}

impl<W, J, L> std::fmt::Debug for Executor<'_, W, J, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Executor").finish_non_exhaustive()
    }
}

impl<'a, W: Sync, J: JournalStore, L: ClusterLock> Executor<'a, W, J, L> {
    /// An executor for one cluster: `lock` is the cluster's.
    pub fn new(
        world: &'a W,
        journals: &'a J,
        lock: &'a L,
        observer: &'a dyn Observer,
        interrupt: &'a Interrupt,
    ) -> Self {
        Self { world, journals, lock, observer, interrupt, faults: Faults::default() }
    }

    /// Runs an operation on a cluster that has no unfinished one.
    ///
    /// # Errors
    /// Nothing was changed: somebody else has the lock, or another operation has not ended.
    pub async fn run(&self, cluster: &str, operation: &Operation<W>) -> Result<End, Refusal> {
        let fence = self.lock.acquire().await?;
        let (journal, revision) = match self.create(cluster, operation).await {
            Ok(created) => created,
            Err(refusal) => {
                self.release().await;
                return Err(refusal);
            }
        };
        self.observer.observe(Progress::Journaled { id: journal.id() });
        Ok(self.attend(operation, Stored { journal, revision }, fence, Way::Forward).await)
    }

    /// Continues an operation that was stopped: forward, or back where it was being undone.
    ///
    /// # Errors
    /// Nothing was changed: it has ended, somebody else has the lock, or this version cannot continue it.
    pub async fn resume(&self, id: &str, registry: &Registry<W>) -> Result<End, Refusal> {
        self.continue_stored(id, registry, |journal| match journal.status() {
            Status::Running | Status::Paused => Ok(Way::ForwardAgain),
            Status::Unwinding | Status::Stuck => Ok(Way::Back),
            status @ (Status::Done | Status::Undone) => Err(Refusal::Finished { id: id.to_owned(), status }),
        })
        .await
    }

    /// Takes an operation back that has not ended.
    ///
    /// # Errors
    /// Nothing was changed: it has ended, is past its point of no return, somebody else has the lock, or this
    /// version cannot continue it.
    pub async fn undo(&self, id: &str, registry: &Registry<W>) -> Result<End, Refusal> {
        self.continue_stored(id, registry, |journal| {
            let status = journal.status();
            if status.is_finished() {
                return Err(Refusal::Finished { id: id.to_owned(), status });
            }
            match journal.no_return().and_then(|step| Some((step, journal.header().plan.get(step)?))) {
                None => Ok(Way::Back),
                Some((step, planned)) => Err(Refusal::PastNoReturn {
                    id: id.to_owned(),
                    step: step + 1,
                    change: planned.change.clone(),
                }),
            }
        })
        .await
    }

    async fn continue_stored(
        &self,
        id: &str,
        registry: &Registry<W>,
        way: impl Fn(&Journal) -> Result<Way, Refusal> + Send,
    ) -> Result<End, Refusal> {
        let fence = self.lock.acquire().await?;
        let prepared = async {
            let stored =
                self.journals.load(id).await?.ok_or_else(|| Refusal::NotFound { id: id.to_owned() })?;
            let way = way(&stored.journal)?;
            let operation = registry
                .rebuild(stored.journal.header())
                .map_err(|source| Refusal::Rebuild { id: id.to_owned(), source })?;
            Ok((stored, way, operation))
        };
        match prepared.await {
            Ok((stored, way, operation)) => Ok(self.attend(&operation, stored, fence, way).await),
            Err(refusal) => {
                self.release().await;
                Err(refusal)
            }
        }
    }

    async fn create(&self, cluster: &str, operation: &Operation<W>) -> Result<(Journal, Revision), Refusal> {
        for listed in self.journals.list(Some(cluster)).await? {
            let journal =
                listed.journal.map_err(|reason| StoreError::Unreadable { id: listed.id.clone(), reason })?;
            if !journal.status().is_finished() {
                return Err(Refusal::Unfinished {
                    id: listed.id,
                    title: journal.header().title.clone(),
                    status: journal.status(),
                });
            }
        }
        #[expect(clippy::disallowed_methods, reason = "for people who read the journal")]
        let header = Header {
            journal_format: FORMAT,
            id: format!("op-{:06x}", rand::random::<u32>() & 0x00ff_ffff),
            cluster: cluster.to_owned(),
            kind: operation.kind.clone(),
            format: operation.format,
            title: operation.title.clone(),
            params: operation.params.clone(),
            plan: operation.planned(),
            created: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let revision = self.journals.create(&header).await?;
        Ok((Journal::new(header), revision))
    }

    /// Goes the way while the lock is renewed in the background, then gives the lock back.
    async fn attend(&self, operation: &Operation<W>, stored: Stored, fence: u64, way: Way) -> End {
        let lost = OnceLock::new();
        let mut run = Run {
            executor: self,
            operation,
            permit: Permit::new(stored.journal.id(), fence),
            journal: stored.journal,
            revision: stored.revision,
            lost: &lost,
        };
        let outcome = tokio::select! {
            outcome = run.go(way) => outcome,
            never = self.keep_lock(&lost) => match never {},
        };
        if lost.get().is_none() {
            if outcome == Outcome::Done && operation.ends_cluster {
                self.remove().await;
            } else {
                self.release().await;
            }
        }
        End { outcome, journal: run.journal }
    }

    #[expect(clippy::disallowed_methods, reason = "the lock is renewed before it runs out")]
    async fn keep_lock(&self, lost: &OnceLock<LockError>) -> Infallible {
        let mut renewed = Instant::now();
        loop {
            sleep(RENEW_EVERY).await;
            match self.lock.renew().await {
                Ok(()) => renewed = Instant::now(),
                Err(LockError::Failed { .. }) if renewed.elapsed() < LIVES_FOR => {}
                Err(error) => {
                    self.observer.observe(Progress::Warning { what: &error.to_string() });
                    lost.get_or_init(|| error);
                    return std::future::pending().await;
                }
            }
        }
    }

    async fn release(&self) {
        if let Err(error) = self.lock.release().await {
            let lives_for = LIVES_FOR.as_secs();
            let what = format!("the cluster's lock was not given back, it ends within {lives_for}s: {error}");
            self.observer.observe(Progress::Warning { what: &what });
        }
    }

    async fn remove(&self) {
        if let Err(error) = self.lock.remove().await {
            self.observer
                .observe(Progress::Warning { what: &format!("the cluster's lock was left behind: {error}") });
        }
    }
}
