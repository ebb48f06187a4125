//! The requests of this crate beside those of RocketMQ's own clients, brokers and slaves.

use rocketmq::metadata::Subscription;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::topic::{TopicConfig, TopicTable};
use rocketmq::remoting::frame::Frame;
use rocketmq::remoting::json;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use serde_json::{Map, Value, json as value};

use crate::coverage::codes;
use crate::frames::{Recorded, order_conf, recorded, sent};

/// Fields of Java's requests that mean the same when they are absent.
const DEFAULTS: [(&str, &str); 9] = [
    // `RpcRequestHeader.brokerName`, 5.0.0+: for proxies, the broker that is asked does not read it.
    ("bname", "demo-0"),
    // `GetMaxOffsetRequestHeader.committed`, 5.0.0+.
    ("committed", "true"),
    // `CreateTopicRequestHeader.force` and `attributes`, 5.0.0+.
    ("force", "false"),
    ("attributes", ""),
    // Parts of a table, as 5.5.0 asks for them; who asks for none gets all (`AdminBrokerProcessor.getAllTopicConfig`,
    // `getAllSubscriptionGroup`).
    ("dataVersion", ""),
    ("topicSeq", "0"),
    ("maxTopicNum", "2000"),
    ("groupSeq", "0"),
    ("maxGroupNum", "2000"),
];

/// Sends a request of this crate's client and gives its frame.
macro_rules! ours {
    ($client:ident => $call:expr) => {
        sent(|$client| async move { drop($call.await) }).await
    };
}

fn subscription(frame: &Frame) -> Subscription {
    let field = |name: &str| frame.header.ext_fields[name].clone();
    Subscription { topic: field("topic"), group: field("consumerGroup") }
}

fn queue(frame: &Frame) -> (String, u32) {
    let fields = &frame.header.ext_fields;
    (fields["topic"].clone(), fields["queueId"].parse().unwrap())
}

fn stored_group(recorded: Recorded, name: &str) -> Map<String, Value> {
    let body = recorded.frame(RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "groups-answer").body;
    json::parse(&body).unwrap()["subscriptionGroupTable"][name].as_object().unwrap().clone()
}

fn stored_topic(recorded: Recorded, name: &str) -> TopicConfig {
    let body = recorded.frame(RequestCode::GET_ALL_TOPIC_CONFIG, "perms-answer").body;
    let mut table: TopicTable = serde_json::from_value(json::parse(&body).unwrap()).unwrap();
    table.topics.remove(name).unwrap()
}

fn stored_mode(recorded: Recorded) -> Map<String, Value> {
    let body = recorded.frame(RequestCode::GET_ALL_MESSAGE_REQUEST_MODE, "answer").body;
    let modes = &json::parse(&body).unwrap()["messageRequestModeMap"];
    modes["orders"]["billing"].as_object().unwrap().clone()
}

