//! An agent in this process, without Kubernetes.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use proto::describe::{BrokerList, ListMode, Role};
use proto::pb;
use proto::pb::control_server::{Control, ControlServer};
use proto::pb::inspect_server::{Inspect, InspectServer};
use proto::pb::receive_metadata_request::Part;
use proto::proof::{ClusterKey, Prover, SessionSecret, Transcript, random};
use proto::{PROTOCOL, ProtocolRange, SESSION_METADATA};
use tokio::io::DuplexStream;
use tokio::task::AbortHandle;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::{Dial, Peer};

/// How long its pieces are.
pub(super) const PIECE: usize = 1_000;

/// What it does with bundles.
#[derive(Clone)]
pub(super) struct Bundles {
    /// True when it says how far it has received.
    pub(super) describes: bool,
    /// The bundle that it gives.
    pub(super) bytes: Arc<Vec<u8>>,
    /// How long it says that its bundle is.
    pub(super) announced: u64,
    /// From where on it was read.
    pub(super) read_from: Arc<Mutex<Vec<u64>>>,
    /// What is done to a piece before it is sent.
    pub(super) damage: fn(&mut pb::MetadataChunk),
    /// What an export was asked with.
    pub(super) asked: Arc<Mutex<Vec<pb::PrepareExportRequest>>>,
    /// What its tables are read as.
    pub(super) parts: Vec<Option<pb::read_tables_response::Part>>,
    /// What they were asked for with.
    pub(super) looked: Arc<Mutex<Vec<pb::ReadTablesRequest>>>,
    /// What it has received: SHA-256 and bytes.
    pub(super) received: Arc<Mutex<(String, Vec<u8>)>>,
    /// Bytes that it has received but does not count yet when it is asked.
    pub(super) late: Arc<Mutex<Vec<u8>>>,
    /// Why it receives nothing.
    pub(super) refuses: Option<String>,
    /// All lines are cut after so many pieces; 0 = never.
    pub(super) cut_after: Arc<AtomicUsize>,
}

impl Default for Bundles {
    fn default() -> Self {
        Self {
            describes: false,
            bytes: Arc::default(),
            announced: 0,
            read_from: Arc::default(),
            damage: |_| {},
            asked: Arc::default(),
            parts: Vec::new(),
            looked: Arc::default(),
            received: Arc::default(),
            late: Arc::default(),
            refuses: None,
            cut_after: Arc::default(),
        }
    }
}

/// An agent in this process; each dial is a new connection to it.
#[derive(Clone)]
pub(super) struct FakeAgent {
    pub(super) key: Option<ClusterKey>,
    pub(super) uid: String,
    pub(super) protocol: ProtocolRange,
    pub(super) rows: u32,
    pub(super) secret: SessionSecret,
    pub(super) transcripts: Arc<Mutex<Vec<Transcript>>>,
    pub(super) fences: Arc<Mutex<Vec<pb::Fence>>>,
    pub(super) dials: Arc<AtomicUsize>,
    /// The first so many connections break at their second use.
    pub(super) breaks: Arc<AtomicUsize>,
    /// True when it is of a version that takes no changes yet.
    pub(super) older: bool,
    /// What its bundles are.
    pub(super) bundles: Bundles,
    /// The connections to it.
    pub(super) lines: Arc<Mutex<Vec<AbortHandle>>>,
}

impl FakeAgent {
    pub(super) fn new(key: Option<&ClusterKey>) -> Self {
        Self {
            key: key.cloned(),
            uid: "uid-1".into(),
            protocol: PROTOCOL,
            rows: 3,
            secret: SessionSecret::generate().unwrap(),
            transcripts: Arc::default(),
            fences: Arc::default(),
            dials: Arc::default(),
            breaks: Arc::default(),
            older: false,
            bundles: Bundles::default(),
            lines: Arc::default(),
        }
    }

    pub(super) fn peer() -> Peer {
        Peer { pod: "demo-0-master-0".into(), uid: "uid-1".into(), role: Role::Broker }
    }

    fn authorize<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let token = request.metadata().get(SESSION_METADATA).and_then(|value| value.to_str().ok());
        match (&self.key, token) {
            (Some(key), Some(token)) if self.secret.admits(key, token) => Ok(()),
            _ => Err(Status::unauthenticated("no proved session")),
        }
    }
}

impl Dial for FakeAgent {
    type Stream = DuplexStream;

    async fn dial(&self, pod: &str, port: u16) -> io::Result<DuplexStream> {
        assert_eq!((pod, port), ("demo-0-master-0", proto::ports::BROKER_AGENT));
        Ok(self.connect())
    }
}

