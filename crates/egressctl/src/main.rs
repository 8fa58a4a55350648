//! The command line of `egressctl`.

use std::process::ExitCode;

fn main() -> ExitCode {
    egressctl::main()
}
