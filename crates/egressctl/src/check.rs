//! `egressctl check`: validates configurations, alone or in their resources.

mod attachment;
mod comments;
mod files;
mod hosts;
mod near;
mod report;

use egress_filter::policy::Engine;

use crate::choice;
use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::terminal::Terminal;
use crate::yaml::Node;
use crate::{Exit, Failure, allow, bundle, watch};
use attachment::Attached;
pub(crate) use files::Input;
use hosts::Hosts;
use report::Format;

/// Validates pluginConfig, WasmPlugin and TrafficExtension: all errors and warnings, with file,
/// line and column.
///
/// The policies are loaded by the engine that runs in the waypoint, from YAML read as kubectl reads
/// it. Of a resource it is also checked whether a waypoint would attach it, and what comes of
/// requests where the filter fails. An error is what would not load, or not be enforced as it is
/// written; a warning is what is legal and can hardly be meant; a note is worth knowing.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:

  egressctl check policy.yaml
  egressctl check --deny-warnings filter-config/
  kubectl -n egress-direct get wasmplugin egress-filter -o yaml | egressctl check -
  helm template chart/ | egressctl check --output github -

A resource of another filter (a pluginConfig without policies, and an image that is not called \
    egress-...) is left out with a
note, or where its pluginConfig is empty, with a warning.

Exit code: 0 if no error was found, 1 if one was (with --deny-warnings, also for a warning), 2 if \
    a file cannot be read.")]
pub(crate) struct Args {
    /// YAML or JSON, several documents in a file if need be; a folder, for all such files below it
    /// that have a configuration in them; `-` for standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// How to print what is found.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Format::Text)]
    output: Format,
    /// Exit with 1 for warnings too.
    #[arg(long)]
    deny_warnings: bool,
    /// Check again whenever a file changes, until it is ended.
    #[arg(long)]
    watch: bool,
}

impl Args {
    /// A file or folder to check, with every option left out.
    pub(crate) fn of(name: &str) -> Args {
        Args {
            files: vec![name.to_owned()],
            output: Format::Text,
            deny_warnings: false,
            watch: false,
        }
    }
}

/// The files that are checked under a name.
pub(crate) fn inputs(name: &str) -> Result<Vec<Input>, Failure> {
    files::below(name)
}

/// What there is in a file.
#[derive(Debug)]
struct Checked {
    source: Source,
    plugins: usize,
    policies: usize,
    /// Of each configuration that loads, as load records have it.
    fingerprints: Vec<String>,
    found: Vec<Diagnostic>,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    if args.watch {
        return watch::repeat(&|| args.files.clone(), terminal, &|terminal| once(args, terminal));
    }
    once(args, terminal)
}

fn once(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let mut checked = Vec::new();
    let (mut attached, mut hosts) = (Attached::default(), Hosts::default());
    for name in &args.files {
        let before = checked.len();
        for input in files::below(name)? {
            let file = checked.len();
            if bundle::is_folder(&input.name)
                && let Err(errors) = bundle::of_folder(&input.name)?
            {
                checked.extend(errors.into_iter().map(|(source, found)| Checked {
                    source,
                    plugins: 1,
                    policies: 0,
                    fingerprints: Vec::new(),
                    found,
                }));
                continue;
            }
            checked.push(check(&input, &mut attached, &mut |manifest, engines| {
                hosts.add(file, manifest, engines);
            })?);
        }
        // A configuration alone has its errors reported where they stand in the file.
        let files = checked.get(before..).unwrap_or_default();
        if std::path::Path::new(name).is_dir()
            && files.iter().all(|file: &Checked| file.plugins == 0 && file.found.is_empty())
        {
            return Err(Failure::Usage(format!(
                "nothing to check in `{name}`: {NOTHING} in its files"
            )));
        }
    }
    for (file, found) in hosts.lint(|file| checked.get(file).map(|file| &file.source)) {
        if let Some(checked) = checked.get_mut(file) {
            checked.found.push(found);
            checked.found.sort_by_key(|found| found.span.start);
        }
    }
    for file in &mut checked {
        allow::apply(&file.source, &mut file.found);
    }
    report::print(&checked, args.output, terminal)?;
    let is_bad = |found: &Diagnostic| {
        found.severity == Severity::Error
            || (args.deny_warnings && found.severity == Severity::Warning)
    };
    Ok(if checked.iter().flat_map(|file| &file.found).any(is_bad) {
        Exit::Findings
    } else {
        Exit::Success
    })
}

const NOTHING: &str = "no pluginConfig, WasmPlugin or TrafficExtension of the egress filter";

/// Takes a file's documents, and the configurations in it that load.
type Keep<'k> = dyn FnMut(&Manifest, Vec<(Plugin<'_>, Engine)>) + 'k;

