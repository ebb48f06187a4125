//! How a name server answers, in fastjson's dialect where a real one does.

use std::collections::BTreeMap;

use rocketmq::model::kv::ORDER_TOPIC_CONFIG;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::model::topic::TopicTable;
use rocketmq::model::version::Version;
use rocketmq::remoting::json;
use rocketmq::remoting::properties::Properties;
use rocketmq::remoting::request_code::RequestCode;
use rocketmq::remoting::response_code::ResponseCode;
use serde_json::{Value, json};

use super::State;
use crate::peer::{Common, ConnectionId, Peer, Received, Reply};
use crate::routes::Registration;

/// Requests of older versions have a body without the broker's wrapper (`DefaultRequestProcessor.processRequest`).
const WRAPPED_BODY_FROM: Version = Version::from_ordinal(37);

impl Peer for State {
    fn common(&mut self) -> &mut Common {
        &mut self.common
    }

    fn answer(&mut self, request: &Received) -> Option<Reply> {
        Some(match request.code {
            RequestCode::REGISTER_BROKER => self.register(request),
            RequestCode::UNREGISTER_BROKER => self.unregister(request),
            RequestCode::QUERY_DATA_VERSION => self.query_data_version(request),
            RequestCode::GET_BROKER_CLUSTER_INFO => Reply::with_body(self.cluster_info()),
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(request),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => self.topic_list(None),
            RequestCode::GET_TOPICS_BY_CLUSTER => self.topic_list(Some(request.field("cluster"))),
            RequestCode::PUT_KV_CONFIG => self.put(request),
            RequestCode::GET_KV_CONFIG => self.get(request),
            RequestCode::DELETE_KV_CONFIG => self.delete(request),
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.list(request),
            RequestCode::GET_NAMESRV_CONFIG => Reply::with_body(raw_lines(&self.settings)),
            RequestCode::UPDATE_NAMESRV_CONFIG => {
                for (key, value) in Properties::from_java(&request.text()).iter() {
                    self.settings.set(key, value);
                }
                Reply::success()
            }
            other => return Reply::unknown_request(other, self.common.version),
        })
    }

    fn connection_closed(&mut self, connection: ConnectionId) {
        for address in self.routes.registered_by(connection) {
            self.remove(address);
        }
    }
}

pub(crate) fn raw_lines(settings: &Properties) -> String {
    settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect()
}

/// Writes a map as fastjson does one with integer keys: bare.
fn bare_keys(entries: &BTreeMap<u64, &str>) -> String {
    let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key}:{}", json!(value))).collect();
    format!("{{{}}}", entries.join(","))
}

