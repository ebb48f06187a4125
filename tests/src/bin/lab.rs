//! Entry point of `cargo lab`.

fn main() -> std::process::ExitCode {
    lab::cli::run()
}