impl FakeAgent {
    /// A connection, over a line that can be cut.
    pub(super) fn connect(&self) -> DuplexStream {
        self.dials.fetch_add(1, Ordering::SeqCst);
        let (ours, mut near) = tokio::io::duplex(64 * 1024);
        let (mut far, theirs) = tokio::io::duplex(64 * 1024);
        let line = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        self.lines.lock().unwrap().push(line.abort_handle());
        let agent = self.clone();
        tokio::spawn(async move {
            let incoming = futures::stream::once(async { Ok::<_, io::Error>(theirs) });
            Server::builder()
                .add_service(InspectServer::new(agent.clone()))
                .add_optional_service((!agent.older).then(|| ControlServer::new(agent)))
                .serve_with_incoming(incoming)
                .await
        });
        ours
    }

    /// One more piece of a bundle has passed. Never ends when it was the last that does.
    async fn passes(&self) {
        let left = &self.bundles.cut_after;
        if left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)) == Ok(1) {
            // On a paused clock this is the moment when everybody waits: what was sent before has arrived.
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.lines.lock().unwrap().drain(..).for_each(|line| line.abort());
            std::future::pending::<()>().await;
        }
    }
}

/// What a broker without anything exports, in a bundle of so many bytes.
pub(super) fn exported(bytes: u64) -> pb::PrepareExportResponse {
    let table = Some(pb::TableDigest { entries: 0, digest: vec![0; 32] });
    let bundle = pb::BundleDescription {
        bytes,
        topics: table.clone(),
        groups: table.clone(),
        request_modes: table,
        ..Default::default()
    };
    pb::PrepareExportResponse { bundle: Some(bundle), ..Default::default() }
}

