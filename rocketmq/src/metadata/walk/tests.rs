use serde_json::json;

use super::*;

/// Every entry of a body, in its order.
fn walked(table: Table, body: &str) -> Result<Vec<Entry>, WalkError> {
    let mut seen = Vec::new();
    entries(table, body.as_bytes(), |entry| {
        seen.push(entry);
        Ok::<_, WalkError>(())
    })?;
    Ok(seen)
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn key(text: &str) -> Subscription {
    Subscription::from_key(text).unwrap()
}

#[test]
fn the_version_of_a_table_is_read_alone() {
    let version = |body: &str| data_version(body.as_bytes());
    let body =
        r#"{"dataVersion":{"counter":7,"stateVersion":0,"timestamp":5},"topicConfigTable":{"a":{"perm":6}}}"#;
    assert_eq!(version(body).unwrap().counter, 7);
    assert_eq!(version(r#"{"topicConfigTable":{}}"#).unwrap(), DataVersion::default());
    assert!(matches!(version(r#"{"dataVersion":5}"#), Err(WalkError::Entry { .. })));
    assert!(matches!(version(r#"{"dataVersion":{"#), Err(WalkError::Json(_))));
}

#[test]
fn a_registration_has_the_version_the_topics_as_registered_and_the_mappings() {
    let of = |body: &str| registration(body.as_bytes(), Permission::READ, Version::V5_3_3);
    let (version, topics) = of(r#"{"dataVersion":{"counter":7,"stateVersion":0,"timestamp":5},
        "topicConfigTable":{"a":{"topicName":"a","perm":6},"nameless":{"perm":6}},
        "topicQueueMappingDetailMap":{"s":{"topic":"s","bname":"g","totalQueues":1,"hostedQueues":{}}}}"#)
    .unwrap();
    assert_eq!(version.counter, 7);
    let mut expected = RegisteredTopics::default();
    let a = TopicConfig { perm: Permission::READ, ..TopicConfig::new(&"a".parse().unwrap(), 16) };
    expected.add(&a);
    expected.add_mapping(
        "s".to_owned(),
        &json!({"topic": "s", "bname": "g", "totalQueues": 1, "hostedQueues": {}}),
    );
    assert_eq!(topics, expected);
    assert_eq!(of(r#"{"topicConfigTable":{}}"#).unwrap(), Default::default());
    assert!(matches!(of(r#"{"dataVersion":5}"#), Err(WalkError::Entry { .. })));
    assert!(matches!(of(r#"{"dataVersion":{"#), Err(WalkError::Json(_))));
}

#[test]
fn topics_are_named_as_the_broker_finds_them() {
    let body = r#"{"dataVersion":{"counter":1},"topicConfigTable":{
        "orders":{"topicName":"orders","perm":6,"attributes":{"message.type":"FIFO"},"later":[1]},
        "other":{"topicName":"ignored"},"nameless":{"perm":6},"empty":{"topicName":""},"null":{"topicName":null}
        },"topicQueueMappingDetailMap":{"static":{"totalQueues":3}}}"#;
    let topics = walked(Table::Topics, body).unwrap();
    let [Entry::Topic(orders), Entry::Topic(other)] = topics.as_slice() else { unreachable!("{topics:?}") };
    assert_eq!((orders.topic_name.as_str(), other.topic_name.as_str()), ("orders", "other"));
    assert_eq!(orders.rest["later"], json!([1]));
    let mut names = Vec::new();
    static_topics(body.as_bytes(), |name, _| {
        names.push(name);
        Ok::<_, WalkError>(())
    })
    .unwrap();
    assert_eq!(names, ["static"]);
}

#[test]
fn groups_come_with_what_they_must_not_read() {
    let body =
        r#"{"forbiddenTable":{"mail":{"orders":4}},"subscriptionGroupTable":{"mail":{"retryMaxTimes":3}}}"#;
    assert_eq!(
        walked(Table::Groups, body).unwrap(),
        [
            Entry::Group("mail".to_owned(), object(json!({"retryMaxTimes": 3, "groupName": "mail"}))),
            Entry::Forbidden("mail".to_owned(), json!({"orders": 4})),
        ]
    );
    assert_eq!(walked(Table::Groups, r#"{"subscriptionGroupTable":{},"forbiddenTable":null}"#).unwrap(), []);
}

#[test]
fn request_modes_stand_under_topic_and_group() {
    let body =
        r#"{"messageRequestModeMap":{"orders":{"billing":{"mode":"POP"},"mail":{"mode":"PULL"}},"x":{}}}"#;
    let mode = |group: &str, mode: &str| {
        Entry::RequestMode(
            key(&format!("orders@{group}")),
            object(json!({"mode": mode, "topic": "orders", "consumerGroup": group})),
        )
    };
    assert_eq!(walked(Table::RequestModes, body).unwrap(), [mode("billing", "POP"), mode("mail", "PULL")]);
}

#[test]
fn offsets_have_bare_numbers_and_strange_keys_are_passed_over() {
    let body = r#"{"offsetTable":{"orders@billing":{0:7,"1":8,-1:9},"no-group":{0:1},"a@b@c":{0:1}}}"#;
    assert_eq!(
        walked(Table::Offsets, body).unwrap(),
        [Entry::Offsets(key("orders@billing"), [(0, 7), (1, 8)].into())]
    );
}

#[test]
fn a_body_that_cannot_be_read_says_where() {
    for (table, body, expected) in [
        (Table::Topics, "", "not RocketMQ's JSON: an object is expected at byte 0"),
        (
            Table::Topics,
            r#"{"topicConfigTable":[]}"#,
            "not RocketMQ's JSON: an object is expected at byte 20",
        ),
        (
            Table::Topics,
            r#"{"topicConfigTable":{"a":{"topicName":"a","perm":"x"}}}"#,
            "topic `a` cannot be read: invalid type: string \"x\", expected u32",
        ),
        (
            Table::Groups,
            r#"{"subscriptionGroupTable":{"a":1}}"#,
            "group `a` cannot be read: an object is expected",
        ),
        (
            Table::RequestModes,
            r#"{"messageRequestModeMap":{"a":{"b":1}}}"#,
            "request mode of `a@b` cannot be read: an object is expected",
        ),
        (
            Table::Offsets,
            r#"{"offsetTable":{"a@b":1}}"#,
            "offsets of `a@b` cannot be read: an object is expected",
        ),
    ] {
        assert_eq!(walked(table, body).unwrap_err().to_string(), expected);
    }
}

#[test]
fn a_visitor_ends_the_walk_with_its_own_error() {
    #[derive(Debug, PartialEq)]
    enum Mine {
        Enough,
        Walk(WalkError),
    }
    impl From<WalkError> for Mine {
        fn from(error: WalkError) -> Self {
            Self::Walk(error)
        }
    }
    let body = br#"{"offsetTable":{"a@b":{},"c@d":{},"e@"#;
    let mut seen = 0;
    let ended = offsets(body, |_, _| {
        seen += 1;
        if seen == 2 { Err(Mine::Enough) } else { Ok(()) }
    });
    assert_eq!((ended, seen), (Err(Mine::Enough), 2));
    assert!(matches!(offsets(body, |_, _| Ok::<_, Mine>(())), Err(Mine::Walk(_))));
}
