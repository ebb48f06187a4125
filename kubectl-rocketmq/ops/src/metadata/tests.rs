//! Exports and differences of the fake's brokers.

use futures::FutureExt;
use rocketmq::metadata::Subscription;
use rocketmq::model::topic::TopicConfig;
use serde_json::json;

use super::diff::diff_in;
use super::export::export_from;
use super::*;
use crate::error::{ErrorKind, OpsError};
use crate::fake::{DEMO, FakeWorld, applied, topic};

const POD: &str = "broker-0-master-0";

fn export(world: &FakeWorld, pod: &str, choice: ExportChoice) -> Result<(ExportReport, Bundle), OpsError> {
    let request = ExportRequest { pod: pod.to_owned(), choice };
    let (bytes, report) = export_from(world, &request).now_or_never().unwrap()?;
    let bundle = Bundle::read("b.tar", &bytes)?;
    assert_eq!((sha256(&bytes), bytes.len() as u64), (report.sha256.clone(), report.bytes));
    Ok((report, bundle))
}

fn diff_with(world: &FakeWorld, pod: &str, other: Other) -> Result<DiffReport, OpsError> {
    diff_in(world, DiffRequest { pod: pod.to_owned(), other }).now_or_never().unwrap()
}

fn lines(report: &DiffReport) -> Vec<String> {
    report
        .changes
        .iter()
        .map(|change| {
            let fields =
                change.fields.iter().map(|field| format!(" {}={}/{}", field.field, field.pod, field.other));
            format!("{:?} {:?} {}{}", change.change, change.kind, change.name, fields.collect::<String>())
        })
        .collect()
}

fn ordered(name: &str) -> TopicConfig {
    let mut topic = topic(name, 4);
    topic.rest.insert("order".to_owned(), json!(true));
    topic
}

/// `ledger` is ordered, `rmq_sys_x` is the broker's own.
fn world() -> FakeWorld {
    applied(DEMO).with(|state| {
        let topics = &mut state.broker_mut(POD).metadata.topics;
        topics.insert("ledger".to_owned(), ordered("ledger"));
        topics.insert("rmq_sys_x".to_owned(), topic("rmq_sys_x", 1));
    })
}

#[test]
fn an_export_holds_what_another_broker_can_have_and_says_what_it_leaves_out() {
    let check = |choice, topics: &[&str], left_out: &[&str]| {
        let (report, bundle) = export(&world(), POD, choice).unwrap();
        let found: Vec<&str> = bundle.metadata.topics.keys().map(String::as_str).collect();
        assert_eq!(found, topics, "{choice:?}");
        assert_eq!(report.ordered_topics_left_out, left_out, "{choice:?}");
        assert_eq!(report.topics, topics.len() as u64);
        assert_eq!(bundle.sanitised, choice != ExportChoice::Raw);
        assert_eq!(
            (bundle.origin.cluster.as_str(), bundle.origin.broker_name.as_str()),
            ("broker", "broker-0")
        );
        bundle.metadata.offsets
    };
    let orders = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
    let offsets = check(ExportChoice::Sanitised, &["orders"], &["ledger"]);
    assert!(offsets[&orders].values().all(|offset| *offset == 0), "a group begins at the first message");
    check(ExportChoice::WithOrdered, &["ledger", "orders"], &[]);
    let offsets = check(ExportChoice::Raw, &["ledger", "orders", "rmq_sys_x"], &[]);
    assert!(offsets[&orders].values().all(|offset| *offset == 7), "offsets are as they are");
}

#[test]
fn every_choice_of_an_export_equals_the_broker_it_is_of() {
    for choice in [ExportChoice::Sanitised, ExportChoice::WithOrdered, ExportChoice::Raw] {
        let world = world();
        let (_, bundle) = export(&world, POD, choice).unwrap();
        let report = diff_with(&world, POD, Other::Bundle(Box::new(bundle))).unwrap();
        assert!(report.same, "{choice:?}: {:?}", lines(&report));
    }
}

