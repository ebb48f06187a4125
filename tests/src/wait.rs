//! Waiting for a named condition, never without a deadline and never in silence.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::progress;

const POLL: Duration = Duration::from_millis(100);
const SAY_AGAIN: Duration = Duration::from_secs(10);

static GIVEN_UP: AtomicBool = AtomicBool::new(false);

/// Ends every wait and every short-lived program under way, and lets no new one begin: something else of this run has
/// failed, and its error should be seen now.
pub fn give_up() {
    GIVEN_UP.store(true, Ordering::SeqCst);
}

/// Whether this run is ending because something of it has failed.
pub fn has_given_up() -> bool {
    GIVEN_UP.load(Ordering::SeqCst)
}

/// Runs `act`, and ends it when it has not ended by itself after `deadline`; then `under_way` says what it was at.
///
/// # Errors
/// What `act` says, or that it took too long.
pub fn within<T>(
    deadline: Duration,
    under_way: impl FnOnce() -> String + Send,
    act: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let (over, is_over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let late = scope.spawn(move || {
            let waited = is_over.recv_timeout(deadline);
            matches!(waited, Err(RecvTimeoutError::Timeout)).then(|| {
                let under_way = under_way();
                give_up();
                under_way
            })
        });
        let result = act();
        drop(over);
        match (result, late.join()) {
            (Err(error), Ok(Some(under_way))) if error.was_given_up() => Err(LabError::new(format!(
                "the run did not end within {} minutes; {under_way}",
                deadline.as_secs() / 60
            ))),
            (result, _) => result,
        }
    })
}

/// What one look at a condition found.
#[derive(Debug)]
pub enum Look<T> {
    /// It holds.
    Ready(T),
    /// Not yet, and what is missing.
    NotYet(String),
    /// It will never hold.
    Never(LabError),
}

/// Looks until the condition `what` holds or `deadline` has passed; says every ten seconds what is missing.
///
/// # Errors
/// When the deadline passes (with what was missing), or a look says [`Look::Never`].
#[expect(clippy::disallowed_methods, reason = "the pace of every wait for a condition")]
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Look<T>) -> Result<T> {
    let start = Instant::now();
    let mut said = start;
    loop {
        let missing = match look() {
            Look::Ready(value) => return Ok(value),
            Look::Never(error) => return Err(error),
            Look::NotYet(missing) => missing,
        };
        if has_given_up() {
            return Err(LabError::given_up(format!("no longer waiting for {what}: the run is ending")));
        }
        if start.elapsed() > deadline {
            return Err(LabError::new(format!(
                "waited {} s in vain for {what}: {missing}",
                deadline.as_secs()
            )));
        }
        if said.elapsed() > SAY_AGAIN {
            said = Instant::now();
            progress::note(format!(
                "waiting for {what}: {missing} ({} of at most {} s)",
                start.elapsed().as_secs(),
                deadline.as_secs()
            ));
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_returns_when_the_condition_holds() {
        let mut looks = 0;
        let found = until("the third look", Duration::from_secs(5), || {
            looks += 1;
            if looks == 3 { Look::Ready(looks) } else { Look::NotYet("too early".to_owned()) }
        });
        assert_eq!(found.unwrap(), 3);
    }

    // A run that is late ends every program of this process's other tests, so only one that is in time is looked at.
    #[test]
    fn what_ends_in_time_is_left_alone() {
        let late = || "nothing".to_owned();
        assert_eq!(within(Duration::from_secs(60), late, || Ok(3)).unwrap(), 3);
        let error = within(Duration::from_secs(60), late, || Err::<(), _>(LabError::new("red"))).unwrap_err();
        assert_eq!(error.to_string(), "red");
    }

    #[test]
    fn the_deadline_says_what_was_missing() {
        let error =
            until("the node", Duration::ZERO, || Look::<()>::NotYet("not Ready".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s in vain for the node: not Ready");
    }
}
