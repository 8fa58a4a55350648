//! `egressctl check`: validates configurations, alone or in their resources.

mod attachment;
mod files;
mod report;

use egress_filter::config::shape::CONFIGURATION;
use egress_filter::policy::Engine;
use egress_filter::suggest::nearest;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::terminal::Terminal;
use crate::yaml::{Node, Value};
use crate::{Exit, Failure};
use attachment::Attached;
use files::Input;
use report::Format;

/// Validates pluginConfig, WasmPlugin and TrafficExtension: all errors and warnings, with file, line and column.
///
/// The policies are loaded by the engine that runs in the waypoint, from YAML read as kubectl reads it. Of a resource it is also
/// checked whether a waypoint would attach it, and what comes of requests where the filter fails. An error is what would not load,
/// or not be enforced as it is written; a warning is what is legal and can hardly be meant; a note is worth knowing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:

  egressctl check policy.yaml
  egressctl check --deny-warnings filter-config/
  kubectl -n egress-direct get wasmplugin egress-filter -o yaml | egressctl check -
  helm template chart/ | egressctl check --output github -

A resource of another filter (a pluginConfig without policies, and an image that is not called egress-...) is left out with a note.

Exit code: 0 if no error was found, 1 if one was (with --deny-warnings, also for a warning), 2 if a file cannot be read.")]
pub(crate) struct Args {
    /// YAML or JSON, several documents in a file if need be; a folder, for all such files below it that have a configuration in
    /// them; `-` for standard input.
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

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut checked = Vec::new();
    let mut attached = Attached::default();
    for name in &args.files {
        let before = checked.len();
        for input in files::below(name)? {
            checked.push(check(&input, &mut attached)?);
        }
        // Of a file this is told in its place.
        let files = checked.get(before..).unwrap_or_default();
        if std::path::Path::new(name).is_dir() && files.iter().all(|file: &Checked| file.plugins == 0 && file.found.is_empty()) {
            return Err(Failure::Usage(format!("nothing to check in `{name}`: {NOTHING} in its files")));
        }
    }
    report::print(&checked, args.output, terminal)?;
    let is_bad = |found: &Diagnostic| found.severity == Severity::Error || (args.deny_warnings && found.severity == Severity::Warning);
    Ok(if checked.iter().flat_map(|file| &file.found).any(is_bad) { Exit::Findings } else { Exit::Success })
}

const NOTHING: &str = "no pluginConfig, WasmPlugin or TrafficExtension of the egress filter";

fn check(input: &Input, attached: &mut Attached) -> Result<Checked, Failure> {
    let manifest = match Manifest::read(&input.name)? {
        Ok(manifest) => manifest,
        Err((source, error)) => return Ok(Checked { source, plugins: 0, policies: 0, found: vec![error] }),
    };
    let source = &manifest.source;
    let (mut found, mut plugins, mut policies) = (Vec::new(), 0_usize, 0_usize);
    for plugin in manifest.plugins() {
        if !is_ours(plugin, input) {
            if plugin.kind != Kind::PluginConfig {
                let message = format!("not checked: {} is another filter's, as it has no policies", plugin.title());
                let span = plugin.resource.field("kind").map_or_else(|| plugin.resource.span.clone(), |(_, kind)| kind.span.clone());
                found.push(Diagnostic::new(Severity::Note, source, span, message));
            }
            continue;
        }
        plugins = plugins.saturating_add(1);
        policies = policies.saturating_add(check_configuration(source, plugin, &mut found));
        found.extend(attachment::lint(source, plugin));
        found.extend(attached.add(source, plugin));
    }
    if plugins == 0 && !input.in_folder {
        found.push(Diagnostic::error(source, 0..0, format!("nothing to check: {NOTHING} in this file")));
    }
    found.sort_by_key(|found| found.span.start);
    Ok(Checked { source: manifest.source, plugins, policies, found })
}

/// Whether a configuration is this filter's. In doubt it is: what is left out is not checked.
fn is_ours(plugin: Plugin<'_>, input: &Input) -> bool {
    let known = |name: &str| nearest(name, CONFIGURATION.iter().map(|field| field.name)).is_some();
    match plugin.kind {
        // A folder has other files without a kind, such as Helm's values, and the cases of `egressctl test`.
        Kind::PluginConfig if input.in_folder => {
            let policies = plugin.resource.get("policies").and_then(Node::items);
            let objects = policies.is_some_and(|policies| policies.iter().all(|policy| policy.fields().is_some()));
            objects && plugin.resource.get("cases").is_none()
        }
        Kind::PluginConfig => true,
        Kind::WasmPlugin | Kind::TrafficExtension => {
            let fields = plugin.config.and_then(Node::fields).unwrap_or_default();
            let url = plugin.module().and_then(|module| module.get("url")).and_then(Node::as_str).unwrap_or_default();
            let image = url.rsplit('/').next().unwrap_or_default();
            plugin.module().is_none() || fields.iter().any(|(key, _)| known(&key.name)) || image.starts_with("egress")
        }
    }
}

/// Loads a configuration as the waypoint would; the answer is how many policies it has.
fn check_configuration(source: &Source, plugin: Plugin<'_>, found: &mut Vec<Diagnostic>) -> usize {
    let Some(config) = plugin.config.filter(|config| !matches!(config.value, Value::Null)) else {
        let message = format!("`{}` is missing: without a configuration the filter refuses every request", plugin.prefix());
        let span = plugin.resource.field("spec").map_or_else(|| plugin.resource.span.clone(), |(key, _)| key.span.clone());
        found.push(Diagnostic::error(source, span, message).at(plugin.prefix()));
        return 0;
    };
    match Engine::load(config.to_json().as_bytes()) {
        Ok(engine) => {
            found.extend(engine.warnings().iter().map(|warning| Diagnostic::of_warning(source, plugin, warning)));
            let more = engine.warning_count().saturating_sub(engine.warnings().len());
            if more > 0 {
                let message = format!("{more} more warnings are not shown");
                found.push(Diagnostic::new(Severity::Note, source, config.span.clone(), message).at(plugin.prefix()));
            }
            engine.policy_count()
        }
        Err(errors) => {
            found.extend(errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)));
            config.get("policies").and_then(Node::items).map_or(0, <[_]>::len)
        }
    }
}
