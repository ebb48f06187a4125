//! What a broker says at a name server, and what the name server keeps of it.

use serde_json::{Map, Value, json};

use crate::model::data_version::DataVersion;
use crate::model::route::RegisteredBroker;
use crate::model::topic::RegisteredTopics;
use crate::model::version::Version;
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::request_code::RequestCode;

/// A whole registration.
#[derive(Debug, Clone, PartialEq)]
pub struct RegisterBroker {
    /// Who the broker is.
    pub broker: RegisteredBroker,
    /// `brokerIP2:haListenPort`.
    pub ha_server_addr: String,
    /// The broker's version: the name server decodes the body by it.
    pub version: Version,
    /// 5.x: whether slaves may act as master. A registration without it switches it off for the group.
    pub enable_acting_master: Option<bool>,
    /// 5.x: after how long without a heartbeat the broker is dropped; 120 s if absent.
    pub heartbeat_timeout_millis: Option<u64>,
    /// 5.x: the broker's zone. A registration without it clears it.
    pub zone: Option<String>,
    /// Its topics.
    pub topics: RegisteredTopics,
    /// The version that the name server shall store.
    pub data_version: DataVersion,
}

/// What a name server answers to a registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registered {
    /// To a slave: the master's address, if the name server knows it.
    pub master_addr: Option<String>,
    /// To a slave: where the master replicates from.
    pub ha_server_addr: Option<String>,
    /// The KV entries of the namespace `ORDER_TOPIC_CONFIG`.
    pub order_topics: Map<String, Value>,
}

/// What a name server holds of a broker's topic table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredDataVersion {
    /// True if it differs from the version that was asked about, or there is none.
    pub changed: bool,
    /// The stored version; `None` if the broker is not registered.
    pub stored: Option<DataVersion>,
}

impl RegisterBroker {
    /// The body, uncompressed: `RegisterBrokerBody` (all tags). Its size tells beforehand whether peers will take it.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let wrapper = self.topics.wrapper(self.data_version);
        [b"{\"filterServerList\":[],\"topicConfigSerializeWrapper\":", wrapper.as_slice(), b"}"].concat()
    }

    fn request(&self) -> Request {
        identified(Request::new(RequestCode::REGISTER_BROKER), &self.broker)
            .as_version(self.version)
            .field("haServerAddr", &self.ha_server_addr)
            .field("compressed", false)
            // 0 = not checked; TCP has its own sum.
            .field("bodyCrc32", 0)
            .optional_field("enableActingMaster", self.enable_acting_master)
            .optional_field("heartbeatTimeoutMillis", self.heartbeat_timeout_millis)
            .optional_field("__ZONE_NAME", self.zone.as_deref())
            .body(self.body())
    }
}

/// The fields that say which broker is meant.
fn identified(request: Request, broker: &RegisteredBroker) -> Request {
    request
        .field("clusterName", &broker.cluster)
        .field("brokerName", &broker.broker_name)
        .field("brokerId", broker.broker_id)
        .field("brokerAddr", &broker.address)
}

impl Client {
    /// Registers a broker at a name server. The name server removes it when this connection closes, unless the
    /// broker was registered again by another connection in between.
    ///
    /// Source: `RegisterBrokerRequestHeader`, `RegisterBrokerBody`, `RouteInfoManager.registerBroker`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`]. A 5.x name server refuses a first registration with exactly one topic (code 1).
    pub async fn register_broker(
        &self,
        registration: &RegisterBroker,
    ) -> Result<Answer<Registered>, RemotingError> {
        let reply = self.ask(registration.request()).await?;
        let text = |name: &str| reply.field(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let order_topics = if reply.has_body() { reply.json::<Value>()? } else { Value::Null };
        Ok(reply.answer(Registered {
            master_addr: text("masterAddr"),
            ha_server_addr: text("haServerAddr"),
            order_topics: order_topics.get("table").and_then(Value::as_object).cloned().unwrap_or_default(),
        }))
    }

    /// Removes a broker from a name server. 5.x answers before it is done.
    ///
    /// Source: `UnRegisterBrokerRequestHeader`, `RouteInfoManager.unregisterBroker`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn unregister_broker(&self, broker: &RegisteredBroker) -> Result<Answer<()>, RemotingError> {
        let reply = self.ask(identified(Request::new(RequestCode::UNREGISTER_BROKER), broker)).await?;
        Ok(reply.answer(()))
    }

    /// Asks a name server which version of a broker's topic table it holds, and whether that differs from `known`.
    /// It counts as a sign of life of the broker: always on 5.x, on 4.x if the versions are equal.
    ///
    /// Source: `QueryDataVersionRequestHeader`, `DefaultRequestProcessor.queryBrokerTopicConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn query_data_version(
        &self,
        broker: &RegisteredBroker,
        known: &DataVersion,
    ) -> Result<Answer<StoredDataVersion>, RemotingError> {
        let request =
            identified(Request::new(RequestCode::QUERY_DATA_VERSION), broker).body(json!(known).to_string());
        let reply = self.ask(request).await?;
        let changed = match reply.field("changed") {
            Some("true") => true,
            Some("false") => false,
            _ => return Err(reply.malformed("its field `changed` is neither true nor false")),
        };
        let stored = if reply.has_body() { reply.json()? } else { None };
        Ok(reply.answer(StoredDataVersion { changed, stored }))
    }
}
