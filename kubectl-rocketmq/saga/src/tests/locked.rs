//! The lock while an operation runs: renewed in the background, and what happens when it is lost.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::tests::executor::Place;
use crate::tests::{Fill, World, abc};
use crate::{
    ClusterLock, Entry, Executor, Header, Interrupt, JournalStore, LIVES_FOR, Listed, LockError,
    MemoryJournals, Operation, Outcome, RENEW_EVERY, Refusal, Revision, Silent, Status, StepError,
    StoreError, Stored,
};

/// A lock that answers as it is told.
struct ToldLock {
    acquire: Result<u64, LockError>,
    renew: Result<(), LockError>,
    renewals: AtomicU32,
    releases: AtomicU32,
}

impl ToldLock {
    fn new(acquire: Result<u64, LockError>, renew: Result<(), LockError>) -> Self {
        Self { acquire, renew, renewals: AtomicU32::new(0), releases: AtomicU32::new(0) }
    }
}

impl ClusterLock for ToldLock {
    async fn acquire(&self) -> Result<u64, LockError> {
        self.acquire.clone()
    }

    async fn renew(&self) -> Result<(), LockError> {
        self.renewals.fetch_add(1, Ordering::SeqCst);
        self.renew.clone()
    }

    async fn release(&self) -> Result<(), LockError> {
        self.releases.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn remove(&self) -> Result<(), LockError> {
        self.release().await
    }
}

/// Runs an operation whose second step lasts this long.
async fn run_for(lock: &ToldLock, lasts: Duration) -> (Outcome, Status, World) {
    let (world, journals, interrupt) = (World::default(), MemoryJournals::default(), Interrupt::new());
    world.let_last("b", Duration::from_secs(3600));
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let executor = Executor::new(&world, &journals, lock, &Silent, &interrupt);
    let (end, ()) = tokio::join!(async { executor.run("demo", &operation).await.unwrap() }, async {
        tokio::time::sleep(lasts).await;
        interrupt.now("over");
    });
    (end.outcome, end.journal.status(), world)
}

#[tokio::test(start_paused = true)]
async fn the_lock_is_renewed_every_ten_seconds_and_given_back() {
    let lock = ToldLock::new(Ok(1), Ok(()));
    let (outcome, ..) = run_for(&lock, Duration::from_secs(35)).await;
    assert_eq!(outcome, Outcome::Interrupted { reason: "over".to_owned(), in_doubt: Some(2) });
    assert_eq!(lock.renewals.load(Ordering::SeqCst), 3);
    assert_eq!(lock.releases.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_was_taken_over_is_not_asked_for_again_nor_given_back() {
    let lock = ToldLock::new(Ok(1), Err(LockError::Lost { holder: "other".to_owned() }));
    run_for(&lock, Duration::from_secs(35)).await;
    assert_eq!(lock.renewals.load(Ordering::SeqCst), 1);
    assert_eq!(lock.releases.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_api_that_is_away_for_less_than_the_locks_life_is_borne() {
    let failed = LockError::Failed { message: "away".to_owned(), causes: Vec::new() };
    let lock = ToldLock::new(Ok(1), Err(failed));
    run_for(&lock, LIVES_FOR + RENEW_EVERY * 2).await;
    let until_given_up = LIVES_FOR.as_secs().div_ceil(RENEW_EVERY.as_secs());
    assert_eq!(u64::from(lock.renewals.load(Ordering::SeqCst)), until_given_up);
}

#[tokio::test]
async fn somebody_elses_lock_is_a_refusal_with_holder_and_age() {
    let held = LockError::Held { holder: "jane@laptop/7".to_owned(), age: Duration::from_secs(12) };
    let lock = ToldLock::new(Err(held), Ok(()));
    let (world, journals, interrupt) = (World::default(), MemoryJournals::default(), Interrupt::new());
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let executor = Executor::new(&world, &journals, &lock, &Silent, &interrupt);
    let refusal = executor.run("demo", &operation).await.unwrap_err();
    assert_eq!(refusal.to_string(), "`jane@laptop/7` is changing the cluster, last seen 12s ago");
    assert_eq!(journals.list(None).await.unwrap(), []);
}

/// A store that fails from a write on.
struct FailingJournals {
    journals: MemoryJournals,
    from: usize,
    error: StoreError,
}

impl JournalStore for FailingJournals {
    async fn create(&self, header: &Header) -> Result<Revision, StoreError> {
        self.journals.create(header).await
    }

    async fn append(
        &self,
        id: &str,
        revision: &Revision,
        number: usize,
        entry: &Entry,
    ) -> Result<Revision, StoreError> {
        if number >= self.from {
            return Err(self.error.clone());
        }
        self.journals.append(id, revision, number, entry).await
    }

    async fn load(&self, id: &str) -> Result<Option<Stored>, StoreError> {
        self.journals.load(id).await
    }

    async fn list(&self, cluster: Option<&str>) -> Result<Vec<Listed>, StoreError> {
        self.journals.list(cluster).await
    }
}

#[tokio::test]
async fn a_step_does_not_act_before_its_start_is_durable() {
    let place = Place::default();
    let error = StoreError::Conflict { id: "op".to_owned() };
    let journals = FailingJournals { journals: place.journals.clone(), from: 2, error };
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let executor = Executor::new(&place.world, &journals, &place.lock, &place.lines, &place.interrupt);
    let end = executor.run("demo", &operation).await.unwrap();
    let error = StepError::new("somebody else has written the journal of operation `op`");
    assert_eq!(end.outcome, Outcome::Halted { error });
    assert_eq!(place.world.values(), World::with(&[("a", 1)]).values(), "the second step did not act");
    assert_eq!(end.journal.status(), Status::Running);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_lost_its_lock_finishes_its_step_and_stops_before_the_next() {
    let lock = ToldLock::new(Ok(1), Err(LockError::Lost { holder: "other".to_owned() }));
    let place = Place::default();
    place.world.let_last("a", RENEW_EVERY * 2);
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let executor = Executor::new(&place.world, &place.journals, &lock, &place.lines, &place.interrupt);
    let end = executor.run("demo", &operation).await.unwrap();
    let error = StepError::new("the cluster's lock was taken over by `other`");
    assert_eq!(end.outcome, Outcome::Halted { error });
    assert_eq!(place.world.values(), World::with(&[("a", 1)]).values());
    assert_eq!((end.journal.status(), end.journal.steps_done()), (Status::Running, 1));
}

#[tokio::test]
async fn a_journal_that_cannot_be_listed_begins_nothing() {
    struct NoJournals;
    impl JournalStore for NoJournals {
        async fn create(&self, _: &Header) -> Result<Revision, StoreError> {
            Err(StoreError::Exists { id: "op".to_owned() })
        }
        async fn append(&self, id: &str, _: &Revision, _: usize, _: &Entry) -> Result<Revision, StoreError> {
            Err(StoreError::Conflict { id: id.to_owned() })
        }
        async fn load(&self, _: &str) -> Result<Option<Stored>, StoreError> {
            Ok(None)
        }
        async fn list(&self, _: Option<&str>) -> Result<Vec<Listed>, StoreError> {
            Ok(vec![Listed { id: "op-1".to_owned(), journal: Err("it has format 2".to_owned()) }])
        }
    }
    let lock = ToldLock::new(Ok(1), Ok(()));
    let (world, interrupt) = (World::default(), Interrupt::new());
    let operation = Operation::new::<Fill>(&abc()).unwrap();
    let started = Instant::now();
    let executor = Executor::new(&world, &NoJournals, &lock, &Silent, &interrupt);
    let refusal = executor.run("demo", &operation).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Journal(StoreError::Unreadable { .. })), "{refusal}");
    assert_eq!(lock.releases.load(Ordering::SeqCst), 1);
    assert!(started.elapsed() < Duration::from_secs(5));
}
