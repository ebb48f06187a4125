//! Reading a text value by value, for texts that are too large to be held as one.

use serde_json::Value;

use super::{JsonError, Parser};

/// A place in a text where a value stands, which is to be read, gone into, or else passed over.
#[derive(Debug)]
pub struct Cursor<'p, 'a> {
    parser: &'p mut Parser<'a>,
    depth: usize,
}

/// Gives the value that a text is to `read`. What it leaves is passed over.
///
/// # Errors
/// As [`super::parse`], and whatever `read` says.
pub fn cursor<E: From<JsonError>>(
    text: &[u8],
    read: impl FnOnce(Cursor<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut parser = Parser::new(text)?;
    read_or_skip(&mut parser, 0, read)?;
    Ok(parser.end()?)
}

impl Cursor<'_, '_> {
    /// The value, whole.
    ///
    /// # Errors
    /// If it is malformed.
    pub fn value(self) -> Result<Value, JsonError> {
        self.parser.value(self.depth)
    }

    /// Gives each field of the object that stands here to `read`, with its key; what it leaves is passed over. `null`
    /// has no fields.
    ///
    /// # Errors
    /// If here stands something else or it is malformed, and whatever `read` says.
    pub fn fields<E: From<JsonError>>(
        self,
        mut read: impl FnMut(String, Cursor<'_, '_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Self { parser, depth } = self;
        parser.skip_blanks();
        match parser.peek() {
            Some(b'{') => parser
                .each_field(depth, |key, parser| read_or_skip(parser, depth + 1, |cursor| read(key, cursor))),
            Some(b'n') => Ok(parser.skip(depth)?),
            _ => Err(parser.error("an object is expected").into()),
        }
    }
}

fn read_or_skip<E: From<JsonError>>(
    parser: &mut Parser<'_>,
    depth: usize,
    read: impl FnOnce(Cursor<'_, '_>) -> Result<(), E>,
) -> Result<(), E> {
    let before = parser.at;
    read(Cursor { parser, depth })?;
    if parser.at == before { Ok(parser.skip(depth)?) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{any_json, bare_keys};
    use super::super::{MAX_DEPTH, parse};
    use super::*;

    /// The fields of a text as a cursor gives them, every second one passed over.
    fn walk(text: &[u8]) -> Result<Vec<(String, Option<Value>)>, JsonError> {
        let mut seen = Vec::new();
        cursor(text, |cursor| {
            cursor.fields(|key, cursor| {
                let value = if seen.len() % 2 == 0 { Some(cursor.value()?) } else { None };
                seen.push((key, value));
                Ok::<_, JsonError>(())
            })
        })?;
        Ok(seen)
    }

    #[test]
    fn fields_are_given_one_by_one_and_may_be_left() {
        let text = br#" {"a":[{}],"b":{0:{"c":"}\""}},{"q":1}:null} "#;
        let seen = walk(text).unwrap();
        assert_eq!(seen[0], ("a".to_owned(), Some(serde_json::json!([{}]))));
        assert_eq!(seen[1], ("b".to_owned(), None));
        assert_eq!(seen[2], (r#"{"q":1}"#.to_owned(), Some(Value::Null)));
        assert_eq!(walk(b"null").unwrap(), []);
        assert_eq!(walk(b"{}").unwrap(), []);
    }

    #[test]
    fn what_is_no_object_or_goes_on_is_refused() {
        for (text, expected) in [
            ("[]", "an object is expected at byte 0"),
            ("", "an object is expected at byte 0"),
            ("{}1", "text goes on after its value at byte 2"),
            (r#"{"a":1,"b":}"#, "a value is expected at byte 11"),
            (r#"{"a":1,"b":[1"#, "`,` or `]` is expected at byte 13"),
        ] {
            assert_eq!(
                walk(text.as_bytes()).unwrap_err().to_string(),
                format!("not RocketMQ's JSON: {expected}")
            );
        }
        let deep = format!(r#"{{"a":1,"b":{}"#, "[".repeat(100_000));
        assert!(walk(deep.as_bytes()).unwrap_err().to_string().contains("text nests too deep"));
    }

    #[test]
    fn depth_counts_from_the_outside() {
        for (levels, is_fine) in [(MAX_DEPTH, true), (MAX_DEPTH + 1, false)] {
            let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            for text in [format!(r#"{{"read":{nested}}}"#), format!(r#"{{"read":0,"left":{nested}}}"#)] {
                assert_eq!(walk(text.as_bytes()).is_ok(), is_fine, "{levels} levels");
                assert_eq!(parse(text.as_bytes()).is_ok(), is_fine, "{levels} levels");
            }
        }
    }

    proptest! {
        #[test]
        fn a_walk_passes_over_what_is_read_otherwise(value in any_json()) {
            let text = bare_keys(&serde_json::json!({ "a": 1, "b": value, "c": value }));
            let seen = walk(text.as_bytes()).unwrap();
            prop_assert_eq!(&seen[1], &("b".to_owned(), None));
            prop_assert_eq!(&seen[2], &("c".to_owned(), Some(value)));
        }

        #[test]
        fn any_text_of_its_letters_is_passed_over_if_and_only_if_it_is_read(
            text in r#"[\{\}\[\]:,"\\0-9a-z\. -]{0,40}"#,
        ) {
            let walked = walk(format!(r#"{{"a":0,"b":{text}}}"#).as_bytes());
            let parsed = parse(format!(r#"{{"a":0,"b":{text}}}"#).as_bytes());
            prop_assert_eq!(walked.is_ok(), parsed.is_ok(), "{}", text);
        }
    }
}
