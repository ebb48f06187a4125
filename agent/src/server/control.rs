//! The service that changes. Each call is of a proved connection and carries a fence that is not below the highest
//! seen; the fence is on disk before anything is done.

use std::sync::Arc;

use proto::describe::{Commit, Role};
use proto::pb;
use proto::proof::ClusterKey;
use rocketmq::model::kv::KvEntry;
use rocketmq::model::name_server::NameServerList;
use rocketmq::model::permission::Permission;
use rocketmq::model::route::RegisteredBroker;
use rocketmq::text::error_line;
use tonic::{Request, Response, Status, Streaming};

use crate::agent::Agent;
use crate::name_servers::unregister::{GONE_WITHIN, UnregisterError, unregister};
use crate::server::inspect::{beside, status};
use crate::server::metadata::{self, parsed, side};
use crate::server::session::Sessions;
use crate::state::StateError;

/// The service.
#[derive(Debug)]
pub struct Controller {
    agent: Arc<Agent>,
    sessions: Arc<Sessions>,
}

impl Controller {
    /// The service of an agent.
    pub fn new(agent: Arc<Agent>, sessions: Arc<Sessions>) -> Self {
        Self { agent, sessions }
    }

    async fn admit<T>(&self, request: &Request<T>, fence: Option<&pb::Fence>) -> Result<ClusterKey, Status> {
        let key = self.sessions.may_change(request.metadata())?;
        self.admit_proved(&key, fence).await?;
        Ok(key)
    }

    /// The rest of it, for calls whose fence comes after the proof. Gives the fence's number.
    async fn admit_proved(&self, key: &ClusterKey, fence: Option<&pb::Fence>) -> Result<u64, Status> {
        let fence = fence.ok_or_else(|| Status::invalid_argument("the call has no fence"))?;
        self.agent
            .state
            .admit(key, &fence.operation_id, fence.number)
            .await
            .map_err(|error| refused(&error))?;
        Ok(fence.number)
    }
}

fn refused(error: &StateError) -> Status {
    let words = error_line(error);
    match error {
        StateError::Fenced { .. } => Status::aborted(words),
        StateError::Outdated { .. } => Status::failed_precondition(words),
        StateError::Empty => Status::invalid_argument(words),
        StateError::NotStored(_) => Status::internal(words),
    }
}

#[tonic::async_trait]
impl pb::control_server::Control for Controller {
    async fn set_name_servers(
        &self,
        request: Request<pb::SetNameServersRequest>,
    ) -> Result<Response<pb::SetNameServersResponse>, Status> {
        let key = self.admit(&request, request.get_ref().fence.as_ref()).await?;
        let side = side(&self.agent)?;
        let list =
            request.into_inner().list.ok_or_else(|| Status::invalid_argument("the call has no list"))?;
        let list = NameServerList::from(list);
        self.agent.state.obey(Some(&key), &list).await.map_err(|error| refused(&error))?;
        tracing::info!(
            generation = list.generation,
            list = list.namesrv_addr(),
            "an operation's list is obeyed"
        );
        side.list.apply().await.map_err(|error| Status::unavailable(error_line(&error)))?;
        Ok(Response::new(pb::SetNameServersResponse { list: Some(side.describe(&self.agent.state).into()) }))
    }

    async fn put_kv_config(
        &self,
        request: Request<pb::PutKvConfigRequest>,
    ) -> Result<Response<pb::PutKvConfigResponse>, Status> {
        self.admit(&request, request.get_ref().fence.as_ref()).await?;
        let client = beside(&self.agent, Role::NameServer)?;
        for entry in request.into_inner().entries.into_iter().map(KvEntry::from) {
            client.put_kv(&entry).await.map_err(|error| status(&error))?;
            let stored =
                client.get_kv(&entry.namespace, &entry.key).await.map_err(|error| status(&error))?.value;
            if stored.as_deref() != Some(entry.value.as_str()) {
                return Err(Status::internal(format!(
                    "the name server took `{}` of namespace `{}` but does not have it",
                    entry.key, entry.namespace
                )));
            }
        }
        Ok(Response::new(pb::PutKvConfigResponse {}))
    }

