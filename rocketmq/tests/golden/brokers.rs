//! What brokers answer about themselves and their queues.

use std::collections::BTreeMap;

use rocketmq::model::backlog::QueueRange;
use rocketmq::model::topic::TopicConfig;
use rocketmq::remoting::properties::Properties;

use crate::frames::{V4_9_7, recorded};

fn range(min: u64, max: u64) -> QueueRange {
    QueueRange { min, max }
}

#[tokio::test]
async fn answers_of_brokers_are_read() {
    for recorded in recorded() {
        let (version, client) = (recorded.version, recorded.replay());
        let info = client.runtime_info().await.unwrap();
        assert_eq!(info.version, version);
        assert!(info.value.boot_timestamp_millis().is_some_and(|millis| millis > 1_700_000_000_000));
        // Blank in a broker's first seconds.
        let rate = (!info.value.table["putTps"].trim().is_empty()).then_some(0.0);
        assert_eq!(info.value.rate_of_10_seconds("putTps"), rate);
        let described = format!("V{}", version.to_string().replace('.', "_"));
        assert_eq!(info.value.table["brokerVersionDesc"], described);

        let config = client.broker_config().await.unwrap().value;
        let port = recorded.address.rsplit(':').next();
        for (key, expected) in [
            ("brokerClusterName", Some("demo")),
            ("brokerName", Some("demo-0")),
            ("brokerId", Some("0")),
            ("brokerIP1", Some("127.0.0.1")),
            ("listenPort", port),
            ("brokerPermission", Some("6")),
            ("updateNameServerAddrPeriod", version.has_name_server_update_period().then_some("120000")),
        ] {
            assert_eq!(config.settings.get(key), expected, "{key} of {version}");
        }
        assert!(config.data_version.is_some_and(|version| version.timestamp > 1_700_000_000_000));

        let groups = client.subscription_groups().await.unwrap().value;
        assert_eq!(groups.groups["TOOLS_CONSUMER"]["groupName"], "TOOLS_CONSUMER");
        assert_eq!(groups.groups["TOOLS_CONSUMER"]["retryMaxTimes"], 16);
        client.update_broker_config(&Properties::new()).await.unwrap();
        client.create_topic(&TopicConfig::new(&"orders".parse().unwrap(), 4)).await.unwrap();
    }
}

#[tokio::test]
async fn the_ends_of_queues_are_read() {
    for recorded in recorded() {
        let client = recorded.replay();
        assert_eq!(client.queue_range("orders", 0).await.unwrap().value, range(0, 3));

        let stats = client.topic_stats("orders").await.unwrap();
        let ends = [3, 1, 1, 0, 0, 0, 0, 0];
        let expected: Vec<_> = (0..).zip(ends.map(|end| range(0, end))).collect();
        assert_eq!((stats.version, stats.value), (recorded.version, Some(expected)));

        let half = recorded.replay_kind("half-answer").topic_stats("RMQ_SYS_TRANS_HALF_TOPIC").await.unwrap();
        assert_eq!(half.value, Some(vec![(0, range(0, 1))]));
        assert_eq!(recorded.replay_kind("absent-answer").topic_stats("none").await.unwrap().value, None);
    }
}

/// The topic has 4 queues to read and 2 to write.
#[tokio::test]
async fn which_queues_of_a_shrunk_topic_a_broker_tells_depends_on_its_version() {
    for recorded in recorded() {
        let stats = recorded.replay_kind("shrunk-answer").topic_stats("shrunk").await.unwrap().value.unwrap();
        let queues: Vec<_> = stats.into_iter().map(|(queue, _)| queue).collect();
        let expected = if recorded.version.is_5() { vec![0, 1, 2, 3] } else { vec![0, 1] };
        assert_eq!(queues, expected, "{}", recorded.version);
    }
}

#[tokio::test]
async fn what_is_delivered_later_is_read() {
    for recorded in recorded() {
        let client = recorded.replay();
        let delays = client.delay_offsets().await.unwrap().value;
        assert_eq!(delays.get(&1), Some(&1), "delivered after a second");
        let names_all = recorded.version != V4_9_7;
        assert_eq!(delays.get(&18).copied(), names_all.then_some(0), "not due");

        let info = recorded.replay_kind("backlog-answer").runtime_info().await.unwrap().value;
        assert_eq!(info.table["scheduleMessageOffset_1"], "1,1");
        let last = info.table.get("scheduleMessageOffset_18").map(String::as_str);
        assert_eq!(last, names_all.then_some("0,1"), "{}", recorded.version);
        assert!(info.number::<u64>("commitLogMaxOffset").is_some_and(|end| end > 1_000));
        if recorded.version.is_5() {
            let counts = client.timer_counts().await.unwrap().value;
            assert_eq!(counts, BTreeMap::from([("orders".to_owned(), 1)]));
            assert_eq!(info.number::<i64>("timerCongestNum"), Some(1));
            assert_eq!(info.number::<i64>("timerOffsetBehind"), Some(0));
        }
    }
}