type Chunks<T> = std::pin::Pin<Box<dyn futures::Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Inspect for FakeAgent {
    async fn hello(&self, request: Request<pb::HelloRequest>) -> Result<Response<pb::HelloResponse>, Status> {
        let request = request.into_inner();
        let transcript = Transcript {
            caller_nonce: request.caller_nonce,
            agent_nonce: random().unwrap().to_vec(),
            pod_uid: self.uid.clone(),
            caller_protocol: request.protocol.unwrap().into(),
            agent_protocol: self.protocol,
        };
        let proof = self.key.as_ref().map(|key| transcript.prove(key, Prover::Agent).to_vec());
        let response = pb::HelloResponse {
            agent_nonce: transcript.agent_nonce.clone(),
            pod_uid: self.uid.clone(),
            protocol: Some(self.protocol.into()),
            agent_version: "0.0.7".into(),
            agent_proof: proof.unwrap_or_default(),
        };
        self.transcripts.lock().unwrap().push(transcript);
        Ok(Response::new(response))
    }

    async fn prove(&self, request: Request<pb::ProveRequest>) -> Result<Response<pb::ProveResponse>, Status> {
        let request = request.into_inner();
        let transcript = self.transcripts.lock().unwrap().pop().unwrap();
        let key = self.key.as_ref().unwrap();
        if !transcript.holds(key, Prover::Caller, &request.caller_proof) {
            return Err(Status::permission_denied("the proof does not hold"));
        }
        Ok(Response::new(pb::ProveResponse { session_token: self.secret.token(key) }))
    }

    async fn describe(
        &self,
        _: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        if !self.bundles.describes {
            return Err(Status::internal("cannot\u{1b}[31m look\nat myself"));
        }
        let (sha256, received) = self.bundles.received.lock().unwrap().clone();
        // A call that was cut off takes its last pieces only now.
        let late = self.bundles.late.lock().unwrap().split_off(0);
        self.bundles.received.lock().unwrap().1.extend(late);
        let state = pb::MetadataState {
            receiving_sha256: sha256,
            verified_bytes: received.len() as u64,
            ..Default::default()
        };
        Ok(Response::new(pb::DescribeResponse {
            role: pb::Role::Broker.into(),
            protocol: Some(PROTOCOL.into()),
            process: Some(pb::Process::default()),
            metadata: Some(state),
            ..Default::default()
        }))
    }

    async fn broker_facts(
        &self,
        _: Request<pb::BrokerFactsRequest>,
    ) -> Result<Response<pb::BrokerFactsResponse>, Status> {
        Ok(Response::new(pb::BrokerFactsResponse { version: "5.3.3".into(), ..Default::default() }))
    }

    type BrokerTopicsStream = Chunks<pb::BrokerTopicsChunk>;

    async fn broker_topics(
        &self,
        _: Request<pb::BrokerTopicsRequest>,
    ) -> Result<Response<Self::BrokerTopicsStream>, Status> {
        let chunk = |number: u32| {
            let row = pb::TopicRow { topic: format!("topic-{number}"), ..Default::default() };
            Ok(pb::BrokerTopicsChunk { broker: None, rows: vec![row] })
        };
        let broker = pb::RegisteredBroker { broker_name: "demo-0".into(), ..Default::default() };
        let first = Ok(pb::BrokerTopicsChunk { broker: Some(broker), rows: Vec::new() });
        let chunks = std::iter::once(first).chain((0..self.rows).map(chunk));
        Ok(Response::new(Box::pin(futures::stream::iter(chunks.collect::<Vec<_>>()))))
    }

    type RoutesStream = Chunks<pb::RoutesChunk>;

    async fn routes(&self, _: Request<pb::RoutesRequest>) -> Result<Response<Self::RoutesStream>, Status> {
        let brokers = vec![pb::RegisteredBroker { broker_name: "demo-0".into(), ..Default::default() }];
        let first = pb::RoutesChunk { brokers, rows: Vec::new() };
        let huge = pb::RoutesChunk {
            brokers: Vec::new(),
            rows: vec![pb::TopicRow { topic: "x".repeat(5 * 1024 * 1024), ..Default::default() }],
        };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(first), Ok(huge)]))))
    }

    async fn kv_config(
        &self,
        _: Request<pb::KvConfigRequest>,
    ) -> Result<Response<pb::KvConfigResponse>, Status> {
        std::future::pending().await
    }

    async fn connections(
        &self,
        _: Request<pb::ConnectionsRequest>,
    ) -> Result<Response<pb::ConnectionsResponse>, Status> {
        Ok(Response::new(pb::ConnectionsResponse { remote_addresses: vec!["10.0.0.9:40000".into()] }))
    }

    type SubscriptionsStream = Chunks<pb::SubscriptionsChunk>;

    async fn subscriptions(
        &self,
        _: Request<pb::SubscriptionsRequest>,
    ) -> Result<Response<Self::SubscriptionsStream>, Status> {
        let chunk = |group: &str| {
            let subscription = pb::Subscription { topic: "orders".into(), group: group.into() };
            Ok(pb::SubscriptionsChunk { subscriptions: vec![subscription] })
        };
        Ok(Response::new(Box::pin(futures::stream::iter(["billing", "audit", "billing"].map(chunk)))))
    }

    type ReadTablesStream = Chunks<pb::ReadTablesResponse>;

    async fn read_tables(
        &self,
        request: Request<Streaming<pb::ReadTablesRequest>>,
    ) -> Result<Response<Self::ReadTablesStream>, Status> {
        let looked: Vec<_> = request.into_inner().try_collect().await?;
        *self.bundles.looked.lock().unwrap() = looked;
        let agent = self.clone();
        let parts = futures::stream::iter(self.bundles.parts.clone()).then(move |part| {
            let agent = agent.clone();
            async move {
                agent.passes().await;
                Ok(pb::ReadTablesResponse { part })
            }
        });
        Ok(Response::new(Box::pin(parts)))
    }

    type ReadExportStream = Chunks<pb::MetadataChunk>;

    async fn read_export(
        &self,
        request: Request<pb::ReadExportRequest>,
    ) -> Result<Response<Self::ReadExportStream>, Status> {
        let offset = request.into_inner().offset;
        self.bundles.read_from.lock().unwrap().push(offset);
        let agent = self.clone();
        let pieces = futures::stream::unfold(offset, move |offset| {
            let agent = agent.clone();
            async move {
                let start = usize::try_from(offset).unwrap();
                let rest = &agent.bundles.bytes[start..];
                let bytes = rest[..rest.len().min(PIECE)].to_vec();
                if bytes.is_empty() {
                    return None;
                }
                agent.passes().await;
                let next = offset + bytes.len() as u64;
                let mut piece = pb::MetadataChunk::pack(offset, &bytes);
                (agent.bundles.damage)(&mut piece);
                Some((Ok(piece), next))
            }
        });
        Ok(Response::new(Box::pin(pieces)))
    }

    async fn consumers(
        &self,
        _: Request<pb::ConsumersRequest>,
    ) -> Result<Response<pb::ConsumersResponse>, Status> {
        let group = pb::OnlineGroup { group: "billing".into(), ..Default::default() };
        Ok(Response::new(pb::ConsumersResponse { groups: vec![group] }))
    }

    async fn backlog(&self, _: Request<pb::BacklogRequest>) -> Result<Response<pb::BacklogResponse>, Status> {
        let kind = pb::backlog_row::Kind::DeadLetter.into();
        let rows =
            vec![pb::BacklogRow { kind, topic: "%DLQ%billing".into(), messages: 7, ..Default::default() }];
        Ok(Response::new(pb::BacklogResponse { rows, written: 9, ..Default::default() }))
    }
}

