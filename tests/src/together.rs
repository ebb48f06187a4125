//! Two slow things at once, of which the failure of one ends the other.

use crate::error::{LabError, Result};
use crate::wait::give_up;

/// Runs `background` beside `foreground`. When one fails, programs under way of the other are ended, and the error is
/// that of the one that failed by itself.
///
/// # Errors
/// The first failure.
pub fn together<A: Send, B>(
    background: impl FnOnce() -> Result<A> + Send,
    foreground: impl FnOnce() -> Result<B>,
) -> Result<(A, B)> {
    std::thread::scope(|scope| {
        let background = scope.spawn(|| background().inspect_err(|_| give_up()));
        let foreground = foreground().inspect_err(|_| give_up());
        let background =
            background.join().unwrap_or_else(|_| Err(LabError::new("a thread of the lab panicked")));
        match (background, foreground) {
            (Ok(a), Ok(b)) => Ok((a, b)),
            (Err(cause), Err(stopped)) if stopped.was_given_up() => Err(cause),
            (_, Err(cause)) | (Err(cause), _) => Err(cause),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A failure would end every program of this process's other tests, so only what needs none is looked at.
    #[test]
    fn both_results_come_back() {
        assert_eq!(together(|| Ok(1), || Ok("two")).unwrap(), (1, "two"));
    }
}