/// Checks a file. `keep` gets its documents, and the configurations in it that load.
fn check(input: &Input, attached: &mut Attached, keep: &mut Keep<'_>) -> Result<Checked, Failure> {
    let manifest = match bundle::read(&input.name)? {
        Ok(manifest) => manifest,
        Err((source, error)) => {
            let (fingerprints, found) = (Vec::new(), vec![error]);
            return Ok(Checked { source, plugins: 0, policies: 0, fingerprints, found });
        }
    };
    let source = &manifest.source;
    let (mut found, mut plugins, mut policies) = (Vec::new(), 0_usize, 0_usize);
    let mut loaded = Vec::new();
    for plugin in manifest.plugins() {
        if !is_ours(plugin, input) {
            if plugin.kind != Kind::PluginConfig {
                found.push(near::left_out(source, plugin));
            }
            continue;
        }
        plugins = plugins.saturating_add(1);
        let (count, engine) = check_configuration(source, plugin, &mut found);
        policies = policies.saturating_add(count);
        if engine.as_ref().is_some_and(Engine::reads_bodies) {
            found.extend(attachment::bodies(source, plugin));
        }
        loaded.extend(engine.map(|engine| (plugin, engine)));
        found.extend(attachment::lint(source, plugin));
        found.extend(attached.add(source, plugin));
    }
    manifest.documents.iter().for_each(|document| near::misspelt(source, document, &mut found));
    if plugins == 0
        && !input.in_folder
        && !found.iter().any(|found| found.severity == Severity::Error)
    {
        found.push(Diagnostic::error(
            source,
            0..0,
            format!("nothing to check: {NOTHING} in this file"),
        ));
    }
    let fingerprint = |(_, engine): &(_, Engine)| format!("{:012x}", engine.fingerprint());
    let fingerprints = loaded.iter().map(fingerprint).collect();
    keep(&manifest, loaded);
    found.sort_by_key(|found| found.span.start);
    Ok(Checked { source: manifest.source, plugins, policies, fingerprints, found })
}

/// Whether a configuration is this filter's. In doubt it is: what is left out is not checked.
pub(crate) fn is_ours(plugin: Plugin<'_>, input: &Input) -> bool {
    match plugin.kind {
        // A folder has other files without a kind, such as Helm's values, and the cases of
        // `egressctl test`.
        Kind::PluginConfig if input.in_folder => near::is_configuration(plugin.resource),
        Kind::PluginConfig => true,
        Kind::WasmPlugin | Kind::TrafficExtension => {
            let fields = plugin.config.and_then(Node::fields).unwrap_or_default();
            let url = plugin
                .module()
                .and_then(|module| module.get("url"))
                .and_then(Node::as_str)
                .unwrap_or_default();
            let image = url.rsplit('/').next().unwrap_or_default();
            plugin.module().is_none()
                || fields.iter().any(|(key, _)| near::is_of_configuration(&key.name))
                || image.starts_with("egress")
                || near::has_misspelt_configuration(plugin)
        }
    }
}

/// Warns if a resource for a waypoint has identity sources that are empty in a waypoint.
fn sources(source: &Source, plugin: Plugin<'_>, config: &Node, found: &mut Vec<Diagnostic>) {
    let Some(node) = config.at("identity.sources").filter(|_| plugin.kind != Kind::PluginConfig)
    else {
        return;
    };
    let items = node.items().unwrap_or_default();
    if !items.is_empty() && !items.iter().any(|item| item.as_str() == Some("filterState")) {
        let message = "without `filterState` no caller of a waypoint has an identity: only there \
            is what the caller's certificate says";
        let path = format!("{}.identity.sources", plugin.prefix());
        found.push(
            Diagnostic::warning("no-filter-state", source, node.span.clone(), message.to_owned())
                .at(path),
        );
    }
}

/// Loads a configuration as the waypoint would, and returns the number of its policies and, if it
/// loads, the engine.
fn check_configuration(
    source: &Source,
    plugin: Plugin<'_>,
    found: &mut Vec<Diagnostic>,
) -> (usize, Option<Engine>) {
    let config = match choice::configuration(source, plugin) {
        Ok(config) => config,
        Err(missing) => {
            found.extend(missing);
            return (0, None);
        }
    };
    near::written_false(source, plugin, config, found);
    sources(source, plugin, config, found);
    match Engine::load(config.to_json().as_bytes()) {
        Ok(engine) => {
            found.extend(
                engine
                    .warnings()
                    .iter()
                    .map(|warning| Diagnostic::of_warning(source, plugin, warning)),
            );
            let more = engine.warning_count().saturating_sub(engine.warnings().len());
            if more > 0 {
                let message = format!("{more} more warnings are not shown");
                found.push(
                    Diagnostic::new(Severity::Note, source, config.span.clone(), message)
                        .at(plugin.prefix()),
                );
            }
            let doubts = egress_filter::doubts::of(config.to_json().as_bytes());
            found.extend(
                doubts.iter().map(|doubt| Diagnostic::of_warning(source, plugin, &doubt.warning)),
            );
            comments::lint(source, plugin, config, found);
            hosts::lint_defaults(source, plugin, config, &engine, found);
            (engine.policy_count(), Some(engine))
        }
        Err(errors) => {
            found.extend(errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)));
            (config.get("policies").and_then(Node::items).map_or(0, <[_]>::len), None)
        }
    }
}
