//! Entry point of `rocketmq-agent`.

use std::io;
use std::process::ExitCode;

use agent::args::{Cli, Command};
use agent::{healthcheck, run};
use clap::Parser;
use proto::describe::Role;
use rocketmq::text::error_line;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(match &cli.command {
        Command::Run(args) => &args.log,
        Command::Healthcheck(_) => "info",
    });
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    match runtime.block_on(execute(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(error.as_ref()),
    }
}

async fn execute(command: Command) -> Result<(), Box<dyn std::error::Error>> {
    match command {
        Command::Run(args) => Ok(run::run(args.into_config()?).await?),
        Command::Healthcheck(args) => {
            let usual = agent::config::Ports::of(Role::from(args.role)).grpc;
            Ok(healthcheck::check(args.service, args.port.unwrap_or(usual), healthcheck::DEADLINE).await?)
        }
    }
}

/// JSON lines on stderr. A filter that cannot be read is no reason not to run.
fn log(filter: &str) {
    let filter = filter.parse().unwrap_or_else(|_| Targets::new().with_default(LevelFilter::INFO));
    let lines = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    tracing::error!(error = error_line(error), "failed");
    ExitCode::FAILURE
}
