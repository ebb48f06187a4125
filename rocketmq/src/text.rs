//! Text for people: an error with its causes, and names that come from others.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Write as _;

/// An error and its causes, outermost first, each said once. Libraries repeat a cause at the end of their own text, or say
/// no more than the name of their type before it; of such a text only what is its own stays.
#[must_use]
pub fn error_chain(error: &dyn Error) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        next = error.source();
        let mut text = error.to_string();
        if let Some(cause) = next {
            if let Some(own) = text.strip_suffix(&cause.to_string()) {
                text = own.trim_end_matches([':', ' ']).to_owned();
            }
            if text.ends_with("Error") && !text.contains(' ') {
                continue;
            }
        }
        if !text.is_empty() && !said.iter().any(|earlier| earlier.contains(&text)) {
            said.push(text);
        }
    }
    said
}

/// [`error_chain`] in one line.
#[must_use]
pub fn error_line(error: &dyn Error) -> String {
    error_chain(error).join(": ")
}

/// A text of others with its control characters escaped. Names, log lines and messages come from brokers and from whoever
/// may write to Kubernetes: an escape sequence among them must not move the cursor or forge a line. What is escaped already
/// stays as it is.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        match character {
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            '\t' => escaped.push_str("\\t"),
            _ if is_unprintable(character) => {
                // Writing to a String does not fail.
                let _ = write!(escaped, "\\u{{{:x}}}", u32::from(character));
            }
            _ => escaped.push(character),
        }
    }
    Cow::Owned(escaped)
}

/// True of control characters (C0, DEL, C1) and of those that turn or hide the text around them.
#[must_use]
pub fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer<E: Error + 'static> {
        text: &'static str,
        #[source]
        cause: E,
    }

    const fn layer<E: Error>(text: &'static str, cause: E) -> Layer<E> {
        Layer { text, cause }
    }

    #[test]
    fn causes_follow_and_each_is_said_once() {
        let full = || io::Error::other("disk full");
        let check = |error: &dyn Error, expected: &[&str]| {
            assert_eq!(error_chain(error), expected, "{error:?}");
            assert_eq!(error_line(error), expected.join(": "));
        };
        check(&full(), &["disk full"]);
        check(&layer("cannot write", full()), &["cannot write", "disk full"]);
        check(&layer("cannot write: disk full", full()), &["cannot write", "disk full"]);
        check(&layer("disk full", full()), &["disk full"]);
        check(&layer("disk full on node-1", full()), &["disk full on node-1"]);
        check(
            &layer("no export", layer("cannot write", full())),
            &["no export", "cannot write", "disk full"],
        );
        check(&layer("a", layer("a", layer("b", full()))), &["a", "b", "disk full"]);
        check(&layer("ServiceError: disk full", full()), &["disk full"]);
        check(&layer("an Error: disk full", full()), &["an Error", "disk full"]);
        check(&io::Error::other("HelloError"), &["HelloError"]);
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let check = |input: &str, expected: &str| {
            assert_eq!(printable(input), expected, "{input:?}");
            assert_eq!(printable(expected), expected, "once is enough");
        };
        check("orders", "orders");
        check("it's `a\\b`", "it's `a\\b`");
        check("主题", "主题");
        check("a\u{1b}[2Jb", "a\\u{1b}[2Jb");
        check("a\r\nb\tc", "a\\r\\nb\\tc");
        check("\u{9b}31m", "\\u{9b}31m");
        check("abc\u{202e}txt", "abc\\u{202e}txt");
        check("a\u{2060}\u{61c}b", "a\\u{2060}\\u{61c}b");
    }
}
