//! `metadata`: what a broker holds besides messages, as a file and back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ops::command::{self, ImportMetadataRequest};
use ops::metadata::{self, Bundle, DiffRequest, ExportChoice, ExportRequest, Other};

use crate::cli::args::VERB_HELP;
use crate::cli::bundle_file::{self, BundleFile};
use crate::cli::change::{self, ChangeArgs, Wait};
use crate::cli::context::Context;
use crate::failure::{ExitStatus, Failure};
use crate::output::metadata_view;

/// Examples of the help.
pub const EXAMPLES: &str = "\
Examples:
  kubectl rocketmq metadata export broker-0-master-0 -n mq > broker-0.tar
  kubectl rocketmq metadata diff broker-1-master-0 broker-0.tar -n mq
  kubectl rocketmq metadata import broker-1-master-0 broker-0.tar -n mq
";

const EXPORT_EXAMPLES: &str = "\
Examples:
  # Topics, subscription groups and request modes of a running broker
  kubectl rocketmq metadata export broker-0-master-0 -n mq > broker-0.tar

  # What is in it
  tar tf broker-0.tar

  # Everything, to look at: system topics and offsets as they are
  kubectl rocketmq metadata export broker-0-master-0 -n mq --raw --file raw.tar
";

const DIFF_EXAMPLES: &str = "\
Examples:
  # Exit code 0 when a broker has what a file has, 1 when not
  kubectl rocketmq metadata diff broker-0-master-0 broker-0.tar -n mq

  # Two brokers
  kubectl rocketmq metadata diff broker-1-master-0 broker-0-master-0 -n mq

  # The topics that a broker lacks
  kubectl rocketmq metadata diff broker-1-master-0 broker-0.tar -n mq -o json
";

const IMPORT_EXAMPLES: &str = "\
Examples:
  # Create and change what differs; nothing is deleted, and the broker is not restarted
  kubectl rocketmq metadata import broker-1-master-0 broker-0.tar -n mq

  # Only show what differs
  kubectl rocketmq metadata import broker-1-master-0 broker-0.tar -n mq --dry-run=client
";

/// The family.
#[derive(Debug, Clone, Args)]
pub struct MetadataArgs {
    /// The verb.
    #[command(subcommand)]
    pub command: MetadataCommand,
}

/// The verbs of the family.
#[derive(Debug, Clone, Subcommand)]
pub enum MetadataCommand {
    /// Write what a broker holds to a file
    #[command(before_help = EXPORT_EXAMPLES, help_template = VERB_HELP)]
    Export(ExportArgs),
    /// Show how a broker differs from a file or from another broker
    #[command(before_help = DIFF_EXAMPLES, help_template = VERB_HELP)]
    Diff(DiffArgs),
    /// Create and change at a running broker what a file has otherwise
    #[command(before_help = IMPORT_EXAMPLES, help_template = VERB_HELP)]
    Import(ImportArgs),
}

impl MetadataCommand {
    /// False for verbs that only look.
    #[must_use]
    pub fn changes(&self) -> bool {
        matches!(self, Self::Import(_))
    }
}

/// Flags of `metadata export`.
#[derive(Debug, Clone, Args)]
pub struct ExportArgs {
    /// Pod of the broker
    #[arg(value_name = "POD")]
    pub pod: String,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Also topics whose messages are ordered; one broker more changes which queue a key goes to
    #[arg(long, conflicts_with = "raw")]
    pub include_ordered: bool,
    /// Everything, system topics and the offsets as they are among it; cannot be imported
    #[arg(long)]
    pub raw: bool,
}

/// Flags of `metadata diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// Pod of the broker
    #[arg(value_name = "POD")]
    pub pod: String,
    /// What it is compared with: a file of `metadata export` (- for standard input), or another broker's pod
    #[arg(value_name = "FILE|POD")]
    pub other: String,
}

