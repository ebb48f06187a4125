//! What the lab says while it works: one line on stderr per event, with the seconds since the start.
//! Stdout is kept for answers (`kubeconfig`, `status`), so that scripts can read them.

use std::io::Write;
use std::sync::OnceLock;
use std::time::Instant;

static START: OnceLock<Instant> = OnceLock::new();

/// Starts the clock that [`note`] shows.
pub fn begin() {
    START.get_or_init(Instant::now);
}

/// Says one thing that happened or that is being waited for.
pub fn note(text: impl AsRef<str>) {
    let seconds = START.get_or_init(Instant::now).elapsed().as_secs_f32();
    // A closed stderr must not end the lab's work.
    let _ = writeln!(std::io::stderr().lock(), "[{seconds:6.1}s] {}", text.as_ref());
}

/// Prints a line of an answer on stdout.
pub fn answer(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stdout().lock(), "{}", text.as_ref());
}

/// Prints an error as people read it.
pub fn error(text: impl AsRef<str>) {
    let _ = writeln!(std::io::stderr().lock(), "{}", text.as_ref());
}
