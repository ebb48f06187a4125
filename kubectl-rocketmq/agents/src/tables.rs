//! The tables of the broker beside an agent, to look at: nothing is written where they are read.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::HEXLOWER;
use proto::describe::{ExportOptions, PreparedExport};
use proto::pb;
use proto::pb::read_tables_response::Part;
use rocketmq::metadata::{Origin, Subscription, Table, bundle};
use rocketmq::model::version::Version;

use crate::connect::Agent;
use crate::error::AgentError;
use crate::metadata::{EXPORT_WITHIN, pairs};

/// The files of a bundle, in its order.
type Files = BTreeMap<Table, Vec<u8>>;

impl Agent {
    /// What a bundle of the broker beside the agent would be, but for its digest and length.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn tables_summary(
        &self,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, AgentError> {
        self.tables(options, seeds, true).await.map(|(_, summary)| summary)
    }

    /// The metadata of the broker beside the agent as the bytes of a bundle, and what it is. They are those of the
    /// bundle that the agent would write.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn read_tables(
        &self,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<(Vec<u8>, PreparedExport), AgentError> {
        let (files, mut prepared) = self.tables(options, seeds, false).await?;
        let origin = Origin {
            cluster: prepared.cluster.clone(),
            broker_name: prepared.broker_name.clone(),
            version: Version::from_ordinal(prepared.version),
        };
        let mut bytes = Vec::new();
        let sum = bundle::pack(&mut bytes, &origin, options.sanitised, &files)
            .map_err(|error| self.damaged(&error.to_string()))?;
        (prepared.bundle.sha256, prepared.bundle.bytes) = (HEXLOWER.encode(&sum.sha256), sum.bytes);
        Ok((bytes, prepared))
    }

    /// There is no deadline for all of them, only for each message: lines differ, and a slow one is no error.
    async fn tables(
        &self,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
        only_summary: bool,
    ) -> Result<(Files, PreparedExport), AgentError> {
        let call = "ReadTables";
        let mut client = self.inspect.clone();
        let options = Some(options.into());
        let mut requests = vec![pb::ReadTablesRequest { options, only_summary, subscriptions: Vec::new() }];
        requests.extend(
            pairs(seeds).map(|subscriptions| pb::ReadTablesRequest { subscriptions, ..Default::default() }),
        );
        let request = self.request(futures::stream::iter(requests));
        let mut parts = self.ask(call, EXPORT_WITHIN, client.read_tables(request)).await?;
        let (mut files, mut read) = (Files::new(), 0);
        while let Some(message) = self.in_time(call, EXPORT_WITHIN, self.next(call, &mut parts)).await? {
            match message.part {
                Some(Part::Piece(piece)) => read += self.take(&mut files, piece)?,
                Some(Part::Summary(summary)) => return Ok((files, self.valid(call, summary.try_into())?)),
                None => return Err(self.damaged("a message of its tables is empty")),
            }
            self.no_larger_than_any(read)?;
        }
        Err(self.damaged("its tables have no end"))
    }

    /// Takes the next piece of a file; gives its length.
    fn take(&self, files: &mut Files, piece: pb::TablePiece) -> Result<u64, AgentError> {
        let pb::TablePiece { file, chunk } = piece;
        let damaged = |what: &dyn std::fmt::Display| self.damaged(&format!("{file}: {what}"));
        let table = Table::of_file(&file).ok_or_else(|| damaged(&"no table has this file"))?;
        let taken = files.entry(table).or_default();
        let chunk = chunk.unwrap_or_default();
        if chunk.offset != taken.len() as u64 {
            return Err(damaged(&format!("byte {} came instead of byte {}", chunk.offset, taken.len())));
        }
        let bytes = chunk.unpack().map_err(|error| damaged(&error))?;
        if bytes.is_empty() {
            return Err(damaged(&format!("0 bytes came at byte {}", chunk.offset)));
        }
        taken.extend_from_slice(&bytes);
        Ok(bytes.len() as u64)
    }
}
