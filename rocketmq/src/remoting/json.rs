//! RocketMQ's dialect of JSON, as fastjson writes it: keys of maps may be bare numbers (`{0:"ip:port"}`) or
//! whole values (`{{"queueId":0,…}:…}` for `Map<MessageQueue, …>`). Strict JSON is part of it, and it is what this
//! project writes, since fastjson reads quoted keys for any type of key.

mod cursor;

use serde_json::{Map, Number, Value};

pub use self::cursor::{Cursor, cursor};

/// Deeper texts are refused: RocketMQ's own answers nest less than ten levels.
const MAX_DEPTH: usize = 64;

/// A text that is not of the dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not RocketMQ's JSON: {what} at byte {at}")]
pub struct JsonError {
    what: &'static str,
    at: usize,
}

/// Reads a text. A key that is not a string becomes the canonical JSON text of its value, its own keys sorted.
///
/// # Errors
/// If the text is not of the dialect, nests deeper than 64 levels, or goes on after its value.
pub fn parse(text: &[u8]) -> Result<Value, JsonError> {
    let mut parser = Parser::new(text)?;
    let value = parser.value(0)?;
    parser.end()?;
    Ok(value)
}

/// The JSON text of a value with the keys of all its objects sorted.
#[must_use]
pub fn canonical(value: &Value) -> String {
    sorted(value).to_string()
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut entries: Vec<_> =
                fields.iter().map(|(key, value)| (key.clone(), sorted(value))).collect();
            entries.sort_by(|(left, _), (right, _)| left.cmp(right));
            Value::Object(entries.into_iter().collect())
        }
        other => other.clone(),
    }
}

#[derive(Debug)]
struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Reading a key. Keys within keys are texts and numbers only: each level of them would double the escapes
    /// of its canonical text.
    in_key: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(text)
            .map_err(|error| JsonError { what: "text is not UTF-8", at: error.valid_up_to() })?;
        Ok(Self { text, at: 0, in_key: false })
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.skip_blanks();
        if self.at < self.text.len() { Err(self.error("text goes on after its value")) } else { Ok(()) }
    }

    fn error(&self, what: &'static str) -> JsonError {
        JsonError { what, at: self.at }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Takes `byte` if it comes next, blanks skipped.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Value, JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("text nests too deep"));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            Some(b'a'..=b'z') => self.word(),
            Some(_) => Err(self.error("a value is expected")),
            None => Err(self.error("text ends before its value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut fields = Map::new();
        self.each_field(depth, |key, parser| {
            fields.insert(key, parser.value(depth + 1)?);
            Ok::<_, JsonError>(())
        })?;
        Ok(Value::Object(fields))
    }

    fn array(&mut self, depth: usize) -> Result<Value, JsonError> {
        let mut items = Vec::new();
        self.each_item(|parser| {
            items.push(parser.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Value::Array(items))
    }

    /// Passes over a value and keeps nothing of it.
    fn skip(&mut self, depth: usize) -> Result<(), JsonError> {
        if depth > MAX_DEPTH {
            return Err(self.error("text nests too deep"));
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'{') => self.each_field(depth, |_, parser| parser.skip(depth + 1)),
            Some(b'[') => self.each_item(|parser| parser.skip(depth + 1)),
            _ => self.value(depth).map(drop),
        }
    }

    /// Goes through the object whose `{` comes next; `each` takes the value that follows a key.
    fn each_field<E: From<JsonError>>(
        &mut self,
        depth: usize,
        mut each: impl FnMut(String, &mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        self.at += 1;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            let key = self.key(depth + 1)?;
            if !self.takes(b':') {
                return Err(self.error("`:` is expected").into());
            }
            each(key, self)?;
            if self.takes(b'}') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.error("`,` or `}` is expected").into());
            }
        }
    }

    /// Goes through the array whose `[` comes next; `each` takes an item.
    fn each_item(
        &mut self,
        mut each: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.at += 1;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.takes(b']') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.error("`,` or `]` is expected"));
            }
        }
    }

    fn key(&mut self, depth: usize) -> Result<String, JsonError> {
        self.skip_blanks();
        if self.in_key && matches!(self.peek(), Some(b'{' | b'[')) {
            return Err(self.error("a key stands within a key"));
        }
        let outer = std::mem::replace(&mut self.in_key, true);
        let key = self.value(depth)?;
        self.in_key = outer;
        Ok(match key {
            Value::String(text) => text,
            other => canonical(&other),
        })
    }

    fn word(&mut self) -> Result<Value, JsonError> {
        for (word, value) in
            [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
        {
            if self.text[self.at..].starts_with(word) {
                self.at += word.len();
                return Ok(value);
            }
        }
        Err(self.error("a value is expected"))
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let rest = &self.text[self.at..];
        let length = rest
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let number = rest[..length].parse().map_err(|_| self.error("number is malformed"))?;
        self.at += length;
        Ok(number)
    }

    /// Finds the end of a string and leaves its escapes to serde_json.
    fn string(&mut self) -> Result<String, JsonError> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut end = start + 1;
        loop {
            match bytes.get(end) {
                None => return Err(self.error("string does not end")),
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
            }
        }
        let literal = &bytes[start..=end];
        let text = serde_json::from_slice(literal).map_err(|_| self.error("string is malformed"))?;
        self.at = end + 1;
        Ok(text)
    }
}

#[cfg(test)]
mod tests;
