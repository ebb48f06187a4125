//! What can be asked of an agent about its broker's metadata, but for their bytes: those are [`crate::tables`]' and
//! [`crate::transfer`]'s.

use std::collections::BTreeSet;
use std::time::Duration;

use proto::describe::{Applied, Backlog, Commit, ExportOptions, OnlineGroup, PreparedExport};
use proto::pb;
use rocketmq::metadata::Subscription;
use rocketmq::model::permission::Permission;
use saga::Permit;

use crate::calls::{CHANGE_WITHIN, fence};
use crate::connect::Agent;
use crate::error::AgentError;

/// The agent asks its broker once for each of up to 20,000 groups.
const GROUPS_WITHIN: Duration = Duration::from_secs(300);

/// Four tables of a broker, of which none is larger than a frame, and as many names as there are pairs.
pub(crate) const EXPORT_WITHIN: Duration = Duration::from_secs(300);

/// The agent asks its broker once for each of up to 20,000 groups, and gives all clients 20 s.
const CONSUMERS_WITHIN: Duration = Duration::from_secs(120);

/// The agent asks its broker once for each of up to 86,400 topics and 20,000 groups.
const BACKLOG_WITHIN: Duration = Duration::from_secs(300);

/// A bundle is verified whole and flushed to the volume.
const COMMIT_WITHIN: Duration = Duration::from_secs(180);

/// One request an entry where RocketMQ takes no lists, and each is read back.
const APPLY_WITHIN: Duration = Duration::from_secs(900);

/// RocketMQ's frames bound each of a broker's four tables at 16 MiB, and files have them with more room between.
const LARGEST_BUNDLE: u64 = 256 << 20;

/// A row of usual names has 100 bytes, and a broker has no more pairs of topic and group than its tables hold.
const LARGEST_BACKLOG: usize = 64 << 20;

/// How many pairs one message carries: of the longest names they take 800 KB.
const PAIRS_A_MESSAGE: usize = 2_000;

