//! What can be asked of an agent, each call with its own deadline.
//!
//! Every call may be repeated: reads change nothing, and a change says what shall be, not what to add.

use std::future::Future;
use std::time::Duration;

use proto::convert::{InvalidMessage, required};
use proto::describe::{BrokerFacts, BrokerList, Describe};
use proto::{SESSION_METADATA, pb};
use rocketmq::model::kv::KvEntry;
use rocketmq::model::name_server::NameServerList;
use rocketmq::model::route::{BrokerRows, RegisteredBroker, RouteTable, TopicRow};
use saga::Permit;
use tonic::{Request, Response, Status, Streaming};

use crate::connect::{Agent, Proof};
use crate::error::AgentError;

/// An answer from what the agent knows already.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// An answer for which the agent asks its neighbour, whose tables may have 16 MiB.
pub(crate) const TABLE_WITHIN: Duration = Duration::from_secs(60);

/// A change that the agent reads back before it answers.
pub(crate) const CHANGE_WITHIN: Duration = Duration::from_secs(60);

/// RocketMQ's frame limit of 16 MiB bounds a broker's table at 86,400 topics; a name server holds the rows of all.
const ROW_LIMIT: usize = 4_000_000;

impl Agent {
    /// What the agent is and holds.
    ///
    /// # Errors
    /// See [`AgentError`]; so for every other call.
    pub async fn describe(&self) -> Result<Describe, AgentError> {
        let call = "Describe";
        let mut client = self.inspect.clone();
        let answer =
            self.ask(call, KNOWN_WITHIN, client.describe(self.request(pb::DescribeRequest {}))).await?;
        self.valid(call, answer.try_into())
    }

