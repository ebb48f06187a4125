//! Plans as text, guards, and what holds whatever happens.

use futures::FutureExt;
use rocketmq::metadata::{Metadata, Origin, Subscription};
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use saga::{OperationKind, Steps};
use serde_json::{Map, Value, json};

use super::{ImportMetadata, Params, Planned, gather, plan};
use crate::error::{ErrorKind, OpsError};
use crate::fake::{Broker, DEMO, FakeWorld, applied, holds_whatever_happens, topic};
use crate::metadata::{Bundle, ChangeWord};

const POD: &str = "broker-1-master-0";

fn world() -> FakeWorld {
    applied(DEMO)
}

fn group(name: &str) -> Map<String, Value> {
    Map::from_iter([("groupName".to_owned(), json!(name)), ("retryMaxTimes".to_owned(), json!(3))])
}

/// What the fake's brokers have, a topic more, another one otherwise, a group more.
fn bundle() -> Bundle {
    let mut metadata = Broker::usual().metadata;
    metadata.topics.insert("audit".to_owned(), topic("audit", 4));
    metadata.topics.insert("orders".to_owned(), topic("orders", 16));
    metadata.groups.insert("shipping".to_owned(), group("shipping"));
    let subscription = Subscription { topic: "audit".to_owned(), group: "billing".to_owned() };
    metadata.offsets.insert(subscription, (0..4).map(|queue| (queue, 0)).collect());
    let origin =
        Origin { cluster: "broker".to_owned(), broker_name: "broker-0".to_owned(), version: Version::V5_3_3 };
    Bundle { name: "b.tar".to_owned(), origin, sanitised: true, metadata }
}

fn planned_at(world: &FakeWorld, pod: &str, bundle: Bundle) -> Result<Planned, OpsError> {
    plan(&gather(world, pod, bundle).now_or_never().unwrap()?)
}

fn planned(world: &FakeWorld, bundle: Bundle) -> Result<Planned, OpsError> {
    planned_at(world, POD, bundle)
}

fn text(params: &Params) -> String {
    let steps: Steps<FakeWorld> = ImportMetadata::steps(params);
    let lines: Vec<String> = saga::plan(&steps).iter().map(ToString::to_string).collect();
    let title = <ImportMetadata as OperationKind<FakeWorld>>::title(params);
    format!("{title}\n{}", lines.join("\n"))
}

