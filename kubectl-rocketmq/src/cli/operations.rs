//! `ops`: what was begun, and how to end it.

use clap::{Args, Subcommand};
use ops::{command, history};

use crate::cli::args::VERB_HELP;
use crate::cli::change::{self, ChangeArgs, WaitArgs};
use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};
use crate::output::history_view;

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  kubectl rocketmq ops list -n mq
  kubectl rocketmq ops show ID -n mq
  kubectl rocketmq ops resume ID -n mq
  kubectl rocketmq ops undo ID -n mq
";

const LIST_EXAMPLES: &str = "\
Examples:
  # Operations of a namespace, newest first
  kubectl rocketmq ops list -n mq

  # Those of every namespace
  kubectl rocketmq ops list -A
";

const SHOW_EXAMPLES: &str = "\
Examples:
  # Every step and event of an operation
  kubectl rocketmq ops show ID -n mq
";

const RESUME_EXAMPLES: &str = "\
Examples:
  # Go on where an operation stopped, from any machine
  kubectl rocketmq ops resume ID -n mq

  # Only show what is left
  kubectl rocketmq ops resume ID -n mq --dry-run=client
";

const UNDO_EXAMPLES: &str = "\
Examples:
  # Bring everything back to what it was before an operation
  kubectl rocketmq ops undo ID -n mq

  # Only show the way back
  kubectl rocketmq ops undo ID -n mq --dry-run=client
";

/// The family.
#[derive(Debug, Clone, Args)]
pub struct OpsArgs {
    /// The verb.
    #[command(subcommand)]
    pub command: OpsCommand,
}

/// The verbs of the family.
#[derive(Debug, Clone, Subcommand)]
pub enum OpsCommand {
    /// List operations, newest first
    #[command(before_help = LIST_EXAMPLES, help_template = VERB_HELP)]
    List {
        /// Every namespace
        #[arg(short = 'A', long)]
        all_namespaces: bool,
    },
    /// Show one operation: its steps and its journal
    #[command(before_help = SHOW_EXAMPLES, help_template = VERB_HELP)]
    Show {
        /// The operation's id
        #[arg(value_name = "ID")]
        operation: String,
    },
    /// Go on with an operation that stopped half way
    #[command(before_help = RESUME_EXAMPLES, help_template = VERB_HELP)]
    Resume(EndArgs),
    /// Undo an operation, the last step first
    #[command(before_help = UNDO_EXAMPLES, help_template = VERB_HELP)]
    Undo(EndArgs),
}

impl OpsCommand {
    /// False for verbs that only look.
    #[must_use]
    pub fn changes(&self) -> bool {
        matches!(self, Self::Resume(_) | Self::Undo(_))
    }
}

/// Flags of `ops resume` and `ops undo`.
#[derive(Debug, Clone, Args)]
pub struct EndArgs {
    /// The operation's id
    #[arg(value_name = "ID")]
    pub operation: String,
    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
    /// What is waited for.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// Runs a verb of the family.
///
/// # Errors
/// As [`change::carry_out`], and when there is no such operation.
pub async fn run(context: &mut Context, arguments: &OpsArgs) -> Result<ExitStatus, Failure> {
    match &arguments.command {
        OpsCommand::List { all_namespaces } => list(context, *all_namespaces).await,
        OpsCommand::Show { operation } => {
            let session = context.connect().await?;
            let detail = context.reading(history::show(&session, operation)).await?;
            context.printer.page(&history_view::detail_page(&detail, context.printer.data_style()));
            Ok(ExitStatus::Done)
        }
        OpsCommand::Resume(end) => {
            let session = context.connect().await?;
            let prepared = context.reading(command::resume(&session, &end.operation)).await?;
            change::carry_out(context, prepared, &end.change, end.wait.wait, None).await
        }
        OpsCommand::Undo(end) => {
            let session = context.connect().await?;
            let prepared = context.reading(command::undo(&session, &end.operation)).await?;
            change::carry_out(context, prepared, &end.change, end.wait.wait, None).await
        }
    }
}

async fn list(context: &mut Context, all_namespaces: bool) -> Result<ExitStatus, Failure> {
    let session = context.connect().await?;
    let list = context.reading(history::list(&session, all_namespaces)).await?;
    if list.items.is_empty() {
        let place = if all_namespaces {
            "any namespace".to_owned()
        } else {
            format!("namespace {}", session.namespace())
        };
        context.printer.note(&format!("no operations in {place}"));
    }
    context.printer.page(&history_view::list_page(&list, all_namespaces, context.printer.data_style()));
    Ok(ExitStatus::Done)
}
