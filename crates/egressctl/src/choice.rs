//! Chooses the configuration that is meant among several files.

use egress_filter::config::ConfigError;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::yaml::{Node, Value};

/// A configuration, and the index of the file that it is in.
pub(crate) type Chosen<'m> = (usize, Plugin<'m>);

/// Why none is chosen.
#[derive(Debug)]
pub(crate) enum Unchosen<'m> {
    /// The files have no configuration.
    Nothing,
    /// None has the name that is wanted, among these.
    NoSuch(Vec<Chosen<'m>>),
    /// Any of these may be meant.
    Several(Vec<Chosen<'m>>),
}

/// The one configuration that is meant among files. They count as if they were applied in order: a
/// later resource replaces an earlier one of its kind and name.
pub(crate) fn choose<'m>(
    manifests: &'m [Manifest],
    wanted: Option<&str>,
) -> Result<Chosen<'m>, Unchosen<'m>> {
    let plugins = manifests.iter().enumerate().flat_map(|(index, manifest)| {
        manifest.plugins().into_iter().map(move |plugin| (index, plugin))
    });
    choose_among(plugins, wanted)
}

/// The one configuration that is meant among these, which count as [`choose`] says.
pub(crate) fn choose_among<'m>(
    all: impl IntoIterator<Item = Chosen<'m>>,
    wanted: Option<&str>,
) -> Result<Chosen<'m>, Unchosen<'m>> {
    let mut plugins: Vec<Chosen<'m>> = Vec::new();
    for (index, plugin) in all {
        let same = |other: &Plugin<'_>| {
            other.kind != Kind::PluginConfig && other.title() == plugin.title()
        };
        plugins.retain(|(_, other)| !same(other));
        plugins.push((index, plugin));
    }
    if plugins.is_empty() {
        return Err(Unchosen::Nothing);
    }
    let fitting: Vec<Chosen<'m>> = match wanted {
        Some(wanted) => {
            plugins.iter().filter(|(_, plugin)| is_named(*plugin, wanted)).copied().collect()
        }
        None => plugins.clone(),
    };
    match fitting.as_slice() {
        [one] => Ok(*one),
        [] => Err(Unchosen::NoSuch(plugins)),
        _ => Err(Unchosen::Several(fitting)),
    }
}

/// Whether this is a plugin's name, its namespace and name, or those with its kind.
fn is_named(plugin: Plugin<'_>, name: &str) -> bool {
    let title = plugin.title();
    let path = title.split_once(' ').map_or("", |(_, path)| path);
    name == title || name == path || path.rsplit('/').next() == Some(name)
}

/// The configuration of a plugin, as it is written.
pub(crate) fn configuration<'m>(
    source: &Source,
    plugin: Plugin<'m>,
) -> Result<&'m Node, Vec<Diagnostic>> {
    if let Some((key, _)) = plugin.config.and_then(|config| config.field("cases"))
        && plugin.kind == Kind::PluginConfig
    {
        let message = "these are cases, not policies: run `egressctl test` on this file";
        return Err(vec![Diagnostic::error(source, key.span.clone(), message.to_owned())]);
    }
    plugin.config.filter(|config| !matches!(config.value, Value::Null)).ok_or_else(|| {
        let message = format!(
            "`{}` is missing: without a configuration the filter refuses every request",
            plugin.prefix()
        );
        let span = plugin
            .resource
            .field("spec")
            .map_or_else(|| plugin.resource.span.clone(), |(key, _)| key.span.clone());
        vec![Diagnostic::error(source, span, message).at(plugin.prefix())]
    })
}

/// Why it does not load, in the order of the file.
pub(crate) fn load_errors(
    source: &Source,
    plugin: Plugin<'_>,
    errors: &[ConfigError],
) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> =
        errors.iter().map(|error| Diagnostic::of_error(source, plugin, error)).collect();
    found.sort_by_key(|found| found.span.start);
    found
}
