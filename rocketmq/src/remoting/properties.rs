//! Settings as text. Brokers and name servers answer raw `key=value` lines (`MixAll.properties2String`), and read
//! requests and files with `java.util.Properties.load`, which has escapes and takes bytes for Latin-1.

use std::collections::BTreeMap;
use std::fmt;

/// Settings, sorted by key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Properties {
    entries: BTreeMap<String, String>,
}

impl Properties {
    /// No settings.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: BTreeMap::new() }
    }

    /// Reads an answer: lines of `key=value`, nothing escaped.
    #[must_use]
    pub fn from_answer(text: &str) -> Self {
        text.lines().filter_map(|line| line.split_once('=')).collect()
    }

    /// Reads a file or request as `java.util.Properties.load` does, but for bytes beyond ASCII, which are taken
    /// as UTF-8.
    #[must_use]
    pub fn from_java(text: &str) -> Self {
        let mut properties = Self::new();
        let text = text.replace("\r\n", "\n");
        let mut lines = text.split(['\n', '\r']);
        while let Some(first) = lines.next() {
            let mut line = first.trim_start_matches(BLANKS).to_owned();
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            while ends_in_odd_backslash(&line) {
                line.pop();
                match lines.next() {
                    Some(next) => line.push_str(next.trim_start_matches(BLANKS)),
                    None => break,
                }
            }
            let (key, value) = split_entry(&line);
            properties.set(unescape(key), unescape(value));
        }
        properties
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// Sets a key.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), value.into());
    }

    /// Removes a key and gives its former value.
    pub fn remove(&mut self, key: &str) -> Option<String> {
        self.entries.remove(key)
    }

    /// All settings, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self { entries: entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

impl fmt::Display for Properties {
    /// Prints what `java.util.Properties.load` reads back, whatever the values hold.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entries
            .iter()
            .try_for_each(|(key, value)| writeln!(f, "{}={}", escape(key, true), escape(value, false)))
    }
}

const BLANKS: [char; 3] = [' ', '\t', '\u{c}'];

fn ends_in_odd_backslash(line: &str) -> bool {
    line.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

/// Splits at the first `=`, `:` or blank that is not escaped; blanks around it fall away.
fn split_entry(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let end = line
        .find(|c: char| {
            let ends = !escaped && (c == '=' || c == ':' || BLANKS.contains(&c));
            escaped = c == '\\' && !escaped;
            ends
        })
        .unwrap_or(line.len());
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches(BLANKS);
    let value = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, value.trim_start_matches(BLANKS))
}

fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let next = if c == '\\' { rest.next() } else { None };
        if next == Some('u') {
            let digits: String = rest.as_str().chars().take(4).collect();
            let hexadecimal = digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            if let (true, Ok(unit)) = (hexadecimal, u16::from_str_radix(&digits, 16)) {
                units.push(unit);
                rest = rest.as_str()[4..].chars();
                continue;
            }
        }
        out.push_str(&String::from_utf16_lossy(&std::mem::take(&mut units)));
        match (c, next) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('r')) => out.push('\r'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some('f')) => out.push('\u{c}'),
            ('\\', Some(other)) => out.push(other),
            ('\\', None) => {}
            (plain, _) => out.push(plain),
        }
    }
    out.push_str(&String::from_utf16_lossy(&units));
    out
}

fn escape(text: &str, key: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{c}' => out.push_str("\\f"),
            ' ' if key || at == 0 => out.push_str("\\ "),
            '=' | ':' | '#' | '!' if key => {
                out.push('\\');
                out.push(c);
            }
            ' '..='~' => out.push(c),
            _ => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn entries(properties: &Properties) -> Vec<(&str, &str)> {
        properties.iter().collect()
    }

    #[test]
    fn answers_are_raw_lines() {
        let read = Properties::from_answer("brokerName=a\nfilter=x=y\\z:1\nempty=\nno line\n");
        assert_eq!(entries(&read), [("brokerName", "a"), ("empty", ""), ("filter", "x=y\\z:1")]);
    }

    #[test]
    fn files_are_read_as_java_reads_them() {
        let read = Properties::from_java(
            "# comment\n  ! another\n\n  brokerName = broker-a \r\nkey:value\nplain text\nlong=a,\\\r\n    b\nescaped\\ key\\==\\u00e9\\\\\\q\nbrokerName=last\nlonely\nend=x\\",
        );
        assert_eq!(
            entries(&read),
            [
                ("brokerName", "last"),
                ("end", "x"),
                ("escaped key=", "é\\q"),
                ("key", "value"),
                ("lonely", ""),
                ("long", "a,b"),
                ("plain", "text"),
            ]
        );
    }

    #[test]
    fn settings_are_set_and_removed() {
        let mut properties = Properties::from_iter([("a", "1"), ("b", "2"), ("c", "3")]);
        properties.set("b", "4");
        assert_eq!(properties.remove("a").as_deref(), Some("1"));
        assert_eq!(properties.remove("a"), None);
        assert_eq!(entries(&properties), [("b", "4"), ("c", "3")]);
        assert_eq!(properties.to_string(), "b=4\nc=3\n");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_what_java_reads(list in vec((any::<String>(), any::<String>()), 0..8)) {
            let properties: Properties = list.into_iter().collect();
            prop_assert!(properties.to_string().is_ascii());
            prop_assert_eq!(Properties::from_java(&properties.to_string()), properties);
        }

        #[test]
        fn any_text_is_read(text: String) {
            let _ = (Properties::from_java(&text), Properties::from_answer(&text));
        }
    }
}
