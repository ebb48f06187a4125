//! How much memory an export and the reading of its bundle take, beside the broker's answer that is being exported. A
//! process of its own, for it is the process that is measured; the kernel counts, since a counting allocator is unsafe
//! code.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "bundles on disk, and what the kernel counts")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;

use rocketmq::metadata::bundle::{self, BundleError, BundleWriter, Limits};
use rocketmq::metadata::export::{Exported, Options, Tables};
use rocketmq::metadata::{Origin, Subscription, Table, files};
use rocketmq::model::version::Version;
use rocketmq::remoting::frame::MAX_FRAME_BYTES;

/// What an agent may take beside one frame.
const BOUND_BYTES: u64 = 16 << 20;

/// As many topics as fit into a frame, and the groups of a large cluster.
const TOPICS: usize = 86_000;
const GROUPS: usize = 20_000;

/// A number of the kernel's account of this process, in bytes.
fn account(field: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The most memory that this process has while `act` runs.
fn peak(act: impl FnOnce()) -> u64 {
    // Forgets the former peak.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    act();
    account("VmHWM")
}

/// A body like fastjson's with `count` entries, made in one piece.
fn body(table: &str, count: usize, entry: impl Fn(usize, &mut String)) -> String {
    let mut text = String::with_capacity(MAX_FRAME_BYTES);
    write!(text, r#"{{"dataVersion":{{"counter":1}},"{table}":{{"#).unwrap();
    for number in 0..count {
        if number > 0 {
            text.push(',');
        }
        entry(number, &mut text);
    }
    text.push_str("}}");
    assert!(text.len() < MAX_FRAME_BYTES, "{} bytes", text.len());
    text
}

fn topics() -> String {
    body("topicConfigTable", TOPICS, |number, text| {
        let name = format!("topic-of-the-test-{number:07}");
        write!(
            text,
            r#""{name}":{{"attributes":{{}},"order":false,"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"{name}","topicSysFlag":0,"writeQueueNums":8}}"#
        )
        .unwrap();
    })
}

fn groups() -> String {
    body("subscriptionGroupTable", GROUPS, |number, text| {
        let name = format!("group-of-the-test-{number:07}");
        write!(
            text,
            r#""{name}":{{"attributes":{{}},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"{name}","groupRetryPolicy":{{"type":"CUSTOMIZED"}},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}}"#
        )
        .unwrap();
    })
}

/// Four topics for each group, and its retries.
fn seeds() -> impl Iterator<Item = Subscription> {
    (0..GROUPS).flat_map(|group| {
        let name = format!("group-of-the-test-{group:07}");
        let topics = (0..4).map(move |topic| format!("topic-of-the-test-{:07}", group * 4 + topic));
        let retries = Subscription::to_retries_of(&name);
        topics.map(move |topic| Subscription { topic, group: name.clone() }).chain([retries])
    })
}

/// Exports to files of a folder.
fn export(folder: &Path, topics: &str, groups: &str) -> Exported {
    let origin =
        Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V4_5_0 };
    let mut tables = Tables::new(origin, Options { sanitised: true, ordered: false }, 7);
    let file = |table: Table| File::create(folder.join(table.file_name())).unwrap();
    tables.topics(topics.as_bytes(), file(Table::Topics)).unwrap();
    tables.groups(groups.as_bytes(), file(Table::Groups)).unwrap();
    tables.seed_offsets(seeds(), file(Table::Offsets)).unwrap();
    tables.finish()
}

#[test]
fn an_export_and_a_bundle_take_at_most_16_mib_beside_one_frame() {
    let folder = tempfile::tempdir().unwrap();
    let at_first = account("VmRSS");
    let (topics, groups) = (topics(), groups());
    let bodies = (topics.len() + groups.len()) as u64;
    let mut exported = None;
    let exporting = peak(|| exported = Some(export(folder.path(), &topics, &groups))) - bodies;
    drop((topics, groups));
    let exported = exported.unwrap();
    assert_eq!(exported.digests.topics.entries, TOPICS as u64);
    assert_eq!(exported.digests.groups.entries, GROUPS as u64);
    assert_eq!(exported.digests.offsets, 5 * GROUPS as u64);

    let path = folder.path().join("bundle.tar");
    let packing = peak(|| {
        let mut writer = BundleWriter::new(File::create(&path).unwrap(), &exported.manifest).unwrap();
        for table in [Table::Topics, Table::Groups, Table::Offsets] {
            writer.file(table, File::open(folder.path().join(table.file_name())).unwrap()).unwrap();
        }
        writer.finish().unwrap();
    });
    let mut entries = 0;
    let reading = peak(|| {
        let bundle = File::open(&path).unwrap();
        bundle::read_entries(bundle, &Limits::default(), |manifest, table, content| {
            files::read(table, manifest, content, |_| {
                entries += 1;
                Ok::<_, BundleError>(())
            })
        })
        .unwrap();
    });
    assert_eq!(entries, TOPICS + 6 * GROUPS);
    for (what, peak) in [("export", exporting), ("packing", packing), ("reading", reading)] {
        let bytes = peak.saturating_sub(at_first);
        println!("{what} took {} KiB", bytes >> 10);
        assert!(bytes <= BOUND_BYTES, "{what} took {bytes} bytes, {BOUND_BYTES} are allowed");
    }
}
