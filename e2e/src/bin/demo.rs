//! `make demo`: the egress workshop, step by step, in a local waypoint.

use std::ffi::OsString;
use std::process::ExitCode;

use e2e::checkout;
use e2e::demo::{self, Options};

const USAGE: &str = "\
usage: demo [--once] [--real] [--checkout FOLDER]
  --once             exit after the steps, with status 0 when all went as expected and 1 when not
  --real             call the real api.github.com and httpbingo.org instead of the local stand-ins;
                     so does ORIGIN=real (ORIGIN=stand-in is the default)
  --checkout FOLDER  the checkout to work on; else the one that holds the working directory";

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

/// Reads the arguments and the environment. `None` means that the help was asked for.
fn options(arguments: &[String]) -> Result<Option<Options>, String> {
    let mut options = Options { once: false, real: real_origins(std::env::var_os("ORIGIN"))? };
    for argument in arguments {
        match argument.as_str() {
            "--once" => options.once = true,
            "--real" => options.real = true,
            "--help" | "-h" => return Ok(None),
            unknown => return Err(format!("unknown argument `{unknown}`\n{USAGE}")),
        }
    }
    Ok(Some(options))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = checkout::choose_from(&mut arguments).map_err(|error| error.to_string());
    let options = match (options(&arguments), chosen) {
        (Ok(Some(options)), Ok(_)) => options,
        (Ok(None), _) => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        (Err(error), _) | (_, Err(error)) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    match demo::run(options).await {
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
    use super::real_origins;

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
}
