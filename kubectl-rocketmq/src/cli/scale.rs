//! `scale`: more or fewer name servers in place, more or fewer broker groups and slaves.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ops::command::{
    self, DRAIN_TIMEOUT, DrainOptions, NamedKind, OldData, ScaleBrokerRequest, ScaleNameServiceRequest,
    ScaleReplicasRequest,
};

use crate::cli::change::{self, ChangeArgs, ClientArgs, WaitArgs};
use crate::cli::context::Context;
use crate::cli::duration;
use crate::cli::object::ObjectArgs;
use crate::failure::{ExitStatus, Failure};

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  # Three name servers; brokers learn of them without a restart
  kubectl rocketmq scale nameservice demo --size 3 -n mq

  # Back to one, after a look at the plan
  kubectl rocketmq scale ns/demo --size 1 -n mq --dry-run=client

  # In a script: no question, and wait until no agent stands in for a broker any more
  kubectl rocketmq scale nameservice demo --size 3 -n mq -y --wait=owned

  # A third broker group, with every topic and subscription group before its first message
  kubectl rocketmq scale broker demo --size 3 -n mq

  # The same with the metadata of another broker, on volumes that an earlier group has left
  kubectl rocketmq scale broker demo --size 3 --from demo-1-master-0 --old-data=aside -n mq

  # Back to two: the third goes when nobody wants anything of it any more; its data stay
  kubectl rocketmq scale broker demo --size 2 -n mq

  # The same, and see each group that holds it back
  kubectl rocketmq scale broker demo --size 2 -n mq --watch

  # Where an application sets pollNameServerInterval to a minute
  kubectl rocketmq scale broker demo --size 2 --client-route-period 1m -n mq

  # A second slave for each master
  kubectl rocketmq scale broker demo --replicas 2 -n mq

  # In a script: wait two hours, and lose the 38 messages that nobody is there to consume
  kubectl rocketmq scale broker demo --size 2 --drain-timeout 2h --force --abandon 38 -n mq -y
";

/// Flags of `scale`.
#[derive(Debug, Clone, Args)]
pub struct ScaleArgs {
    /// What is scaled.
    #[command(flatten)]
    pub object: ObjectArgs,
    /// How many name servers or broker groups there shall be
    #[arg(long, value_name = "N", value_parser = size, required_unless_present = "replicas")]
    pub size: Option<u32>,
    /// What only broker groups have.
    #[command(flatten)]
    pub groups: GroupArgs,
    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// What is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// Whom it is waited for.
    #[command(flatten)]
    pub clients: ClientArgs,
}

/// Flags of `scale broker` alone.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Broker groups")]
pub struct GroupArgs {
    /// How many slaves each master shall have, instead of `--size`
    #[arg(long, value_name = "N", value_parser = size, conflicts_with_all = ["size", "from", "include_ordered",
        "old_data", "drain_timeout", "force", "client_route_period"])]
    pub replicas: Option<u32>,
    /// Pod of the broker whose topics and groups new ones get; `spec.scalePodName` if absent, else the first master
    #[arg(long, value_name = "POD")]
    pub from: Option<String>,
    /// Also topics with ordered messages, whose keys go to other queues then
    #[arg(long)]
    pub include_ordered: bool,
    /// Where an earlier broker's data lie in the way: keep, start on them; aside, rename them
    #[arg(long, value_enum, value_name = "WAY")]
    pub old_data: Option<OldDataWay>,
    /// Fewer groups: pause when they are not drained by then, with what holds them back; 0 is never [default: 30m]
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    pub drain_timeout: Option<Duration>,
    /// Fewer groups: lose the messages that nobody is there to consume; asks for their number
    #[arg(long)]
    pub force: bool,
    /// The answer to that question
    #[arg(long, value_name = "N", requires = "force", value_parser = number)]
    pub abandon: Option<u64>,
}

/// A value of `--old-data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OldDataWay {
    /// Start on them.
    Keep,
    /// Rename them.
    Aside,
}

impl GroupArgs {
    /// The first flag that was given.
    fn given(&self) -> Option<&'static str> {
        let given = [
            (self.replicas.is_some(), "--replicas"),
            (self.from.is_some(), "--from"),
            (self.include_ordered, "--include-ordered"),
            (self.old_data.is_some(), "--old-data"),
            (self.drain_timeout.is_some(), "--drain-timeout"),
            (self.force, "--force"),
        ];
        given.into_iter().find_map(|(given, flag)| given.then_some(flag))
    }

    fn old_data(&self) -> OldData {
        match self.old_data {
            None => OldData::Refuse,
            Some(OldDataWay::Keep) => OldData::Keep,
            Some(OldDataWay::Aside) => OldData::Aside,
        }
    }

    fn drain(&self) -> DrainOptions {
        DrainOptions {
            timeout: self.drain_timeout.unwrap_or(DRAIN_TIMEOUT),
            force: self.force,
            abandon: self.abandon,
        }
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

fn size(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| "not a whole number".to_owned())
}

/// Scales.
///
/// # Errors
/// As [`change::carry_out`], and for words that name nothing to scale.
pub async fn run(context: &mut Context, arguments: &ScaleArgs) -> Result<ExitStatus, Failure> {
    let ScaleArgs { object, size, groups, change, wait, clients } = arguments;
    let route_period = clients.client_route_period;
    let Some(object) = object.reference()? else {
        return Err(Failure::new(ExitStatus::Usage, "nothing is named to scale")
            .hint("kubectl rocketmq scale nameservice NAME --size N"));
    };
    if let (NamedKind::NameService, Some(flag)) = (object.kind, groups.given()) {
        return Err(Failure::new(ExitStatus::Usage, format!("`{flag}` is for broker groups"))
            .state("nothing was changed")
            .hint("kubectl rocketmq scale broker NAME --size N"));
    }
    if *size == Some(0) {
        let last = match object.kind {
            NamedKind::Broker => "broker group",
            _ => "name server",
        };
        let message = format!("invalid value '0' for '--size <N>': a cluster keeps at least one {last}");
        return Err(Failure::new(ExitStatus::Usage, message).hint("kubectl rocketmq scale --help"));
    }
    let session = context.connect().await?;
    // Clap demands one of the two.
    let size = size.unwrap_or_default();
    let prepared = if let Some(replicas) = groups.replicas {
        let request = ScaleReplicasRequest { name: object.name, replicas };
        context.reading(command::scale_replicas(&session, &request)).await?
    } else if object.kind == NamedKind::Broker {
        let request = ScaleBrokerRequest {
            name: object.name,
            size,
            from: groups.from.clone(),
            include_ordered: groups.include_ordered,
            old_data: groups.old_data(),
            drain: groups.drain(),
            route_period,
        };
        context.reading(command::scale_broker(&session, &request)).await?
    } else {
        let request = ScaleNameServiceRequest { name: object.name, size, route_period };
        context.reading(command::scale_name_service(&session, &request)).await?
    };
    let typed = groups.abandon.map(|number| number.to_string());
    change::carry_out(context, prepared, change, wait.wait, typed.as_deref()).await
}
