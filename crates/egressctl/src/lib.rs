//! `egressctl`: checks, tests, explains and converts egress policies with the engine that runs in
//! the waypoint.
//!
//! Each subcommand is a module with its `Args` and a `run`. Exit codes: 0 when all is well, 1 when
//! something was found (an error in a policy, a failed case), 2 when the command itself could not
//! be done (usage, an unreadable file).

mod allow;
pub mod audit;
mod bundle;
pub mod cases;
mod check;
mod choice;
mod convert;
mod diagnostic;
mod emit;
mod explain;
pub mod hop_by_hop;
mod manifest;
mod new;
pub mod normalization;
pub mod policy;
mod request;
mod resource;
mod schema;
mod sizes;
mod source;
mod terminal;
mod test;
mod watch;
mod yaml;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use terminal::{Color, Terminal};

/// Checks, tests and explains egress policies before they ship, with the engine that runs in the
/// waypoint.
#[derive(Debug, Parser)]
#[command(name = "egressctl", version = env!("EGRESSCTL_VERSION"), disable_help_subcommand = true)]
struct Cli {
    /// When to use colours.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Audit(audit::Args),
    Bundle(bundle::Args),
    Check(check::Args),
    Convert(convert::Args),
    New(new::Args),
    Test(test::Args),
    Explain(Box<explain::Args>),
    Schema(schema::Args),
    /// Prints a completion script for a shell.
    #[command(after_help = "\
Examples:

  source <(egressctl completion bash)   # in ~/.bashrc
  egressctl completion zsh > \"${fpath[1]}/_egressctl\"   # once
  egressctl completion fish > ~/.config/fish/completions/egressctl.fish   # once")]
    Completion {
        /// The shell it is for.
        shell: clap_complete::Shell,
    },
}

/// The result of a command that ran.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All is well.
    Success,
    /// Something is wrong with what was looked at.
    Findings,
}

/// Why a command could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A file cannot be read.
    #[error("cannot read `{name}`: {error}")]
    Read {
        /// The file's name, as it was given.
        name: String,
        /// What the operating system said.
        error: std::io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write: {0}")]
    Write(#[from] std::io::Error),
    /// Any other error of the user's.
    #[error("{0}")]
    Usage(String),
}

/// Does what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut terminal = Terminal::new(cli.color);
    let outcome = match &cli.command {
        Command::Audit(args) => audit::run(args, &mut terminal),
        Command::Bundle(args) => bundle::run(args, &mut terminal),
        Command::Check(args) => check::run(args, &mut terminal),
        Command::Convert(args) => convert::run(args, &mut terminal),
        Command::New(args) => new::run(args, &mut terminal),
        Command::Test(args) => test::run(args, &mut terminal),
        Command::Explain(args) => explain::run(args, &mut terminal),
        Command::Schema(args) => schema::run(args, &mut terminal),
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "egressctl", &mut terminal.out);
            Ok(Exit::Success)
        }
    };
    match outcome {
        Ok(Exit::Success) => ExitCode::SUCCESS,
        Ok(Exit::Findings) => ExitCode::from(1),
        Err(failure) => {
            terminal.fail(&failure);
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
