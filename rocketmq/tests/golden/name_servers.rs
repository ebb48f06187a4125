//! What name servers answer.

use rocketmq::model::data_version::DataVersion;
use rocketmq::remoting::properties::Properties;

use crate::frames::{order_conf, orders_row, recorded};

#[tokio::test]
async fn answers_of_name_servers_are_read() {
    for recorded in recorded() {
        let client = recorded.replay();
        let demo_broker = recorded.demo_broker();
        let info = client.cluster_info().await.unwrap();
        assert_eq!((info.version, info.value), (recorded.version, vec![demo_broker.clone()]));
        let route = client.route("orders").await.unwrap().value.unwrap();
        assert_eq!((route.rows, route.brokers), (vec![orders_row()], vec![demo_broker.clone()]));
        assert_eq!(route.order_topic_conf, None, "orderMessageEnable is off");
        let topics = client.topic_list().await.unwrap().value;
        for topic in ["orders", "demo", "demo-0", "TBW102"] {
            assert!(topics.contains(&topic.to_owned()), "{topic} in {topics:?}");
        }
        assert_eq!(client.cluster_topic_list("demo").await.unwrap().value, topics);

        let order = order_conf();
        client.put_kv(&order).await.unwrap();
        let value = client.get_kv(&order.namespace, &order.key).await.unwrap().value;
        assert_eq!(value.as_deref(), Some("demo-0:4"));
        assert_eq!(client.kv_list(&order.namespace).await.unwrap().value, [order]);
        client.delete_kv("NO_SUCH", "none").await.unwrap();
        let settings = client.name_server_config().await.unwrap().value;
        assert!(settings.get("kvConfigPath").is_some_and(|path| path.ends_with("kvConfig.json")));
        assert_eq!(settings.get("orderMessageEnable"), Some("false"));
        let updated = client.update_name_server_config(&Properties::new()).await.unwrap();
        assert_eq!(updated.version, recorded.version);

        let sentinel = DataVersion::default().sentinel(0);
        let stored = client.query_data_version(&demo_broker, &sentinel).await.unwrap().value;
        assert!(stored.changed);
        assert!(stored.stored.is_some_and(|stored| !stored.is_sentinel() && stored.counter > 0));
        client.unregister_broker(&demo_broker).await.unwrap();
    }
}

#[tokio::test]
async fn what_a_name_server_does_not_have_is_no_error() {
    for recorded in recorded() {
        let client = recorded.replay_kind("absent-answer");
        assert_eq!(client.get_kv("ORDER_TOPIC_CONFIG", "none").await.unwrap().value, None);
        assert_eq!(client.kv_list("NO_SUCH").await.unwrap().value, []);
        assert_eq!(client.route("none").await.unwrap().value, None);
    }
}