#[test]
fn the_plan_counts_and_the_changes_name_what_differs() {
    let planned = planned(&world(), bundle()).unwrap();
    insta::assert_snapshot!(text(&planned.params.unwrap()), @r"
    import metadata of `b.tar` into `broker-1-master-0`
    bring what differs to the agent of pod `broker-1-master-0`
    create 1 topic, change 1; create 1 group at the broker of pod `broker-1-master-0`
    ");
    let names: Vec<(&str, ChangeWord)> =
        planned.changes.changes.iter().map(|change| (change.name.as_str(), change.change)).collect();
    let expect =
        [("audit", ChangeWord::Missing), ("orders", ChangeWord::Differs), ("shipping", ChangeWord::Missing)];
    assert_eq!(names, expect);
    assert!(planned.warnings.is_empty());
}

#[test]
fn only_what_differs_is_brought() {
    let entries = planned(&world(), bundle()).unwrap().params.unwrap().entries.open().unwrap();
    let wanted = bundle().metadata;
    assert_eq!(entries.topics, wanted.topics);
    assert_eq!(entries.groups.keys().collect::<Vec<_>>(), ["shipping"]);
    let offsets: Vec<String> = entries.offsets.keys().map(ToString::to_string).collect();
    assert_eq!(offsets, ["audit@billing"], "where a group has come is the broker's own");
}

#[test]
fn what_the_broker_has_besides_is_nothing_to_do() {
    let mut bundle = bundle();
    bundle.metadata = Metadata::default();
    let planned = planned(&world(), bundle).unwrap();
    assert_eq!((planned.params, planned.changes.changes.len()), (None, 0));
}

#[test]
fn a_topic_that_is_named_after_the_broker_stays_its_own() {
    let mut bundle = bundle();
    bundle.metadata.topics.clear();
    bundle.metadata.groups.clear();
    bundle.metadata.topics.insert("broker-1".to_owned(), topic("broker-1", 1));
    assert_eq!(planned(&world(), bundle).unwrap().params, None);
}

#[test]
fn a_bundle_of_everything_cannot_be_imported() {
    let error = planned(&world(), Bundle { sanitised: false, ..bundle() }).unwrap_err();
    assert_eq!(
        (error.kind, error.message.as_str()),
        (
            ErrorKind::Usage,
            "`b.tar` also holds what broker `broker-0` made for itself, so it cannot be imported"
        )
    );
    assert_eq!(error.hint.as_deref(), Some("export it again without --raw"));
}

#[test]
fn a_slave_takes_its_metadata_from_its_master() {
    let error = planned_at(&world(), "broker-1-replica-1-0", bundle()).unwrap_err();
    assert_eq!(
        error.message,
        "pod `broker-1-replica-1-0` is a slave: it takes its metadata from its master, `broker-1-master-0`"
    );
    assert_eq!(error.hint.as_deref(), Some("kubectl rocketmq metadata import broker-1-master-0 FILE -n mq"));
}

/// A topic whose configuration takes so many KiB.
fn large(name: &str, kib: usize) -> TopicConfig {
    let mut large = topic(name, 1);
    large.rest.insert("attributes".to_owned(), json!({ "x": "y".repeat(kib << 10) }));
    large
}

#[test]
fn a_registration_that_would_grow_over_the_limit_is_refused_with_the_numbers() {
    let world = world().with(|state| {
        let topics = &mut state.broker_mut(POD).metadata.topics;
        topics.extend(
            (0..15).map(|number| format!("there-{number}")).map(|name| (name.clone(), large(&name, 1_000))),
        );
    });
    let mut bundle = bundle();
    bundle.metadata.topics.insert("more".to_owned(), large("more", 900));
    let error = planned(&world, bundle.clone()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    let expect =
        "nothing is imported into `broker-1-master-0`: with 18 topics its registration would have 16";
    assert!(error.message.starts_with(expect), "{}", error.message);
    assert!(error.message.ends_with("15728640 are allowed"), "{}", error.message);
    assert_eq!(
        error.causes,
        ["name servers drop a broker whose registration is larger than 16 MiB, with all its routes"]
    );
    // A topic that takes the place of one that is there counts once.
    bundle.metadata.topics.remove("more");
    bundle.metadata.topics.insert("there-7".to_owned(), large("there-7", 900));
    assert!(planned(&world, bundle).unwrap().params.is_some());
}

#[test]
fn a_bundle_of_a_newer_release_is_warned_about() {
    let mut bundle = bundle();
    bundle.origin.version = "5.4.0".parse().unwrap();
    assert_eq!(
        planned(&world(), bundle).unwrap().warnings,
        [
            "the bundle is of RocketMQ 5.4.0, the broker runs 5.3.3: it may not keep fields that it does not know"
        ]
    );
}

#[test]
fn more_than_a_journal_has_room_for_is_refused() {
    let mut bundle = bundle();
    // Names without a pattern, so that they do not pack well.
    let mut state = 1_u64;
    for _ in 0..90_000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let name = format!("{state:016x}");
        bundle.metadata.groups.insert(name.clone(), group(&name));
    }
    let error = planned(&world(), bundle).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Refused);
    assert!(error.message.ends_with("bytes packed, but a journal has room for 655360"), "{}", error.message);
}

#[test]
fn what_is_packed_is_unpacked_equal_and_anything_else_refused() {
    let params = planned(&world(), bundle()).unwrap().params.unwrap();
    let stored = serde_json::to_value(&params).unwrap();
    assert_eq!(serde_json::from_value::<Params>(stored.clone()).unwrap(), params);
    let mut other = stored;
    other["entries"] = json!("bm9uc2Vuc2U=");
    assert!(serde_json::from_value::<Params>(other).unwrap().entries.open().is_err());
}

#[tokio::test]
async fn it_ends_whole_or_like_no_run_whatever_happens() {
    let params = planned(&world(), bundle()).unwrap().params.unwrap();
    holds_whatever_happens::<ImportMetadata>(params, world(), FakeWorld::snapshot).await;
}
