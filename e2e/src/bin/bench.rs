//! `make bench`: what the filter costs.

use std::process::ExitCode;
use std::time::Duration;

use e2e::bench::{self, Options};

const USAGE: &str = "\
usage: bench [--quick] [--rounds N] [--seconds S] [--document]
  --document   writes the figures to e2e/BENCHMARKS.md too
  --quick      few rounds, requests and policies, to see whether it works
  --rounds N   how many rounds, each of which asks every Envoy of a group in turn (25)
  --seconds S  how long each Envoy is asked in a round (0.6)";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse::<f64>().ok().filter(|number| *number > 0.0);
        match argument.as_str() {
            "--quick" => options = Options { document: options.document, ..Options::quick() },
            "--document" => options.document = true,
            "--rounds" => options.rounds = number()?.ceil() as usize,
            "--seconds" => options.round = Duration::from_secs_f64(number()?),
            _ => return None,
        }
    }
    Some(options)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match bench::run(&options).await {
        Ok((report, folder)) => {
            print!("{report}");
            eprintln!("bench: report and charts are in {}", folder.display());
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}
