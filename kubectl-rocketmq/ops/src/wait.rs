//! Waiting: a named condition and a deadline, on the world's own clock.

use std::future::Future;
use std::time::Duration;

use saga::StepError;

use crate::world::World;

/// How long after the first look at a condition the second comes.
const SOONEST: Duration = Duration::from_millis(500);

/// How long between two looks at most.
const LATEST: Duration = Duration::from_secs(5);

/// What a look at a condition found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Look<T> {
    /// It holds.
    Holds(T),
    /// Not yet; why, in words.
    NotYet(String),
    /// It cannot come true any more; why, in words.
    Never(String),
}

/// Looks until the condition holds, cannot hold any more, or the deadline has passed.
///
/// # Errors
/// Names the condition and the last thing that kept it from holding.
pub(crate) async fn until<W, T, F, Fut>(
    world: &W,
    what: &str,
    deadline: Duration,
    mut look: F,
) -> Result<T, StepError>
where
    W: World,
    F: FnMut() -> Fut + Send,
    Fut: Future<Output = Look<T>> + Send,
    T: Send,
{
    let start = world.elapsed();
    loop {
        let last = match look().await {
            Look::Holds(value) => return Ok(value),
            Look::Never(reason) => {
                return Err(StepError::new(format!("{what} cannot come true")).with_causes(vec![reason]));
            }
            Look::NotYet(reason) => reason,
        };
        let waited = world.elapsed().saturating_sub(start);
        if waited >= deadline {
            let seconds = deadline.as_secs();
            return Err(
                StepError::new(format!("{what} did not come true within {seconds}s")).with_causes(vec![last])
            );
        }
        world.waiting_for(&format!("{what}: {last}"));
        world.pause(until_next_look(waited)).await;
    }
}

/// How long to pause after so long a wait: what comes soon is seen soon, and what takes minutes is not asked for each half
/// second. To answer costs a broker with many topics a good part of a second.
pub(crate) fn until_next_look(waited: Duration) -> Duration {
    (waited / 10).clamp(SOONEST, LATEST)
}
