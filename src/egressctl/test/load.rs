//! The configurations that suites are run on.

use std::collections::HashMap;

use egress_filter::policy::Engine;
use serde_json::Value;

use super::model::{File, Policies, Suite};
use crate::Failure;
use crate::diagnostic::Diagnostic;
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::yaml::Node;

/// A configuration, loaded once for all suites that name it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The files it is from.
    pub(crate) label: String,
    /// None where it does not load.
    pub(crate) engine: Option<Engine>,
    /// As JSON, where it loads.
    pub(crate) config: Value,
    /// Why it does not load; with the source that each is about.
    pub(crate) errors: Vec<(usize, Diagnostic)>,
    pub(crate) sources: Vec<Source>,
}

impl Loaded {
    /// What came of loading the configuration that is in one of these sources.
    fn new(label: String, loaded: Result<(Engine, Value), Vec<Diagnostic>>, source: usize, sources: Vec<Source>) -> Loaded {
        let (engine, config, errors) = match loaded {
            Ok((engine, config)) => (Some(engine), config, Vec::new()),
            Err(errors) => (None, Value::Null, errors),
        };
        Loaded { label, engine, config, errors: errors.into_iter().map(|error| (source, error)).collect(), sources }
    }
}

/// All configurations, and which one each suite has: by file and suite.
#[derive(Debug, Default)]
pub(crate) struct Configurations {
    pub(crate) all: Vec<Loaded>,
    of: HashMap<(usize, usize), usize>,
    by_key: HashMap<String, usize>,
}

/// What is wrong in how a file of cases names its policies: the file's index and the error.
pub(crate) type Misnamed = Vec<(usize, Diagnostic)>;

impl Configurations {
    /// Loads what the suites name, or for all of them what the command line does.
    pub(crate) fn load(files: &[File], instead: &[String]) -> Result<(Configurations, Misnamed), Failure> {
        let mut loaded = Configurations::default();
        let mut wrong = Vec::new();
        for (file_index, file) in files.iter().enumerate() {
            for (suite_index, suite) in file.suites.iter().enumerate() {
                match loaded.index_of(file, suite, (file_index, suite_index), instead)? {
                    Ok(index) => {
                        loaded.of.insert((file_index, suite_index), index);
                    }
                    Err(error) => wrong.push((file_index, error)),
                }
            }
        }
        Ok((loaded, wrong))
    }

    /// The configuration of a suite.
    pub(crate) fn of(&self, file: usize, suite: usize) -> Option<(usize, &Loaded)> {
        let index = *self.of.get(&(file, suite))?;
        Some((index, self.all.get(index)?))
    }

    fn index_of(
        &mut self,
        file: &File,
        suite: &Suite,
        place: (usize, usize),
        instead: &[String],
    ) -> Result<Result<usize, Diagnostic>, Failure> {
        let spans: HashMap<&str, std::ops::Range<usize>> = match &suite.policies {
            Policies::Files(named) => named.iter().map(|(name, span)| (name.as_str(), span.clone())).collect(),
            Policies::Inline(_) | Policies::Unsaid(_) => HashMap::new(),
        };
        let names: Vec<String> = match (&suite.policies, instead.is_empty()) {
            (_, false) => instead.to_vec(),
            (Policies::Files(named), true) => named.iter().map(|(name, _)| name.clone()).collect(),
            (Policies::Inline(config), true) => {
                let key = format!("{place:?}");
                return Ok(Ok(self.add(key, || inline(file, config))));
            }
            (Policies::Unsaid(span), true) => {
                let message = "which policies? Name the file that has them as `policies`, give them as `config`, or give --policies";
                return Ok(Err(Diagnostic::error(&file.source, span.clone(), message.to_owned())));
            }
        };
        let plugin = suite.plugin.as_deref();
        let real = |name: &String| std::fs::canonicalize(name).map_or_else(|_| name.clone(), |path| path.to_string_lossy().into_owned());
        let key = format!("{:?} {plugin:?}", names.iter().map(real).collect::<Vec<_>>());
        if let Some(index) = self.by_key.get(&key) {
            return Ok(Ok(*index));
        }
        let first = spans.values().map(|span| span.start).min().unwrap_or(0);
        let misnamed = |name: &str, message: String| {
            let span = spans.get(name).cloned().unwrap_or(first..first);
            Diagnostic::error(&file.source, span, message)
        };
        let mut manifests = Vec::new();
        for name in &names {
            match Manifest::read(name) {
                Ok(Ok(manifest)) => manifests.push(manifest),
                Ok(Err((source, error))) => {
                    return Ok(Ok(self.add(key, || Loaded::new(label(&names), Err(vec![error]), 0, vec![source]))));
                }
                // What the command line names is not the file's mistake.
                Err(failure) if !instead.is_empty() => return Err(failure),
                Err(failure) => return Ok(Err(misnamed(name, failure.to_string()))),
            }
        }
        let found = choose(&manifests, plugin);
        match found {
            Ok((index, plugin)) => {
                let engine = manifests.get(index).map_or(Err(Vec::new()), |manifest| load(&manifest.source, plugin));
                let sources = manifests.into_iter().map(|manifest| manifest.source).collect();
                Ok(Ok(self.add(key, || Loaded::new(label(&names), engine, index, sources))))
            }
            Err(message) if !instead.is_empty() => Err(Failure::Usage(format!("{}: {message}", label(&names)))),
            Err(message) => Ok(Err(misnamed(names.first().map_or("", String::as_str), message))),
        }
    }

