use std::collections::BTreeMap;

use serde_json::{Map, json};

use super::*;
use crate::metadata::manifest::Manifest;
use crate::metadata::{Metadata, Origin, Subscription};
use crate::model::version::Version;

fn origin() -> Origin {
    Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V5_3_3 }
}

fn manifest(sanitised: bool) -> Manifest {
    Manifest::new(&origin(), sanitised, &[])
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn subscription(key: &str) -> Subscription {
    Subscription::from_key(key).unwrap()
}

/// One or two entries of every kind.
fn metadata() -> Metadata {
    let mut metadata = Metadata::default();
    for topic in ["orders", "%RETRY%billing"] {
        let topic = json!({"topicName": topic, "readQueueNums": 4, "attributes": {"message.type": "NORMAL"}, "ofAnotherDay": [1]});
        metadata.insert(Entry::Topic(serde_json::from_value(topic).unwrap()));
    }
    for group in ["billing", "mail"] {
        metadata.insert(Entry::Group(
            group.to_owned(),
            fields(
                json!({"groupName": group, "retryMaxTimes": 3, "groupRetryPolicy": {"type": "CUSTOMIZED"}}),
            ),
        ));
    }
    metadata.insert(Entry::Forbidden("mail".to_owned(), json!({"orders": 4})));
    for key in ["orders@billing", "orders@mail", "payments@mail"] {
        let of = subscription(key);
        let mode =
            json!({"topic": of.topic, "consumerGroup": of.group, "mode": "POP", "popShareQueueNum": 8});
        metadata.insert(Entry::RequestMode(of, fields(mode)));
    }
    metadata.insert(Entry::Offsets(subscription("orders@billing"), BTreeMap::from([(0, 0), (10, 7)])));
    metadata
}

fn written(table: Table, metadata: &Metadata) -> Vec<u8> {
    let mut writer = TableWriter::new(table, Vec::new(), 7).unwrap();
    metadata.entries(table).iter().for_each(|entry| writer.add(entry).unwrap());
    let (bytes, sum) = writer.finish().unwrap();
    assert_eq!(sum.bytes, bytes.len() as u64);
    bytes
}

fn reading(table: Table, sanitised: bool, text: &[u8]) -> Result<Metadata, FileError> {
    let mut metadata = Metadata::default();
    read(table, &manifest(sanitised), text, |entry| {
        metadata.insert(entry);
        Ok::<_, FileError>(())
    })?;
    Ok(metadata)
}

#[test]
fn files_are_those_of_rocketmq() {
    let metadata = metadata();
    for (table, expected) in [
        (
            Table::Groups,
            r#"{"dataVersion":{"counter":1,"timestamp":7},"subscriptionGroupTable":{"billing":{"groupName":"billing","retryMaxTimes":3,"groupRetryPolicy":{"type":"CUSTOMIZED"}},"mail":{"groupName":"mail","retryMaxTimes":3,"groupRetryPolicy":{"type":"CUSTOMIZED"}}},"forbiddenTable":{"mail":{"orders":4}}}"#,
        ),
        (
            Table::RequestModes,
            r#"{"messageRequestModeMap":{"orders":{"billing":{"topic":"orders","consumerGroup":"billing","mode":"POP","popShareQueueNum":8},"mail":{"topic":"orders","consumerGroup":"mail","mode":"POP","popShareQueueNum":8}},"payments":{"mail":{"topic":"payments","consumerGroup":"mail","mode":"POP","popShareQueueNum":8}}}}"#,
        ),
        (
            Table::Offsets,
            r#"{"dataVersion":{"counter":1,"timestamp":7},"offsetTable":{"orders@billing":{"0":0,"10":7}}}"#,
        ),
    ] {
        assert_eq!(String::from_utf8(written(table, &metadata)).unwrap(), expected);
    }
    let topics: Value = serde_json::from_slice(&written(Table::Topics, &metadata)).unwrap();
    assert_eq!(topics["topicConfigTable"]["orders"]["attributes"]["message.type"], "NORMAL");
    assert_eq!(topics["topicConfigTable"]["orders"]["ofAnotherDay"], json!([1]));
}

#[test]
fn files_are_read_back() {
    let mut back = Metadata::default();
    for table in Table::ALL {
        let text = written(table, &metadata());
        reading(table, true, &text).unwrap().entries(table).into_iter().for_each(|entry| back.insert(entry));
        let empty = written(table, &Metadata::default());
        assert_eq!(reading(table, true, &empty).unwrap(), Metadata::default());
    }
    assert_eq!(back, metadata());
}

#[test]
fn an_entry_at_the_wrong_place_is_not_written() {
    let mut writer = TableWriter::new(Table::Groups, Vec::new(), 7).unwrap();
    writer.add(&Entry::Forbidden("mail".to_owned(), json!({}))).unwrap();
    let late = writer.add(&Entry::Group("mail".to_owned(), Map::new())).unwrap_err();
    assert_eq!(late.to_string(), "group `mail` does not belong at this place of subscriptionGroup.json");
    let mut writer = TableWriter::new(Table::Topics, Vec::new(), 7).unwrap();
    assert!(writer.add(&Entry::Group("mail".to_owned(), Map::new())).is_err());
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let mut writer = TableWriter::new(Table::Groups, std::io::sink(), 7).unwrap();
    let long = Entry::Group("mail".to_owned(), fields(json!({"note": "x".repeat(1 << 20)})));
    assert_eq!(
        writer.add(&long).unwrap_err().to_string(),
        "group `mail` is too much for subscriptionGroup.json: it may have 64 MiB, 1000000 entries, 1024 KiB each"
    );
    let mut writer = TableWriter::new(Table::Groups, std::io::sink(), 7).unwrap();
    let large = Entry::Group("mail".to_owned(), fields(json!({"note": "x".repeat((1 << 20) - 100)})));
    let written = (0..100).take_while(|_| writer.add(&large).is_ok()).count();
    assert_eq!(written, 64);
}

#[test]
fn other_files_are_refused_with_their_reason() {
    let group = |name: &str| format!(r#"{{"subscriptionGroupTable":{{{name}}},"forbiddenTable":{{}}}}"#);
    let topic = |entry: &str| format!(r#"{{"topicConfigTable":{{{entry}}}}}"#);
    let modes = |entry: &str| format!(r#"{{"messageRequestModeMap":{{{entry}}}}}"#);
    let offsets = |entry: &str| format!(r#"{{"offsetTable":{{{entry}}}}}"#);
    let twice = |entry: &str| format!("{entry},{entry}");
    for (table, text, expected) in [
        (Table::Topics, String::new(), "topics.json is not what RocketMQ writes: EOF while parsing a value"),
        (Table::Topics, "[]".to_owned(), "invalid type: sequence, expected an object"),
        (Table::Topics, "{}".to_owned(), "field `topicConfigTable` is missing"),
        (Table::Topics, topic("") + "{}", "trailing characters"),
        (
            Table::Topics,
            r#"{"topicConfigTable":{},"topicConfigTable":{}}"#.to_owned(),
            "field `topicConfigTable` twice",
        ),
        (Table::Topics, r#"{"topicConfigTable":{},"x":1}"#.to_owned(), "unknown field `x`"),
        (Table::Topics, topic(r#""a":{}"#), "topic `a`: missing field `topicName`"),
        (Table::Topics, topic(r#""a":{"topicName":"b"}"#), "`a` has another name within itself"),
        (
            Table::Topics,
            topic(r#""a":{"topicName":"a","perm":-1}"#),
            "topic `a`: invalid value: integer `-1`",
        ),
        (Table::Topics, topic(r#"0:{"topicName":"a"}"#), "key must be a string"),
        (Table::Topics, topic(&twice(r#""a":{"topicName":"a"}"#)), "topics.json has an entry twice"),
        (
            Table::Topics,
            topic(r#""TBW102":{"topicName":"TBW102"}"#),
            "topics.json has an entry that is not allowed",
        ),
        (
            Table::Topics,
            topic(r#""a":{"topicName":"a","readQueueNums":65537}"#),
            "topics.json has an entry that is not allowed",
        ),
        (
            Table::Topics,
            topic("\"\u{e9}\":{\"topicName\":\"\u{e9}\"}"),
            "topics.json has an entry that is not allowed",
        ),
        (Table::Groups, group(r#""a":1"#), "`a` is no object"),
        (Table::Groups, group(r#""a":{}"#), "`a` has another name within itself"),
        (Table::Groups, r#"{"subscriptionGroupTable":{}}"#.to_owned(), "field `forbiddenTable` is missing"),
        (
            Table::Groups,
            r#"{"subscriptionGroupTable":{},"forbiddenTable":{"a":{"b":"c"}}}"#.to_owned(),
            "has bits that are no number",
        ),
        (
            Table::RequestModes,
            modes(r#""a":{"b":{"topic":"a","consumerGroup":"c"}}"#),
            "`a@b` has another name within itself",
        ),
        (
            Table::RequestModes,
            modes(&twice(r#""a":{"b":{"topic":"a","consumerGroup":"b"}}"#)),
            "messageRequestMode.json has an entry twice",
        ),
        (Table::Offsets, offsets(r#""a":{}"#), "`a` is no topic@group"),
        (Table::Offsets, offsets(r#""a@b":{"-1":0}"#), "`a@b` has a queue or an offset that is no number"),
        (Table::Offsets, offsets(r#""a@b":{"0":"x"}"#), "`a@b` has a queue or an offset that is no number"),
    ] {
        let error = reading(table, true, text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let not_utf8 = b"{\"topicConfigTable\":{\"\xff\":{}}}";
    assert!(reading(Table::Topics, false, not_utf8).unwrap_err().to_string().contains("invalid unicode"));
}

#[test]
fn a_bundle_of_everything_may_have_system_names_but_none_that_cannot_be_shown() {
    let text = |name: &str| json!({"topicConfigTable": {name: {"topicName": name}}}).to_string();
    for name in ["TBW102", "a.b", "größe", "%RETRY%a+b"] {
        assert!(reading(Table::Topics, false, text(name).as_bytes()).unwrap().topics.contains_key(name));
    }
    for name in ["", "a\u{1b}[2J", &"x".repeat(600)] {
        assert!(matches!(
            reading(Table::Topics, false, text(name).as_bytes()),
            Err(FileError::Invalid { source: crate::metadata::InvalidEntry::Unprintable(_), .. })
        ));
    }
}

#[test]
fn an_entry_that_does_not_end_is_given_up() {
    let endless = std::io::Cursor::new(r#"{"topicConfigTable":{""#).chain(std::io::repeat(b'x'));
    let error = read(Table::Topics, &manifest(true), endless, |_| Ok::<_, FileError>(())).unwrap_err();
    assert_eq!(error.to_string(), "topics.json has an entry of more than 1024 KiB");
}

#[test]
fn an_error_of_the_reader_is_told_as_it_is() {
    let text = written(Table::Topics, &metadata());
    let mut entries = 0;
    let ended = read(Table::Topics, &manifest(true), text.as_slice(), |_| {
        entries += 1;
        Err(FileError::Twice { file: "mine" })
    });
    assert_eq!((ended.unwrap_err().to_string(), entries), ("mine has an entry twice".to_owned(), 1));
}

use std::io::Read as _;
