//! `egressctl audit`: who was denied, or would have been, by the records in a waypoint's log; and
//! the smallest rules that would let them through.

mod line;
mod propose;
mod summary;
mod text;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};

use egress_filter::policy::Engine;
use serde::Serialize;

use crate::choice::{self, Unchosen};
use crate::diagnostic::write_all;
use crate::manifest::Manifest;
use crate::terminal::{BAD, Format, GOOD, ODD, Terminal, painted};
use crate::{Exit, Failure, bundle};
use propose::{Base, Manner, Proposal};
use summary::{Group, Key, Summary};

const HELP: &str = "\
Examples:

  Who was denied today, and who would have been by a policy in shadow mode:
  kubectl -n egress-direct logs deploy/egress --prefix --since 24h | egressctl audit

  Rules for them, checked against the policies in force:
  egressctl audit --propose -f policy.yaml audit.log > proposed.yaml

A line is a record of Envoy's log, in Envoy's format, in Istio's or in Istio's as JSON, with what
`kubectl logs --prefix --timestamps` puts before it; or a record alone. Other lines are passed over.
Of one caller, about a megabyte of different hosts and paths is kept; what is beyond it is counted,
and no rule is proposed for it.

A proposal has an Allow for each host, with the callers by their SPIFFE IDs, the methods, and the
paths. Paths are listed one by one up to --paths of them; of more, those with a path above them in
common are put together, and a comment says so. The engine tries the result before it is written: by
itself it lets through what it is for and nothing else that was tried.

A caller that is under somebody else's control while the log is written proposes its own rules: read
them before you apply them.

Exit codes: 0 done; 1 with --propose, for some requests no rule is proposed, or the policies deny
them all the same; 2 it could not be done.";

/// Shows who was denied, or would have been by policies in shadow mode, by caller, host and policy;
/// and proposes the smallest rules that let them through.
#[derive(Debug, clap::Args)]
#[command(after_help = HELP)]
pub(crate) struct Args {
    /// Logs of a waypoint; `-` for standard input, which is also read where no file is named.
    #[arg(value_name = "LOG")]
    logs: Vec<String>,
    /// Write rules that let these requests through.
    #[arg(long)]
    propose: bool,
    /// The policies in force: a pluginConfig, WasmPlugin or TrafficExtension. Those that reported
    /// in shadow mode count as enforced.
    #[arg(short = 'f', long = "file", value_name = "FILE", requires = "propose")]
    policies: Option<String>,
    /// Write the proposed policies in shadow mode.
    #[arg(long, requires = "propose")]
    shadow: bool,
    /// How many paths of one rule are listed one by one.
    #[arg(long, value_name = "COUNT", requires = "propose", default_value_t = 8)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1000))]
    paths: u16,
    /// How to print what was found.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    #[arg(conflicts_with = "propose")]
    output: Format,
}

/// The JSON document of `--output json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    lines: u64,
    records: u64,
    unreadable: u64,
    ungrouped: u64,
    groups: Vec<ReportedGroup<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ReportedGroup<'a> {
    #[serde(flatten)]
    key: &'a Key,
    count: u64,
    first: Option<&'a str>,
    last: Option<&'a str>,
    requests: Vec<ReportedRequest<'a>>,
    /// Requests that are not kept apart.
    others: u64,
}

#[derive(Debug, Serialize)]
struct ReportedRequest<'a> {
    method: &'a str,
    path: &'a str,
    count: u64,
}

impl<'a> Report<'a> {
    fn of(summary: &'a Summary) -> Report<'a> {
        let group = |(key, group): (&'a Key, &'a Group)| ReportedGroup {
            key,
            count: group.count,
            first: group.first.as_deref(),
            last: group.last.as_deref(),
            requests: group
                .requests
                .iter()
                .map(|((method, path), count)| ReportedRequest { method, path, count: *count })
                .collect(),
            others: group.others,
        };
        Report {
            lines: summary.lines,
            records: summary.records,
            unreadable: summary.unreadable,
            ungrouped: summary.ungrouped,
            groups: summary.groups.iter().map(group).collect(),
        }
    }
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let base = match &args.policies {
        None => None,
        Some(name) => match base(name, terminal)? {
            Some(base) => Some(base),
            None => return Ok(Exit::Findings),
        },
    };
    let summary = read(&args.logs)?;
    if args.propose {
        return write_proposal(args, &summary, base.as_ref(), terminal);
    }
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut terminal.out, &Report::of(&summary))
                .map_err(io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => text::write(&mut terminal.out, &summary)?,
    }
    Ok(Exit::Success)
}

