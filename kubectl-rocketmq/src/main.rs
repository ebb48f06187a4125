//! The entry point: the only place that ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    ExitCode::from(kubectl_rocketmq::cli::start::run(&arguments).code())
}
