//! Codes of requests (`RequestCode`, all tags unless said).

use std::fmt;

/// What a request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestCode(pub i32);

macro_rules! request_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl RequestCode {
            $($(#[$doc])* pub const $name: Self = Self($code);)*

            /// RocketMQ's name of it, if it is one that this project sends.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($code => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }
    };
}

request_codes! {
    /// Broker: how far a group has come in a queue.
    QUERY_CONSUMER_OFFSET = 14;
    /// Broker: sets that.
    UPDATE_CONSUMER_OFFSET = 15;
    /// Broker: creates a topic or changes it.
    UPDATE_AND_CREATE_TOPIC = 17;
    /// Broker: creates topics or changes them (5.3.0+).
    UPDATE_AND_CREATE_TOPIC_LIST = 18;
    /// Broker: its topic table.
    GET_ALL_TOPIC_CONFIG = 21;
    /// Broker: changes settings, live and in its file.
    UPDATE_BROKER_CONFIG = 25;
    /// Broker: its live settings.
    GET_BROKER_CONFIG = 26;
    /// Broker: what it does right now.
    GET_BROKER_RUNTIME_INFO = 28;
    /// Broker: where a queue ends.
    GET_MAX_OFFSET = 30;
    /// Broker: where a queue begins.
    GET_MIN_OFFSET = 31;
    /// Broker: how far all groups have come.
    GET_ALL_CONSUMER_OFFSET = 43;
    /// Broker: how far the delay levels are delivered.
    GET_ALL_DELAY_OFFSET = 45;
    /// Broker: how many messages are on the timer wheel (5.0.0+).
    GET_TIMER_METRICS = 61;
    /// Name server: puts a KV entry.
    PUT_KV_CONFIG = 100;
    /// Name server: a KV entry.
    GET_KV_CONFIG = 101;
    /// Name server: deletes a KV entry.
    DELETE_KV_CONFIG = 102;
    /// Name server: a broker says that it is there, with its topics.
    REGISTER_BROKER = 103;
    /// Name server: a broker says that it goes.
    UNREGISTER_BROKER = 104;
    /// Name server: the route of a topic.
    GET_ROUTEINFO_BY_TOPIC = 105;
    /// Name server: every broker.
    GET_BROKER_CLUSTER_INFO = 106;
    /// Broker: creates a subscription group or changes it.
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200;
    /// Broker: its subscription groups.
    GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201;
    /// Broker: where all queues of a topic begin and end.
    GET_TOPIC_STATS_INFO = 202;
    /// Broker: the members of a group that are connected to it.
    GET_CONSUMER_CONNECTION_LIST = 203;
    /// Name server: every topic.
    GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206;
    /// Name server: the KV entries of a namespace.
    GET_KVLIST_BY_NAMESPACE = 219;
    /// Broker, which asks the clients: the offsets that the members of a group have in memory.
    INVOKE_BROKER_TO_GET_CONSUMER_STATUS = 223;
    /// Name server: the topics of a cluster.
    GET_TOPICS_BY_CLUSTER = 224;
    /// Broker: creates subscription groups or changes them (5.3.1+).
    UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = 225;
    /// Broker, which asks the client: what a member of a group does right now.
    GET_CONSUMER_RUNNING_INFO = 307;
    /// Name server: changes settings, live and in its file.
    UPDATE_NAMESRV_CONFIG = 318;
    /// Name server: its live settings.
    GET_NAMESRV_CONFIG = 319;
    /// Name server: the topic table's version that it holds of a broker.
    QUERY_DATA_VERSION = 322;
    /// Broker: whether a group may read a topic, and a change of it (5.0.0+).
    UPDATE_AND_GET_GROUP_FORBIDDEN = 353;
    /// Broker: sets how a group asks for a topic's messages (5.0.0+).
    SET_MESSAGE_REQUEST_MODE = 401;
    /// Broker: how all groups ask (5.0.0+).
    GET_ALL_MESSAGE_REQUEST_MODE = 402;
}

impl fmt::Display for RequestCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "request {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_name_and_number() {
        assert_eq!(RequestCode::REGISTER_BROKER.to_string(), "REGISTER_BROKER (103)");
        assert_eq!(RequestCode(9_999).to_string(), "request 9999");
    }
}
