//! `egressctl explain`: one request, and why it is decided as it is.

mod request;
mod text;

use std::io::Write as _;

use clap::ValueEnum;
use egress_filter::decision::Verdict;
use egress_filter::explain::{Explainer, Explanation};
use serde::Serialize;

use crate::choice::{self, Chosen, Unchosen};
use crate::diagnostic::{Diagnostic, write_all};
use crate::manifest::{Manifest, Plugin};
use crate::source::Source;
use crate::terminal::{BAD, Format, GOOD, Terminal, painted};
use crate::{Exit, Failure, bundle};

/// Explains the decision about one request: each policy in scope with the value of each part of its
/// expressions, the verdict, and the headers before and after.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policies: YAML or JSON, pluginConfig alone, WasmPlugin or TrafficExtension; `-` for
    /// standard input. Of several files, a later resource replaces an earlier one of its kind and
    /// name, as `kubectl apply` would.
    #[arg(short, long = "file", required = true, value_name = "FILE")]
    files: Vec<String>,
    /// Which plugin of the files, by its name: where there are several.
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    #[command(flatten)]
    request: request::Flags,
    /// Exit with 1 where the verdict is another.
    #[arg(long, value_enum, value_name = "VERDICT")]
    expect: Option<Expected>,
    /// How to print it.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
}

const EXAMPLES: &str = "\
Examples:

  What team-b's pod gets, and why:
  egressctl explain -f policy.yaml --as team-b/team-b http://api.github.com/zen

  A check for CI, of a header too:
  egressctl explain -f policy.yaml --expect allow --as team-a/team-a \\
    -H 'X-Internal-Debug: secret' http://httpbingo.org/headers

  A Host that is not the service which was dialled:
  egressctl explain -f policy.yaml -H 'Host: evil.example' http://api.github.com/

The path is normalised as Istio's waypoints do by default, before the filter
sees it: `/a/../b` is `/b`. For a mesh that does otherwise, say so with
`--path-normalization`. Sent are the headers that are given, and the x-request-id
that Envoy adds; of a header that Envoy keeps on one line, such as User-Agent,
several lines are joined with a comma.

Exit codes: 0 it is explained, whatever the verdict; 1 the policies do not
load, or the verdict is not the expected one; 2 it could not be done.";

/// `--expect`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    /// The request goes on.
    Allow,
    /// A policy answers it in the origin's place.
    Answer,
    /// It is denied.
    Deny,
}

impl From<Verdict> for Expected {
    fn from(verdict: Verdict) -> Expected {
        match verdict {
            Verdict::Allow => Expected::Allow,
            Verdict::Answer => Expected::Answer,
            Verdict::Deny => Expected::Deny,
        }
    }
}

/// The JSON document of `--output json`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    plugin: String,
    request: &'a request::Request,
    #[serde(flatten)]
    explanation: &'a Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<Expected>,
}

/// The JSON document where the policies do not load.
#[derive(Debug, Serialize)]
struct Errors<'a> {
    diagnostics: &'a [Diagnostic],
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut manifests = Vec::with_capacity(args.files.len());
    for name in &args.files {
        match bundle::read(name)? {
            Ok(manifest) => manifests.push(manifest),
            Err((source, error)) => return tell_errors(args, &source, &[error], terminal),
        }
    }
    let (source, plugin) = choose(&manifests, args)?;
    let explainer = match load(source, plugin) {
        Ok(explainer) => explainer,
        Err(errors) => return tell_errors(args, source, &errors, terminal),
    };
    let request = args.request.read(explainer.config())?;
    let mut explanation = explainer.explain(&request.trial(&explainer.config().identity));
    if !request.asks_for_response() {
        explanation.response_headers = None;
        explanation.policies.iter_mut().for_each(|policy| policy.response.clear());
    }
    let found = Expected::from(explanation.verdict.is);
    let as_expected = args.expect.is_none_or(|expected| expected == found);
    match args.output {
        Format::Json => {
            let report = Report {
                plugin: plugin.title(),
                request: &request,
                explanation: &explanation,
                expected: args.expect,
            };
            serde_json::to_writer_pretty(&mut terminal.out, &report)
                .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            text::write(&mut terminal.out, &request, explainer.config(), &explanation)?;
            match args.expect {
                Some(_) if as_expected => {
                    writeln!(terminal.out, "\n{}", painted(GOOD, "as expected"))?
                }
                Some(Expected::Allow) => {
                    writeln!(terminal.out, "\n{}", painted(BAD, "expected it to be allowed"))?
                }
                Some(Expected::Answer) => {
                    writeln!(terminal.out, "\n{}", painted(BAD, "expected it to be answered"))?
                }
                Some(Expected::Deny) => {
                    writeln!(terminal.out, "\n{}", painted(BAD, "expected it to be denied"))?
                }
                None => {}
            }
        }
    }
    Ok(if as_expected { Exit::Success } else { Exit::Findings })
}

fn load(source: &Source, plugin: Plugin<'_>) -> Result<Explainer, Vec<Diagnostic>> {
    let config = choice::configuration(source, plugin)?;
    Explainer::load(config.to_json().as_bytes())
        .map_err(|errors| choice::load_errors(source, plugin, &errors))
}

/// The one plugin that is asked for.
fn choose<'m>(manifests: &'m [Manifest], args: &Args) -> Result<(&'m Source, Plugin<'m>), Failure> {
    let source_of = |index: usize| manifests.get(index).map(|manifest| &manifest.source);
    let list = |plugins: &[Chosen<'_>]| {
        let line = |(index, plugin): &Chosen<'_>| {
            let source = source_of(*index)?;
            let (line, _) = source.line_and_column(plugin.resource.span.start);
            Some(format!("\n  {}:{line}: {}", source.name, plugin.title()))
        };
        plugins.iter().filter_map(line).collect::<String>()
    };
    let wanted = args.plugin.as_deref();
    let message = match choice::choose(manifests, wanted) {
        Ok((index, plugin)) => match source_of(index) {
            Some(source) => return Ok((source, plugin)),
            None => String::new(),
        },
        Err(Unchosen::Nothing) => {
            "nothing to explain: no pluginConfig, WasmPlugin or TrafficExtension in the files"
                .to_owned()
        }
        Err(Unchosen::NoSuch(all)) => format!(
            "there is no plugin `{}` among these:{}",
            wanted.unwrap_or_default(),
            list(&all)
        ),
        Err(Unchosen::Several(several)) => match wanted {
            None => format!("several plugins: say which with `--plugin NAME`{}", list(&several)),
            Some(name) => {
                format!("several plugins are `{name}`: give one of the files{}", list(&several))
            }
        },
    };
    Err(Failure::Usage(message))
}

fn tell_errors(
    args: &Args,
    source: &Source,
    errors: &[Diagnostic],
    terminal: &mut Terminal,
) -> Result<Exit, Failure> {
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut terminal.out, &Errors { diagnostics: errors })
                .map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            write_all(&mut terminal.out, errors.iter().map(|error| (source, error)))?;
        }
    }
    Ok(Exit::Findings)
}
