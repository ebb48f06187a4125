//! Which entries of a broker's tables another broker shall have. What RocketMQ makes for itself stays behind, and so
//! does what is named after the broker: on another one it would get a route of its own.

use serde_json::Value;

use crate::metadata::{Origin, RETRY_PREFIX};
use crate::model::own::{BrokerNames, DEAD_LETTER_PREFIX, is_own_group};
use crate::model::subscription_group::POP_SEPARATOR;
use crate::model::topic::TopicConfig;

/// Groups of the ONS proxies, which brokers make (`MixAll.CID_ONSAPI_OWNER_GROUP` and its like, all tags).
const PROXY_GROUP_PREFIX: &str = "CID_ONS";

/// Whether an entry goes into a sanitised export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kept {
    /// It does.
    Yes,
    /// Only if it is asked for: its messages are ordered, and one broker group more changes which queue a key goes to.
    Ordered,
    /// It is the broker's own.
    No,
}

/// Whether a topic of a broker goes into a sanitised export.
#[must_use]
pub fn keeps_topic(topic: &TopicConfig, origin: &Origin) -> Kept {
    let name = topic.topic_name.as_str();
    if name.is_empty() || is_own_topic(name, origin) {
        Kept::No
    } else if is_ordered(topic) {
        Kept::Ordered
    } else {
        Kept::Yes
    }
}

/// Whether a subscription group goes into a sanitised export.
#[must_use]
pub fn keeps_group(name: &str) -> bool {
    !name.is_empty() && !is_own_group(name) && !name.starts_with(PROXY_GROUP_PREFIX)
}

/// True if the order of its messages counts: `order` (all tags), or the attribute `message.type` of 5.x.
#[must_use]
pub fn is_ordered(topic: &TopicConfig) -> bool {
    let attributes = topic.rest.get("attributes");
    let message_type =
        attributes.and_then(|attributes| attributes.get("message.type")).and_then(Value::as_str);
    topic.text("order").as_deref() == Some("true") || message_type == Some("FIFO")
}

/// True if a broker makes this topic for itself; `%DLQ%` topics it makes on demand, 4.x with a permission that only
/// writes.
pub(super) fn is_own_topic(name: &str, origin: &Origin) -> bool {
    BrokerNames { cluster: &origin.cluster, broker: &origin.broker_name }.is_own_topic(name)
        || name.starts_with(DEAD_LETTER_PREFIX)
        || (name.starts_with(RETRY_PREFIX) && name.contains(POP_SEPARATOR))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::version::Version;

    fn origin() -> Origin {
        Origin { cluster: "demo".to_owned(), broker_name: "demo-0".to_owned(), version: Version::V5_3_3 }
    }

    fn topic(text: Value) -> TopicConfig {
        serde_json::from_value(text).unwrap()
    }

    #[test]
    fn what_a_broker_makes_for_itself_stays_behind() {
        for name in [
            "",
            "TBW102",
            "SELF_TEST_TOPIC",
            "BenchmarkTest",
            "OFFSET_MOVED_EVENT",
            "SCHEDULE_TOPIC_XXXX",
            "RMQ_SYS_TRACE_TOPIC",
            "RMQ_SYS_TRANS_HALF_TOPIC",
            "RMQ_SYS_TRANS_OP_HALF_TOPIC",
            "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC",
            "TRANS_CHECK_MAX_TIME_TOPIC",
            "CHECKPOINT_TOPIC",
            "rmq_sys_wheel_timer",
            "rmq_sys_REVIVE_LOG_demo",
            "rmq_sys_SYNC_BROKER_MEMBER_demo-0",
            "%DLQ%billing",
            "%RETRY%billing+orders",
            "demo",
            "demo_REPLY_TOPIC",
            "demo-0",
        ] {
            assert_eq!(keeps_topic(&topic(json!({ "topicName": name })), &origin()), Kept::No, "{name}");
        }
        for group in ["", "TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_RMQ_SYS_TRANS"]
            .into_iter()
            .chain(["CID_ONSAPI_OWNER", "CID_ONS-HTTP-PROXY"])
        {
            assert!(!keeps_group(group), "{group}");
        }
    }

    #[test]
    fn what_users_made_goes_along() {
        for name in [
            "orders",
            "%RETRY%billing",
            "%RETRY%billing_orders",
            "demo-1",
            "demo-0_x",
            "demonstration",
            "TBW1020",
        ] {
            assert_eq!(keeps_topic(&topic(json!({ "topicName": name })), &origin()), Kept::Yes, "{name}");
        }
        for group in ["billing", "TOOLS_CONSUMER_2", "CID_RMQ", "CID_billing"] {
            assert!(keeps_group(group), "{group}");
        }
    }

    #[test]
    fn ordered_topics_are_told_apart() {
        for (fields, expected) in [
            (json!({"order": true}), Kept::Ordered),
            (json!({"order": "true"}), Kept::Ordered),
            (json!({"attributes": {"message.type": "FIFO"}}), Kept::Ordered),
            (json!({"order": false, "attributes": {"message.type": "NORMAL"}}), Kept::Yes),
            (json!({"order": null, "attributes": null}), Kept::Yes),
            (json!({"topicName": "TBW102", "order": true}), Kept::No),
        ] {
            let mut config = json!({"topicName": "orders"});
            config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            assert_eq!(keeps_topic(&topic(config.clone()), &origin()), expected, "{config}");
        }
    }
}
