use serde_json::{Value, json};

use super::*;
use crate::metadata::Metadata;
use crate::metadata::bundle::{self, BundleWriter};
use crate::model::version::Version;

fn origin() -> Origin {
    Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V5_3_3 }
}

/// Answers of a broker with entries of its own, of users, and with ordered, static and nameless topics.
fn topics() -> Value {
    json!({
        "topicConfigTable": {
            "TBW102": {"topicName": "TBW102", "perm": 7},
            "demo-0": {"topicName": "demo-0"},
            "nameless": {},
            "orders": {"topicName": "orders", "readQueueNums": 2, "writeQueueNums": 3},
            "fifo": {"topicName": "fifo", "readQueueNums": 1, "writeQueueNums": 1, "attributes": {"message.type": "FIFO"}},
            "mapped": {"topicName": "mapped"},
            "%RETRY%billing": {"topicName": "%RETRY%billing", "readQueueNums": 1, "writeQueueNums": 1},
            "%DLQ%billing": {"topicName": "%DLQ%billing"},
        },
        "topicQueueMappingDetailMap": {"mapped": {"totalQueues": 1}},
    })
}

const GROUPS: &str = r#"{"subscriptionGroupTable":{"billing":{"retryMaxTimes":3},"TOOLS_CONSUMER":{}},"forbiddenTable":{"billing":{"orders":4},"TOOLS_CONSUMER":{}}}"#;
const MODES: &str = r#"{"messageRequestModeMap":{"orders":{"billing":{"mode":"POP"},"TOOLS_CONSUMER":{}},"fifo":{"billing":{}}}}"#;
const OFFSETS: &str = r#"{"offsetTable":{"orders@billing":{0:7,1:9},"TBW102@billing":{0:1}}}"#;

fn seeds() -> Vec<Subscription> {
    [
        "%RETRY%billing@billing",
        "%RETRY%mail@mail",
        "%DLQ%billing@mail",
        "absent@billing",
        "fifo@billing",
        "mapped@billing",
        "orders@TOOLS_CONSUMER",
        "orders@billing",
    ]
    .map(|key| Subscription::from_key(key).unwrap())
    .into()
}

fn export(options: Options) -> (Exported, Metadata) {
    let mut tables = Tables::new(origin(), options, 7);
    let [mut topic_file, mut group_file, mut mode_file, mut offset_file] = [const { Vec::new() }; 4];
    tables.topics(topics().to_string().as_bytes(), &mut topic_file).unwrap();
    tables.groups(GROUPS.as_bytes(), &mut group_file).unwrap();
    tables.request_modes(MODES.as_bytes(), &mut mode_file).unwrap();
    if options.sanitised {
        tables.seed_offsets(seeds(), &mut offset_file).unwrap();
    } else {
        tables.offsets(OFFSETS.as_bytes(), &mut offset_file).unwrap();
    }
    let exported = tables.finish();
    let mut writer = BundleWriter::new(Vec::new(), &exported.manifest).unwrap();
    for (table, file) in Table::ALL.into_iter().zip([topic_file, group_file, mode_file, offset_file]) {
        writer.file(table, file.as_slice()).unwrap();
    }
    let bytes = writer.finish().unwrap().0;
    let (manifest, metadata) = bundle::read(bytes.as_slice()).unwrap();
    assert_eq!(manifest, exported.manifest);
    assert_eq!(metadata.digests(), exported.digests);
    assert_eq!(metadata.registration_bytes(), exported.registration_bytes);
    (exported, metadata)
}

fn names<V>(table: &std::collections::BTreeMap<impl ToString, V>) -> Vec<String> {
    table.keys().map(ToString::to_string).collect()
}

