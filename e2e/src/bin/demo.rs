//! `make demo`: the egress workshop, step by step, in a local waypoint.

use std::process::ExitCode;

use e2e::demo::{self, Options};

const USAGE: &str = "\
usage: demo [--once] [--real]
  --once  exit after the steps, with status 0 when all went as expected and 1 when not
  --real  call the real api.github.com and httpbingo.org instead of the local stand-ins (or set ORIGIN=real)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options =
        Options { once: false, real: std::env::var("ORIGIN").is_ok_and(|origin| origin == "real") };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => options.once = true,
            "--real" => options.real = true,
            "--help" | "-h" => {
                println!("{USAGE}");
                return ExitCode::SUCCESS;
            }
            unknown => {
                eprintln!("unknown argument `{unknown}`\n{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match demo::run(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}
