//! How a broker answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use rocketmq::metadata::Entry;
use rocketmq::model::data_version::DataVersion;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::subscription_group::SubscriptionGroupTable;
use rocketmq::model::topic::{TopicConfig, TopicTable};
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use serde_json::{Map, Value, json};

use super::queues::Queues;
use super::{BrokerSetup, Meanwhile, State, TABLE_MADE_AT};
use crate::name_server::answers::raw_lines;
use crate::peer::{Common, ConnectionId, Peer, Received, Reply};

/// Some of the topics that a broker makes for itself, beside those named after it and its cluster.
const OWN_TOPICS: [&str; 3] = ["TBW102", "SELF_TEST_TOPIC", "OFFSET_MOVED_EVENT"];

/// Some of the groups that it makes.
const OWN_GROUPS: [&str; 3] = ["TOOLS_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONSAPI_OWNER"];

/// A broker right after its start.
pub(super) fn started(address: SocketAddr, setup: BrokerSetup) -> State {
    let BrokerSetup { version, cluster, broker_name, broker_id, topics, settings, config } = setup;
    let role = if broker_id == 0 { "ASYNC_MASTER" } else { "SLAVE" };
    let ip = address.ip().to_string();
    let port = address.port();
    let mut live = Properties::from_iter([
        ("brokerClusterName", cluster.clone()),
        ("brokerName", broker_name.clone()),
        ("brokerId", broker_id.to_string()),
        ("brokerRole", role.to_owned()),
        ("brokerIP1", ip.clone()),
        ("brokerIP2", ip),
        ("listenPort", port.to_string()),
        ("haListenPort", port.saturating_add(1).to_string()),
        ("brokerPermission", "6".to_owned()),
        ("autoCreateTopicEnable", "true".to_owned()),
    ]);
    if version.is_5() {
        live.set("enableSlaveActingMaster", "false");
        live.set("brokerNotActiveTimeoutMillis", "10000");
    }
    for (key, value) in settings.iter() {
        live.set(key, value);
    }
    let own =
        OWN_TOPICS.iter().copied().chain([broker_name.as_str(), cluster.as_str()]).map(|name| TopicConfig {
            topic_name: name.to_owned(),
            read_queues: 1,
            write_queues: 1,
            perm: Permission::from_bits(7),
            rest: Map::new(),
        });
    let mut state = State {
        common: Common::new(version),
        identity: RegisteredBroker {
            cluster: cluster.clone(),
            broker_name: broker_name.clone(),
            broker_id,
            address: address.to_string(),
        },
        topics: TopicTable::default(),
        groups: SubscriptionGroupTable::default(),
        forbidden: Map::new(),
        request_modes: BTreeMap::new(),
        offsets: BTreeMap::new(),
        online: BTreeMap::new(),
        settings: live,
        boot_timestamp_millis: now_millis(),
        after: BTreeMap::new(),
        queues: Queues::default(),
        commit_log_max_offset: 0,
    };
    own.chain(topics).for_each(|topic| state.put(Entry::Topic(topic)));
    OWN_GROUPS.iter().for_each(|group| state.put(Entry::Group((*group).to_owned(), Map::new())));
    let data_version = DataVersion { state_version: 0, timestamp: TABLE_MADE_AT, counter: 1 };
    state.topics.data_version = data_version;
    state.groups.data_version = data_version;
    if let Some(config) = config {
        state.load(&config);
    }
    state
}

fn now_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

impl Peer for State {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }

    fn answer(&mut self, request: &Received) -> Option<Reply> {
        let reply = self.answer_of_all(request);
        match self.after.remove(&request.code) {
            Some(Meanwhile::Reboot) => self.boot_timestamp_millis += 1,
            Some(Meanwhile::Set(key, value)) => self.settings.set(key, value),
            None => {}
        }
        reply
    }

    fn connection_closed(&mut self, _connection: ConnectionId) {}
}

