use serde_json::json;

use super::*;
use crate::metadata::Entry;

fn topic(fields: Value) -> Entry {
    Entry::Topic(serde_json::from_value(fields).unwrap())
}

fn group(name: &str, retries: u32) -> Entry {
    let fields = json!({"groupName": name, "retryMaxTimes": retries});
    Entry::Group(name.to_owned(), fields.as_object().cloned().unwrap())
}

fn mode(key: &str, mode: &str) -> Entry {
    Entry::RequestMode(
        Subscription::from_key(key).unwrap(),
        json!({ "mode": mode }).as_object().cloned().unwrap(),
    )
}

fn offsets(key: &str) -> Entry {
    Entry::Offsets(Subscription::from_key(key).unwrap(), [(0, 0)].into())
}

fn metadata(entries: impl IntoIterator<Item = Entry>) -> Metadata {
    let mut metadata = Metadata::default();
    entries.into_iter().for_each(|entry| metadata.insert(entry));
    metadata
}

fn differs(field: &str, from: Value, to: Value) -> ChangeKind {
    ChangeKind::Differs(vec![FieldChange { field: field.to_owned(), from, to }])
}

fn kinds<N: Clone>(changes: &[EntryChange<N>]) -> Vec<(N, ChangeKind)> {
    changes.iter().map(|change| (change.name.clone(), change.kind.clone())).collect()
}

#[test]
fn every_table_is_compared_entry_by_entry() {
    let from = metadata([
        topic(json!({"topicName": "same"})),
        topic(json!({"topicName": "orders", "perm": 6})),
        topic(json!({"topicName": "lacking"})),
        group("billing", 3),
        group("lacking", 3),
        mode("orders@billing", "POP"),
        mode("orders@mail", "POP"),
        offsets("same@billing"),
    ]);
    let to = metadata([
        topic(json!({"topicName": "same"})),
        topic(json!({"topicName": "orders", "perm": 4})),
        topic(json!({"topicName": "more"})),
        group("billing", 16),
        group("more", 16),
        mode("orders@billing", "PULL"),
        mode("more@mail", "POP"),
    ]);
    let found = difference(&from, &to);
    let name = |name: &str| name.to_owned();
    let key = |key: &str| Subscription::from_key(key).unwrap();
    assert_eq!(
        kinds(&found.topics),
        [
            (name("lacking"), ChangeKind::Missing),
            (name("more"), ChangeKind::Extra),
            (name("orders"), differs("perm", json!(6), json!(4))),
        ]
    );
    assert_eq!(
        kinds(&found.groups),
        [
            (name("billing"), differs("retryMaxTimes", json!(3), json!(16))),
            (name("lacking"), ChangeKind::Missing),
            (name("more"), ChangeKind::Extra),
        ]
    );
    assert_eq!(
        kinds(&found.request_modes),
        [
            (key("more@mail"), ChangeKind::Extra),
            (key("orders@billing"), differs("mode", json!("POP"), json!("PULL"))),
            (key("orders@mail"), ChangeKind::Missing),
        ]
    );
    assert!(!found.is_empty() && !found.nothing_to_apply());
    assert!(difference(&from, &from).is_empty());
}

#[test]
fn what_only_the_second_has_is_shown_and_not_applied() {
    let from = metadata([]);
    let to = metadata([topic(json!({"topicName": "more"})), group("more", 3), mode("a@b", "POP")]);
    let found = difference(&from, &to);
    assert!(!found.is_empty() && found.nothing_to_apply());
    assert_eq!(found.to_apply(&from), Metadata::default());
}

#[test]
fn fields_that_the_first_does_not_have_are_not_compared() {
    let old = metadata([topic(json!({"topicName": "orders", "order": false, "attributes": null}))]);
    let new = metadata([topic(json!({"topicName": "orders", "order": false, "attributes": {}, "later": 1}))]);
    assert!(difference(&old, &new).is_empty());
    let without = metadata([topic(json!({"topicName": "orders", "order": false}))]);
    let with = metadata([topic(json!({"topicName": "orders", "attributes": {"message.type": "DELAY"}}))]);
    assert_eq!(
        kinds(&difference(&with, &without).topics),
        [("orders".to_owned(), differs("attributes", json!({"message.type": "DELAY"}), Value::Null))]
    );
    let emptied = metadata([topic(json!({"topicName": "orders", "attributes": {}}))]);
    assert_eq!(
        kinds(&difference(&emptied, &with).topics),
        [("orders".to_owned(), differs("attributes", json!({}), json!({"message.type": "DELAY"})))]
    );
}

#[test]
fn what_a_group_must_not_read_belongs_to_it() {
    let forbidden = Entry::Forbidden("billing".to_owned(), json!({"orders": 4}));
    let from = metadata([group("billing", 3), forbidden]);
    let to = metadata([group("billing", 3)]);
    let found = difference(&from, &to);
    assert_eq!(
        kinds(&found.groups),
        [("billing".to_owned(), differs("forbiddenTable", json!({"orders": 4}), Value::Null))]
    );
    assert_eq!(found.to_apply(&from), from);
    assert!(difference(&to, &from).is_empty());
}

#[test]
fn offsets_go_along_with_topics_that_are_new() {
    let from = metadata([
        topic(json!({"topicName": "new"})),
        topic(json!({"topicName": "changed", "perm": 6})),
        topic(json!({"topicName": "same"})),
        offsets("new@billing"),
        offsets("changed@billing"),
        offsets("same@billing"),
    ]);
    let to =
        metadata([topic(json!({"topicName": "changed", "perm": 4})), topic(json!({"topicName": "same"}))]);
    let applied = difference(&from, &to).to_apply(&from);
    assert_eq!(applied.topics.keys().collect::<Vec<_>>(), ["changed", "new"]);
    assert_eq!(applied.offsets.keys().map(ToString::to_string).collect::<Vec<_>>(), ["new@billing"]);
}
