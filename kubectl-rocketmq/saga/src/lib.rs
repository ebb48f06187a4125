//! Operations: ordered lists of steps that are planned, run, resumed and undone from one journal.
//!
//! An operation is rebuilt from its stored parameters on any machine ([`Registry`]). The same list is printed as the
//! plan ([`plan`]), run, resumed and undone ([`Executor`]). The journal ([`Journal`]) holds what undo needs before
//! anything is changed; a lock with a fence ([`ClusterLock`]) keeps a second writer out.
//!
//! This crate knows neither Kubernetes nor RocketMQ: the world, the journal's store and the lock are handed in.
//! [`check`] holds the five tests that every operation passes on a fake world.

pub mod check;
mod executor;
mod interrupt;
mod journal;
mod lock;
mod operation;
mod outcome;
mod permit;
mod progress;
mod run;
mod step;
mod store;
#[cfg(test)]
mod tests;
mod unwind;

pub use executor::Executor;
pub use interrupt::Interrupt;
pub use journal::{
    Entry, Event, FORMAT, Header, IllegalEvent, Journal, PlannedStep, Status, StepEvent, StepState,
};
pub use lock::{ClusterLock, LIVES_FOR, LockError, MemoryLock, RENEW_EVERY};
pub use operation::{Operation, OperationKind, RebuildError, Registry, Steps, plan};
pub use outcome::{End, Failure, Outcome, Refusal, Repair};
pub use permit::Permit;
pub use progress::{Observer, Progress, Silent};
pub use step::{AnyStep, Change, Reversal, Seen, Step, StepError};
pub use store::{JournalStore, Listed, MemoryJournals, Revision, StoreError, Stored};