#[test]
fn a_difference_says_what_the_broker_lacks_has_otherwise_and_has_besides() {
    let world = world();
    let (_, bundle) = export(&world, POD, ExportChoice::Sanitised).unwrap();
    let world = world.with(|state| {
        let metadata = &mut state.broker_mut(POD).metadata;
        metadata.topics.insert("orders".to_owned(), topic("orders", 4));
        metadata.topics.insert("fresh".to_owned(), topic("fresh", 4));
        metadata.groups.clear();
    });
    let report = diff_with(&world, POD, Other::Bundle(Box::new(bundle))).unwrap();
    assert_eq!((report.pod.as_str(), report.other.as_str(), report.same), (POD, "b.tar", false));
    assert_eq!(
        lines(&report),
        [
            "Extra Topic fresh",
            "Differs Topic orders readQueueNums=4/8 writeQueueNums=4/8",
            "Missing Group billing",
        ]
    );
}

#[test]
fn two_brokers_are_compared_with_all_their_topics() {
    let report = diff_with(&world(), "broker-1-master-0", Other::Pod(POD.to_owned())).unwrap();
    assert_eq!(report.other, format!("pod/{POD}"));
    assert_eq!(lines(&report), ["Missing Topic ledger"]);
    let report = diff_with(&world(), POD, Other::Pod("broker-1-master-0".to_owned())).unwrap();
    assert_eq!(lines(&report), ["Extra Topic ledger"]);
}

#[test]
fn machines_read_a_differing_field_with_both_values() {
    let with_tries = |world: FakeWorld, tries: u32| {
        world.with(|state| {
            let group = state.broker_mut(POD).metadata.groups.get_mut("billing").unwrap();
            group.insert("retryMaxTimes".to_owned(), json!(tries));
        })
    };
    let world = with_tries(world(), 16);
    let (_, bundle) = export(&world, POD, ExportChoice::Sanitised).unwrap();
    let world = with_tries(world, 3);
    let report = diff_with(&world, POD, Other::Bundle(Box::new(bundle))).unwrap();
    insta::assert_json_snapshot!(report, @r#"
    {
      "apiVersion": "cli.rocketmq.apache.org/v1",
      "kind": "MetadataDiff",
      "pod": "broker-0-master-0",
      "other": "b.tar",
      "same": false,
      "changes": [
        {
          "kind": "group",
          "name": "billing",
          "change": "differs",
          "fields": [
            {
              "field": "retryMaxTimes",
              "pod": 3,
              "other": 16
            }
          ]
        }
      ]
    }
    "#);
}

#[test]
fn pods_that_are_no_brokers_are_told_apart_and_brokers_are_named() {
    let check = |world: &FakeWorld, pod: &str, kind, message: &str, causes: &[&str], hint: &str| {
        let error = export(world, pod, ExportChoice::Sanitised).unwrap_err();
        assert_eq!((error.kind, error.message.as_str()), (kind, message));
        assert_eq!(error.causes, causes);
        assert_eq!(error.hint.as_deref(), Some(hint));
        assert_eq!(error.state, "nothing was changed");
    };
    let brokers = "brokers are: broker-0-master-0, broker-1-master-0";
    let world = world();
    check(
        &world,
        "broker-7-master-0",
        ErrorKind::Failed,
        "there is no pod `broker-7-master-0` in namespace `mq`",
        &[],
        brokers,
    );
    check(
        &world,
        "demo-0",
        ErrorKind::Usage,
        "pod `demo-0` is a name server: only brokers hold metadata",
        &[],
        brokers,
    );
    let world = world.with(|state| {
        state.troubles.insert(POD.to_owned(), "ErrImagePull: no such image".to_owned());
    });
    check(
        &world,
        POD,
        ErrorKind::Failed,
        "pod `broker-0-master-0` is not ready, so its broker cannot be asked",
        &["ErrImagePull: no such image"],
        "kubectl rocketmq status demo -n mq",
    );
}

#[test]
fn a_file_that_is_no_bundle_is_named_with_the_reason() {
    let error = Bundle::read("notes.txt", b"hello").unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::Usage, "`notes.txt` is no bundle of metadata")
    );
    assert_eq!(error.causes.len(), 1, "{:?}", error.causes);
    assert_eq!(error.hint.as_deref(), Some("kubectl rocketmq metadata export POD --file FILE"));
}

#[test]
fn only_a_slave_has_a_master() {
    let world = world();
    let pod = |name: &str| broker_pod(&world, name).now_or_never().unwrap().unwrap();
    assert_eq!(master_of(&pod("broker-1-replica-1-0")).as_deref(), Some("broker-1-master-0"));
    assert_eq!(master_of(&pod(POD)), None);
}
