//! Loads the configurations of suites.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

use egress_filter::config::{Config, ConfigError, IdentityConfig};
use egress_filter::credential::{Environment, NamesOnly};
use egress_filter::policy::Engine;
use serde_json::Value;

use super::model::{File, Policies, Suite};
use super::read;
use crate::choice::{self, Chosen, Unchosen};
use crate::diagnostic::{Diagnostic, plain};
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::yaml::{self, Node};
use crate::{Failure, bundle};

/// A configuration, loaded once for all suites that name it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The files it is from.
    pub(crate) label: String,
    /// `None` where the configuration does not load.
    pub(crate) engine: Option<Engine>,
    /// The configuration as JSON; null where it does not load.
    pub(crate) config: Value,
    /// Where the filter looks for the caller.
    pub(crate) identity: IdentityConfig,
    /// The environment that it was loaded with.
    pub(crate) environment: BTreeMap<String, String>,
    /// Why it does not load, each error with the index of its source.
    pub(crate) errors: Vec<(usize, Diagnostic)>,
    pub(crate) sources: Vec<Source>,
}

impl Loaded {
    /// The outcome of loading the configuration that is in one of these sources.
    fn new(
        label: String,
        loaded: Result<Engaged, Vec<Diagnostic>>,
        source: usize,
        sources: Vec<Source>,
    ) -> Loaded {
        let (engine, config, identity, errors) = match loaded {
            Ok(Engaged { engine, config, identity }) => {
                (Some(engine), config, identity, Vec::new())
            }
            Err(errors) => (None, Value::Null, IdentityConfig::default(), errors),
        };
        Loaded {
            label,
            engine,
            config,
            identity,
            environment: BTreeMap::new(),
            errors: errors.into_iter().map(|error| (source, error)).collect(),
            sources,
        }
    }
}

/// All configurations, and the one of each suite, by the indices of file and suite.
#[derive(Debug, Default)]
pub(crate) struct Configurations {
    pub(crate) all: Vec<Loaded>,
    of: HashMap<(usize, usize), usize>,
    by_key: HashMap<String, usize>,
}

/// Errors in how files of cases name their policies, each with the file's index.
pub(crate) type Misnamed = Vec<(usize, Diagnostic)>;

