//! What becomes of odd worlds, and what holds whatever happens.

use std::collections::BTreeMap;
use std::time::Duration;

use agents::types::OnlineGroup;
use k8s::objects::Object;
use rocketmq::metadata::Subscription;
use rocketmq::model::permission::Permission;
use saga::{Outcome, StepError};
use serde_json::json;

use super::super::{OldData, Params, ScaleBroker, ScaleBrokerRequest};
use super::{NEW, params, planned, run, to};
use crate::fake::{DEMO, FakeWorld, applied, holds_whatever_happens, known, topic};
use crate::world::World;

/// Runs into an error, of which nothing is left.
async fn undone(world: &FakeWorld, params: &Params) -> StepError {
    let before = world.snapshot();
    let outcome = run::<ScaleBroker>(world, params).await;
    let Outcome::Undone { failure: Some(failure) } = outcome else { panic!("{outcome:?}") };
    assert_eq!(world.snapshot(), before);
    failure.error
}

/// A cluster with one topic whose messages are ordered.
fn with_ordered() -> FakeWorld {
    applied(DEMO).with(|state| {
        let mut ordered = topic("steps", 4);
        ordered.rest.insert("order".to_owned(), json!(true));
        state.broker_mut("broker-0-master-0").metadata.topics.insert("steps".to_owned(), ordered);
    })
}

#[tokio::test]
async fn the_source_writes_a_bundle_for_a_run_alone() {
    let world = applied(DEMO);
    let written = || world.state().broker_mut("broker-0-master-0").export.is_some();
    let params = params(&world, &to(3));
    assert!(!written(), "the plan was made without it");
    assert_eq!(run::<ScaleBroker>(&world, &params).await, Outcome::Done);
    assert!(written());
}

#[tokio::test]
async fn ordered_topics_stay_unless_they_are_asked_for() {
    let staying = planned(&with_ordered(), &to(3)).unwrap();
    assert_eq!(
        staying.stays,
        [
            "1 ordered topic(s) at the present groups only, because another group would send a key to another queue \
             (`--include-ordered` takes them along): `steps`"
        ]
    );
    let world = with_ordered();
    assert_eq!(run::<ScaleBroker>(&world, &staying.params).await, Outcome::Done);
    assert!(!world.state().broker_mut(NEW).metadata.topics.contains_key("steps"));

    let request = ScaleBrokerRequest { include_ordered: true, ..to(3) };
    let coming = planned(&with_ordered(), &request).unwrap();
    assert_eq!(coming.stays, Vec::<String>::new());
    assert_eq!(
        coming.warnings,
        [
            "messages of ordered topics go to other queues as soon as the new groups are open: their order is not kept \
             across that moment"
        ]
    );
    let world = with_ordered();
    assert_eq!(run::<ScaleBroker>(&world, &coming.params).await, Outcome::Done);
    assert!(world.state().broker_mut(NEW).metadata.topics.contains_key("steps"));
}

#[tokio::test]
async fn a_cluster_that_was_scaled_is_like_one_that_was_made_so() {
    let made = applied(&DEMO.replacen("size: 2", "size: 3", 1));
    let world = applied(DEMO);
    let params = params(&world, &to(3));
    assert_eq!(run::<ScaleBroker>(&world, &params).await, Outcome::Done);
    let objects = |world: &FakeWorld| -> BTreeMap<String, Object> {
        let state = world.state();
        let objects = state.objects.values().cloned().map(Object::without_identity);
        objects.map(|object| (object.reference(), object)).collect()
    };
    assert_eq!(objects(&world), objects(&made));
    assert_eq!(known(&world).record.inventory, known(&made).record.inventory);
    let sizes =
        |world: &FakeWorld| known(world).broker_fields().map(|broker| broker.size).collect::<Vec<_>>();
    assert_eq!(sizes(&world), [3]);
    assert_eq!(known(&world).followers(), params.followers);
}

#[tokio::test]
async fn every_group_that_any_master_knows_begins_with_the_first_message() {
    let audit = Subscription { topic: "orders".to_owned(), group: "audit".to_owned() };
    let world = applied(DEMO).with(|state| {
        let offsets = &mut state.broker_mut("broker-1-master-0").metadata.offsets;
        offsets.insert(audit.clone(), BTreeMap::from([(0, 12)]));
        let topics = &mut state.broker_mut("broker-0-master-0").metadata.topics;
        topics.insert("%RETRY%audit".to_owned(), topic("%RETRY%audit", 1));
    });
    let params = params(&world, &to(3));
    assert_eq!(run::<ScaleBroker>(&world, &params).await, Outcome::Done);
    let offsets = world.state().broker_mut(NEW).metadata.offsets.clone();
    let zeros = |queues: u32| (0..queues).map(|queue| (queue, 0)).collect::<BTreeMap<u32, i64>>();
    let retry = Subscription { topic: "%RETRY%audit".to_owned(), group: "audit".to_owned() };
    let billing = Subscription { topic: "orders".to_owned(), group: "billing".to_owned() };
    assert_eq!(offsets, BTreeMap::from([(audit, zeros(8)), (billing, zeros(8)), (retry, zeros(1))]));
    assert_eq!(world.state().broker_mut(NEW).permission, Permission::READ_WRITE);
}

