//! The entry point: the only place that ends the process.

use std::process::ExitCode;

fn main() -> ExitCode {
    end_at_any_panic();
    let arguments: Vec<_> = std::env::args_os().collect();
    ExitCode::from(kubectl_rocketmq::cli::start::run(&arguments).code())
}

/// Ends the process when any of its tasks panics, as the release profile does (`panic = "abort"`). A build that unwinds would
/// go on without that task, and tests would see what no user has.
#[expect(clippy::disallowed_methods, reason = "this is `main`, and a panic has no exit code")]
fn end_at_any_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        report(panic);
        std::process::abort();
    }));
}
