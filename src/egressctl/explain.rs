//! `egressctl explain`: one request, and why it is decided as it is.

mod request;
mod text;

use std::io::Write as _;

use clap::ValueEnum;
use egress_filter::explain::{Explainer, Explanation};
use serde::Serialize;

use crate::diagnostic::{Diagnostic, render};
use crate::manifest::{Manifest, Plugin};
use crate::source::Source;
use crate::terminal::{BAD, Format, GOOD, Terminal, painted};
use crate::yaml::Value;
use crate::{Exit, Failure};

/// Explains the decision about one request: each policy in scope with the value of each part of its expressions, the verdict,
/// and the headers before and after.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The policies: YAML or JSON, pluginConfig alone, WasmPlugin or TrafficExtension; `-` for standard input.
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

The path goes as it is written, as with curl's --path-as-is. Sent are the
headers that are given, and the x-request-id that Envoy adds.

Exit codes: 0 it is explained, whatever the verdict; 1 the policies do not
load, or the verdict is not the expected one; 2 it could not be done.";

/// `--expect`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    /// The request goes on.
    Allow,
    /// It is denied.
    Deny,
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
        match Manifest::read(name)? {
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
    let mut explanation = explainer.explain(&request.trial());
    if !request.asks_for_response() {
        explanation.response_headers = None;
        explanation.policies.iter_mut().for_each(|policy| policy.response.clear());
    }
    let found = if explanation.verdict.allowed { Expected::Allow } else { Expected::Deny };
    let as_expected = args.expect.is_none_or(|expected| expected == found);
    match args.output {
        Format::Json => {
            let report = Report { plugin: plugin.title(), request: &request, explanation: &explanation, expected: args.expect };
            serde_json::to_writer_pretty(&mut terminal.out, &report).map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            text::write(&mut terminal.out, &request, explainer.config(), &explanation)?;
            match args.expect {
                Some(_) if as_expected => writeln!(terminal.out, "\n{}", painted(GOOD, "as expected"))?,
                Some(Expected::Allow) => writeln!(terminal.out, "\n{}", painted(BAD, "expected it to be allowed"))?,
                Some(Expected::Deny) => writeln!(terminal.out, "\n{}", painted(BAD, "expected it to be denied"))?,
                None => {}
            }
        }
    }
    Ok(if as_expected { Exit::Success } else { Exit::Findings })
}

fn load(source: &Source, plugin: Plugin<'_>) -> Result<Explainer, Vec<Diagnostic>> {
    let Some(config) = plugin.config.filter(|config| !matches!(config.value, Value::Null)) else {
        let message = format!("`{}` is missing: without a configuration the filter refuses every request", plugin.prefix());
        return Err(vec![Diagnostic::error(source, plugin.resource.span.clone(), message)]);
    };
    let loaded = Explainer::load(config.to_json().as_bytes());
    loaded.map_err(|errors| {
        let mut found: Vec<Diagnostic> = errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)).collect();
        found.sort_by_key(|found| found.span.start);
        found
    })
}

/// The one plugin that is asked for.
fn choose<'m>(manifests: &'m [Manifest], args: &Args) -> Result<(&'m Source, Plugin<'m>), Failure> {
    let all: Vec<(&Source, Plugin<'_>)> =
        manifests.iter().flat_map(|manifest| manifest.plugins().into_iter().map(|plugin| (&manifest.source, plugin))).collect();
    let list = |plugins: &[(&Source, Plugin<'_>)]| {
        let line = |(source, plugin): &(&Source, Plugin<'_>)| {
            let (line, _) = source.line_and_column(plugin.resource.span.start);
            format!("\n  {}:{line}: {}", source.name, plugin.title())
        };
        plugins.iter().map(line).collect::<String>()
    };
    let fitting: Vec<(&Source, Plugin<'_>)> = match &args.plugin {
        None => all.clone(),
        Some(name) => all.iter().filter(|(_, plugin)| is_named(*plugin, name)).copied().collect(),
    };
    match (fitting.as_slice(), &args.plugin) {
        ([only], _) => Ok(*only),
        _ if all.is_empty() => {
            let message = "nothing to explain: no pluginConfig, WasmPlugin or TrafficExtension in the files".to_owned();
            Err(Failure::Usage(message))
        }
        ([], Some(name)) => Err(Failure::Usage(format!("there is no plugin `{name}` among these:{}", list(&all)))),
        (several, None) => Err(Failure::Usage(format!("several plugins: say which with `--plugin NAME`{}", list(several)))),
        (several, Some(name)) => Err(Failure::Usage(format!("several plugins are `{name}`: give one of the files{}", list(several)))),
    }
}

/// Whether this is a plugin's name, its namespace and name, or those with its kind.
fn is_named(plugin: Plugin<'_>, name: &str) -> bool {
    let title = plugin.title();
    let path = title.split_once(' ').map_or("", |(_, path)| path);
    name == title || name == path || path.rsplit('/').next() == Some(name)
}

fn tell_errors(args: &Args, source: &Source, errors: &[Diagnostic], terminal: &mut Terminal) -> Result<Exit, Failure> {
    match args.output {
        Format::Json => {
            serde_json::to_writer_pretty(&mut terminal.out, &Errors { diagnostics: errors }).map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            for error in errors {
                writeln!(terminal.out, "{}\n", render(source, error))?;
            }
        }
    }
    Ok(Exit::Findings)
}
