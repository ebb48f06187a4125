//! Requests to name servers about brokers, routes and configuration.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use crate::model::kv::KvEntry;
use crate::model::route::{RegisteredBroker, RouteTable, TopicRoute, TopicRow};
use crate::remoting::client::{Answer, Client, Request};
use crate::remoting::error::RemotingError;
use crate::remoting::properties::Properties;
use crate::remoting::request_code::RequestCode;
use crate::remoting::response_code::ResponseCode;

/// Routes that are asked for at once.
const CONCURRENT_ROUTES: usize = 16;

/// `BrokerData`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BrokerData {
    #[serde(default)]
    cluster: Option<String>,
    broker_name: String,
    #[serde(default)]
    broker_addrs: BTreeMap<u64, String>,
}

/// `ClusterInfo`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterInfo {
    #[serde(default)]
    broker_addr_table: BTreeMap<String, BrokerData>,
}

/// `TopicRouteData`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicRouteData {
    #[serde(default)]
    queue_datas: Vec<QueueData>,
    #[serde(default)]
    broker_datas: Vec<BrokerData>,
    #[serde(default)]
    order_topic_conf: Option<String>,
}

/// `QueueData`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueueData {
    broker_name: String,
    read_queue_nums: u32,
    write_queue_nums: u32,
    perm: u32,
}

/// `TopicList`, all tags.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TopicList {
    #[serde(default)]
    topic_list: Vec<String>,
}

/// `KVTable`, all tags.
#[derive(Deserialize)]
struct KvTable {
    #[serde(default)]
    table: BTreeMap<String, String>,
}

impl BrokerData {
    fn brokers(self) -> impl Iterator<Item = RegisteredBroker> {
        let Self { cluster, broker_name, broker_addrs } = self;
        broker_addrs.into_iter().map(move |(broker_id, address)| RegisteredBroker {
            cluster: cluster.clone().unwrap_or_default(),
            broker_name: broker_name.clone(),
            broker_id,
            address,
        })
    }
}

fn in_order<T: Ord>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut items: Vec<_> = items.collect();
    items.sort();
    items
}

