//! The verbs and the flags that all of them take.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand};

use crate::cli::{apply, delete, duration, metadata, operations, scale, status, version};
use crate::output::format::Format;
use crate::output::style::ColorChoice;

/// What stands where in the help: the purpose, examples, then the flags.
const HELP: &str = "\
{about-with-newline}
{before-help}{usage-heading} {usage}

{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  # Create a cluster from the operator's YAML, and look at it
  kubectl rocketmq apply -f cluster.yaml -n mq
  kubectl rocketmq status -n mq

  # Three name servers instead of one; no broker restarts
  kubectl rocketmq scale nameservice demo --size 3 -n mq

  # What was done, and the way back
  kubectl rocketmq ops list -n mq
  kubectl rocketmq ops undo ID -n mq
";

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or healthy
  1    failed, or unhealthy
  2    wrong usage or input
  3    refused by a guard; nothing was changed
  4    gave up waiting for what goes on by itself
  5    an operation stopped half way: resume or undo it by its id
  130  interrupted while only reading";

/// Create, inspect, scale and take down Apache RocketMQ clusters, without an operator
#[derive(Debug, Parser)]
#[command(
    name = "kubectl-rocketmq",
    version,
    before_help = EXAMPLES,
    after_help = EXIT_CODES,
    help_template = HELP,
    disable_help_flag = true,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub struct Cli {
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
    /// The connection.
    #[command(flatten)]
    pub connection: ConnectionArgs,
    /// The output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Create clusters from the operator's YAML, or bring them to what it says
    #[command(before_help = apply::EXAMPLES, help_template = HELP)]
    Apply(apply::ApplyArgs),
    /// Show clusters: name servers, brokers, routes, and what is wrong with them
    #[command(before_help = status::EXAMPLES, help_template = HELP)]
    Status(status::StatusArgs),
    /// Change how many name servers or broker groups there are, without restarting a broker
    #[command(before_help = scale::EXAMPLES, help_template = HELP)]
    Scale(scale::ScaleArgs),
    /// Take clusters down; data on volumes stays
    #[command(before_help = delete::EXAMPLES, help_template = HELP)]
    Delete(delete::DeleteArgs),
    /// Export, compare and import topics and subscription groups of brokers
    #[command(before_help = metadata::EXAMPLES, help_template = HELP, arg_required_else_help = true)]
    Metadata(metadata::MetadataArgs),
    /// List, resume and undo what was begun
    #[command(before_help = operations::EXAMPLES, help_template = HELP, arg_required_else_help = true)]
    Ops(operations::OpsArgs),
    /// Show the versions of this command, the agents and Kubernetes
    #[command(before_help = version::EXAMPLES, help_template = HELP)]
    Version(version::VersionArgs),
}

impl Command {
    /// False for verbs that only look.
    #[must_use]
    pub fn changes(&self) -> bool {
        match self {
            Self::Apply(_) | Self::Scale(_) | Self::Delete(_) => true,
            Self::Ops(arguments) => arguments.command.changes(),
            Self::Metadata(arguments) => arguments.command.changes(),
            Self::Status(_) | Self::Version(_) => false,
        }
    }
}

/// The verbs' family of `ops`, each with its own examples.
pub(crate) const VERB_HELP: &str = HELP;

/// kubectl's flags that say which cluster, as whom. They stand after the verb, as kubectl wants it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection (as kubectl's)")]
pub struct ConnectionArgs {
    /// Namespace; the context's if absent
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// kubeconfig file; KUBECONFIG or ~/.kube/config if absent
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, global = true, value_name = "NAME")]
    pub user: Option<String>,
    /// Address of the API server
    #[arg(short, long, global = true, value_name = "URL")]
    pub server: Option<String>,
    /// Bearer token
    #[arg(long, global = true, value_name = "TOKEN")]
    pub token: Option<String>,
    /// Certificate of the authority that the API server's certificate must come from
    #[arg(long, global = true, value_name = "FILE")]
    pub certificate_authority: Option<PathBuf>,
    /// Client certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub client_certificate: Option<PathBuf>,
    /// Key of the client certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub client_key: Option<PathBuf>,
    /// Do not check the API server's certificate
    #[arg(long, global = true)]
    pub insecure_skip_tls_verify: bool,
    /// Name that the API server's certificate must have
    #[arg(long, global = true, value_name = "NAME")]
    pub tls_server_name: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER")]
    pub as_user: Option<String>,
    /// UID to impersonate
    #[arg(long, global = true, value_name = "UID")]
    pub as_uid: Option<String>,
    /// Group to impersonate; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub as_groups: Vec<String>,
    /// How long one request may take, for example 10s; 0 is for ever
    #[arg(long, global = true, value_name = "DURATION", value_parser = duration::parse)]
    pub request_timeout: Option<Duration>,
}

/// How things are printed.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// Form of the output: json, yaml, name, wide or jsonpath=TEMPLATE
    #[arg(short, long, global = true, value_name = "FORM")]
    pub output: Option<Format>,
    /// Colour; auto is only on a terminal, and not with NO_COLOR or TERM=dumb
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub color: ColorChoice,
    /// Log to standard error: off, error, warn, info, debug, trace, or a filter such as kube=debug
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "ROCKETMQ_LOG",
        default_value = "off",
        hide_env_values = true
    )]
    pub log_level: String,
    /// Print help
    #[arg(short, long, global = true, action = ArgAction::HelpShort)]
    pub help: Option<bool>,
}
