//! Errors as people read them.

use std::error::Error;

/// An error with its causes in one line, outermost first, repeats dropped.
pub fn in_words(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        source = cause.source();
    }
    words
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Outer(&'static str, #[source] io::Error);

    #[test]
    fn causes_follow_and_repeats_fall_away() {
        let inner = || io::Error::other("disk full");
        assert_eq!(in_words(&Outer("cannot write", inner())), "cannot write: disk full");
        assert_eq!(in_words(&Outer("cannot write: disk full", inner())), "cannot write: disk full");
    }
}
