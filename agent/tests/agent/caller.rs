//! What an operation of the CLI asks of an agent.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use proto::describe::{Applied, MetadataState, PreparedExport};
use proto::pb;
use proto::pb::commit_metadata_request::OldData;
use proto::pb::receive_metadata_request::{Part, Start};
use rocketmq::metadata::digest::Summing;
use rocketmq::metadata::{Metadata, Origin, Subscription, Table, bundle};
use rocketmq::model::permission::Permission;
use rocketmq::model::version::Version;
use tonic::Status;

use crate::served::{Served, fence, key, proved};
use crate::support::Pod;

/// An operation that calls an agent.
pub(crate) struct Caller {
    pub(crate) served: Served,
    pub(crate) token: String,
}

impl Caller {
    /// Starts an agent that has its state.
    pub(crate) async fn of(pod: &Pod) -> Self {
        let served = Served::start(pod).await;
        let loaded = || *served.running.agent.loaded.borrow();
        served.running.until("the state is loaded", loaded).await;
        let token = served.prove(&key()).await.unwrap();
        Self { served, token }
    }

    /// Waits until its broker answers.
    pub(crate) async fn until_answers(&self) {
        let answers = || self.served.running.agent.process.borrow().answers;
        self.served.running.until("the broker answers", answers).await;
    }

    pub(crate) fn state(&self) -> MetadataState {
        self.served.running.agent.describe().metadata.unwrap()
    }

    pub(crate) fn waiting_for(&self) -> String {
        self.served.running.agent.gate.borrow().waiting_for.clone()
    }

    pub(crate) async fn until_waiting_for(&self, reason: &str) {
        self.served.running.until(reason, || self.waiting_for().contains(reason)).await;
    }

    pub(crate) async fn until_open(&self) {
        self.served.running.until("the gate is open", || self.served.running.agent.gate.borrow().open).await;
    }

    pub(crate) async fn send(
        &self,
        sha256: &str,
        bytes: u64,
        chunks: Vec<pb::MetadataChunk>,
    ) -> Result<u64, Status> {
        let start = Part::Start(Start { fence: fence(1), sha256: sha256.to_owned(), bytes });
        let parts = std::iter::once(start).chain(chunks.into_iter().map(Part::Chunk));
        let requests: Vec<_> = parts.map(|part| pb::ReceiveMetadataRequest { part: Some(part) }).collect();
        let request = proved(&self.token, futures::stream::iter(requests));
        Ok(self.served.control().receive_metadata(request).await?.into_inner().verified_bytes)
    }

    /// Sends all of it, in pieces of 1,000 bytes. Gives its SHA-256.
    pub(crate) async fn send_all(&self, bundle: &[u8]) -> String {
        let sha256 = sha256(bundle);
        let whole = bundle.len() as u64;
        assert_eq!(self.send(&sha256, whole, chunks(bundle, 0)).await.unwrap(), whole);
        sha256
    }

    pub(crate) async fn prepare(
        &self,
        sanitised: bool,
        ordered: bool,
        seeds: &[Subscription],
    ) -> Result<PreparedExport, Status> {
        let options = pb::ExportOptions { sanitised, ordered };
        let subscriptions: Vec<_> = seeds.iter().cloned().map(pb::Subscription::from).collect();
        let (options, fence) = (Some(options), fence(1));
        let mut requests = vec![pb::PrepareExportRequest { options, fence, subscriptions: Vec::new() }];
        requests.extend(
            subscriptions.chunks(2).map(|pairs| pb::PrepareExportRequest {
                subscriptions: pairs.to_vec(),
                ..Default::default()
            }),
        );
        let request = proved(&self.token, futures::stream::iter(requests));
        let answer = self.served.control().prepare_export(request).await?;
        Ok(answer.into_inner().try_into().unwrap())
    }

    /// What somebody who only looks is told: the files, and what they are.
    pub(crate) async fn read_tables(
        &self,
        options: pb::ExportOptions,
        seeds: &[Subscription],
        only_summary: bool,
    ) -> (BTreeMap<Table, Vec<u8>>, PreparedExport) {
        use pb::read_tables_response::Part;

        let subscriptions = seeds.iter().cloned().map(pb::Subscription::from).collect();
        let request = pb::ReadTablesRequest { options: Some(options), subscriptions, only_summary };
        let requests = futures::stream::iter([request]);
        let mut messages = self.served.inspect().read_tables(requests).await.unwrap().into_inner();
        let mut files = BTreeMap::<_, Vec<u8>>::new();
        loop {
            match messages.message().await.unwrap().unwrap().part.unwrap() {
                Part::Piece(pb::TablePiece { file, chunk }) => {
                    let (table, chunk) = (Table::of_file(&file).unwrap(), chunk.unwrap());
                    files.entry(table).or_default().extend(chunk.unpack().unwrap());
                }
                Part::Summary(summary) => {
                    assert!(messages.message().await.unwrap().is_none());
                    return (files, summary.try_into().unwrap());
                }
            }
        }
    }

    pub(crate) async fn read(&self, sha256: &str, offset: u64) -> Result<Vec<u8>, Status> {
        let request = pb::ReadExportRequest { sha256: sha256.to_owned(), offset };
        let mut pieces = self.served.inspect().read_export(request).await?.into_inner();
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.message().await? {
            assert_eq!(piece.offset, offset + bytes.len() as u64);
            bytes.extend(piece.unpack().unwrap());
        }
        Ok(bytes)
    }

    pub(crate) async fn apply(&self, sha256: &str) -> Result<Applied, Status> {
        let request = pb::ApplyMetadataRequest { fence: fence(1), sha256: sha256.to_owned() };
        Ok(self.served.control().apply_metadata(proved(&self.token, request)).await?.into_inner().into())
    }

    pub(crate) async fn commit(
        &self,
        token: &str,
        sha256: &str,
        old_data: OldData,
    ) -> Result<String, Status> {
        let request = pb::CommitMetadataRequest {
            fence: fence(1),
            token: token.to_owned(),
            sha256: sha256.to_owned(),
            old_data: old_data.into(),
            permission: Permission::READ.bits(),
        };
        let answer = self.served.control().commit_metadata(proved(&self.token, request)).await?;
        Ok(answer.into_inner().moved_to)
    }
}

/// Hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let mut summing = Summing::new(bytes);
    std::io::copy(&mut summing, &mut std::io::sink()).unwrap();
    HEXLOWER.encode(&summing.finish().1.sha256)
}

/// Pieces of 1,000 bytes.
pub(crate) fn chunks(bundle: &[u8], from: usize) -> Vec<pb::MetadataChunk> {
    let mut offset = from as u64;
    let chunk = |bytes: &[u8]| {
        let chunk = pb::MetadataChunk::pack(offset, bytes);
        offset += bytes.len() as u64;
        chunk
    };
    bundle[from..].chunks(1_000).map(chunk).collect()
}

/// Of every bundle that tests pack.
pub(crate) fn origin() -> Origin {
    Origin { cluster: "demo".into(), broker_name: "demo-0".into(), version: Version::V5_3_3 }
}

/// As `metadata import` packs them.
pub(crate) fn packed(metadata: &Metadata) -> Vec<u8> {
    let mut bytes = Vec::new();
    bundle::write(&mut bytes, metadata, &origin(), 1_700_000_000_000).unwrap();
    bytes
}
