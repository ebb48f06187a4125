//! What brokers answer about groups of consumers.

use std::collections::BTreeMap;

use rocketmq::metadata::Subscription;
use rocketmq::model::route::MessageQueue;
use rocketmq::remoting::error::RemotingError;
use rocketmq::remoting::response_code::ResponseCode;

use crate::frames::recorded;

const CLIENT: &str = "127.0.0.1@golden";

fn reads_orders(group: &str) -> Subscription {
    Subscription { topic: "orders".to_owned(), group: group.to_owned() }
}

fn queue(topic: &str, queue_id: i32) -> MessageQueue {
    MessageQueue { topic: topic.to_owned(), broker_name: "demo-0".to_owned(), queue_id }
}

#[tokio::test]
async fn members_of_groups_are_read() {
    for recorded in recorded() {
        let answer = recorded.replay().consumer_connections("shipping").await.unwrap();
        let found = answer.value.unwrap();
        let members: Vec<_> = found.members.iter().map(|it| (it.client_id.as_str(), it.version)).collect();
        assert_eq!(members, [(CLIENT, recorded.version)]);
        assert_eq!(found.members[0].language, "JAVA");
        assert!(found.members[0].client_addr.starts_with("127.0.0.1:"), "{found:?}");
        let read = [("%RETRY%shipping", "*"), ("orders", "red || blue")];
        let read: BTreeMap<_, _> = read.map(|(topic, tags)| (topic.to_owned(), tags.to_owned())).into();
        assert_eq!((found.subscriptions, found.broadcasting), (read, false));

        let answer = recorded.replay_kind("broadcast-answer").consumer_connections("watching").await.unwrap();
        let found = answer.value.unwrap();
        assert!(found.broadcasting);
        assert_eq!(found.subscriptions, BTreeMap::from([("orders".to_owned(), "*".to_owned())]));

        let absent = recorded.replay_kind("absent-answer").consumer_connections("none").await.unwrap();
        assert_eq!(absent.value, None);
    }
}

#[tokio::test]
async fn what_a_member_holds_is_read() {
    for recorded in recorded() {
        let held = recorded.replay().consumer_running_info("shipping", CLIENT).await.unwrap();
        // That for retries comes once the client has its route.
        let (retries, orders): (Vec<_>, Vec<_>) =
            held.value.into_iter().partition(|queue| queue.topic.starts_with("%RETRY%"));
        assert_eq!(
            (held.version, orders),
            (recorded.version, (0..4).map(|id| queue("orders", id)).collect())
        );
        assert!(retries.iter().all(|it| *it == queue("%RETRY%shipping", 0)), "{retries:?}");

        let absent = recorded.replay_kind("absent-answer");
        let refused = absent.consumer_running_info("shipping", "127.0.0.1@none").await.unwrap_err();
        let RemotingError::Refused { code, remark, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(code, ResponseCode::SYSTEM_ERROR);
        assert_eq!(remark, "The Consumer <shipping> <127.0.0.1@none> not online");

        if recorded.version.is_5() {
            let client = recorded.replay_kind("pop-answer");
            let held = client.consumer_running_info("popping", CLIENT).await.unwrap().value;
            assert!(held.contains(&queue("orders", -1)), "{held:?}");
        }
    }
}

#[tokio::test]
async fn what_a_member_has_in_memory_is_read() {
    for recorded in recorded() {
        let answer = recorded.replay().consumer_status("shipping", CLIENT).await.unwrap();
        // That for retries comes with the first pull.
        let (retries, orders): (BTreeMap<_, _>, BTreeMap<_, _>) =
            answer.value.unwrap().into_iter().partition(|(queue, _)| queue.topic.starts_with("%RETRY%"));
        let expected = [(0, 3), (1, 1), (2, 1), (3, 0)].map(|(id, offset)| (queue("orders", id), offset));
        assert_eq!((answer.version, orders), (recorded.version, expected.into()));
        assert!(retries.into_iter().all(|it| it == (queue("%RETRY%shipping", 0), 0)));

        let absent = recorded.replay_kind("absent-answer");
        let absent = absent.consumer_status("shipping", "127.0.0.1@none").await.unwrap();
        assert_eq!((absent.version, absent.value), (recorded.version, None));

        let offline = recorded.replay_kind("offline-answer");
        let refused = offline.consumer_status("none", CLIENT).await.unwrap_err();
        let RemotingError::Refused { code, remark, .. } = refused else { panic!("{refused:?}") };
        assert_eq!(code, ResponseCode::SYSTEM_ERROR);
        assert!(remark.starts_with("java.lang.NullPointerException"), "{remark}");
    }
}

#[tokio::test]
async fn how_far_a_group_has_come_is_read() {
    for recorded in recorded() {
        let client = recorded.replay();
        let answer = client.consumer_offset(&reads_orders("shipping"), 0).await.unwrap();
        assert_eq!((answer.version, answer.value), (recorded.version, Some(3)));
        client.update_consumer_offset(&reads_orders("billing"), 0, 0).await.unwrap();

        // Nobody has written or read that queue.
        let client = recorded.replay_kind("unread-answer");
        let unread = client.consumer_offset(&reads_orders("watching"), 3).await.unwrap().value;
        assert_eq!(unread, (!recorded.version.is_5()).then_some(0));
    }
}
