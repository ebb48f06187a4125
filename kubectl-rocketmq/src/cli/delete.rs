//! `delete`: clusters go, data on volumes stays.

use clap::Args;
use ops::command::{self, DeleteRequest};

use crate::cli::change::{self, ChangeArgs, Wait};
use crate::cli::context::Context;
use crate::cli::object::ObjectArgs;
use crate::cli::sources::FileArgs;
use crate::failure::{ExitStatus, Failure};

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  # Take down what a file describes; the plan lists what goes and what data stays
  kubectl rocketmq delete -f cluster.yaml -n mq

  # One object
  kubectl rocketmq delete broker demo -n mq
  kubectl rocketmq delete nameservice/demo -n mq

  # In a script, where data lies in the pods and goes with them
  kubectl rocketmq delete -f cluster.yaml -n mq --confirm=demo

  # Only look
  kubectl rocketmq delete -f cluster.yaml -n mq --dry-run=client
";

/// Flags of `delete`.
#[derive(Debug, Clone, Args)]
pub struct DeleteArgs {
    /// What is deleted.
    #[command(flatten)]
    pub object: ObjectArgs,
    /// The documents.
    #[command(flatten)]
    pub files: FileArgs,
    /// Answer to the question for a name, which is asked where data would be lost; -y does not answer it
    #[arg(long, value_name = "NAME")]
    pub confirm: Option<String>,
    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Deletes.
///
/// # Errors
/// As [`change::carry_out`], and for words and documents that name nothing.
pub async fn run(context: &mut Context, arguments: &DeleteArgs) -> Result<ExitStatus, Failure> {
    let request = match (arguments.object.reference()?, arguments.files.files.is_empty()) {
        (Some(object), true) => DeleteRequest::Named { kind: object.kind, name: object.name },
        (None, false) => DeleteRequest::Sources(context.until_interrupted(arguments.files.read()).await?),
        (Some(_), false) => return Err(usage("name objects or files, not both")),
        (None, true) => return Err(usage("nothing is named to delete")),
    };
    let session = context.connect().await?;
    let prepared = context.reading(command::delete(&session, &request)).await?;
    change::carry_out(context, prepared, &arguments.change, Wait::Matrix, arguments.confirm.as_deref()).await
}

fn usage(message: &str) -> Failure {
    Failure::new(ExitStatus::Usage, message)
        .state("nothing was changed")
        .hint("kubectl rocketmq delete -f FILE, or kubectl rocketmq delete nameservice|broker NAME")
}