impl Client {
    /// Every broker that a name server lists, in order.
    ///
    /// Source: `RouteInfoManager.getAllClusterInfo`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn cluster_info(&self) -> Result<Answer<Vec<RegisteredBroker>>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_BROKER_CLUSTER_INFO)).await?;
        let info: ClusterInfo = reply.json()?;
        Ok(reply.answer(in_order(info.broker_addr_table.into_values().flat_map(BrokerData::brokers))))
    }

    /// The route of a topic; `None` if the name server has none.
    ///
    /// Source: `GetRouteInfoRequestHeader`, `TopicRouteData`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn route(&self, topic: &str) -> Result<Answer<Option<TopicRoute>>, RemotingError> {
        let request = Request::new(RequestCode::GET_ROUTEINFO_BY_TOPIC).field("topic", topic);
        let Answer { version, value } = self.ask_optional(request, ResponseCode::TOPIC_NOT_EXIST).await?;
        let route = value.map(|reply| reply.json::<TopicRouteData>()).transpose()?.map(|data| TopicRoute {
            rows: in_order(data.queue_datas.into_iter().map(|queue| TopicRow {
                topic: topic.to_owned(),
                broker_name: queue.broker_name,
                read_queues: queue.read_queue_nums,
                write_queues: queue.write_queue_nums,
                permission: queue.perm,
            })),
            brokers: in_order(data.broker_datas.into_iter().flat_map(BrokerData::brokers)),
            order_topic_conf: data.order_topic_conf.filter(|text| !text.is_empty()),
        });
        Ok(Answer { version, value: route })
    }

    /// Every topic of a name server, in order; RocketMQ's own and those of retries among them.
    ///
    /// Source: `RouteInfoManager.getAllTopicList`, all tags; 5.x refuses with code 1 if `enableAllTopicList=false`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn topic_list(&self) -> Result<Answer<Vec<String>>, RemotingError> {
        self.topics(Request::new(RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER)).await
    }

    /// The topics of one cluster, in order.
    ///
    /// Source: `GetTopicsByClusterRequestHeader`, all tags; 5.x refuses with code 1 if `enableTopicList=false`.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn cluster_topic_list(&self, cluster: &str) -> Result<Answer<Vec<String>>, RemotingError> {
        self.topics(Request::new(RequestCode::GET_TOPICS_BY_CLUSTER).field("cluster", cluster)).await
    }

    async fn topics(&self, request: Request) -> Result<Answer<Vec<String>>, RemotingError> {
        let reply = self.ask(request).await?;
        let list: TopicList = reply.json()?;
        Ok(reply.answer(in_order(list.topic_list.into_iter())))
    }

    /// Everything that a name server knows of brokers and topics, by one request for the brokers, one for the
    /// topics and one for each topic. A topic that goes in between has no rows.
    ///
    /// # Errors
    /// As [`Client::call`], of the first request that fails.
    pub async fn route_table(&self) -> Result<Answer<RouteTable>, RemotingError> {
        let Answer { version, value: brokers } = self.cluster_info().await?;
        let topics = self.topic_list().await?.value;
        let routes: Vec<_> = stream::iter(topics)
            .map(|topic| async move { self.route(&topic).await })
            .buffered(CONCURRENT_ROUTES)
            .try_collect()
            .await?;
        let rows =
            routes.into_iter().filter_map(|answer| answer.value).flat_map(|route| route.rows).collect();
        Ok(Answer { version, value: RouteTable { brokers, rows } })
    }

    /// Puts a KV entry into one name server; name servers do not tell each other.
    ///
    /// Source: `PutKVConfigRequestHeader`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn put_kv(&self, entry: &KvEntry) -> Result<Answer<()>, RemotingError> {
        let request = Request::new(RequestCode::PUT_KV_CONFIG)
            .field("namespace", &entry.namespace)
            .field("key", &entry.key)
            .field("value", &entry.value);
        Ok(self.ask(request).await?.answer(()))
    }

    /// The value of a key; `None` if there is none.
    ///
    /// Source: `GetKVConfigRequestHeader`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn get_kv(&self, namespace: &str, key: &str) -> Result<Answer<Option<String>>, RemotingError> {
        let request =
            Request::new(RequestCode::GET_KV_CONFIG).field("namespace", namespace).field("key", key);
        let answer = self.ask_optional(request, ResponseCode::QUERY_NOT_FOUND).await?;
        Ok(answer.map(|reply| reply.and_then(|reply| reply.field("value").map(str::to_owned))))
    }

    /// Deletes a KV entry; one that is not there is fine.
    ///
    /// Source: `DeleteKVConfigRequestHeader`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn delete_kv(&self, namespace: &str, key: &str) -> Result<Answer<()>, RemotingError> {
        let request =
            Request::new(RequestCode::DELETE_KV_CONFIG).field("namespace", namespace).field("key", key);
        Ok(self.ask(request).await?.answer(()))
    }

    /// The KV entries of a namespace, in order; none if there is no such namespace.
    ///
    /// Source: `GetKVListByNamespaceRequestHeader`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn kv_list(&self, namespace: &str) -> Result<Answer<Vec<KvEntry>>, RemotingError> {
        let request = Request::new(RequestCode::GET_KVLIST_BY_NAMESPACE).field("namespace", namespace);
        let Answer { version, value } = self.ask_optional(request, ResponseCode::QUERY_NOT_FOUND).await?;
        let table = value.map(|reply| reply.json::<KvTable>()).transpose()?.map(|table| table.table);
        let entry = |(key, value)| KvEntry { namespace: namespace.to_owned(), key, value };
        Ok(Answer { version, value: table.unwrap_or_default().into_iter().map(entry).collect() })
    }

    /// The live settings of a name server.
    ///
    /// Source: `DefaultRequestProcessor.getConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn name_server_config(&self) -> Result<Answer<Properties>, RemotingError> {
        let reply = self.ask(Request::new(RequestCode::GET_NAMESRV_CONFIG)).await?;
        Ok(reply.answer(Properties::from_answer(reply.text()?)))
    }

    /// Changes settings of a name server, live and in its file. Unknown keys are ignored without a word.
    ///
    /// Source: `DefaultRequestProcessor.updateConfig`, all tags.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn update_name_server_config(
        &self,
        settings: &Properties,
    ) -> Result<Answer<()>, RemotingError> {
        let request = Request::new(RequestCode::UPDATE_NAMESRV_CONFIG).body(settings.to_string());
        Ok(self.ask(request).await?.answer(()))
    }
}