/// Flags of `metadata import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Pod of the broker, a master
    #[arg(value_name = "POD")]
    pub pod: String,
    /// A file of `metadata export`, - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How it is done.
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Runs a verb of the family.
///
/// # Errors
/// For pods that are no brokers, files that are no bundles, and as [`change::carry_out`].
pub async fn run(context: &mut Context, arguments: &MetadataArgs) -> Result<ExitStatus, Failure> {
    match &arguments.command {
        MetadataCommand::Export(arguments) => export(context, arguments).await,
        MetadataCommand::Diff(arguments) => diff(context, arguments).await,
        MetadataCommand::Import(arguments) => import(context, arguments).await,
    }
}

async fn export(context: &mut Context, arguments: &ExportArgs) -> Result<ExitStatus, Failure> {
    let choice = match arguments {
        ExportArgs { raw: true, .. } => ExportChoice::Raw,
        ExportArgs { include_ordered: true, .. } => ExportChoice::WithOrdered,
        _ => ExportChoice::Sanitised,
    };
    let request = ExportRequest { pod: arguments.pod.clone(), choice };
    let printer = context.printer.clone();
    let Some(path) = &arguments.file else {
        if !printer.format().is_text() {
            return Err(usage(
                "a report of the export needs `--file FILE`: the bundle takes standard output",
            ));
        }
        if printer.on_terminal() {
            return Err(usage("a bundle is not written to a terminal").hint(format!(
                "kubectl rocketmq metadata export {} > FILE, or `--file FILE`",
                arguments.pod
            )));
        }
        let session = context.connect().await?;
        let (bytes, report) = context.reading(metadata::export(&session, &request)).await?;
        printer.bytes(&bytes).map_err(|error| {
            Failure::new(ExitStatus::Failed, "cannot write to standard output").cause(error.to_string())
        })?;
        printer.note(&metadata_view::export_text(&report, "standard output", printer.note_style()));
        return Ok(ExitStatus::Done);
    };
    let file = BundleFile::create(path)?;
    let session = context.connect().await?;
    let (bytes, report) = context.reading(metadata::export(&session, &request)).await?;
    file.keep(&bytes)?;
    let name = path.display().to_string();
    printer.page(&metadata_view::export_page(&report, &name, printer.data_style()));
    Ok(ExitStatus::Done)
}

async fn diff(context: &mut Context, arguments: &DiffArgs) -> Result<ExitStatus, Failure> {
    let other = if bundle_file::is_meant(&arguments.other) {
        Other::Bundle(Box::new(read(context, Path::new(&arguments.other)).await?))
    } else {
        Other::Pod(arguments.other.clone())
    };
    let session = context.connect().await?;
    let request = DiffRequest { pod: arguments.pod.clone(), other };
    let report = context.reading(metadata::diff(&session, request)).await?;
    let printer = &context.printer;
    printer.page(&metadata_view::diff_page(&report, printer.data_style()));
    Ok(if report.same { ExitStatus::Done } else { ExitStatus::Failed })
}

async fn import(context: &mut Context, arguments: &ImportArgs) -> Result<ExitStatus, Failure> {
    let bundle = read(context, &arguments.file).await?;
    let session = context.connect().await?;
    let request = ImportMetadataRequest { pod: arguments.pod.clone(), bundle };
    let (prepared, changes) = context.reading(command::import_metadata(&session, request)).await?;
    if !prepared.is_nothing() {
        let printer = &context.printer;
        printer.note(&metadata_view::diff_text(&changes, printer.note_style()));
    }
    change::carry_out(context, prepared, &arguments.change, Wait::Matrix, None).await
}

async fn read(context: &mut Context, path: &Path) -> Result<Bundle, Failure> {
    let path = path.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let (name, bytes) = bundle_file::read(&path)?;
        Bundle::read(&name, &bytes).map_err(Failure::from)
    });
    let read = async {
        read.await.unwrap_or_else(|error| {
            Err(Failure::new(ExitStatus::Failed, "cannot read the bundle").cause(error.to_string()))
        })
    };
    context.until_interrupted(read).await
}

fn usage(message: &str) -> Failure {
    Failure::new(ExitStatus::Usage, message)
}