    fn add(&mut self, key: String, load: impl FnOnce() -> Loaded) -> usize {
        let index = self.all.len();
        self.all.push(load());
        self.by_key.insert(key, index);
        index
    }
}

fn label(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().map(|name| if name == "-" { "<stdin>" } else { name }).collect();
    shown.join(", ")
}

fn inline(file: &File, config: &Node) -> Loaded {
    let engine = load(&file.source, Plugin { kind: Kind::PluginConfig, resource: config, config: Some(config) });
    let source = file.source.clone();
    Loaded::new(file.source.name.clone(), engine, 0, vec![source])
}

/// The one configuration that is meant among files, as they would be applied one after the other: a later resource takes the place
/// of an earlier one of its kind and name.
fn choose<'m>(manifests: &'m [Manifest], wanted: Option<&str>) -> Result<(usize, Plugin<'m>), String> {
    let mut plugins: Vec<(usize, Plugin<'m>)> = Vec::new();
    for (index, manifest) in manifests.iter().enumerate() {
        for plugin in manifest.plugins() {
            let same = |other: &Plugin<'_>| other.kind != Kind::PluginConfig && other.title() == plugin.title();
            plugins.retain(|(_, other)| !same(other));
            plugins.push((index, plugin));
        }
    }
    let named = |plugin: &Plugin<'_>, wanted: &str| {
        let title = plugin.title();
        let name = title.split_once(' ').map_or("", |(_, name)| name);
        title == wanted || name == wanted || name.split_once('/').is_some_and(|(_, name)| name == wanted)
    };
    if let Some(wanted) = wanted {
        plugins.retain(|(_, plugin)| named(plugin, wanted));
    }
    match (plugins.as_slice(), wanted) {
        ([one], _) => Ok(*one),
        ([], Some(wanted)) => Err(format!("there is no plugin `{wanted}` in it")),
        ([], None) => Err("there is no pluginConfig, WasmPlugin or TrafficExtension in it".to_owned()),
        (several, _) => {
            let titles: Vec<String> = several.iter().map(|(_, plugin)| format!("`{}`", plugin.title())).collect();
            Err(format!("there are several configurations, {}: say which one is meant with `plugin`", titles.join(", ")))
        }
    }
}

/// Loads a configuration as the waypoint would.
fn load(source: &Source, plugin: Plugin<'_>) -> Result<(Engine, Value), Vec<Diagnostic>> {
    let Some(config) = plugin.config else {
        let message = format!("`{}` is missing: without a configuration the filter refuses every request", plugin.prefix());
        return Err(vec![Diagnostic::error(source, plugin.resource.span.clone(), message)]);
    };
    let json = config.to_json();
    match Engine::load(json.as_bytes()) {
        Ok(engine) => Ok((engine, serde_json::from_str(&json).unwrap_or_default())),
        Err(errors) => {
            let mut found: Vec<Diagnostic> = errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)).collect();
            found.sort_by_key(|found| found.span.start);
            Err(found)
        }
    }
}