impl Agent {
    /// Every topic and group that belong together at the broker beside the agent.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn subscriptions(&self) -> Result<BTreeSet<Subscription>, AgentError> {
        let call = "Subscriptions";
        let mut client = self.inspect.clone();
        let request = self.request(pb::SubscriptionsRequest {});
        let mut subscriptions = BTreeSet::new();
        let read = async {
            let mut chunks = self.ask(call, GROUPS_WITHIN, client.subscriptions(request)).await?;
            while let Some(chunk) = self.next(call, &mut chunks).await? {
                subscriptions.extend(chunk.subscriptions.into_iter().map(Subscription::from));
                self.bounded(call, subscriptions.len())?;
            }
            Ok(())
        };
        self.in_time(call, GROUPS_WITHIN, read).await?;
        Ok(subscriptions)
    }

    /// Writes the metadata of the broker beside the agent as one bundle to the agent's volume.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn prepare_export(
        &self,
        permit: &Permit,
        options: ExportOptions,
        seeds: &BTreeSet<Subscription>,
    ) -> Result<PreparedExport, AgentError> {
        let call = "PrepareExport";
        self.proved()?;
        let mut client = self.control.clone();
        let (options, fence) = (Some(options.into()), Some(fence(permit)));
        let mut requests = vec![pb::PrepareExportRequest { options, fence, subscriptions: Vec::new() }];
        requests.extend(
            pairs(seeds)
                .map(|subscriptions| pb::PrepareExportRequest { subscriptions, ..Default::default() }),
        );
        let request = self.request(futures::stream::iter(requests));
        let answer = self.ask(call, EXPORT_WITHIN, client.prepare_export(request)).await?;
        let prepared: PreparedExport = self.valid(call, answer.try_into())?;
        self.no_larger_than_any(prepared.bundle.bytes)?;
        Ok(prepared)
    }

    pub(crate) fn no_larger_than_any(&self, bytes: u64) -> Result<(), AgentError> {
        if bytes <= LARGEST_BUNDLE {
            return Ok(());
        }
        Err(self.damaged(&format!("it has {bytes} bytes, but no bundle has more than {LARGEST_BUNDLE}")))
    }

    pub(crate) fn damaged(&self, what: &str) -> AgentError {
        AgentError::Damaged { pod: self.pod.clone(), what: what.to_owned() }
    }

    /// The groups of which somebody is online at the broker beside the agent, and which of its queues nobody holds.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn consumers(&self) -> Result<Vec<OnlineGroup>, AgentError> {
        let mut client = self.inspect.clone();
        let request = self.request(pb::ConsumersRequest { only_online: false });
        let answer = self.ask("Consumers", CONSUMERS_WITHIN, client.consumers(request)).await?;
        Ok(answer.groups.into_iter().map(Into::into).collect())
    }

    /// The groups of which somebody is online at the broker beside the agent. No client is asked anything.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn online_groups(&self) -> Result<BTreeSet<String>, AgentError> {
        let mut client = self.inspect.clone();
        let request = self.request(pb::ConsumersRequest { only_online: true });
        let answer = self.ask("Consumers", CONSUMERS_WITHIN, client.consumers(request)).await?;
        Ok(answer.groups.into_iter().map(|group| group.group).collect())
    }

    /// What somebody still wants of the broker beside the agent, which must be a master.
    ///
    /// # Errors
    /// See [`AgentError`]; also when the broker is started anew, or its permission changes, during the look.
    pub async fn backlog(&self) -> Result<Backlog, AgentError> {
        let call = "Backlog";
        let mut client = self.inspect.clone().max_decoding_message_size(LARGEST_BACKLOG);
        let request = self.request(pb::BacklogRequest {});
        let answer = self.ask(call, BACKLOG_WITHIN, client.backlog(request)).await?;
        self.bounded(call, answer.rows.len())?;
        self.valid(call, answer.try_into())
    }

    /// Behind the closed gate: makes the received bundle what the broker starts with. Gives the folder that earlier
    /// data went to, if there were any.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn commit_metadata(
        &self,
        permit: &Permit,
        commit: &Commit,
    ) -> Result<Option<String>, AgentError> {
        self.proved()?;
        let mut client = self.control.clone();
        let request = pb::CommitMetadataRequest { fence: Some(fence(permit)), ..commit.clone().into() };
        let answer =
            self.ask("CommitMetadata", COMMIT_WITHIN, client.commit_metadata(self.request(request))).await?;
        Ok(Some(answer.moved_to).filter(|folder| !folder.is_empty()))
    }

    /// Beside a running broker: creates and changes what the received bundle holds, each read back.
    ///
    /// # Errors
    /// See [`AgentError`].
    pub async fn apply_metadata(&self, permit: &Permit, sha256: &str) -> Result<Applied, AgentError> {
        self.proved()?;
        let mut client = self.control.clone();
        let request = pb::ApplyMetadataRequest { fence: Some(fence(permit)), sha256: sha256.to_owned() };
        let answer =
            self.ask("ApplyMetadata", APPLY_WITHIN, client.apply_metadata(self.request(request))).await?;
        Ok(answer.into())
    }

    /// Sets what clients may do with the broker, live and in its file, and over its restarts.
    ///
    /// # Errors
    /// See [`AgentError`]; also when the broker says another permission afterwards.
    pub async fn set_broker_permission(
        &self,
        permit: &Permit,
        permission: Permission,
    ) -> Result<(), AgentError> {
        let call = "SetBrokerPermission";
        self.proved()?;
        let mut client = self.control.clone();
        let request =
            pb::SetBrokerPermissionRequest { fence: Some(fence(permit)), permission: permission.bits() };
        let answer =
            self.ask(call, CHANGE_WITHIN, client.set_broker_permission(self.request(request))).await?;
        let set = Permission::from_bits(answer.permission);
        if set == permission {
            return Ok(());
        }
        Err(AgentError::Answered {
            pod: self.pod.clone(),
            call,
            code: tonic::Code::FailedPrecondition,
            message: format!("the broker's permission is {set} after it was set to {permission}"),
        })
    }
}

/// Pairs, message by message.
pub(crate) fn pairs(seeds: &BTreeSet<Subscription>) -> impl Iterator<Item = Vec<pb::Subscription>> {
    let mut rest = seeds.iter().cloned().map(pb::Subscription::from);
    std::iter::from_fn(move || {
        let message: Vec<_> = rest.by_ref().take(PAIRS_A_MESSAGE).collect();
        (!message.is_empty()).then_some(message)
    })
}
