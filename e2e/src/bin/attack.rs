//! `make attack`: hostile requests, and whether one comes to an origin that a rule forbids.

use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use e2e::attack::{self, AttackError, Options, Until, Way};
use e2e::checkout;

/// The name of the way that is no [`Way`]: requests whose headers, paths and trailers are hostile.
const HEADERS: &str = "headers";

const USAGE: &str = "\
usage: attack [--seconds S] [--requests N] [--seed X] [--way WAY] [--wasm FILE]
              [--unmended 1,2,...] [--go-on] [--checkout FOLDER]
  --seconds S        attack for this long (60)
  --requests N       send this many requests instead
  --seed X           the seed of all requests; a new one each time unless given
  --way WAY          only this way in: headers, bodies, keys or answers
  --wasm FILE        the compiled filter
  --unmended L       without the mends of these findings, for a module with `trap-for-tests`
  --go-on            do not end at the first finding
  --checkout FOLDER  the checkout to work on; else the one that holds the working directory";

/// Of a hundred parts of an attack, how many each of the ways beside headers gets.
const SHARE: u32 = 15;

/// What is attacked with, and only in which way.
fn options(mut arguments: impl Iterator<Item = String>) -> Option<(Options, Option<String>)> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut options = Options::new(now.as_secs(), Until::Elapsed(Duration::from_secs(60)));
    options.tells = true;
    let (mut requests, mut way) = (None, None);
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
            "--way" => way = Some(Some(value).filter(|way| is_way(way))?),
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
    Some((options, way))
}

fn is_way(name: &str) -> bool {
    name == HEADERS || Way::ALL.iter().any(|way| way.name() == name)
}

/// So much of a whole attack, in hundredths.
fn part(until: Until, share: u32) -> Until {
    match until {
        Until::Requests(count) => Until::Requests(count * u64::from(share) / 100),
        Until::Elapsed(duration) => Until::Elapsed(duration * share / 100),
    }
}

/// Makes the attack in all ways, or in one, and tells whether the filter has held.
async fn attack(options: &Options, only: Option<&str>) -> Result<bool, AttackError> {
    let share = |share| if only.is_some() { 100 } else { share };
    let of = |hundredths| Options { until: part(options.until, hundredths), ..options.clone() };
    let mut holds = true;
    if only.is_none_or(|name| name == HEADERS) {
        let report = attack::run(&of(share(100 - 3 * SHARE))).await?;
        println!("{report}");
        holds &= report.faults().is_empty();
    }
    for way in Way::ALL {
        if only.is_none_or(|name| name == way.name()) && (holds || options.goes_on) {
            let report = attack::run_way(way, &of(share(SHARE))).await?;
            println!("{report}");
            holds &= report.faults().is_empty();
        }
    }
    Ok(holds)
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = checkout::choose_from(&mut arguments) {
        eprintln!("attack: {error}");
        return ExitCode::from(2);
    }
    let Some((options, only)) = options(arguments.into_iter()) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match attack(&options, only.as_deref()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("attack: {error}");
            ExitCode::from(2)
        }
    }
}
