//! The fake broker tells where its queues end as real ones do, asked through the real client.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use fakes::{BrokerSetup, FakeBroker};
use rocketmq::metadata::Entry;
use rocketmq::model::backlog::QueueRange;
use rocketmq::model::topic::TopicConfig;
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;

const BOTH: [Version; 2] = [Version::V4_5_0, Version::V5_3_3];

async fn broker(version: Version) -> (FakeBroker, Client) {
    let broker = FakeBroker::start(BrokerSetup::master(version, "demo", "demo-0")).await.unwrap();
    let client = Client::connect(&broker.address(), Duration::from_secs(10)).await.unwrap();
    (broker, client)
}

#[tokio::test]
async fn a_topic_tells_its_queues_and_a_queue_its_ends() {
    for version in BOTH {
        let (broker, client) = broker(version).await;
        let orders = TopicConfig { write_queues: 2, ..TopicConfig::new(&"orders".parse().unwrap(), 3) };
        broker.put(Entry::Topic(orders));
        broker.set_queue("orders", 1, 4, 9);
        broker.set_queue("orders", 2, 0, 7);
        let range = |min, max| QueueRange { min, max };
        let mut expected = vec![(0, range(0, 0)), (1, range(4, 9))];
        if version.is_5() {
            expected.push((2, range(0, 7)));
        }
        assert_eq!(client.topic_stats("orders").await.unwrap().value, Some(expected), "{version}");
        assert_eq!(client.topic_stats("payments").await.unwrap().value, None);
        assert_eq!(client.queue_range("orders", 2).await.unwrap().value, range(0, 7));
        assert_eq!(client.queue_range("payments", 0).await.unwrap().value, range(0, 0));
    }
}

#[tokio::test]
async fn delay_levels_are_told_once_they_have_delivered() {
    for version in BOTH {
        let (broker, client) = broker(version).await;
        assert_eq!(client.delay_offsets().await.unwrap().value, BTreeMap::new());
        broker.set_delivered(3, 0);
        broker.set_delivered(16, 5);
        assert_eq!(client.delay_offsets().await.unwrap().value, [(3, 0), (16, 5)].into(), "{version}");
    }
}

#[tokio::test]
async fn the_timer_wheel_is_counted_from_5_0_on() {
    let (broker, client) = broker(Version::V5_3_3).await;
    let timed = BTreeMap::from([("orders".to_owned(), 2), ("payments".to_owned(), 0)]);
    broker.set_timer(timed, 3, 1);
    let expected = BTreeMap::from([("orders".to_owned(), 2)]);
    assert_eq!(client.timer_counts().await.unwrap().value, expected);
    let runtime = client.runtime_info().await.unwrap().value;
    let number = |key| runtime.number::<u64>(key);
    assert_eq!((number("timerCongestNum"), number("timerOffsetBehind")), (Some(3), Some(1)));

    broker.set_setting("timerWheelEnable", "false");
    let refused = client.timer_counts().await.unwrap_err();
    assert_eq!(refused.response_code(), Some(ResponseCode::SYSTEM_ERROR));
    for (broker, client) in [(broker, client), self::broker(Version::V4_5_0).await] {
        let runtime = client.runtime_info().await.unwrap().value;
        assert_eq!(runtime.number::<u64>("timerCongestNum"), None);
        drop(broker);
    }
}

#[tokio::test]
async fn another_process_shows_by_the_time_of_its_start() {
    let (broker, client) = broker(Version::V5_3_3).await;
    broker.set_commit_log_max_offset(1 << 40);
    let runtime = client.runtime_info().await.unwrap().value;
    assert_eq!(runtime.number("commitLogMaxOffset"), Some(1_u64 << 40));
    broker.reboot_after(RequestCode::GET_MAX_OFFSET);
    let boot = async || client.runtime_info().await.unwrap().value.boot_timestamp_millis();
    assert_eq!(boot().await, runtime.boot_timestamp_millis());
    client.queue_range("orders", 0).await.unwrap();
    assert_ne!(boot().await, runtime.boot_timestamp_millis());
}
