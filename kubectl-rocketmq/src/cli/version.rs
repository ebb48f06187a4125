//! `version`.

use clap::Args;
use ops::version;

use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};
use crate::output::version_view;

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  # This command, the agents of a namespace, the API server
  kubectl rocketmq version -n mq

  # Without asking a cluster
  kubectl rocketmq version --client
";

/// Flags of `version`.
#[derive(Debug, Clone, Args)]
pub struct VersionArgs {
    /// This command alone; asks no cluster
    #[arg(long)]
    pub client: bool,
}

/// Shows versions. A cluster that cannot be asked is told, but is no failure: the versions that are known are shown.
///
/// # Errors
/// `Interrupted`.
pub async fn run(context: &mut Context, arguments: &VersionArgs) -> Result<ExitStatus, Failure> {
    let printer = context.printer.clone();
    let session = if arguments.client {
        None
    } else {
        match context.connect().await {
            Ok(session) => Some(session),
            Err(failure) if failure.status == ExitStatus::Interrupted => return Err(failure),
            Err(failure) => {
                printer.warning(&failure.message);
                None
            }
        }
    };
    let report = context.until_interrupted(async { Ok(version::facts(session.as_ref()).await) }).await?;
    report.problems.iter().for_each(|problem| printer.warning(problem));
    printer.page(&version_view::page(&report, printer.data_style()));
    Ok(ExitStatus::Done)
}