#[tokio::test]
async fn an_earlier_brokers_data_are_in_the_way_until_the_user_decides() {
    let folder = "store/broker-2-master";
    let world = || applied(DEMO).with(|state| drop(state.stores.insert(NEW.to_owned(), folder.to_owned())));
    let error = undone(&world(), &params(&world(), &to(3))).await;
    assert!(error.refused);
    assert_eq!(
        error.message,
        "folder `store/broker-2-master` of pod `broker-2-master-0` holds the data of an earlier broker"
    );
    assert_eq!(
        error.causes,
        [
            "with `--old-data=keep` the new broker starts on them",
            "with `--old-data=aside` the folder is renamed, and stays"
        ]
    );
    let aside = ScaleBrokerRequest { old_data: OldData::Aside, ..to(3) };
    assert_eq!(
        planned(&world(), &aside).unwrap().stays,
        ["data of an earlier broker in folder `store/broker-2-master`, if there are any, as \
             `store/broker-2-master.1a2b3c4d`"]
    );
    for old_data in [OldData::Keep, OldData::Aside] {
        let world = world();
        let params = params(&world, &ScaleBrokerRequest { old_data, ..to(3) });
        assert_eq!(run::<ScaleBroker>(&world, &params).await, Outcome::Done);
        // A broker on kept data read no file of the bundle: it got its topics by requests.
        assert!(world.state().broker_mut(NEW).metadata.topics.contains_key("orders"), "{old_data:?}");
    }
}

#[tokio::test]
async fn an_agent_that_does_not_wait_is_no_target() {
    let world = applied(DEMO);
    let params = Params { token: "00000000".to_owned(), ..params(&world, &to(3)) };
    let error = undone(&world, &params).await;
    assert_eq!(
        error.causes,
        [
            "the agent of pod `broker-2-master-0` (version 0.1.0) does not wait for the metadata of this operation, so \
             its broker starts without them"
        ]
    );
}

#[tokio::test]
async fn a_new_pod_that_does_not_come_up_ends_with_its_reason_and_nothing_left() {
    let trouble = "container `rocketmq-agent`: ErrImagePull: not found";
    let world = applied(DEMO).with(|state| {
        state.troubles.insert(NEW.to_owned(), trouble.to_owned());
        state.silent.insert(NEW.to_owned(), "connection refused".to_owned());
    });
    let error = undone(&world, &params(&world, &to(3))).await;
    assert_eq!(error.causes, [format!("pod `{NEW}`: {trouble}")]);
    assert!(world.elapsed() < Duration::from_secs(60), "trouble that lasts is not waited out");
}

fn online(silent: &[&str], unheld: &[&str]) -> OnlineGroup {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    OnlineGroup {
        group: "billing".to_owned(),
        clients: vec!["client-1".to_owned()],
        silent_clients: texts(silent),
        unheld_queues: texts(unheld),
        holdings: Vec::new(),
    }
}

#[tokio::test]
async fn brokers_are_opened_when_consumers_hold_their_queues() {
    let world = |here: Option<OnlineGroup>| {
        let world = applied(DEMO);
        world.state().broker_mut("broker-1-master-0").online = vec![online(&[], &[])];
        let params = params(&world, &to(3));
        // They come as soon as the broker does.
        world.state().broker_mut(NEW).online = here.into_iter().collect();
        (world, params)
    };
    let (held, params) = world(Some(online(&[], &[])));
    assert_eq!(run::<ScaleBroker>(&held, &params).await, Outcome::Done);
    assert!(held.elapsed() < Duration::from_secs(55), "nothing is waited for");

    for here in [None, Some(online(&["client-2"], &["orders:3"]))] {
        let (silent, params) = world(here);
        assert_eq!(run::<ScaleBroker>(&silent, &params).await, Outcome::Done);
        assert!(silent.elapsed() >= Duration::from_secs(55), "clients have their time");
    }

    let (unheld, params) = world(Some(online(&[], &["orders:3"])));
    let error = undone(&unheld, &params).await;
    assert_eq!(
        error.causes,
        ["group `billing` has not taken 1 queue(s) of `broker-2-master-0`, `orders:3` among them"]
    );
}

#[tokio::test]
async fn groups_are_whole_or_were_never_there_whatever_happens() {
    let no_slaves = DEMO.replace("replicaPerGroup: 1", "replicaPerGroup: 0");
    for (text, request) in [(DEMO, to(3)), (no_slaves.as_str(), to(4))] {
        holds_whatever_happens::<ScaleBroker>(
            params(&applied(text), &request),
            applied(text),
            FakeWorld::snapshot,
        )
        .await;
    }
}