impl State {
    fn answer_of_all(&mut self, request: &Received) -> Option<Reply> {
        Some(match request.code {
            RequestCode::UPDATE_AND_CREATE_TOPIC => self.create_topic(request),
            RequestCode::GET_ALL_TOPIC_CONFIG => self.topic_table(),
            RequestCode::GET_ALL_SUBSCRIPTIONGROUP_CONFIG => self.group_table(),
            RequestCode::GET_ALL_CONSUMER_OFFSET => Reply::with_body(self.offsets_body()),
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP => self.create_group(request),
            RequestCode::QUERY_CONSUMER_OFFSET => self.consumer_offset(request),
            RequestCode::UPDATE_CONSUMER_OFFSET => self.update_offset(request),
            RequestCode::GET_CONSUMER_CONNECTION_LIST => self.consumer_connections(request),
            RequestCode::INVOKE_BROKER_TO_GET_CONSUMER_STATUS => self.consumer_status(request),
            RequestCode::GET_CONSUMER_RUNNING_INFO => self.consumer_running_info(request),
            RequestCode::UPDATE_BROKER_CONFIG => self.update_config(request),
            RequestCode::GET_BROKER_CONFIG => {
                let version = Reply::data_version(self.topics.data_version, self.common.version);
                Reply::with_body(raw_lines(&self.settings)).field("version", version)
            }
            RequestCode::GET_BROKER_RUNTIME_INFO => Reply::with_body(self.runtime_info()),
            RequestCode::GET_MAX_OFFSET | RequestCode::GET_MIN_OFFSET => self.offset_of_queue(request),
            RequestCode::GET_TOPIC_STATS_INFO => self.topic_stats(request),
            RequestCode::GET_ALL_DELAY_OFFSET => self.delay_offsets(),
            later => return self.answer_of_5(later, request),
        })
    }

    /// Requests that only later versions know.
    fn answer_of_5(&mut self, code: RequestCode, request: &Received) -> Option<Reply> {
        let version = self.common.version;
        Some(match code {
            RequestCode::UPDATE_AND_CREATE_TOPIC_LIST if version.creates_topic_lists() => {
                self.create_topics(request)
            }
            RequestCode::UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST if version.creates_group_lists() => {
                self.create_groups(request)
            }
            RequestCode::GET_ALL_MESSAGE_REQUEST_MODE if version.has_request_modes() => {
                Reply::with_body(self.request_modes_body())
            }
            RequestCode::SET_MESSAGE_REQUEST_MODE if version.has_request_modes() => {
                self.set_request_mode(request)
            }
            RequestCode::UPDATE_AND_GET_GROUP_FORBIDDEN if version.is_5() => self.forbid(request),
            RequestCode::GET_TIMER_METRICS if version.is_5() => self.timer_metrics(),
            other => return Reply::unknown_request(other, version),
        })
    }

    fn update_config(&mut self, request: &Received) -> Reply {
        let changes = Properties::from_java(&request.text());
        for (key, value) in changes.iter() {
            self.settings.set(key, value);
        }
        if changes.get("brokerPermission").is_some() {
            self.topics.data_version.counter += 1;
        }
        Reply::success()
    }

    fn runtime_info(&self) -> String {
        let mut facts = json!({
            "bootTimestamp": self.boot_timestamp_millis.to_string(),
            "brokerVersion": self.common.version.ordinal().to_string(),
            "brokerVersionDesc": format!("V{}", self.common.version.to_string().replace('.', "_")),
            "putTps": "0.0 0.0 0.0",
            "commitLogDiskRatio": "0.25",
            "commitLogMaxOffset": self.commit_log_max_offset.to_string(),
        });
        if self.has_timer() {
            self.queues.timer_facts().into_iter().for_each(|(fact, text)| facts[fact] = Value::from(text));
        }
        json!({ "table": facts }).to_string()
    }
}