#[test]
fn a_sanitised_export_has_what_another_broker_shall_have() {
    let (exported, metadata) = export(Options { sanitised: true, ordered: false });
    assert_eq!(names(&metadata.topics), ["%RETRY%billing", "orders"]);
    assert_eq!(names(&metadata.groups), ["billing"]);
    assert_eq!(metadata.forbidden.keys().collect::<Vec<_>>(), ["billing"]);
    assert_eq!(names(&metadata.request_modes), ["orders@billing"]);
    assert_eq!(names(&metadata.offsets), ["%RETRY%billing@billing", "%RETRY%mail@mail", "orders@billing"]);
    let queues = |key: &str| &metadata.offsets[&Subscription::from_key(key).unwrap()];
    assert_eq!(queues("orders@billing"), &[(0, 0), (1, 0), (2, 0)].into(), "each queue, written or read");
    assert_eq!(queues("%RETRY%mail@mail"), &[(0, 0)].into(), "not made yet");
    assert_eq!(exported.ordered_topics, ["fifo"]);
    assert_eq!(exported.static_topics, ["mapped"]);
    assert!(exported.manifest.sanitised);
}

#[test]
fn ordered_topics_come_along_when_they_are_asked_for() {
    let (exported, metadata) = export(Options { sanitised: true, ordered: true });
    assert_eq!(names(&metadata.topics), ["%RETRY%billing", "fifo", "orders"]);
    assert_eq!(names(&metadata.request_modes), ["fifo@billing", "orders@billing"]);
    assert!(names(&metadata.offsets).contains(&"fifo@billing".to_owned()));
    assert!(exported.ordered_topics.is_empty());
}

#[test]
fn an_export_of_everything_has_everything_as_it_is() {
    let (exported, metadata) = export(Options { sanitised: false, ordered: false });
    assert_eq!(
        names(&metadata.topics),
        ["%DLQ%billing", "%RETRY%billing", "TBW102", "demo-0", "fifo", "mapped", "orders"]
    );
    assert_eq!(names(&metadata.groups), ["TOOLS_CONSUMER", "billing"]);
    assert_eq!(names(&metadata.offsets), ["TBW102@billing", "orders@billing"]);
    assert_eq!(metadata.offsets[&Subscription::from_key("orders@billing").unwrap()], [(0, 7), (1, 9)].into());
    assert!(!exported.manifest.sanitised);
    assert!(exported.ordered_topics.is_empty() && exported.static_topics.is_empty());
}

#[test]
fn streamed_and_whole_tables_are_sanitised_alike() {
    let (_, all) = export(Options { sanitised: false, ordered: false });
    for ordered in [false, true] {
        let (exported, streamed) = export(Options { sanitised: true, ordered });
        // Static topics are known by their mappings, which tables held whole do not have.
        let mut all = all.clone();
        all.topics.remove("mapped");
        let (whole, left_out) = all.sanitised(&origin(), ordered);
        assert_eq!((&whole.topics, &whole.groups), (&streamed.topics, &streamed.groups));
        assert_eq!((&whole.forbidden, &whole.request_modes), (&streamed.forbidden, &streamed.request_modes));
        assert_eq!(left_out, exported.ordered_topics);
        assert!(whole.is_sanitised(&origin()));
    }
}

#[test]
fn names_that_no_other_broker_takes_end_a_sanitised_export() {
    let export = |sanitised| {
        let mut tables = Tables::new(origin(), Options { sanitised, ordered: false }, 7);
        let body = json!({"topicConfigTable": {"a.b": {"topicName": "a.b"}}});
        tables.topics(body.to_string().as_bytes(), io::sink())
    };
    assert!(export(false).is_ok());
    assert_eq!(
        export(true).unwrap_err().to_string(),
        "`a.b` is not a valid topic name: `.` is not allowed, only letters, digits and _-%|"
    );
}

#[test]
fn a_full_disk_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut tables = Tables::new(origin(), Options { sanitised: true, ordered: false }, 7);
    let failed = tables.topics(topics().to_string().as_bytes(), Full).unwrap_err();
    assert!(matches!(failed, ExportError::Write(error) if error.kind() == io::ErrorKind::StorageFull));
}
