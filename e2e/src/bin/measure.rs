//! `make measure`: what filters add to Envoy's processor time per request.

use std::process::ExitCode;

use e2e::measure::{self, Options};

const USAGE: &str = "\
usage: measure [--rounds N] [--seconds S]
  --rounds N   how many rounds, each of which asks every Envoy in turn (25)
  --seconds S  how long each Envoy is asked in a round (1)";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = |text: Option<String>| text.and_then(|text| text.parse::<f64>().ok()).filter(|number| *number > 0.0);
        match (argument.as_str(), number(arguments.next())) {
            ("--rounds", Some(rounds)) => options.rounds = rounds as usize,
            ("--seconds", Some(seconds)) => options.round = std::time::Duration::from_secs_f64(seconds),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match measure::run(&options).await {
        Ok(report) => {
            print!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("measure: {error}");
            ExitCode::FAILURE
        }
    }
}