    async fn prepare_export(
        &self,
        request: Request<Streaming<pb::PrepareExportRequest>>,
    ) -> Result<Response<pb::PrepareExportResponse>, Status> {
        let key = self.sessions.may_change(request.metadata())?;
        let mut requests = request.into_inner();
        let first = metadata::first(&mut requests).await?;
        self.admit_proved(&key, first.fence.as_ref()).await?;
        let client = beside(&self.agent, Role::Broker)?;
        metadata::prepare_export(&self.agent, &client, first, requests).await
    }

    async fn receive_metadata(
        &self,
        request: Request<Streaming<pb::ReceiveMetadataRequest>>,
    ) -> Result<Response<pb::ReceiveMetadataResponse>, Status> {
        let key = self.sessions.may_change(request.metadata())?;
        let mut requests = request.into_inner();
        let first = metadata::next(&mut requests).await?.and_then(|request| request.part);
        let Some(pb::receive_metadata_request::Part::Start(start)) = first else {
            return Err(Status::invalid_argument("the first message does not say what comes"));
        };
        let fence = self.admit_proved(&key, start.fence.as_ref()).await?;
        metadata::receive(&self.agent, start, fence, requests).await
    }

    async fn commit_metadata(
        &self,
        request: Request<pb::CommitMetadataRequest>,
    ) -> Result<Response<pb::CommitMetadataResponse>, Status> {
        let key = self.admit(&request, request.get_ref().fence.as_ref()).await?;
        let commit = Commit::try_from(request.into_inner())
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        let committed = side(&self.agent)?.metadata.commit(key, commit).await;
        let moved_to = committed.map_err(|error| metadata::of_commit(&error))?;
        let moved_to = moved_to.map(|folder| folder.display().to_string()).unwrap_or_default();
        Ok(Response::new(pb::CommitMetadataResponse { moved_to }))
    }

    async fn apply_metadata(
        &self,
        request: Request<pb::ApplyMetadataRequest>,
    ) -> Result<Response<pb::ApplyMetadataResponse>, Status> {
        let key = self.sessions.may_change(request.metadata())?;
        let fence = self.admit_proved(&key, request.get_ref().fence.as_ref()).await?;
        let client = beside(&self.agent, Role::Broker)?;
        let hash = parsed(&request.get_ref().sha256)?;
        let applied = side(&self.agent)?.metadata.apply(&client, hash, fence).await;
        Ok(Response::new(applied.map_err(|error| metadata::of_apply(&error))?.into()))
    }

    async fn set_broker_permission(
        &self,
        request: Request<pb::SetBrokerPermissionRequest>,
    ) -> Result<Response<pb::SetBrokerPermissionResponse>, Status> {
        let key = self.admit(&request, request.get_ref().fence.as_ref()).await?;
        let wanted = Permission::from_bits(request.get_ref().permission);
        let set = side(&self.agent)?.permission.set(&key, wanted).await;
        let permission = set.map_err(|error| metadata::of_permission(&error))?.bits();
        Ok(Response::new(pb::SetBrokerPermissionResponse { permission }))
    }

    async fn unregister_brokers(
        &self,
        request: Request<pb::UnregisterBrokersRequest>,
    ) -> Result<Response<pb::UnregisterBrokersResponse>, Status> {
        self.admit(&request, request.get_ref().fence.as_ref()).await?;
        let client = beside(&self.agent, Role::NameServer)?;
        let brokers: Vec<_> = request.into_inner().brokers.into_iter().map(RegisteredBroker::from).collect();
        unregister(&client, &brokers, GONE_WITHIN).await.map_err(|error| match error {
            UnregisterError::NameServer(_) => Status::unavailable(error_line(&error)),
            UnregisterError::StillListed(..) => Status::failed_precondition(error_line(&error)),
        })?;
        Ok(Response::new(pb::UnregisterBrokersResponse {}))
    }
}