/// `BrokerData`; `acting` is its `enableActingMaster`, 5.0.0+.
fn broker_data(brokers: &[RegisteredBroker], acting: Option<bool>, strict: bool) -> String {
    let Some(first) = brokers.first() else { return "null".to_owned() };
    let addresses: BTreeMap<u64, &str> =
        brokers.iter().map(|broker| (broker.broker_id, broker.address.as_str())).collect();
    let addresses = if strict { json!(addresses).to_string() } else { bare_keys(&addresses) };
    let acting = acting.map(|acting| format!(r#","enableActingMaster":{acting}"#)).unwrap_or_default();
    format!(
        r#"{{"brokerAddrs":{addresses},"brokerName":{},"cluster":{}{acting}}}"#,
        json!(first.broker_name),
        json!(first.cluster)
    )
}

impl State {
    fn register(&mut self, request: &Received) -> Reply {
        if request.field("compressed") == "true" {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "this fake reads no compressed registration");
        }
        let Ok(body) = json::parse(&request.body) else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "decode error");
        };
        let wrapper = if request.version >= WRAPPED_BODY_FROM {
            body.get("topicConfigSerializeWrapper").cloned().unwrap_or(json!({}))
        } else {
            body
        };
        let Ok(topics) = serde_json::from_value::<TopicTable>(wrapper) else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "decode error");
        };
        let registration = Registration {
            connection: request.connection,
            broker: identity(request),
            version: request.version,
            ha_server_addr: request.field("haServerAddr").to_owned(),
            enable_acting_master: request.fields.get("enableActingMaster").map(|text| text == "true"),
            heartbeat_timeout_millis: request.field("heartbeatTimeoutMillis").parse().ok(),
            zone: request.fields.get("__ZONE_NAME").cloned(),
            topics,
        };
        if self.routes.register(&registration, self.common.version).is_err() {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "register broker failed");
        }
        let mut reply = match self.kv.get(ORDER_TOPIC_CONFIG) {
            Some(table) => Reply::with_body(json!({ "table": table }).to_string()),
            None => Reply::success(),
        };
        if registration.broker.broker_id != 0
            && let Some(master) = self.routes.master_of(&registration.broker.broker_name)
        {
            reply = reply
                .field("masterAddr", &master.broker.address)
                .field("haServerAddr", &master.ha_server_addr);
        }
        self.registrations.push(registration);
        reply
    }

    fn unregister(&mut self, request: &Received) -> Reply {
        self.remove(request.field("brokerAddr").to_owned());
        Reply::success()
    }

    /// 4.x removes at once, 5.x through its queue.
    fn remove(&mut self, address: String) {
        if self.common.version.is_5() {
            // The queue lives as long as the fake.
            let _ = self.removals.send(address);
        } else {
            self.routes.remove(&address);
        }
    }

    fn query_data_version(&self, request: &Received) -> Reply {
        let Ok(asked) = json::parse(&request.body) else {
            return Reply::refusal(ResponseCode::SYSTEM_ERROR, "decode error");
        };
        let stored = self.routes.stored_version(request.field("brokerAddr"));
        let changed = stored != serde_json::from_value(asked).ok();
        match stored {
            Some(stored) => Reply::with_body(Reply::data_version(stored, self.common.version).to_string()),
            None => Reply::success(),
        }
        .field("changed", changed)
    }

    /// What this version tells of that.
    fn acting_master(&self, broker_name: &str) -> Option<bool> {
        self.common.version.is_5().then(|| self.routes.has_acting_master(broker_name))
    }

    fn cluster_info(&self) -> String {
        let table = self.routes.table();
        let mut groups: BTreeMap<&str, Vec<RegisteredBroker>> = BTreeMap::new();
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for broker in &table.brokers {
            groups.entry(&broker.broker_name).or_default().push(broker.clone());
            let names = clusters.entry(&broker.cluster).or_default();
            if !names.contains(&broker.broker_name.as_str()) {
                names.push(&broker.broker_name);
            }
        }
        let groups: Vec<_> = groups
            .iter()
            .map(|(name, brokers)| {
                format!("{}:{}", json!(name), broker_data(brokers, self.acting_master(name), false))
            })
            .collect();
        format!(r#"{{"brokerAddrTable":{{{}}},"clusterAddrTable":{}}}"#, groups.join(","), json!(clusters))
    }

    fn route(&self, request: &Received) -> Reply {
        let topic = request.field("topic");
        let rows = self.routes.rows(topic);
        if rows.is_empty() {
            return Reply::refusal(
                ResponseCode::TOPIC_NOT_EXIST,
                format!("No topic route info in name server for the topic: {topic}"),
            );
        }
        // `ClientRequestProcessor` and `DefaultRequestProcessor` of 4.9.4+.
        let strict = self.common.version.takes_live_list()
            && (request.version >= Version::V4_9_4 || request.field("acceptStandardJsonOnly") == "true");
        let brokers: Vec<_> = rows
            .iter()
            .map(|row| {
                let brokers = self.routes.brokers(&row.broker_name);
                broker_data(&brokers, self.acting_master(&row.broker_name), strict)
            })
            .collect();
        // 4.5.0 has a slip of the pen, 4.9.7 not any more.
        let flag = if self.common.version.takes_live_list() { "topicSysFlag" } else { "topicSynFlag" };
        let queues: Vec<Value> = rows
            .iter()
            .map(|row| {
                json!({
                    "brokerName": row.broker_name,
                    "perm": row.permission,
                    "readQueueNums": row.read_queues,
                    flag: 0,
                    "writeQueueNums": row.write_queues,
                })
            })
            .collect();
        let mut order = String::new();
        let conf = self.kv.get(ORDER_TOPIC_CONFIG).and_then(|table| table.get(topic));
        if let (Some(conf), Some("true")) = (conf, self.settings.get("orderMessageEnable")) {
            order = format!(r#""orderTopicConf":{},"#, json!(conf));
        }
        Reply::with_body(format!(
            r#"{{"brokerDatas":[{}],"filterServerTable":{{}},{order}"queueDatas":{}}}"#,
            brokers.join(","),
            json!(queues)
        ))
    }

    fn topic_list(&self, cluster: Option<&str>) -> Reply {
        let table = self.routes.table();
        let listed = |name: &str| {
            cluster.is_none_or(|cluster| {
                table.brokers.iter().any(|broker| broker.broker_name == name && broker.cluster == cluster)
            })
        };
        let mut topics: Vec<_> =
            table.rows.iter().filter(|row| listed(&row.broker_name)).map(|row| row.topic.as_str()).collect();
        topics.dedup();
        Reply::with_body(json!({ "topicList": topics }).to_string())
    }

    fn put(&mut self, request: &Received) -> Reply {
        self.kv
            .entry(request.field("namespace").to_owned())
            .or_default()
            .insert(request.field("key").to_owned(), request.field("value").to_owned());
        Reply::success()
    }

    fn get(&self, request: &Received) -> Reply {
        let (namespace, key) = (request.field("namespace"), request.field("key"));
        match self.kv.get(namespace).and_then(|table| table.get(key)) {
            Some(value) => Reply::success().field("value", value),
            None => {
                let remark = format!("No config item, Namespace: {namespace} Key: {key}");
                Reply::refusal(ResponseCode::QUERY_NOT_FOUND, remark)
            }
        }
    }

    fn delete(&mut self, request: &Received) -> Reply {
        if let Some(table) = self.kv.get_mut(request.field("namespace")) {
            table.remove(request.field("key"));
        }
        Reply::success()
    }

    fn list(&self, request: &Received) -> Reply {
        let namespace = request.field("namespace");
        match self.kv.get(namespace) {
            Some(table) => Reply::with_body(json!({ "table": table }).to_string()),
            None => {
                let remark = format!("No config item, Namespace: {namespace}");
                Reply::refusal(ResponseCode::QUERY_NOT_FOUND, remark)
            }
        }
    }
}

fn identity(request: &Received) -> RegisteredBroker {
    RegisteredBroker {
        cluster: request.field("clusterName").to_owned(),
        broker_name: request.field("brokerName").to_owned(),
        broker_id: request.field("brokerId").parse().unwrap_or_default(),
        address: request.field("brokerAddr").to_owned(),
    }
}
