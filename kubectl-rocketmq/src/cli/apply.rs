//! `apply`: the operator's YAML in, a cluster out.

use clap::Args;
use ops::command::{self, ApplyRequest};

use crate::cli::change::{self, ChangeArgs, ClientArgs, WaitArgs};
use crate::cli::context::Context;
use crate::cli::sources::FileArgs;
use crate::failure::{ExitStatus, Failure};

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  # Create what a file describes: NameService, Broker, and ConfigMaps they name
  kubectl rocketmq apply -f cluster.yaml -n mq

  # Only show what would be done; let the API server check every object
  kubectl rocketmq apply -f cluster.yaml -n mq --dry-run=server

  # From another command, without a question
  helm template . | kubectl rocketmq apply -f - -n mq -y
";

/// The agent image that belongs to this command.
const AGENT_IMAGE: &str = concat!("kubectl-rocketmq/agent:", env!("CARGO_PKG_VERSION"));

/// Flags of `apply`.
#[derive(Debug, Clone, Args)]
pub struct ApplyArgs {
    /// The documents.
    #[command(flatten)]
    pub files: FileArgs,
    /// Image of the agent that runs beside every name server and broker
    #[arg(
        long,
        value_name = "IMAGE",
        env = "ROCKETMQ_AGENT_IMAGE",
        default_value = AGENT_IMAGE,
        hide_env_values = true,
        hide_default_value = true
    )]
    pub agent_image: String,
    /// RocketMQ's version, for images whose tag does not say it, for example 5.3.3
    #[arg(long, value_name = "VERSION")]
    pub rocketmq_version: Option<String>,
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

/// Applies documents.
///
/// # Errors
/// As [`change::carry_out`], and for documents that are wrong.
pub async fn run(context: &mut Context, arguments: &ApplyArgs) -> Result<ExitStatus, Failure> {
    if arguments.files.files.is_empty() {
        return Err(Failure::new(ExitStatus::Usage, "no file is named")
            .hint("kubectl rocketmq apply -f FILE, or `-f -` for standard input"));
    }
    let sources = context.until_interrupted(arguments.files.read()).await?;
    let request = ApplyRequest {
        sources,
        rocketmq_version: arguments.rocketmq_version.clone(),
        agent_image: arguments.agent_image.clone(),
        route_period: arguments.clients.client_route_period,
    };
    let session = context.connect().await?;
    let prepared = context.reading(command::apply(&session, &request)).await?;
    change::carry_out(context, prepared, &arguments.change, arguments.wait.wait, None).await
}
