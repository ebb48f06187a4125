//! The service that reads.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use proto::describe::{BrokerFacts, Role};
use proto::pb;
use rocketmq::metadata::size::RegistrationSize;
use rocketmq::metadata::walk;
use rocketmq::model::broker::MASTER_ID;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::{RouteTable, TopicRow};
use rocketmq::model::version::Version;
use rocketmq::remoting::client::Client;
use rocketmq::remoting::error::RemotingError;
use rocketmq::text::error_line;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::Agent;
use crate::atomic_file;
use crate::backlog::{self, BacklogError};
use crate::configuration::{KV_CONFIG, permission};
use crate::metadata::subscriptions::{TableError, groups, off_the_runtime};
use crate::name_servers::bridge::{BridgeError, identity};
use crate::server::metadata::{self, Chunks};
use crate::server::session::Sessions;
use crate::server::{connections, kv_config};

/// Rows in one message: far below gRPC's 4 MiB, and few messages for a usual table.
const ROWS_IN_A_CHUNK: usize = 1_000;

/// The service.
#[derive(Debug)]
pub struct Inspector {
    agent: Arc<Agent>,
    sessions: Arc<Sessions>,
}

impl Inspector {
    /// The service of an agent.
    pub fn new(agent: Arc<Agent>, sessions: Arc<Sessions>) -> Self {
        Self { agent, sessions }
    }

    /// The connection to RocketMQ, if the caller may read and the agent stands beside a `role`.
    fn neighbour<T>(&self, request: &Request<T>, role: Role) -> Result<Client, Status> {
        self.sessions.may_read(request.metadata())?;
        beside(&self.agent, role)
    }

    async fn facts(&self, client: &Client) -> Result<BrokerFacts, FactsError> {
        let runtime = client.runtime_info().await?;
        let settings = client.broker_config().await?.value.settings;
        let broker = identity(&settings)?;
        let (topics, size) = measured(client.all_topic_config_body().await?.value).await?;
        Ok(BrokerFacts {
            cluster: broker.cluster,
            broker_name: broker.broker_name,
            broker_id: broker.broker_id,
            address: broker.address,
            version: runtime.version.to_string(),
            boot_timestamp_millis: runtime.value.boot_timestamp_millis().unwrap_or_default(),
            permission: permission(&settings).bits(),
            put_tps: runtime.value.rate_of_10_seconds("putTps").unwrap_or_default(),
            get_tps: transferred(&runtime.value),
            commit_log_disk_ratio: runtime.value.number("commitLogDiskRatio").unwrap_or(-1.0),
            topics,
            subscription_groups: groups(client).await?.len() as u64,
            commit_log_max_offset: runtime.value.number("commitLogMaxOffset").unwrap_or_default(),
            // Name servers do not take a slave's table.
            registration_bytes: if broker.broker_id == MASTER_ID { size.bytes() } else { 0 },
        })
    }
}

