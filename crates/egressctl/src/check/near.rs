//! Finds what was meant for this filter but is misspelt: a kind, a group or a field.

use egress_filter::config::shape::CONFIGURATION;
use egress_filter::suggest::nearest;

use super::attachment::API_VERSION;
use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::Plugin;
use crate::source::Source;
use crate::yaml::{Key, Node, Value};

const GROUP: &str = "extensions.istio.io";
const KINDS: [&str; 2] = ["WasmPlugin", "TrafficExtension"];

/// Whether this is a field of the configuration, or nearly one.
pub(super) fn is_of_configuration(name: &str) -> bool {
    nearest(name, CONFIGURATION.iter().map(|field| field.name)).is_some()
}

/// The errors in a document, or the items of a list, that would be a plugin if it were spelt
/// correctly.
pub(super) fn misspelt(source: &Source, document: &Node, found: &mut Vec<Diagnostic>) {
    let (version, kind) = (document.field("apiVersion"), document.field("kind"));
    let text = |field: Option<(&Key, &Node)>| {
        field.and_then(|(_, value)| value.as_str().map(str::to_owned))
    };
    let (version_text, kind_text) = (text(version), text(kind));
    if let Some(items) = document
        .get("items")
        .and_then(Node::items)
        .filter(|_| kind_text.as_ref().is_some_and(|kind| kind.ends_with("List")))
    {
        items.iter().for_each(|item| misspelt(source, item, found));
        return;
    }
    let meant_kind = kind_text.as_deref().and_then(|kind| nearest(kind, KINDS));
    let group =
        version_text.as_deref().map(|version| version.split('/').next().unwrap_or_default());
    let meant_group = group.is_some_and(is_nearly_the_group);
    let at = |field: Option<(&Key, &Node)>| {
        field.map_or_else(|| document.span.clone(), |(_, value)| value.span.clone())
    };
    let mut tell = |field, path: &str, message: String| {
        found.push(Diagnostic::error(source, at(field), message).at(path))
    };
    match (kind_text.as_deref(), meant_kind) {
        (None, _) if group == Some(GROUP) => tell(
            kind,
            "kind",
            "field `kind` is missing: `WasmPlugin` or `TrafficExtension`".to_owned(),
        ),
        (Some(kind_text), Some(meant)) => {
            if version.is_none() {
                tell(
                    kind,
                    "apiVersion",
                    format!("field `apiVersion` is missing: of a {meant} it is `{API_VERSION}`"),
                );
            } else if meant_group {
                if kind_text != meant {
                    tell(
                        kind,
                        "kind",
                        format!(
                            "there is no kind `{}` (did you mean `{meant}`?)",
                            kind_text.escape_debug()
                        ),
                    );
                }
                if group != Some(GROUP) {
                    let given = version_text.unwrap_or_default();
                    let message = format!(
                        "unknown version `{}` of a {meant}: expected `{API_VERSION}`",
                        given.escape_debug()
                    );
                    tell(version, "apiVersion", message);
                }
            }
        }
        _ => {}
    }
}

/// Whether each part of a group's name is nearly that of ours: `extensions.higress.io` is
/// another's.
fn is_nearly_the_group(group: &str) -> bool {
    let near = |(part, ours)| nearest(part, [ours]).is_some();
    group.split('.').count() == GROUP.split('.').count()
        && group.split('.').zip(GROUP.split('.')).all(near)
}

/// Reports a resource that is left out because it belongs to another filter, with a warning if its
/// configuration may be missing by mistake.
pub(super) fn left_out(source: &Source, plugin: Plugin<'_>) -> Diagnostic {
    let title = plugin.title();
    let is_empty = |config: &Node| {
        matches!(&config.value, Value::Null) || config.fields().is_some_and(<[_]>::is_empty)
    };
    let (name, message) = if plugin.config.is_some_and(is_empty) {
        let message = format!(
            "not checked: {title} has an empty `pluginConfig`; if it is the egress filter, that \
             refuses every request"
        );
        (Some("empty-configuration"), message)
    } else {
        (None, format!("not checked: {title} is another filter's, as it has no policies"))
    };
    let span = plugin
        .resource
        .field("kind")
        .map_or_else(|| plugin.resource.span.clone(), |(_, kind)| kind.span.clone());
    match name {
        Some(name) => Diagnostic::warning(name, source, span, message),
        None => Diagnostic::new(Severity::Note, source, span, message),
    }
}

/// Whether a field of a resource was meant to be `pluginConfig`.
pub(super) fn has_misspelt_configuration(plugin: Plugin<'_>) -> bool {
    let fields = plugin.module().and_then(Node::fields).unwrap_or_default();
    plugin.config.is_none()
        && fields.iter().any(|(key, _)| nearest(&key.name, ["pluginConfig"]).is_some())
}

/// Whether a document without a kind, found in a folder, is a configuration: a list of policies, or
/// nothing but its fields.
pub(super) fn is_configuration(document: &Node) -> bool {
    let fields = document.fields().unwrap_or_default();
    if fields.is_empty() || document.get("cases").is_some() {
        return false;
    }
    let objects = |policies: &[Node]| policies.iter().all(|policy| policy.fields().is_some());
    let has_policies = document.get("policies").and_then(Node::items).is_some_and(objects);
    let all_ours = fields.iter().all(|(key, _)| is_of_configuration(&key.name));
    has_policies
        || (all_ours && fields.iter().any(|(key, _)| nearest(&key.name, ["policies"]).is_some()))
}

/// Warns of a `false` that is read as `Off` but was not written so. kubectl turns an unquoted `Off`
/// into `false`.
pub(super) fn written_false(
    source: &Source,
    plugin: Plugin<'_>,
    config: &Node,
    found: &mut Vec<Diagnostic>,
) {
    let policies = config.get("policies").and_then(Node::items).unwrap_or_default();
    let places = ["hostBinding", "pathSafety"].map(str::to_owned).into_iter();
    let places =
        places.chain((0..policies.len()).map(|index| format!("policies[{index}].pathSafety")));
    for place in places {
        let Some(node) = config.at(&place).filter(|node| matches!(node.value, Value::Bool(false)))
        else {
            continue;
        };
        let written = source.text.get(node.span.clone()).unwrap_or_default().trim();
        if !written.eq_ignore_ascii_case("off") {
            let message = format!(
                "`{}` is read as `Off`: write `Off`, so that it says what it does",
                written.escape_debug()
            );
            let path = if plugin.prefix().is_empty() {
                place
            } else {
                format!("{}.{place}", plugin.prefix())
            };
            found.push(
                Diagnostic::warning("false-for-off", source, node.span.clone(), message).at(path),
            );
        }
    }
}