impl Configurations {
    /// Loads the configurations that the suites name, or for all suites those of the command line,
    /// and gives callers the configurations' trust domains.
    pub(crate) fn load(
        files: &mut [File],
        instead: &[String],
    ) -> Result<(Configurations, Misnamed), Failure> {
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
        for (file_index, file) in files.iter_mut().enumerate() {
            for (suite_index, suite) in file.suites.iter_mut().enumerate() {
                if let Some((_, of_suite)) = loaded.of(file_index, suite_index) {
                    suite.config.clone_from(&of_suite.config);
                    let steps = suite.cases.iter_mut().flat_map(|case| &mut case.steps);
                    steps.for_each(|step| step.meet(&of_suite.identity));
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
        at: (usize, usize),
        instead: &[String],
    ) -> Result<Result<usize, Diagnostic>, Failure> {
        let named: &[(String, Range<usize>)] = match (&suite.policies, instead.is_empty()) {
            (Policies::Files(named), true) => named,
            (Policies::Inline(config), true) => {
                let key = format!("{at:?}");
                return Ok(Ok(self.add(key, || inline(file, suite, config))));
            }
            (Policies::Unsaid(span), true) => {
                let message = "which policies? Name the file that has them as `policies`, give \
                    them as `config`, or give --policies";
                return Ok(Err(Diagnostic::error(&file.source, span.clone(), message.to_owned())));
            }
            (_, false) => &[],
        };
        let names: Vec<&str> = match instead.is_empty() {
            true => named.iter().map(|(name, _)| name.as_str()).collect(),
            false => instead.iter().map(String::as_str).collect(),
        };
        let plugin = suite.plugin.as_deref();
        let real = |name: &&str| {
            std::fs::canonicalize(name)
                .map_or_else(|_| (*name).to_owned(), |path| path.display().to_string())
        };
        let environment = &suite.environment;
        let files = names.iter().map(real).collect::<Vec<_>>();
        let key = format!("{files:?} {plugin:?} {environment:?}");
        if let Some(index) = self.by_key.get(&key) {
            return Ok(Ok(*index));
        }
        match of_files(&names, plugin, environment) {
            Ok(loaded) => Ok(Ok(self.add(key, || loaded))),
            // An error in what the command line names is not the file's.
            Err((_, failure)) if !instead.is_empty() => Err(failure),
            Err((index, failure)) => {
                let span = named.get(index).map_or(0..0, |(_, span)| span.clone());
                Ok(Err(Diagnostic::error(&file.source, span, failure.to_string())))
            }
        }
    }

    fn add(&mut self, key: String, load: impl FnOnce() -> Loaded) -> usize {
        let index = self.all.len();
        self.all.push(load());
        self.by_key.insert(key, index);
        index
    }
}

/// All errors in files of cases, one line each.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(String);

/// Reads every `.yaml` file of a folder, in the order of their names, with the policies of their
/// suites.
///
/// # Errors
/// If the folder or a file cannot be read, if a file is not one of cases, or if policies do not
/// load.
pub fn load_dir(folder: impl AsRef<Path>) -> Result<Vec<Suite>, LoadError> {
    let folder = folder.as_ref();
    let cannot =
        |error: std::io::Error| LoadError(format!("cannot read `{}`: {error}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let path = entry.map_err(cannot)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            names.push(path.to_string_lossy().into_owned());
        }
    }
    names.sort();
    let mut files = Vec::with_capacity(names.len());
    for name in &names {
        let file = read::read(name).map_err(|failure| LoadError(failure.to_string()))?;
        files.push(file.map_err(|(source, found)| whole(&source, &found))?);
    }
    loaded(files)
}

/// Reads the text of a file of cases, with the policies of its suites. Other files that it names
/// are looked up beside it.
///
/// # Errors
/// If it is not a file of cases, or if policies do not load.
pub fn parse(name: &str, text: &str) -> Result<Vec<Suite>, LoadError> {
    let source = Source::new(name.to_owned(), text);
    let documents =
        yaml::parse(&source.text).map_err(|error| LoadError(format!("{name}: {error}")))?;
    let file = read::of(Manifest { source, documents });
    loaded(vec![file.map_err(|(source, found)| whole(&source, &found))?])
}

/// The suites of files, with their policies.
fn loaded(mut files: Vec<File>) -> Result<Vec<Suite>, LoadError> {
    let (loaded, misnamed) =
        Configurations::load(&mut files, &[]).map_err(|failure| LoadError(failure.to_string()))?;
    for (file, found) in &misnamed {
        if let Some(file) = files.get(*file) {
            return Err(whole(&file.source, std::slice::from_ref(found)));
        }
    }
    for loaded in &loaded.all {
        for (source, error) in &loaded.errors {
            if let Some(source) = loaded.sources.get(*source) {
                return Err(whole(source, std::slice::from_ref(error)));
            }
        }
    }
    Ok(files.into_iter().flat_map(|file| file.suites).collect())
}

/// All errors in a file.
fn whole(source: &Source, found: &[Diagnostic]) -> LoadError {
    let lines: Vec<String> = found.iter().map(|found| plain(source, found)).collect();
    LoadError(lines.join("\n"))
}

fn label(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| if *name == "-" { "<stdin>" } else { name })
        .collect::<Vec<_>>()
        .join(", ")
}

fn inline(file: &File, suite: &Suite, config: &Node) -> Loaded {
    let plugin = Plugin { kind: Kind::PluginConfig, resource: config, config: Some(config) };
    let engine = load(&file.source, plugin, &suite.environment);
    let source = file.source.clone();
    let loaded = Loaded::new(file.source.name.clone(), engine, 0, vec![source]);
    Loaded { environment: suite.environment.clone(), ..loaded }
}

/// The one configuration that is meant among files, or an error with the index of the file that
/// causes it.
fn of_files(
    names: &[&str],
    plugin: Option<&str>,
    environment: &BTreeMap<String, String>,
) -> Result<Loaded, (usize, Failure)> {
    let mut manifests = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        match bundle::read(name).map_err(|failure| (index, failure))? {
            Ok(manifest) => manifests.push(manifest),
            Err((source, error)) => {
                return Ok(Loaded::new(label(names), Err(vec![error]), 0, vec![source]));
            }
        }
    }
    let titles = |plugins: &[Chosen<'_>]| {
        let titles: Vec<String> =
            plugins.iter().map(|(_, plugin)| format!("`{}`", plugin.title())).collect();
        titles.join(", ")
    };
    let message = match choice::choose(&manifests, plugin) {
        Ok((index, plugin)) => {
            let loaded = manifests
                .get(index)
                .map_or(Err(Vec::new()), |manifest| load(&manifest.source, plugin, environment));
            let sources = manifests.into_iter().map(|manifest| manifest.source).collect();
            let loaded = Loaded::new(label(names), loaded, index, sources);
            return Ok(Loaded { environment: environment.clone(), ..loaded });
        }
        Err(Unchosen::Nothing) => {
            "there is no pluginConfig, WasmPlugin or TrafficExtension in it".to_owned()
        }
        Err(Unchosen::NoSuch(all)) => format!(
            "there is no plugin `{}` in it, only {}",
            plugin.unwrap_or_default(),
            titles(&all)
        ),
        Err(Unchosen::Several(several)) => {
            format!(
                "there are several configurations, {}: say which one is meant with `plugin`",
                titles(&several)
            )
        }
    };
    Err((0, Failure::Usage(format!("{}: {message}", label(names)))))
}

/// The part of a configuration that the waypoint would load.
#[derive(Debug)]
struct Engaged {
    engine: Engine,
    config: Value,
    identity: IdentityConfig,
}

/// The engine of a configuration, with the environment of its suite. Where that has no variables,
/// all are there, with a value that is not known.
pub(crate) fn engine(
    json: &str,
    environment: &BTreeMap<String, String>,
) -> Result<Engine, Vec<ConfigError>> {
    let environment: &dyn Environment =
        if environment.is_empty() { &NamesOnly } else { environment };
    Engine::load_with(json.as_bytes(), environment)
}

/// Loads a configuration as the waypoint would.
fn load(
    source: &Source,
    plugin: Plugin<'_>,
    environment: &BTreeMap<String, String>,
) -> Result<Engaged, Vec<Diagnostic>> {
    let config = choice::configuration(source, plugin)?;
    let json = config.to_json();
    let engine = engine(&json, environment)
        .map_err(|errors| choice::load_errors(source, plugin, &errors))?;
    let identity = Config::parse(json.as_bytes()).map(|config| config.identity).unwrap_or_default();
    Ok(Engaged { engine, config: serde_json::from_str(&json).unwrap_or_default(), identity })
}