#[tonic::async_trait]
impl Control for FakeAgent {
    async fn set_name_servers(
        &self,
        request: Request<pb::SetNameServersRequest>,
    ) -> Result<Response<pb::SetNameServersResponse>, Status> {
        self.authorize(&request)?;
        let request = request.into_inner();
        self.fences.lock().unwrap().push(request.fence.unwrap());
        let addresses: Vec<String> =
            request.list.unwrap().name_servers.into_iter().map(|entry| entry.address).collect();
        let list = BrokerList {
            mode: ListMode::NamesrvAddr,
            file: addresses.clone(),
            live: addresses,
            live_since_millis: 1,
            registrations: Vec::new(),
        };
        Ok(Response::new(pb::SetNameServersResponse { list: Some(list.into()) }))
    }

    async fn put_kv_config(
        &self,
        request: Request<pb::PutKvConfigRequest>,
    ) -> Result<Response<pb::PutKvConfigResponse>, Status> {
        self.authorize(&request)?;
        Ok(Response::new(pb::PutKvConfigResponse {}))
    }

    async fn prepare_export(
        &self,
        request: Request<Streaming<pb::PrepareExportRequest>>,
    ) -> Result<Response<pb::PrepareExportResponse>, Status> {
        self.authorize(&request)?;
        let asked: Vec<_> = request.into_inner().try_collect().await?;
        self.fences.lock().unwrap().push(asked[0].fence.clone().unwrap());
        *self.bundles.asked.lock().unwrap() = asked;
        Ok(Response::new(exported(self.bundles.announced)))
    }

    async fn receive_metadata(
        &self,
        request: Request<Streaming<pb::ReceiveMetadataRequest>>,
    ) -> Result<Response<pb::ReceiveMetadataResponse>, Status> {
        self.authorize(&request)?;
        let mut parts = request.into_inner();
        let first = parts.message().await?.and_then(|first| first.part);
        let Some(Part::Start(start)) = first else { return Err(Status::invalid_argument("no start")) };
        self.fences.lock().unwrap().push(start.fence.unwrap());
        if let Some(reason) = &self.bundles.refuses {
            return Err(Status::failed_precondition(reason.clone()));
        }
        {
            let mut received = self.bundles.received.lock().unwrap();
            if received.0 != start.sha256 {
                *received = (start.sha256, Vec::new());
            }
        }
        while let Some(part) = parts.message().await? {
            let Some(Part::Chunk(chunk)) = part.part else {
                return Err(Status::invalid_argument("no chunk"));
            };
            let bytes = chunk.unpack().unwrap();
            {
                let mut received = self.bundles.received.lock().unwrap();
                if chunk.offset != received.1.len() as u64 {
                    return Err(Status::failed_precondition("out of place"));
                }
                received.1.extend(bytes);
            }
            self.passes().await;
        }
        let verified_bytes = self.bundles.received.lock().unwrap().1.len() as u64;
        Ok(Response::new(pb::ReceiveMetadataResponse { verified_bytes }))
    }

    async fn commit_metadata(
        &self,
        request: Request<pb::CommitMetadataRequest>,
    ) -> Result<Response<pb::CommitMetadataResponse>, Status> {
        self.authorize(&request)?;
        self.fences.lock().unwrap().push(request.into_inner().fence.unwrap());
        Ok(Response::new(pb::CommitMetadataResponse::default()))
    }

    async fn apply_metadata(
        &self,
        request: Request<pb::ApplyMetadataRequest>,
    ) -> Result<Response<pb::ApplyMetadataResponse>, Status> {
        self.authorize(&request)?;
        self.fences.lock().unwrap().push(request.into_inner().fence.unwrap());
        Ok(Response::new(pb::ApplyMetadataResponse { topics: 2, ..Default::default() }))
    }

    async fn set_broker_permission(
        &self,
        request: Request<pb::SetBrokerPermissionRequest>,
    ) -> Result<Response<pb::SetBrokerPermissionResponse>, Status> {
        self.authorize(&request)?;
        self.fences.lock().unwrap().push(request.into_inner().fence.unwrap());
        // A broker that stays as it is.
        Ok(Response::new(pb::SetBrokerPermissionResponse { permission: 4 }))
    }

    async fn unregister_brokers(
        &self,
        request: Request<pb::UnregisterBrokersRequest>,
    ) -> Result<Response<pb::UnregisterBrokersResponse>, Status> {
        self.authorize(&request)?;
        let request = request.into_inner();
        self.fences.lock().unwrap().push(request.fence.unwrap());
        assert_eq!(request.brokers.len(), 2);
        Ok(Response::new(pb::UnregisterBrokersResponse {}))
    }
}