/// What this crate sends in place of a request of Java's: about the same things, which stand in the tables of the
/// broker that got it.
async fn ours(recorded: Recorded, code: RequestCode, java: &Frame) -> Frame {
    let broker = recorded.demo_broker();
    let field = |name: &str| java.header.ext_fields.get(name).cloned().unwrap_or_default();
    match code {
        RequestCode::QUERY_CONSUMER_OFFSET => {
            let (subscription, (_, queue)) = (subscription(java), queue(java));
            ours!(client => client.consumer_offset(&subscription, queue))
        }
        RequestCode::UPDATE_CONSUMER_OFFSET => {
            let (subscription, (_, queue)) = (subscription(java), queue(java));
            ours!(client => client.update_consumer_offset(&subscription, queue, 0))
        }
        RequestCode::UPDATE_AND_CREATE_TOPIC => {
            let topic = TopicConfig { write_queues: 8, ..TopicConfig::new(&"orders".parse().unwrap(), 4) };
            ours!(client => client.create_topic(&topic))
        }
        RequestCode::UPDATE_AND_CREATE_TOPIC_LIST => {
            let topics = ["invoices", "payments"].map(|name| stored_topic(recorded, name));
            ours!(client => client.create_topics(&topics))
        }
        RequestCode::GET_ALL_TOPIC_CONFIG => ours!(client => client.all_topic_config()),
        RequestCode::UPDATE_BROKER_CONFIG => {
            let settings = Properties::from_iter([("brokerPermission", "6")]);
            ours!(client => client.update_broker_config(&settings))
        }
        RequestCode::GET_BROKER_CONFIG => ours!(client => client.broker_config()),
        RequestCode::GET_BROKER_RUNTIME_INFO => ours!(client => client.runtime_info()),
        RequestCode::GET_MIN_OFFSET => {
            let (topic, queue) = queue(java);
            ours!(client => client.queue_range(&topic, queue))
        }
        RequestCode::GET_ALL_CONSUMER_OFFSET => ours!(client => client.consumer_offsets()),
        RequestCode::GET_ALL_DELAY_OFFSET => ours!(client => client.delay_offsets()),
        RequestCode::GET_TIMER_METRICS => ours!(client => client.timer_counts()),
        RequestCode::PUT_KV_CONFIG => ours!(client => client.put_kv(&order_conf())),
        RequestCode::GET_KV_CONFIG => ours!(client => client.get_kv("ORDER_TOPIC_CONFIG", "orders")),
        RequestCode::DELETE_KV_CONFIG => ours!(client => client.delete_kv("NO_SUCH", "none")),
        RequestCode::UNREGISTER_BROKER => ours!(client => client.unregister_broker(&broker)),
        RequestCode::GET_ROUTEINFO_BY_TOPIC => {
            let topic = field("topic");
            ours!(client => client.route(&topic))
        }
        RequestCode::GET_BROKER_CLUSTER_INFO => ours!(client => client.cluster_info()),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => {
            let group = stored_group(recorded, "billing");
            ours!(client => client.create_subscription_group(&group))
        }
        RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => ours!(client => client.subscription_groups()),
        RequestCode::GET_TOPIC_STATS_INFO => ours!(client => client.topic_stats("orders")),
        RequestCode::GET_CONSUMER_CONNECTION_LIST => ours!(client => client.consumer_connections("shipping")),
        RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => ours!(client => client.topic_list()),
        RequestCode::GET_KVLIST_BY_NAMESPACE => ours!(client => client.kv_list("ORDER_TOPIC_CONFIG")),
        RequestCode::GET_TOPICS_BY_CLUSTER => ours!(client => client.cluster_topic_list("demo")),
        RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST => {
            let groups = ["shipping", "watching", "popping"].map(|name| stored_group(recorded, name));
            ours!(client => client.create_subscription_groups(&groups))
        }
        RequestCode::GET_CONSUMER_RUNNING_INFO => {
            ours!(client => client.consumer_running_info("shipping", "127.0.0.1@golden"))
        }
        RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => {
            ours!(client => client.consumer_status("shipping", "127.0.0.1@golden"))
        }
        RequestCode::UPDATE_NAMESRV_CONFIG => {
            let settings = Properties::from_iter([("orderMessageEnable", "false")]);
            ours!(client => client.update_name_server_config(&settings))
        }
        RequestCode::GET_NAMESRV_CONFIG => ours!(client => client.name_server_config()),
        RequestCode::QUERY_DATA_VERSION => {
            let known: DataVersion = serde_json::from_slice(&java.body).unwrap();
            ours!(client => client.query_data_version(&broker, &known))
        }
        RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN => {
            let subscription = Subscription { topic: "payments".to_owned(), group: "billing".to_owned() };
            ours!(client => client.set_group_readable(&subscription, false))
        }
        RequestCode::SET_MESSAGE_REQUEST_MODE => {
            let mode = stored_mode(recorded);
            ours!(client => client.set_message_request_mode(&mode))
        }
        RequestCode::GET_ALL_MESSAGE_REQUEST_MODE => ours!(client => client.message_request_modes()),
        other => panic!("{other} is not compared"),
    }
}

/// A body, so that it can be compared: as a value where it is one, without what has its default.
fn body_of(code: RequestCode, body: &[u8]) -> Value {
    let text = std::str::from_utf8(body).unwrap();
    match code {
        _ if text.is_empty() => Value::Null,
        RequestCode::UPDATE_BROKER_CONFIG | RequestCode::UPDATE_NAMESRV_CONFIG => {
            Properties::from_java(text).iter().map(|(key, value)| (key.to_owned(), value!(value))).collect()
        }
        RequestCode::QUERY_DATA_VERSION => value!(serde_json::from_str::<DataVersion>(text).unwrap()),
        _ => json::parse(body).unwrap(),
    }
}

#[tokio::test]
async fn requests_are_those_that_java_sends() {
    for recorded in recorded() {
        for code in codes(recorded.version) {
            // Registrations have tests of their own; the second request of `queue_range` is like the first.
            if [RequestCode::REGISTER_BROKER, RequestCode::GET_MAX_OFFSET].contains(&code) {
                continue;
            }
            let java = recorded.frame(code, "request");
            let ours = ours(recorded, code, &java).await;
            let mut expected = java.header.ext_fields.clone();
            expected.retain(|key, value| !DEFAULTS.contains(&(key.as_str(), value.as_str())));
            if code == RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS {
                // Java asks about a topic of which it has the route, this crate about all.
                assert_eq!(expected.insert("topic".to_owned(), " ".to_owned()).as_deref(), Some("orders"));
            }
            let name = format!("{code} of {}", recorded.version);
            assert_eq!((ours.header.code, &ours.header.ext_fields), (code.0, &expected), "{name}");
            assert_eq!(body_of(code, &ours.body), body_of(code, &java.body), "{name}");
        }
    }
}

/// `queue_range` asks for the beginning and then for the end.
#[test]
fn the_end_of_a_queue_is_asked_like_its_beginning() {
    for recorded in recorded() {
        let fields = |code| {
            let mut fields = recorded.frame(code, "request").header.ext_fields;
            fields.retain(|key, value| !DEFAULTS.contains(&(key.as_str(), value.as_str())));
            fields
        };
        assert_eq!(fields(RequestCode::GET_MAX_OFFSET), fields(RequestCode::GET_MIN_OFFSET));
    }
}
