//! `status`: one page a cluster.

use clap::Args;
use ops::status::{self, Verdict};

use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};
use crate::output::format::Format;
use crate::output::status_view::{self, Columns};

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  # The page of a cluster, by its NameService or one of its brokers
  kubectl rocketmq status demo -n mq

  # Every cluster
  kubectl rocketmq status -A

  # For scripts: exit code 1 when unhealthy, and the list that clients should use
  kubectl rocketmq status demo -n mq -o jsonpath='{.clientsNameServers}'
";

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    /// A NameService or a Broker, NAME or KIND/NAME; every cluster of the namespace if absent
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Every namespace
    #[arg(short = 'A', long, conflicts_with = "name")]
    pub all_namespaces: bool,
}

/// Shows one cluster or all of them; unhealthy is exit code 1.
///
/// # Errors
/// When the cluster cannot be read.
pub async fn run(context: &mut Context, arguments: &StatusArgs) -> Result<ExitStatus, Failure> {
    let printer = context.printer.clone();
    let columns = if *printer.format() == Format::Wide { Columns::Wide } else { Columns::Usual };
    let style = printer.data_style();
    let session = context.connect().await?;
    let (page, verdicts) = match &arguments.name {
        Some(name) => {
            let name = name.rsplit('/').next().unwrap_or(name);
            let report = context.reading(status::collect(&session, Some(name))).await?;
            (status_view::page(&report, columns, style), vec![report.verdict])
        }
        None => {
            let list = context.reading(status::collect_all(&session, arguments.all_namespaces)).await?;
            if list.items.is_empty() {
                let place = if arguments.all_namespaces {
                    "any namespace".to_owned()
                } else {
                    format!("namespace {}", session.namespace())
                };
                printer.note(&format!("no clusters in {place}"));
            }
            let verdicts = list.items.iter().map(|report| report.verdict).collect();
            (status_view::list_page(&list, arguments.all_namespaces, columns, style), verdicts)
        }
    };
    printer.page(&page);
    let healthy = verdicts.iter().all(|verdict| *verdict == Verdict::Healthy);
    Ok(if healthy { ExitStatus::Done } else { ExitStatus::Failed })
}
