//! From the process's arguments to an exit status.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches};
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::cli::args::{Cli, Command};
use crate::cli::context::Context;
use crate::cli::signals::Signals;
use crate::cli::{apply, delete, metadata, operations, scale, status, version};
use crate::failure::{ExitStatus, Failure};
use crate::output::format;
use crate::output::printer::{self, Printer};
use crate::output::style::ColorChoice;

/// Runs a command line to its end. Everything that is to be printed is printed when it returns.
#[must_use]
pub fn run(arguments: &[OsString]) -> ExitStatus {
    let cli = match parse(arguments) {
        Ok(cli) => cli,
        Err(error) => return answer_parser(&error, arguments),
    };
    let changes = cli.command.changes();
    let printer =
        Arc::new(Printer::on_process(cli.output.output.clone().unwrap_or_default(), cli.output.color));
    match run_parsed(cli, printer.clone()) {
        Ok(status) => status,
        Err(mut failure) => {
            // Whoever only looked does not wonder what was changed.
            failure.state = failure.state.filter(|_| changes);
            printer.failure(&failure);
            failure.status
        }
    }
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = Cli::command();
    if let Some(shown) = shown_as(arguments) {
        command = command.bin_name(shown);
    }
    Cli::from_arg_matches(&command.try_get_matches_from(arguments)?)
}

/// kubectl runs plugins by the full path of `kubectl-NAME`; users type `kubectl NAME`.
fn shown_as(arguments: &[OsString]) -> Option<String> {
    let file = Path::new(arguments.first()?).file_stem()?.to_str()?;
    file.strip_prefix("kubectl-").map(|plugin| format!("kubectl {}", plugin.replace('_', "-")))
}

/// Help and wrong usage.
fn answer_parser(error: &clap::Error, arguments: &[OsString]) -> ExitStatus {
    let text: Vec<&str> = arguments.iter().filter_map(|argument| argument.to_str()).collect();
    let format = format::requested(text);
    let is_document = format.is_document();
    let printer = Printer::on_process(format, ColorChoice::Auto);
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            printer.data(&error.render().to_string());
            ExitStatus::Done
        }
        _ if is_document => {
            printer.failure(&usage_failure(&error.render().to_string()));
            ExitStatus::Usage
        }
        _ => {
            printer.note(&error.render().to_string());
            ExitStatus::Usage
        }
    }
}

/// The parser's text as an error document: its first paragraph, and the command that tells more.
fn usage_failure(text: &str) -> Failure {
    let first = text.split("\n\n").next().unwrap_or(text).trim();
    let words: Vec<&str> = first.strip_prefix("error: ").unwrap_or(first).split_whitespace().collect();
    Failure::new(ExitStatus::Usage, words.join(" "))
        .state("nothing was changed")
        .hint("kubectl rocketmq --help")
}

fn run_parsed(cli: Cli, printer: Arc<Printer>) -> Result<ExitStatus, Failure> {
    log_to_standard_error(&cli.output.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(ExitStatus::Failed, "cannot start").cause(error.to_string()))?;
    let status = runtime.block_on(async {
        let signals = Signals::listen().map_err(|error| {
            Failure::new(ExitStatus::Failed, "cannot listen to signals").cause(error.to_string())
        })?;
        let mut context = Context { printer, signals, connection: cli.connection };
        match &cli.command {
            Command::Apply(arguments) => apply::run(&mut context, arguments).await,
            Command::Status(arguments) => status::run(&mut context, arguments).await,
            Command::Scale(arguments) => scale::run(&mut context, arguments).await,
            Command::Delete(arguments) => delete::run(&mut context, arguments).await,
            Command::Metadata(arguments) => metadata::run(&mut context, arguments).await,
            Command::Ops(arguments) => operations::run(&mut context, arguments).await,
            Command::Version(arguments) => version::run(&mut context, arguments).await,
        }
    });
    // A thread may still wait for an answer on standard input; nobody waits for that thread.
    runtime.shutdown_background();
    status
}

fn log_to_standard_error(filter: &str) -> Result<(), Failure> {
    if filter == "off" {
        return Ok(());
    }
    let filter: Targets = filter.parse().map_err(|error: ParseError| {
        Failure::new(ExitStatus::Usage, format!("`{filter}` is no log level"))
            .cause(error.to_string())
            .hint("--log-level off, error, warn, info, debug or trace")
    })?;
    let lines = tracing_subscriber::fmt::layer().with_writer(printer::log_writer).with_ansi(false);
    // It is set once; only a second call in one process fails.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines).with(filter));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectls_plugins_are_shown_as_kubectl_shows_them() {
        let check = |argument: &str, expected: Option<&str>| {
            assert_eq!(shown_as(&[OsString::from(argument)]).as_deref(), expected, "{argument}");
        };
        check("/usr/local/bin/kubectl-rocketmq", Some("kubectl rocketmq"));
        check("kubectl-rocketmq.exe", Some("kubectl rocketmq"));
        check("rocketmq", None);
    }

    #[test]
    fn the_definition_of_the_arguments_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn global_flags_are_taken_at_every_level() {
        for line in [
            "kubectl-rocketmq -n mq --context c ops show op-1",
            "kubectl-rocketmq ops -n mq --context c show op-1",
            "kubectl-rocketmq ops show op-1 -n mq --context c",
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let cli = parse(&arguments).unwrap();
            assert_eq!(cli.connection.namespace.as_deref(), Some("mq"), "{line}");
            assert_eq!(cli.connection.context.as_deref(), Some("c"), "{line}");
        }
    }
}
