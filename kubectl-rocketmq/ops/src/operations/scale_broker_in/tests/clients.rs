//! What a scale-in waits for of clients.

use std::time::Duration;

use saga::Outcome;

use super::{LEAVING, Params, params, run, text, to};
use crate::clients::RoutePeriod;
use crate::fake::{Consumer, DEMO, applied};
use crate::operations::scale_broker::ScaleBrokerRequest;
use crate::world::World;

/// How long after the drain a scale-in of a cluster with these consumers goes on. The fake demands of each that it has let
/// go before its broker goes.
async fn waits_for(consumers: &[Consumer]) -> u64 {
    let world = applied(DEMO).with(|state| state.consumers = consumers.to_vec());
    assert_eq!(run(&world, &params(&world, &to(1))).await, Outcome::Done);
    world.elapsed().as_secs() - 60
}

#[tokio::test]
async fn consumers_are_waited_for_as_long_as_they_hold_something_of_what_leaves() {
    assert_eq!(waits_for(&[]).await, 0, "nobody is online");
    let silent = |seconds| Consumer { tells: false, ..Consumer::new("silent", seconds) };
    let checks = [
        (vec![Consumer::new("c", 0)], 0, 5),
        (vec![Consumer::new("c", 20)], 20, 28),
        (vec![Consumer::new("c", 20), Consumer::new("slower", 37)], 37, 46),
        (vec![Consumer::new("c", 20), silent(54)], 55, 62),
        // It keeps what it holds.
        (vec![Consumer { lets_go_after: None, ..Consumer::new("c", 0) }], 55, 62),
        // Whoever goes offline has let go.
        (vec![Consumer { until: Some(Duration::from_secs(70)), ..Consumer::new("c", 500) }], 10, 15),
        (vec![Consumer { until: Some(Duration::from_secs(70)), ..silent(500) }], 10, 15),
        // The leaving master was started anew and has not heard of it.
        (vec![Consumer { unknown_to: vec![LEAVING.to_owned()], ..Consumer::new("c", 30) }], 30, 38),
        // Only the leaving one has topics of it.
        (
            vec![Consumer { unknown_to: vec!["broker-0-master-0".to_owned()], ..Consumer::new("c", 30) }],
            30,
            38,
        ),
    ];
    for (consumers, least, most) in checks {
        let waited = waits_for(&consumers).await;
        assert!((least..most).contains(&waited), "{waited}s for {consumers:?}");
    }
}

#[test]
fn waits_for_clients_follow_their_route_period_which_the_journal_keeps() {
    let world = applied(DEMO);
    let minute = RoutePeriod::new(Duration::from_secs(60)).unwrap();
    let params_of_minute = params(&world, &ScaleBrokerRequest { route_period: minute, ..to(1) });
    for words in ["nobody has written for 120s", "at most 85s"] {
        assert!(text(&params_of_minute).contains(words), "{words}");
    }
    let mut stored = serde_json::to_value(&params_of_minute).unwrap();
    assert_eq!(stored["clientRoutePeriodSeconds"], 60);
    assert_eq!(serde_json::from_value::<Params>(stored.clone()).unwrap(), params_of_minute);
    stored.as_object_mut().unwrap().remove("clientRoutePeriodSeconds");
    let of_a_former_version: Params = serde_json::from_value(stored).unwrap();
    assert_eq!(of_a_former_version, params(&world, &to(1)));
}

#[tokio::test]
async fn slow_clients_have_their_time() {
    let silent = Consumer { tells: false, ..Consumer::new("silent", 84) };
    let world = applied(DEMO).with(|state| state.consumers = vec![silent]);
    let minute = RoutePeriod::new(Duration::from_secs(60)).unwrap();
    let params = params(&world, &ScaleBrokerRequest { route_period: minute, ..to(1) });
    assert_eq!(run(&world, &params).await, Outcome::Done);
    assert!(world.elapsed().as_secs() >= 120 + 85, "{:?}", world.elapsed());
}
