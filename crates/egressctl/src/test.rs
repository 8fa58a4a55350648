//! `egressctl test`: runs files of cases on the engine, and reports like a test runner.

mod coverage;
mod json;
mod junit;
mod removals;
mod run;
#[cfg(test)]
mod tests;
mod text;

use std::io::Write as _;

use crate::cases::load::Configurations;
use crate::cases::read;
use crate::diagnostic::{Diagnostic, write_all};
use crate::source::Source;
use crate::terminal::{Format, Terminal};
use crate::{Exit, Failure, watch};
use run::Results;

const EXAMPLES: &str = "\
Examples:
  egressctl test filter-config/tests/workshop.yaml
  egressctl test --require-coverage --junit report.xml tests/*.yaml
  helm template egress | egressctl test --policies - tests/*.yaml";

/// No line is so long that it would be wrapped.
const HELP: &str = "\
A file of cases is YAML; several documents in it are several suites:

  name: egress of team-a          # optional
  policies: ../policies.yaml      # a WasmPlugin, TrafficExtension or
                                  # pluginConfig, relative to this file; of
                                  # a list, later resources replace earlier
                                  # ones of their name; or inline, `config:`
  plugin: egress-filter           # which one, where there are several
  defaults:                       # what a case does not say
    trustDomain: cluster.local    # of callers as namespace/serviceAccount;
                                  # unless said, the one that the policies
                                  # list first, or cluster.local
    caller: team-a/team-a
    request: {host: api.github.com, headers: {User-Agent: curl/8}}
  cases:
  - name: team-a may read zen
    caller: team-a/team-a         # or a SPIFFE ID, none, or a certificate:
                                  # {uris: [...], dns: [...]}
    request:                      # or `request: POST http://host/path`
      method: GET                 # GET unless said
      host: api.github.com
      path: /zen?x=1              # / unless said
      headers: {X-Internal-Debug: secret, X-Twice: [a, b]}
      body: hello
    jwt: {sub: ann, groups: [dev]}         # the claims of the token that
                                  # RequestAuthentication has verified; none
                                  # unless said
    destination: api.github.com   # the service dialled, unless it is the one
                                  # that the host names; or none
    time: 2026-11-30T09:00:00+01:00        # when it comes, for
                                  # request.startTime; noon of 2026-01-01
                                  # in UTC unless said
    sourceAddress: 10.0.0.7       # optional, as are destinationAddress and
                                  # the request's version (HTTP/1.1)
    origin:                       # what the origin answers
      {status: 200, headers: {Server: x}, body: hello}
    expect:                       # what is left out is not compared; in
                                  # short: `expect: allow`
      verdict: allow              # allow | answer | deny
      policy: github-api-rbac     # which decides; null: none
      reason: allow-matched       # the audit record's word
      status: 200                 # what the caller sees; of a list, any
      body: hello
      headers:                    # as the origin gets them; null: absent,
                                  # a list: these lines
        x-caller-identity: team-a/team-a
        x-internal-debug: null
        \":path\": /zen?x=1          # and :authority, :method
      responseHeaders: {server: x}         # as the caller gets them
      shadow: []                  # exactly these shadow policies would deny
      errors: []                  # exactly these policies' expressions fail
      audit: {host: api.github.com}        # fields of the audit record; or
                                           # none: there is no record
      counters: {egress_allowed: 1}        # by how much metrics grow
  - name: others may not          # one case for each caller and each path
    for: {caller: [team-b/team-b, none], path: [/zen, /repos/]}
    expect: {verdict: deny, reason: no-allow-matched}
  - name: an update counts
    request: {path: /zen}
    steps:                        # requests one after another; each says
                                  # what differs from its case
    - {caller: team-a/team-a, expect: allow}
    - update: {config: {policies: []}}     # accepted: false, if it is not
      expect: {policy: null}
    expect: {counters: {egress_allowed: 2}}     # of all steps together

`for` varies time, caller, destination, request, method, host, path. Paths
are as the waypoint passes them to the filter: Istio's have resolved
`/a/../b` before, cases do not. Lines of a header that Envoy keeps on one,
such as User-Agent, are joined with a comma, as Envoy joins them.

`environment: {NAME: value}` of a suite gives the waypoint these variables,
from which credentials come. A suite without it has them all, each with the
value `<redacted>`; a token that is fetched is `<redacted>` in any case.

What needs a proxy is for the filter's own tests, which run the same files:
`layers` of a case (engine, wasm, envoy), `normalizePath`, `workers`, `clock`
and `services` of a suite, `after` and `worker` of a step. Cases that are not
for the engine are counted, and not run.

Editors complete and check files that begin with
`# yaml-language-server: $schema=cases.schema.json`, made with --schema.

A policy is exercised where its rule did in some case what it is for (an
Allow or Deny matched, a Require did not), whoever decided that case, and
its transformations changed a header. A defaultAction is exercised where it
decided a case. Stricter is --removals: a policy is
missed where some case fails without it. --filter leaves both out.

Exit codes: 0 all cases passed; 1 a case failed, policies do not load, or
with --require-coverage one is not exercised; 2 the cases cannot be run,
such as for an unknown field.";

/// Runs cases (caller, request, what is expected) on the engine, and reports like a test runner.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, after_long_help = format!("{HELP}\n\n{EXAMPLES}"))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct Args {
    /// Files of cases; `-` for standard input.
    #[arg(required_unless_present = "schema", value_name = "FILE")]
    files: Vec<String>,
    /// Policies in place of those that the files name; may be given again; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    policies: Vec<String>,
    /// Run only cases that have this in their names; may be given again.
    #[arg(long, value_name = "SUBSTRING")]
    filter: Vec<String>,
    /// Exit with 1 where a policy is not exercised, or with --removals not missed.
    #[arg(long, conflicts_with = "filter")]
    require_coverage: bool,
    /// Run the cases without each policy too, one at a time, and list the policies that no case
    /// would miss.
    #[arg(long, conflicts_with = "filter")]
    removals: bool,
    /// Show failures and the summary only.
    #[arg(long, short)]
    quiet: bool,
    /// Show each decision, and what was seen of each policy.
    #[arg(long, short, conflicts_with = "quiet")]
    verbose: bool,
    /// How to print the report.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
    /// Write the report to this file too, as JUnit XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<String>,
    /// Run the cases again whenever a file of cases or policies changes, until it is ended.
    #[arg(long)]
    watch: bool,
    /// Print the JSON Schema of files of cases, for editors.
    #[arg(long, exclusive = true)]
    schema: bool,
}

/// The form of a file of cases, for editors.
const SCHEMA: &str = include_str!("../../../filter-config/schema/cases.schema.json");

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if args.schema {
        terminal.out.write_all(SCHEMA.as_bytes())?;
        return Ok(Exit::Success);
    }
    if args.watch {
        return watch::repeat(&|| watched(args), terminal, &|terminal| once(args, terminal));
    }
    once(args, terminal)
}

/// The files that the result depends on: those of cases, and those of policies that they name.
fn watched(args: &Args) -> Vec<String> {
    let named = |name: &String| match read::read(name) {
        Ok(Ok(file)) => file.named_policies(),
        _ => Vec::new(),
    };
    let is_stdin = args.files.iter().any(|name| name == "-");
    let named: Vec<String> =
        if is_stdin { Vec::new() } else { args.files.iter().flat_map(named).collect() };
    args.files.iter().chain(&args.policies).cloned().chain(named).collect()
}

fn once(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if args.files.iter().chain(&args.policies).filter(|name| *name == "-").count() > 1 {
        return Err(Failure::Usage(
            "`-` is given twice: standard input can be read once".to_owned(),
        ));
    }
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    for name in &args.files {
        match read::read(name)? {
            Ok(file) => files.push(file),
            Err(found) => wrong.push(found),
        }
    }
    if !wrong.is_empty() {
        let wrong: Vec<_> = wrong
            .iter()
            .flat_map(|(source, found)| found.iter().map(move |found| (source, found)))
            .collect();
        return cannot_run(args, &wrong, terminal);
    }
    let (configurations, misnamed) = Configurations::load(&mut files, &args.policies)?;
    if !misnamed.is_empty() {
        let wrong: Vec<_> = misnamed
            .iter()
            .filter_map(|(file, found)| Some((&files.get(*file)?.source, found)))
            .collect();
        return cannot_run(args, &wrong, terminal);
    }
    let mut results = run::run(&files, &configurations, &args.filter);
    let is_nothing = results.cases.is_empty() && results.not_run.is_empty();
    if is_nothing && results.behind_proxy == 0 {
        return Err(Failure::Usage(format!(
            "no case has `{}` in its name",
            args.filter.join("` or `")
        )));
    }
    if args.removals {
        removals::note(&configurations, &mut results);
    }
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(
                &mut terminal.out,
                &json::report(args, &configurations, &results),
            )
            .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => text::write(args, &configurations, &results, terminal)?,
    }
    if let Some(name) = &args.junit {
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::Usage(format!("cannot write `{name}`: {error}"))
        };
        let report = junit::report(args, &files, &configurations, &results)
            .map_err(|error| cannot(&error))?;
        std::fs::write(name, report).map_err(|error| cannot(&error))?;
    }
    Ok(if is_well(args, &results) { Exit::Success } else { Exit::Findings })
}

/// Whether the exit code reports success.
fn is_well(args: &Args, results: &Results<'_>) -> bool {
    let exercised = || results.coverage.iter().all(coverage::Coverage::is_whole);
    results.failed().next().is_none()
        && results.not_run.is_empty()
        && (!args.require_coverage || exercised())
}

/// Reports errors in files of cases. No case is run then.
fn cannot_run(
    args: &Args,
    wrong: &[(&Source, &Diagnostic)],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match args.output {
        Format::Json => {
            let diagnostics: Vec<&Diagnostic> = wrong.iter().map(|(_, found)| *found).collect();
            let report = serde_json::json!({"ok": false, "diagnostics": diagnostics});
            serde_json::to_writer_pretty(&mut terminal.out, &report)
                .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            write_all(&mut terminal.err, wrong.iter().copied())?;
        }
    }
    let errors =
        if wrong.len() == 1 { "1 error".to_owned() } else { format!("{} errors", wrong.len()) };
    Err(Failure::Usage(format!("{errors} in the files of cases: nothing was run")))
}