/// Reads logs, or standard input where none is named.
fn read(logs: &[String]) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let stdin = ["-".to_owned()];
    for name in if logs.is_empty() { &stdin } else { logs } {
        let read = if name == "-" {
            summary.read(io::stdin().lock())
        } else {
            File::open(name).and_then(|file| summary.read(BufReader::new(file)))
        };
        read.map_err(|error| Failure::Read { name: name.clone(), error })?;
    }
    Ok(summary)
}

/// The policies in force; none where they do not load, which is told.
fn base(name: &str, terminal: &mut Terminal) -> Result<Option<Base>, Failure> {
    let manifests = [bundle::read_whole(name)?];
    let [Manifest { source, .. }] = &manifests;
    let (_, plugin) = choice::choose(&manifests, None).map_err(|unchosen| {
        Failure::Usage(match unchosen {
            Unchosen::Several(_) => format!("`{name}` has several configurations: give one"),
            _ => format!("`{name}` has no pluginConfig, WasmPlugin or TrafficExtension"),
        })
    })?;
    let config = choice::configuration(source, plugin).and_then(|config| {
        let json = config.to_json();
        Engine::load(json.as_bytes())
            .map_err(|errors| choice::load_errors(source, plugin, &errors))?;
        Ok(serde_json::from_str(&json).unwrap_or_default())
    });
    match config {
        Ok(config) => Ok(Some(Base::new(config))),
        Err(errors) => {
            write_all(&mut terminal.err, errors.iter().map(|error| (source, error)))?;
            Ok(None)
        }
    }
}

fn write_proposal(
    args: &Args,
    summary: &Summary,
    base: Option<&Base>,
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    let manner = Manner { most_paths: usize::from(args.paths), is_shadow: args.shadow };
    let taken = base.map(Base::names).unwrap_or_default();
    let proposal = Proposal::of(summary, manner, &taken);
    let refusals = match proposal.is_empty() {
        true => Vec::new(),
        false => proposal.check(manner, base).map_err(Failure::Usage)?,
    };
    text::write_left_out(&mut terminal.err, &proposal.left_out, &refusals, summary.ungrouped)?;
    let is_whole = proposal.left_out.is_empty() && refusals.is_empty() && summary.ungrouped == 0;
    if proposal.is_empty() {
        writeln!(terminal.err, "{}: no rule to propose", painted(ODD, "nothing"))?;
    } else {
        terminal.write_data(&text::heading(&proposal, manner))?;
        terminal.write_data(&proposal.tree(manner).to_yaml())?;
        let style = if refusals.is_empty() { GOOD } else { BAD };
        writeln!(terminal.err, "{}", painted(style, text::covered(&proposal, &refusals)))?;
    }
    Ok(if is_whole { Exit::Success } else { Exit::Findings })
}

/// Proposes policies for the requests that a log says were denied, or would have been, as
/// `egressctl audit --propose` does, and returns them as a file of policies.
///
/// # Errors
/// If the log cannot be read, there is nothing to propose, or some request is left out.
pub fn propose(log: impl BufRead) -> Result<String, String> {
    let mut summary = Summary::default();
    summary.read(log).map_err(|error| error.to_string())?;
    let manner = Manner { most_paths: 8, is_shadow: false };
    let proposal = Proposal::of(&summary, manner, &BTreeSet::new());
    if let Some(left_out) = proposal.left_out.first() {
        return Err(format!("{left_out:?}"));
    }
    if proposal.is_empty() {
        return Err("nothing was denied".to_owned());
    }
    match proposal.check(manner, None)?.first() {
        Some(refusal) => Err(format!("{refusal:?}")),
        None => Ok(proposal.tree(manner).to_yaml()),
    }
}
