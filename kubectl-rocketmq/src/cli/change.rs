//! What every changing verb does: show the plan, ask, run, report.

use std::time::Duration;

use clap::{Args, ValueEnum};
use ops::clients::RoutePeriod;
use ops::command::{Prepared, RunOptions, WaitFor};

use crate::cli::confirm;
use crate::cli::context::Context;
use crate::cli::duration;
use crate::cli::progress::Watcher;
use crate::failure::{ExitStatus, Failure};
use crate::output::plan_view::{self, Mark};
use crate::output::report_view;

/// Flags of every changing verb.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Change")]
pub struct ChangeArgs {
    /// Only show the plan; server also lets the API server check every object
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        num_args = 0..=1,
        require_equals = true,
        default_value = "none",
        default_missing_value = "client"
    )]
    pub dry_run: DryRun,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Stop after the step that runs at this time, for example 10m; 0 is for ever, each step has a deadline of its own
    #[arg(long, value_name = "DURATION", value_parser = duration::parse, default_value = "0")]
    pub timeout: Duration,
    /// Show what a step waits for one by one: of a drain each group with its unread messages, rate, time left and clients
    #[arg(short, long)]
    pub watch: bool,
}

/// `--dry-run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Do it.
    None,
    /// Show the plan.
    Client,
    /// Show the plan and let the API server check it.
    Server,
}

/// `--wait`, of verbs that change name servers.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Change")]
pub struct WaitArgs {
    /// What to wait for: matrix, every name server has every route; owned, every registration is the broker's own too
    #[arg(long, value_enum, value_name = "WHAT", default_value = "matrix")]
    pub wait: Wait,
}

/// What is known of the clients, of verbs that wait for them.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = "Change")]
pub struct ClientArgs {
    /// How often clients fetch their routes: the longest pollNameServerInterval that an application sets, 1s to 1h. Every
    /// wait for clients follows it
    #[arg(long, value_name = "DURATION", value_parser = route_period, default_value = "30s")]
    pub client_route_period: RoutePeriod,
}

fn route_period(text: &str) -> Result<RoutePeriod, String> {
    RoutePeriod::new(duration::parse(text)?)
        .ok_or_else(|| "clients fetch their routes each 1s to 1h".to_owned())
}

/// A value of `--wait`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// The route matrix is whole.
    Matrix,
    /// And no bridge is left.
    Owned,
}

impl From<Wait> for WaitFor {
    fn from(wait: Wait) -> Self {
        match wait {
            Wait::Matrix => Self::Matrix,
            Wait::Owned => Self::Owned,
        }
    }
}

/// Shows the plan, asks, runs it, reports.
///
/// # Errors
/// `Refused` when the answer is no or nobody can be asked; whatever the operation ends in.
pub async fn carry_out(
    context: &mut Context,
    prepared: Prepared,
    change: &ChangeArgs,
    wait: Wait,
    typed: Option<&str>,
) -> Result<ExitStatus, Failure> {
    let printer = context.printer.clone();
    let plan = prepared.plan();
    plan.warnings.iter().for_each(|warning| printer.warning(warning));
    let mark = match change.dry_run {
        DryRun::None => Mark::None,
        DryRun::Client => Mark::DryRun,
        DryRun::Server => {
            context.reading(prepared.dry_run_on_server()).await?;
            Mark::ServerDryRun
        }
    };
    if mark != Mark::None {
        printer.page(&plan_view::page(plan, mark, printer.data_style()));
        return Ok(ExitStatus::Done);
    }
    if !prepared.is_nothing() {
        printer.note(&plan_view::text(plan, mark, printer.note_style()));
        if let Some(question) = prepared.confirmation() {
            confirm::ask(context, question, change.yes, typed).await?;
        }
    }
    let options =
        RunOptions { wait: wait.into(), timeout: Some(change.timeout).filter(|timeout| !timeout.is_zero()) };
    let watcher = Watcher::new(printer.clone(), change.watch);
    let interrupt = ops::progress::Interrupt::new();
    let report = tokio::select! {
        report = prepared.run(options, &watcher, &interrupt) => report.map_err(Failure::from),
        failure = watcher.signals(context, &interrupt) => Err(failure),
        never = watcher.pulse() => match never {},
    };
    printer.waiting(None);
    let report = report?;
    let fresh = report.warnings.iter().filter(|warning| !plan.warnings.contains(warning));
    fresh.for_each(|warning| printer.warning(warning));
    printer.page(&report_view::page(&report, printer.data_style()));
    Ok(ExitStatus::Done)
}
