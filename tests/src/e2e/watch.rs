//! Conditions over time, beside [`crate::wait`]: what must hold at every look while something else goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};
use crate::wait::{self, Look};

/// Looks again and again in a thread of its own until it is ended, and keeps the first thing that was wrong.
#[derive(Debug)]
pub struct Watch {
    end: Arc<AtomicBool>,
    looks: JoinHandle<(usize, Result<()>)>,
}

impl Watch {
    /// Looks every `period`; the watch is over at the first error.
    pub fn start(period: Duration, mut look: impl FnMut() -> Result<()> + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&end);
        let looks = std::thread::spawn(move || {
            let begin = Instant::now();
            let mut count = 0;
            while !ended.load(Ordering::SeqCst) {
                let next = Instant::now() + period;
                count += 1;
                if let Err(error) = look() {
                    let when = format!("at look {count}, {} ms after the first", begin.elapsed().as_millis());
                    return (count, Err(LabError::new(when).because(error)));
                }
                std::thread::park_timeout(next.saturating_duration_since(Instant::now()));
            }
            (count, Ok(()))
        });
        Self { end, looks }
    }

    /// Ends the watch; returns how often it looked.
    ///
    /// # Errors
    /// What was wrong at one look, or when it never looked.
    pub fn end(self) -> Result<usize> {
        self.end.store(true, Ordering::SeqCst);
        self.looks.thread().unpark();
        match self.looks.join() {
            Ok((_, Err(error))) => Err(error),
            Ok((0, _)) => Err(LabError::new("a watch ended before its first look")),
            Ok((count, _)) => Ok(count),
            Err(_) => Err(LabError::new("a watch panicked")),
        }
    }
}

/// [`wait::until`] with a look each second: a look that runs `kubectl` costs a busy machine a tenth of one.
///
/// # Errors
/// As [`wait::until`].
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Look<T>) -> Result<T> {
    let mut next = Instant::now();
    let mut missing = String::new();
    wait::until(what, deadline, || {
        if Instant::now() < next {
            return Look::NotYet(missing.clone());
        }
        next = Instant::now() + Duration::from_secs(1);
        let seen = look();
        if let Look::NotYet(reason) = &seen {
            missing.clone_from(reason);
        }
        seen
    })
}

/// Lets time pass while traffic runs or another watch looks.
///
/// # Errors
/// Never in practice.
pub fn pass(what: &str, duration: Duration) -> Result<()> {
    let start = Instant::now();
    wait::until(what, duration * 2, || {
        if start.elapsed() >= duration { Look::Ready(()) } else { Look::NotYet("time goes on".to_owned()) }
    })
}

/// Fails with `why` unless `holds`.
///
/// # Errors
/// When it does not hold.
pub fn ensure(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(LabError::new(why())) }
}
