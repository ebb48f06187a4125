//! Waiting: a named condition and a deadline, on the world's own clock.

use std::future::Future;
use std::time::Duration;

use saga::StepError;

use crate::world::World;

/// How long between two looks at a condition.
const LOOK_EVERY: Duration = Duration::from_millis(500);

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
        if world.elapsed().saturating_sub(start) >= deadline {
            let seconds = deadline.as_secs();
            return Err(
                StepError::new(format!("{what} did not come true within {seconds}s")).with_causes(vec![last])
            );
        }
        world.waiting_for(&format!("{what}: {last}"));
        world.pause(LOOK_EVERY).await;
    }
}