    /// Facts of the broker beside the agent.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn broker_facts(&self) -> Result<BrokerFacts, AgentError> {
        let mut client = self.inspect.clone();
        let request = self.request(pb::BrokerFactsRequest {});
        Ok(self.ask("BrokerFacts", KNOWN_WITHIN, client.broker_facts(request)).await?.into())
    }

    /// The broker beside the agent and the rows that it registers.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn broker_topics(&self) -> Result<BrokerRows, AgentError> {
        let call = "BrokerTopics";
        let mut client = self.inspect.clone();
        let request = self.request(pb::BrokerTopicsRequest {});
        let (mut broker, mut rows) = (None, Vec::new());
        let read = async {
            let mut chunks = self.ask(call, TABLE_WITHIN, client.broker_topics(request)).await?;
            while let Some(chunk) = self.next(call, &mut chunks).await? {
                if chunk.broker.is_some() {
                    broker = chunk.broker;
                }
                rows.extend(chunk.rows.into_iter().map(TopicRow::from));
                self.bounded(call, rows.len())?;
            }
            Ok(())
        };
        self.in_time(call, TABLE_WITHIN, read).await?;
        Ok(BrokerRows { identity: self.valid(call, required(broker, "broker"))?.into(), rows })
    }

    /// What the name server beside the agent knows.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn routes(&self) -> Result<RouteTable, AgentError> {
        let call = "Routes";
        let mut client = self.inspect.clone();
        let request = self.request(pb::RoutesRequest { brokers_only: false });
        let mut table = RouteTable::default();
        let read = async {
            let mut chunks = self.ask(call, TABLE_WITHIN, client.routes(request)).await?;
            while let Some(chunk) = self.next(call, &mut chunks).await? {
                table.brokers.extend(chunk.brokers.into_iter().map(Into::into));
                table.rows.extend(chunk.rows.into_iter().map(TopicRow::from));
                self.bounded(call, table.rows.len() + table.brokers.len())?;
            }
            Ok(())
        };
        self.in_time(call, TABLE_WITHIN, read).await?;
        Ok(table)
    }

    /// Every KV entry of the name server beside the agent.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn kv_config(&self) -> Result<Vec<KvEntry>, AgentError> {
        let mut client = self.inspect.clone();
        let request = self.request(pb::KvConfigRequest {});
        let answer = self.ask("KvConfig", KNOWN_WITHIN, client.kv_config(request)).await?;
        Ok(answer.entries.into_iter().map(Into::into).collect())
    }

    /// Remote addresses that are connected to the name server beside the agent.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn connections(&self) -> Result<Vec<String>, AgentError> {
        let mut client = self.inspect.clone();
        let request = self.request(pb::ConnectionsRequest {});
        Ok(self.ask("Connections", KNOWN_WITHIN, client.connections(request)).await?.remote_addresses)
    }

    /// Makes a list the desired one, in the file and live, and starts the bridges.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn set_name_servers(
        &self,
        permit: &Permit,
        list: &NameServerList,
    ) -> Result<BrokerList, AgentError> {
        let call = "SetNameServers";
        self.proved()?;
        let mut client = self.control.clone();
        let request =
            pb::SetNameServersRequest { fence: Some(fence(permit)), list: Some(list.clone().into()) };
        let answer = self.ask(call, CHANGE_WITHIN, client.set_name_servers(self.request(request))).await?;
        let list = answer.list.map(BrokerList::try_from).transpose();
        let list = self.valid(call, list)?;
        list.ok_or_else(|| AgentError::Answered {
            pod: self.pod.clone(),
            call,
            code: tonic::Code::FailedPrecondition,
            message: "it stands beside no broker".to_owned(),
        })
    }

    /// Puts KV entries into the name server beside the agent, each read back.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn put_kv_config(&self, permit: &Permit, entries: &[KvEntry]) -> Result<(), AgentError> {
        self.proved()?;
        let mut client = self.control.clone();
        let entries = entries.iter().cloned().map(Into::into).collect();
        let request = pb::PutKvConfigRequest { fence: Some(fence(permit)), entries };
        self.ask("PutKvConfig", CHANGE_WITHIN, client.put_kv_config(self.request(request))).await.map(drop)
    }

    /// Takes brokers out of the table of the name server beside the agent, and reads the table back. Those that are not
    /// listed exactly so are passed over.
    ///
    /// # Errors
    /// See [`AgentError`]; also when one of them is listed again, because it is not stopped.
    pub async fn unregister_brokers(
        &self,
        permit: &Permit,
        brokers: &[RegisteredBroker],
    ) -> Result<(), AgentError> {
        let call = "UnregisterBrokers";
        self.proved()?;
        let mut client = self.control.clone();
        let brokers = brokers.iter().cloned().map(Into::into).collect();
        let request = pb::UnregisterBrokersRequest { fence: Some(fence(permit)), brokers };
        self.ask(call, CHANGE_WITHIN, client.unregister_brokers(self.request(request))).await.map(drop)
    }

    pub(crate) fn proved(&self) -> Result<(), AgentError> {
        match &self.proof {
            Proof::Proved => Ok(()),
            Proof::Unproved(reason) => {
                Err(AgentError::Unproved { pod: self.pod.clone(), reason: reason.clone() })
            }
        }
    }

    /// Puts the session token to a request; reads of pods on the node's own network need it too.
    pub(crate) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        // A token that is no metadata value is none that an agent gave; the agent then refuses.
        if let Some(Ok(token)) = self.session_token.as_deref().map(str::parse) {
            request.metadata_mut().insert(SESSION_METADATA, token);
        }
        request
    }

    pub(crate) async fn ask<T>(
        &self,
        call: &'static str,
        within: Duration,
        answer: impl Future<Output = Result<Response<T>, Status>> + Send,
    ) -> Result<T, AgentError> {
        let answer = async {
            answer.await.map(Response::into_inner).map_err(|status| self.error(call, within, status))
        };
        self.in_time(call, within, answer).await
    }

    pub(crate) async fn next<T>(
        &self,
        call: &'static str,
        chunks: &mut Streaming<T>,
    ) -> Result<Option<T>, AgentError> {
        chunks.message().await.map_err(|status| self.error(call, TABLE_WITHIN, status))
    }

    pub(crate) async fn in_time<T>(
        &self,
        call: &'static str,
        within: Duration,
        answer: impl Future<Output = Result<T, AgentError>> + Send,
    ) -> Result<T, AgentError> {
        tokio::time::timeout(within, answer).await.unwrap_or_else(|_| {
            Err(AgentError::Slow { pod: self.pod.clone(), call, seconds: within.as_secs() })
        })
    }

    fn error(&self, call: &'static str, within: Duration, status: Status) -> AgentError {
        AgentError::from_status(&self.pod, call, within.as_secs(), status)
    }

    pub(crate) fn valid<T>(
        &self,
        call: &'static str,
        converted: Result<T, InvalidMessage>,
    ) -> Result<T, AgentError> {
        converted.map_err(|source| AgentError::Invalid { pod: self.pod.clone(), call, source })
    }

    pub(crate) fn bounded(&self, call: &'static str, rows: usize) -> Result<(), AgentError> {
        if rows <= ROW_LIMIT {
            return Ok(());
        }
        Err(AgentError::TooLarge { pod: self.pod.clone(), call, limit: ROW_LIMIT })
    }
}

pub(crate) fn fence(permit: &Permit) -> pb::Fence {
    pb::Fence { operation_id: permit.operation_id().to_owned(), number: permit.fence() }
}
