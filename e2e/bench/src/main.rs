//! `make bench`: what the filter costs.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use bench::{self, BenchError, Options};
use bench::{cost, profile};
use e2e::checkout::{self, filter_wasm};
use proxy_wasm_host::Module;

const USAGE: &str = "\
usage: bench [--quick] [--rounds N] [--seconds S] [--document] [--before FILE]
             [--checkout FOLDER]
       bench --features [--quick] [--rounds N] [--seconds S] [--document] [--checkout FOLDER]
       bench --starts [--rounds N] [--before FILE] [--checkout FOLDER]
       bench --worst [--checkout FOLDER]
       bench --profile MODULE [--checkout FOLDER]
  --document         write the figures to docs/benchmarks.md too
  --worst            show the most expensive known rules and requests, in the emulated host and in
                     a real Envoy
  --profile MODULE   how many instructions each function of the module takes of the workshop's
                     requests; the module has kept its names
  --starts           only how long Envoys take to start, in N rounds, and what they hold resident
  --features         only what each feature costs; with --document its part of the page
  --before FILE      an older module, whose starts and memory are measured in the same run
  --quick            few rounds, requests and policies, to see whether it works
  --rounds N         how many rounds, each of which asks every Envoy of a group in turn (30)
  --seconds S        how long each Envoy is asked in a round (0.25)
  --checkout FOLDER  the checkout to work on; else the one that holds the working directory";

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next()?.parse::<f64>().ok().filter(|number| *number > 0.0);
        match argument.as_str() {
            "--quick" => {
                options = Options {
                    document: options.document,
                    before: options.before,
                    ..Options::quick()
                }
            }
            "--document" => options.document = true,
            "--before" => options.before = Some(arguments.next()?.into()),
            "--rounds" => options.rounds = number()?.ceil() as usize,
            "--seconds" => options.round = Duration::from_secs_f64(number()?),
            _ => return None,
        }
    }
    Some(options)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Err(error) = checkout::choose_from(&mut arguments) {
        eprintln!("bench: {error}");
        return ExitCode::from(2);
    }
    if arguments.first().is_some_and(|argument| argument == "--worst") {
        return match tokio::task::spawn_blocking(worst).await {
            Ok(Ok(())) => ExitCode::SUCCESS,
            outcome => {
                eprintln!("bench: {outcome:?}");
                ExitCode::FAILURE
            }
        };
    }
    if let [option, module] = &arguments[..]
        && option == "--profile"
    {
        return match profile(module.as_ref()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let only_starts = arguments.first().is_some_and(|argument| argument == "--starts");
    let only_features = arguments.first().is_some_and(|argument| argument == "--features");
    let arguments = arguments.into_iter().skip(usize::from(only_features || only_starts));
    let Some(options) = options(arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if only_starts || only_features {
        let section = match only_starts {
            true => bench::run_starts(&options).await,
            false => bench::run_features(&options).await,
        };
        return match section {
            Ok(section) => {
                print!("{section}");
                ExitCode::SUCCESS
            }
            Err(error) => {
                eprintln!("bench: {error}");
                ExitCode::FAILURE
            }
        };
    }
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

/// Prints the cost of the most expensive known pairs of rule and request.
fn worst() -> Result<(), String> {
    let module = Module::load(filter_wasm()).map_err(|error| error.to_string())?;
    let pairs = cost::worst_pairs();
    let mut costs: Vec<cost::Cost> =
        pairs.iter().filter_map(|pair| cost::try_pair(&module, pair)).collect();
    costs.sort_by_key(|cost| std::cmp::Reverse(cost.instructions));
    println!("In the emulated host, instructions and time:");
    for cost in costs.iter().take(SHOWN) {
        println!("{:>12} {:>8.1?}  {}", cost.instructions, cost.took, cost.name);
    }
    println!("Found by a search with the instructions as its feedback:");
    for cost in cost::search::search(&module, 1, SEARCHED).iter().take(5) {
        println!("{:>12} {:>8.1?}  {}", cost.instructions, cost.took, cost.name);
    }
    println!(
        "In a real Envoy, time beside the same request of which no rule is asked, and its status:"
    );
    for took in cost::envoy::times(&pairs)?.iter().take(SHOWN) {
        println!("{:>8.1?} {}  {}", took.time, took.status, took.name);
    }
    Ok(())
}

/// Prints what the functions of a module take.
fn profile(module: &Path) -> Result<(), BenchError> {
    for (subject, asked) in profile::PROFILED {
        let taken = profile::of_the_workshop(module, subject, asked)?;
        let all: u64 = taken.iter().map(|(_, count)| count).sum();
        let functions = taken.len();
        println!("{asked:?}, {subject:?}: {all} instructions in {functions} functions");
        for (name, count) in taken {
            println!("{count:>7}  {:>5.1} %  {name}", count as f64 * 100.0 / all as f64);
        }
    }
    Ok(())
}

/// How many pairs the search tries.
const SEARCHED: usize = 2_000;
/// How many of them are shown.
const SHOWN: usize = 20;