/// Why a broker's facts are not whole.
#[derive(Debug, thiserror::Error)]
enum FactsError {
    #[error(transparent)]
    Broker(#[from] RemotingError),
    #[error(transparent)]
    Identity(#[from] BridgeError),
    #[error(transparent)]
    Table(#[from] TableError),
}

/// How many topics an answer to code 21 has, and how large a registration with them is.
async fn measured(body: Bytes) -> Result<(u64, RegistrationSize), TableError> {
    off_the_runtime(move || {
        let (mut topics, mut size) = (0, RegistrationSize::default());
        walk::topics(&body, |topic| {
            topics += 1;
            size.add(&topic);
            Ok::<_, TableError>(())
        })?;
        Ok((topics, size))
    })
    .await
}

/// The rows that a broker of this name, permission and version registers of an answer to code 21, in order.
async fn registered(
    body: Bytes,
    broker_name: String,
    broker: Permission,
    version: Version,
) -> Result<Vec<TopicRow>, TableError> {
    off_the_runtime(move || {
        let mut rows = Vec::new();
        walk::topics(&body, |topic| {
            rows.push(topic.registered(broker, version).row(&broker_name));
            Ok::<_, TableError>(())
        })?;
        rows.sort();
        Ok(rows)
    })
    .await
}

/// The key's spelling changed with 5.0.0 (`AdminBrokerProcessor.prepareRuntimeInfo`).
fn transferred(runtime: &rocketmq::remoting::requests::broker::RuntimeInfo) -> f64 {
    let spellings = ["getTransferredTps", "getTransferedTps"];
    spellings.iter().find_map(|key| runtime.rate_of_10_seconds(key)).unwrap_or_default()
}

/// The connection to RocketMQ, if the agent stands beside a `role` and it answers.
pub(super) fn beside(agent: &Agent, role: Role) -> Result<Client, Status> {
    if agent.config.role() != role {
        let wanted = match role {
            Role::NameServer => "name server",
            Role::Broker => "broker",
        };
        return Err(Status::failed_precondition(format!("the agent stands beside no {wanted}")));
    }
    let process = agent.process.borrow();
    process
        .answering()
        .cloned()
        .ok_or_else(|| Status::unavailable(format!("RocketMQ does not answer: {}", process.problem)))
}

/// An error of RocketMQ as the caller sees it.
pub(super) fn status(error: &RemotingError) -> Status {
    Status::unavailable(error_line(error))
}

fn chunks<T: Send + 'static>(messages: Vec<T>) -> Response<Chunks<T>> {
    Response::new(Box::pin(stream::iter(messages.into_iter().map(Ok))))
}

#[tonic::async_trait]
impl pb::inspect_server::Inspect for Inspector {
    type BrokerTopicsStream = Chunks<pb::BrokerTopicsChunk>;
    type RoutesStream = Chunks<pb::RoutesChunk>;
    type SubscriptionsStream = Chunks<pb::SubscriptionsChunk>;
    type ReadTablesStream = Chunks<pb::ReadTablesResponse>;
    type ReadExportStream = Chunks<pb::MetadataChunk>;

    async fn hello(&self, request: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        self.sessions.hello(request.into_inner()).await
    }

    async fn prove(&self, request: Request<pb::ProveRequest>) -> Result<Response<pb::ProveResponse>, Status> {
        self.sessions.prove(request.get_ref()).await
    }

    async fn describe(
        &self,
        request: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        self.sessions.may_read(request.metadata())?;
        Ok(Response::new(self.agent.describe().into()))
    }

    async fn broker_facts(
        &self,
        request: Request<pb::BrokerFactsRequest>,
    ) -> Result<Response<pb::BrokerFactsResponse>, Status> {
        let client = self.neighbour(&request, Role::Broker)?;
        let facts = self.facts(&client).await.map_err(|error| Status::unavailable(error_line(&error)))?;
        Ok(Response::new(facts.into()))
    }

    async fn broker_topics(
        &self,
        request: Request<pb::BrokerTopicsRequest>,
    ) -> Result<Response<Self::BrokerTopicsStream>, Status> {
        let client = self.neighbour(&request, Role::Broker)?;
        let config = client.broker_config().await.map_err(|error| status(&error))?;
        let settings = config.value.settings;
        let broker = identity(&settings).map_err(|error| Status::unavailable(error_line(&error)))?;
        let rows = if broker.broker_id == MASTER_ID {
            let body = client.all_topic_config_body().await.map_err(|error| status(&error))?.value;
            let rows = registered(body, broker.broker_name.clone(), permission(&settings), config.version);
            rows.await.map_err(|error| Status::unavailable(error_line(&error)))?
        } else {
            Vec::new()
        };
        let first = pb::BrokerTopicsChunk { broker: Some(broker.into()), rows: Vec::new() };
        let mut rows = rows.into_iter();
        let rest = std::iter::from_fn(move || {
            let rows: Vec<_> = rows.by_ref().take(ROWS_IN_A_CHUNK).map(Into::into).collect();
            (!rows.is_empty()).then_some(pb::BrokerTopicsChunk { broker: None, rows })
        });
        Ok(Response::new(Box::pin(stream::iter(std::iter::once(first).chain(rest).map(Ok)))))
    }

    async fn routes(
        &self,
        request: Request<pb::RoutesRequest>,
    ) -> Result<Response<Self::RoutesStream>, Status> {
        let client = self.neighbour(&request, Role::NameServer)?;
        let table = if request.get_ref().brokers_only {
            client.cluster_info().await.map(|answer| RouteTable { brokers: answer.value, rows: Vec::new() })
        } else {
            client.route_table().await.map(|answer| answer.value)
        };
        let table = table.map_err(|error| status(&error))?;
        let brokers = table.brokers.into_iter().map(Into::into).collect();
        let mut messages = vec![pb::RoutesChunk { brokers, rows: Vec::new() }];
        messages.extend(table.rows.chunks(ROWS_IN_A_CHUNK).map(|rows| pb::RoutesChunk {
            brokers: Vec::new(),
            rows: rows.iter().cloned().map(Into::into).collect(),
        }));
        Ok(chunks(messages))
    }

    async fn kv_config(
        &self,
        request: Request<pb::KvConfigRequest>,
    ) -> Result<Response<pb::KvConfigResponse>, Status> {
        self.neighbour(&request, Role::NameServer)?;
        let entries =
            kv_config::stored(&self.agent.config.paths.store.join(KV_CONFIG)).map_err(Status::unavailable)?;
        Ok(Response::new(pb::KvConfigResponse { entries: entries.into_iter().map(Into::into).collect() }))
    }

    async fn connections(
        &self,
        request: Request<pb::ConnectionsRequest>,
    ) -> Result<Response<pb::ConnectionsResponse>, Status> {
        self.neighbour(&request, Role::NameServer)?;
        let mut remotes = Vec::new();
        for table in &self.agent.config.paths.tcp_tables {
            let text =
                atomic_file::read_text(table).map_err(|error| Status::unavailable(error_line(&error)))?;
            remotes
                .extend(connections::remotes(&text.unwrap_or_default(), self.agent.config.ports.name_server));
        }
        let remote_addresses = remotes.iter().map(ToString::to_string).collect();
        Ok(Response::new(pb::ConnectionsResponse { remote_addresses }))
    }

    async fn subscriptions(
        &self,
        request: Request<pb::SubscriptionsRequest>,
    ) -> Result<Response<Self::SubscriptionsStream>, Status> {
        Ok(metadata::subscriptions(self.neighbour(&request, Role::Broker)?))
    }

    async fn read_tables(
        &self,
        request: Request<Streaming<pb::ReadTablesRequest>>,
    ) -> Result<Response<Self::ReadTablesStream>, Status> {
        let client = self.neighbour(&request, Role::Broker)?;
        metadata::read_tables(Arc::clone(&self.agent), client, request.into_inner()).await
    }

    async fn read_export(
        &self,
        request: Request<pb::ReadExportRequest>,
    ) -> Result<Response<Self::ReadExportStream>, Status> {
        // The bundle lies on the volume: the broker need not answer.
        self.sessions.may_read(request.metadata())?;
        metadata::read_export(&self.agent, request.get_ref())
    }

    async fn consumers(
        &self,
        request: Request<pb::ConsumersRequest>,
    ) -> Result<Response<pb::ConsumersResponse>, Status> {
        let client = self.neighbour(&request, Role::Broker)?;
        metadata::consumers(&self.agent, &client, request.into_inner().only_online).await
    }

    async fn backlog(
        &self,
        request: Request<pb::BacklogRequest>,
    ) -> Result<Response<pb::BacklogResponse>, Status> {
        let client = self.neighbour(&request, Role::Broker)?;
        let backlog = backlog::look(&client).await.map_err(|error| match error {
            BacklogError::Slave(_) => Status::failed_precondition(error_line(&error)),
            _ => Status::unavailable(error_line(&error)),
        })?;
        Ok(Response::new(backlog.into()))
    }
}
