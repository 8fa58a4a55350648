//! `make attack`: hostile requests, and whether one comes to an origin that a rule forbids.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use e2e::attack::{self, Options, Until};
use e2e::checkout;

const USAGE: &str = "\
usage: attack [--seconds S] [--requests N] [--seed X] [--wasm FILE] [--unmended 1,2,...] [--go-on]
              [--checkout FOLDER]
  --seconds S        attack for this long (60)
  --requests N       send this many requests instead
  --seed X           the seed of all requests; a new one each time unless given
  --wasm FILE        the compiled filter
  --unmended L       without the mends of these findings, for a module with `trap-for-tests`
  --go-on            do not end at the first finding
  --checkout FOLDER  the checkout to work on; else the one that holds the working directory";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut options = Options::new(now.as_secs(), Until::Elapsed(Duration::from_secs(60)));
    options.tells = true;
    let mut requests = None;
    while let Some(argument) = arguments.next() {
        if argument == "--go-on" {
            options.goes_on = true;
            continue;
        }
        let value = arguments.next()?;
        match argument.as_str() {
            "--seconds" => {
                options.until =
                    Until::Elapsed(Duration::try_from_secs_f64(value.parse().ok()?).ok()?)
            }
            "--requests" => requests = Some(value.parse().ok()?),
            "--seed" => options.seed = value.parse().ok()?,
            "--wasm" => options.wasm = std::path::absolute(value).ok()?,
            "--unmended" => {
                options.unmended =
                    value.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?
            }
            _ => return None,
        }
    }
    if let Some(requests) = requests {
        options.until = Until::Requests(requests);
    }
    Some(options)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = checkout::choose_from(&mut arguments) {
        eprintln!("attack: {error}");
        return ExitCode::from(2);
    }
    let Some(options) = options(arguments.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match attack::run(&options).await {
        Ok(report) => {
            println!("{report}");
            if report.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("attack: {error}");
            ExitCode::from(2)
        }
    }
}
