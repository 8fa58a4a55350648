//! `make demo`: the egress workshop, step by step, in a local waypoint; or a policy of one's own.

use std::ffi::OsString;
use std::process::ExitCode;

use e2e::checkout;
use e2e::demo::{self, Options, playground};

const USAGE: &str = "\
usage: demo [--once] [--real] [--checkout FOLDER]
       demo --policy FILE [--port PORT] [--real] [--checkout FOLDER]
  --once             exit after the steps, with status 0 when all went as expected and 1 when not
  --real             call the real api.github.com and httpbingo.org instead of the local stand-ins;
                     so does ORIGIN=real (ORIGIN=stand-in is the default)
  --policy FILE      play this policy instead of the steps: a file or folder, as `egressctl check`
                     takes it, which is taken up each time it is saved
  --port PORT        where calls under that policy are taken, 8085 if not said; 0: a free port
  --checkout FOLDER  the checkout to work on; else the one that holds the working directory";

/// What is played.
#[derive(Debug, PartialEq, Eq)]
enum Play {
    Workshop(Options),
    Policy(playground::Options),
}

/// Whether the environment asks for the real origins.
fn real_origins(origin: Option<OsString>) -> Result<bool, String> {
    match origin.as_ref().map(|origin| origin.to_string_lossy()).as_deref() {
        None | Some("" | "stand-in") => Ok(false),
        Some("real") => Ok(true),
        Some(other) => Err(format!(
            "`ORIGIN` is `{other}`; it can be `stand-in` (the default: local stand-ins) or `real` \
             (the real api.github.com and httpbingo.org)"
        )),
    }
}

/// Reads the arguments. `None` means that the help was asked for.
fn read(arguments: &[String], origin: Option<OsString>) -> Result<Option<Play>, String> {
    let (mut once, mut real) = (false, real_origins(origin)?);
    let (mut policy, mut port) = (None, None);
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next().filter(|value| !value.is_empty());
            value.cloned().ok_or_else(|| format!("`{argument}` needs a value\n{USAGE}"))
        };
        match argument.as_str() {
            "--once" => once = true,
            "--real" => real = true,
            "--policy" => policy = Some(value()?),
            "--port" => {
                let value = value()?;
                let number = value.parse::<u16>();
                port = Some(number.map_err(|_| format!("`{value}` is no port: 0 to 65535"))?);
            }
            "--help" | "-h" => return Ok(None),
            unknown => return Err(format!("unknown argument `{unknown}`\n{USAGE}")),
        }
    }
    match (policy, port) {
        (Some(_), _) if once => Err("`--once` is for the steps, not for a policy".to_owned()),
        (Some(policy), _) if policy == "-" => {
            Err("the policy must be a file, so that it can be watched".to_owned())
        }
        (Some(policy), port) => {
            let port = port.unwrap_or(playground::PORT);
            Ok(Some(Play::Policy(playground::Options { policy, real, port })))
        }
        (None, Some(_)) => Err("`--port` is for a policy: name one with `--policy`".to_owned()),
        (None, None) => Ok(Some(Play::Workshop(Options { once, real }))),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = checkout::choose_from(&mut arguments).map_err(|error| error.to_string());
    let play = match (read(&arguments, std::env::var_os("ORIGIN")), chosen) {
        (Ok(Some(play)), Ok(_)) => play,
        (Ok(None), _) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    let passed = match play {
        Play::Workshop(options) => demo::run(options).await,
        Play::Policy(options) => playground::run(&options).await.map(|()| true),
    };
    match passed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_that_is_none_of_the_choices_is_an_error_that_names_them() {
        for (origin, expected) in
            [(None, false), (Some(""), false), (Some("stand-in"), false), (Some("real"), true)]
        {
            assert_eq!(real_origins(origin.map(Into::into)), Ok(expected), "{origin:?}");
        }
        for origin in ["foo", "Real", "real "] {
            let error = real_origins(Some(origin.into())).expect_err(origin);
            assert!(error.contains(&format!("`{origin}`")), "{error}");
            assert!(error.contains("`stand-in`") && error.contains("`real`"), "{error}");
        }
    }

    #[test]
    fn a_policy_and_the_steps_are_played_apart() {
        let read = |arguments: &[&str]| {
            let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
            read(&arguments, None)
        };
        let workshop = |once| Ok(Some(Play::Workshop(Options { once, real: false })));
        assert_eq!((read(&[]), read(&["--once"])), (workshop(false), workshop(true)));
        for (arguments, port) in
            [(&["--policy", "a.yaml"][..], 8085), (&["--policy", "a.yaml", "--port", "0"], 0)]
        {
            let policy = "a.yaml".to_owned();
            let expected = playground::Options { policy, real: false, port };
            assert_eq!(read(arguments), Ok(Some(Play::Policy(expected))), "{arguments:?}");
        }
        for (arguments, reason) in [
            (&["--policy"][..], "needs a value"),
            (&["--policy", ""], "needs a value"),
            (&["--policy", "-"], "must be a file"),
            (&["--policy", "a.yaml", "--once"], "`--once`"),
            (&["--policy", "a.yaml", "--port", "65536"], "is no port"),
            (&["--port", "1"], "name one with `--policy`"),
            (&["--twice"], "unknown argument"),
        ] {
            let error = read(arguments).expect_err(reason);
            assert!(error.contains(reason), "{arguments:?}: {error}");
        }
    }
}
