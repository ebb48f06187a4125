use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;

use super::*;

#[test]
fn the_dialect_is_read() {
    for (text, expected) in [
        (
            r#"{"brokerAddrs":{0:"10.0.0.1:10911",1:"b"}}"#,
            json!({"brokerAddrs":{"0":"10.0.0.1:10911","1":"b"}}),
        ),
        (
            r#"{"offsetTable":{{"topic":"t","brokerName":"b","queueId":3}:{"maxOffset":7}}}"#,
            json!({"offsetTable":{r#"{"brokerName":"b","queueId":3,"topic":"t"}"#:{"maxOffset":7}}}),
        ),
        ("{-1:true,[1,2]:null}", json!({"-1":true,"[1,2]":null})),
        (" [ 1 , -2.5e3 , \"\\u00e9\\n\" , { } , [ ] ] ", json!([1, -2500.0, "é\n", {}, []])),
        (r#""a\\\"b""#, json!("a\\\"b")),
        ("18446744073709551615", json!(u64::MAX)),
    ] {
        assert_eq!(parse(text.as_bytes()).unwrap(), expected, "{text}");
    }
}

#[test]
fn other_texts_are_refused_where_they_go_wrong() {
    for (text, expected) in [
        ("", "text ends before its value at byte 0"),
        ("{", "text ends before its value at byte 1"),
        (r#"{"a"}"#, "`:` is expected at byte 4"),
        (r#"{"a":1,}"#, "a value is expected at byte 7"),
        ("[1 2]", "`,` or `]` is expected at byte 3"),
        ("{{{}:1}:1}", "a key stands within a key at byte 2"),
        ("1 2", "text goes on after its value at byte 2"),
        ("1-2", "number is malformed at byte 0"),
        ("nul", "a value is expected at byte 0"),
        (r#""a"#, "string does not end at byte 0"),
        (r#""\x""#, "string is malformed at byte 0"),
    ] {
        assert_eq!(
            parse(text.as_bytes()).unwrap_err().to_string(),
            format!("not RocketMQ's JSON: {expected}"),
            "{text}"
        );
    }
    assert_eq!(
        parse(b"\"\xff\"").unwrap_err().to_string(),
        "not RocketMQ's JSON: text is not UTF-8 at byte 1"
    );
}

#[test]
fn depth_is_bounded_in_values_and_in_keys() {
    for (open, expected) in
        [("[", "text nests too deep"), ("{1:", "text nests too deep"), ("{", "a key stands within a key")]
    {
        assert_eq!(parse(open.repeat(100_000).as_bytes()).unwrap_err().what, expected);
    }
}

pub(super) fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(".{0,8}", inner, 0..5).prop_map(|entries| entries.into_iter().collect()),
        ]
    })
}

/// Writes as fastjson does: keys that are numbers or objects stay bare.
pub(super) fn bare_keys(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let entries: Vec<_> = fields
                .iter()
                .map(|(key, value)| {
                    let key = if key.parse::<u32>().is_ok_and(|number| number.to_string() == *key) {
                        key.clone()
                    } else {
                        Value::from(key.as_str()).to_string()
                    };
                    format!("{key}:{}", bare_keys(value))
                })
                .collect();
            format!("{{{}}}", entries.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(bare_keys).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

proptest! {
    #[test]
    fn strict_json_is_read_as_serde_json_reads_it(value in any_json()) {
        prop_assert_eq!(parse(value.to_string().as_bytes()), Ok(value));
    }

    #[test]
    fn bare_keys_are_read_like_quoted_ones(value in any_json()) {
        prop_assert_eq!(parse(bare_keys(&value).as_bytes()), Ok(value));
    }

    #[test]
    fn an_object_key_is_its_canonical_text(key in any_json(), value in any_json()) {
        prop_assume!(!key.is_string());
        let read = parse(format!("{{{key}:{value}}}").as_bytes()).unwrap();
        prop_assert_eq!(read, Value::Object([(canonical(&key), value)].into_iter().collect()));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_text_of_its_letters_is_read_or_refused(text in r#"[\{\}\[\]:,"\\0-9a-z\. -]{0,40}"#) {
        let _ = parse(text.as_bytes());
    }
}
