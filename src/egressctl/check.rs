//! `egressctl check`: validates configurations, alone or in their resources.

use std::io::Write as _;

use egress_filter::policy::Engine;
use serde::Serialize;

use crate::diagnostic::{Diagnostic, Severity, render};
use crate::manifest::{Manifest, Plugin};
use crate::source::Source;
use crate::terminal::{BAD, Format, GOOD, ODD, Terminal, painted};
use crate::{Exit, Failure};

/// Validates pluginConfig, WasmPlugin and TrafficExtension: all errors and warnings, with file, line and column.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// YAML or JSON, several documents in a file if need be; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// How to print what is found.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
    /// Exit with 1 for warnings too.
    #[arg(long)]
    deny_warnings: bool,
}

/// What there is in a file.
#[derive(Debug)]
struct Checked {
    source: Source,
    plugins: usize,
    policies: usize,
    found: Vec<Diagnostic>,
}

/// The JSON document of `--output json`.
#[derive(Debug, Serialize)]
struct Report<'a> {
    plugins: usize,
    policies: usize,
    errors: usize,
    warnings: usize,
    diagnostics: Vec<&'a Diagnostic>,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut files = Vec::with_capacity(args.files.len());
    for name in &args.files {
        files.push(check(name)?);
    }
    let diagnostics: Vec<&Diagnostic> = files.iter().flat_map(|file| &file.found).collect();
    let count = |severity| diagnostics.iter().filter(|found| found.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let (plugins, policies) = files.iter().fold((0_usize, 0_usize), |(plugins, policies), file| {
        (plugins.saturating_add(file.plugins), policies.saturating_add(file.policies))
    });
    match args.output {
        Format::Json => {
            let report = Report { plugins, policies, errors, warnings, diagnostics };
            serde_json::to_writer_pretty(&mut terminal.out, &report).map_err(std::io::Error::from)?;
            writeln!(terminal.out)?;
        }
        Format::Text => {
            for file in &files {
                for found in &file.found {
                    writeln!(terminal.out, "{}\n", render(&file.source, found))?;
                }
            }
            let of = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
            let (style, verdict) = match (errors, warnings) {
                (0, 0) => (GOOD, "ok".to_owned()),
                (0, warnings) => (ODD, of(warnings, "warning")),
                (errors, 0) => (BAD, of(errors, "error")),
                (errors, warnings) => (BAD, format!("{}, {}", of(errors, "error"), of(warnings, "warning"))),
            };
            let (plugins, policies) = (of(plugins, "configuration"), of(policies, "policy").replace("policys", "policies"));
            writeln!(terminal.out, "{}: {plugins}, {policies}", painted(style, verdict))?;
        }
    }
    Ok(if errors > 0 || (args.deny_warnings && warnings > 0) { Exit::Findings } else { Exit::Success })
}

fn check(name: &str) -> Result<Checked, Failure> {
    let manifest = match Manifest::read(name)? {
        Ok(manifest) => manifest,
        Err((source, error)) => return Ok(Checked { source, plugins: 0, policies: 0, found: vec![error] }),
    };
    let plugins = manifest.plugins();
    let (mut found, mut policies) = (Vec::new(), 0_usize);
    if plugins.is_empty() {
        let message = "nothing to check: no pluginConfig, WasmPlugin or TrafficExtension in this file".to_owned();
        found.push(Diagnostic::error(&manifest.source, 0..0, message));
    }
    for plugin in &plugins {
        policies = policies.saturating_add(check_configuration(&manifest.source, *plugin, &mut found));
    }
    let plugins = plugins.len();
    found.sort_by_key(|found| found.span.start);
    Ok(Checked { source: manifest.source, plugins, policies, found })
}

/// Loads a configuration as the waypoint would; the answer is how many policies it has.
fn check_configuration(source: &Source, plugin: Plugin<'_>, found: &mut Vec<Diagnostic>) -> usize {
    let Some(config) = plugin.config else {
        let message = format!("`{}` is missing: without a configuration the filter refuses every request", plugin.prefix());
        found.push(Diagnostic::error(source, plugin.resource.span.clone(), message));
        return 0;
    };
    match Engine::load(config.to_json().as_bytes()) {
        Ok(engine) => {
            found.extend(engine.warnings().iter().map(|warning| Diagnostic::of_warning(source, plugin, warning)));
            engine.policy_count()
        }
        Err(errors) => {
            found.extend(errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)));
            config.get("policies").and_then(crate::yaml::Node::items).map_or(0, <[_]>::len)
        }
    }
}
