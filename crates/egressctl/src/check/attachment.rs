//! Whether a resource attaches the filter to a waypoint, and what happens to requests if the filter
//! fails.
//!
//! Istio does not report a plugin that it attaches nowhere. An error is for what is not enforced as
//! written; a warning, for what is enforced but not for long, or can hardly be meant; a note, for
//! what is worth knowing.

mod environment;
mod image;
mod size;
mod target;

use std::ops::Range;

use egress_filter::suggest::did_you_mean;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Kind, Plugin};
use crate::resource::{self, Known, Of};
use crate::source::Source;
use crate::yaml::{Node, Value};

pub(super) use target::Attached;

pub(super) const API_VERSION: &str = "extensions.istio.io/v1alpha1";

/// A value of the resource, and its path.
#[derive(Debug, Clone, Copy)]
struct Place<'d> {
    node: &'d Node,
    path: &'d str,
}

/// The findings about one resource.
#[derive(Debug)]
struct Lints<'s> {
    source: &'s Source,
    found: Vec<Diagnostic>,
}

impl Lints<'_> {
    fn add(
        &mut self,
        severity: Severity,
        span: Range<usize>,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.found.push(Diagnostic::new(severity, self.source, span, message.into()).at(path));
    }

    fn error(&mut self, span: Range<usize>, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, span, path, message);
    }

    fn warning(
        &mut self,
        name: &'static str,
        span: Range<usize>,
        path: impl Into<String>,
        message: impl Into<String>,
    ) {
        self.found.push(Diagnostic::warning(name, self.source, span, message.into()).at(path));
    }

    fn note(&mut self, span: Range<usize>, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Note, span, path, message);
    }
}

/// Checks a resource apart from its configuration.
pub(super) fn lint(source: &Source, plugin: Plugin<'_>) -> Vec<Diagnostic> {
    let mut lints = Lints { source, found: Vec::new() };
    let resource = plugin.resource;
    if plugin.kind == Kind::PluginConfig {
        return lints.found;
    }
    if let Some(version) =
        resource.get("apiVersion").filter(|version| version.as_str() != Some(API_VERSION))
    {
        lints.error(
            version.span.clone(),
            "apiVersion",
            format!("unknown version of `{}`: expected `{API_VERSION}`", plugin.kind),
        );
    }
    if resource.at("metadata.name").and_then(Node::as_str).is_none() {
        lints.error(
            name_or_first_line(resource, "metadata"),
            "metadata",
            "field `name` is missing",
        );
    }
    size::lint(resource, &mut lints);
    // The missing configuration has been reported already.
    let Some(spec) = resource.get("spec").filter(|spec| spec.fields().is_some()) else {
        return lints.found;
    };
    known_fields(Place { node: spec, path: "spec" }, resource::spec(plugin.kind), &mut lints);
    let spec_name = name_or_first_line(resource, "spec");
    target::lint(plugin, spec, &spec_name, &mut lints);
    traffic(spec, &mut lints);
    phase(plugin.kind, spec, &spec_name, &mut lints);
    if let Some(module) = plugin.module() {
        let (path, above, name) = match plugin.kind {
            Kind::TrafficExtension => ("spec.wasm", spec, "wasm"),
            _ => ("spec", resource, "spec"),
        };
        let here = Place { node: module, path };
        let module_name = name_or_first_line(above, name);
        image::lint(here, &module_name, &mut lints);
        failure(here, &module_name, &mut lints);
        others(here, &mut lints);
        environment::lint(here, &mut lints);
    }
    lints.found
}

/// Checks that a plugin whose policies read bodies has the image that can.
pub(super) fn bodies(source: &Source, plugin: Plugin<'_>) -> Option<Diagnostic> {
    const NEEDS: &str =
        "the policies read bodies, which takes the image whose tag ends in `-bodies`";
    let url = plugin.module().and_then(|module| present(module, "url"));
    let path = if plugin.kind == Kind::TrafficExtension { "spec.wasm.url" } else { "spec.url" };
    match url.and_then(|node| Some((node, node.as_str()?))) {
        Some((_, url)) if image::is_for_bodies(url) => None,
        Some((node, _)) => {
            let span = node.span.clone();
            Some(Diagnostic::warning("no-bodies-image", source, span, NEEDS.to_owned()).at(path))
        }
        None => {
            let span = name_or_first_line(plugin.resource, "policies");
            Some(Diagnostic::new(Severity::Note, source, span, NEEDS.to_owned()))
        }
    }
}

/// The position of a field's name, or of the object's first line where the field is missing.
fn name_or_first_line(object: &Node, name: &str) -> Range<usize> {
    object.field(name).map_or_else(|| object.span.clone(), |(key, _)| key.span.clone())
}

/// The value of a field, unless it is null, which the API server treats as missing.
fn present<'d>(object: &'d Node, name: &str) -> Option<&'d Node> {
    object.get(name).filter(|value| !matches!(value.value, Value::Null))
}

fn word<'d>(object: &'d Node, name: &str) -> Option<&'d str> {
    present(object, name).and_then(Node::as_str)
}

/// Checks that all fields are known, none is there twice, and each has the right type. The API
/// server refuses or drops all others.
fn known_fields(place: Place<'_>, known: &[Known], lints: &mut Lints<'_>) {
    let Some(fields) = place.node.fields() else {
        let path = place.path.to_owned();
        lints.error(
            place.node.span.clone(),
            path,
            format!("expected an object, got {}", place.node.kind()),
        );
        return;
    };
    for (index, (key, value)) in fields.iter().enumerate() {
        let path = format!("{}.{}", place.path, key.name);
        let Some(field) = known.iter().find(|field| field.name == key.name) else {
            let hint = did_you_mean(&key.name, known.iter().map(|field| field.name));
            lints.error(
                key.span.clone(),
                path,
                format!(
                    "unknown field `{}`{hint}: the API server refuses or drops it",
                    key.name.escape_debug()
                ),
            );
            continue;
        };
        if fields.iter().take(index).any(|(earlier, _)| earlier.name == key.name) {
            lints.error(
                key.span.clone(),
                path,
                format!("field `{}` is given twice: leave one out", key.name),
            );
        } else if !matches!(value.value, Value::Null) {
            of_its_kind(Place { node: value, path: &path }, field, lints);
        }
    }
}

fn of_its_kind(place: Place<'_>, field: &Known, lints: &mut Lints<'_>) {
    let (node, path) = (place.node, place.path);
    let mut wrong = |expected: &str, mend: &str| {
        lints.error(
            node.span.clone(),
            path,
            format!("`{}` is {expected}, got {}{mend}", field.name, node.kind()),
        );
    };
    match field.of {
        Of::Text | Of::Digest if node.as_str().is_none() => wrong("a string", ": put it in quotes"),
        Of::Integer if !matches!(&node.value, Value::Number(number) if number.is_i64()) => {
            wrong("an integer", "")
        }
        Of::Words(words) => match node.as_str() {
            None => wrong("a string", ""),
            Some(text) if !words.iter().any(|(word, _)| *word == text) => {
                let hint = did_you_mean(text, words.iter().map(|(word, _)| *word));
                let expected: Vec<String> =
                    words.iter().map(|(word, _)| format!("`{word}`")).collect();
                let message = format!(
                    "unknown value `{}`{hint}: expected {}",
                    text.escape_debug(),
                    expected.join(", ")
                );
                lints.error(node.span.clone(), path, message);
            }
            Some(_) => {}
        },
        Of::Object(known) => known_fields(place, known, lints),
        Of::List(known) => match node.items() {
            None => wrong("a list", ""),
            Some(items) => {
                for (index, item) in items.iter().enumerate() {
                    known_fields(
                        Place { node: item, path: &format!("{path}[{index}]") },
                        known,
                        lints,
                    );
                }
            }
        },
        _ => {}
    }
}

/// `match`: which of the waypoint's traffic passes the filter.
fn traffic(spec: &Node, lints: &mut Lints<'_>) {
    let entries = present(spec, "match").and_then(Node::items).unwrap_or_default();
    let by_mode = |entry: &Node| word(entry, "mode") == Some("CLIENT");
    let by_ports = |entry: &Node| {
        present(entry, "ports").and_then(Node::items).is_some_and(|ports| !ports.is_empty())
    };
    // One that matches is enough.
    let attached = entries.iter().any(|entry| !by_mode(entry) && !by_ports(entry));
    for (index, entry) in entries.iter().enumerate() {
        let so = match attached {
            true => "this entry says nothing",
            false => "the plugin is attached nowhere; leave `match` out",
        };
        let mut tell = |span: Range<usize>, path: String, message: String| match attached {
            true => lints.warning("idle-match", span, path, message),
            false => lints.error(span, path, message),
        };
        if by_mode(entry) {
            let message = format!("a waypoint has no `CLIENT` traffic, only `SERVER`, so {so}");
            tell(name_or_first_line(entry, "mode"), format!("spec.match[{index}].mode"), message);
        }
        if by_ports(entry) {
            let message = format!("on a waypoint no port matches, so {so}");
            tell(name_or_first_line(entry, "ports"), format!("spec.match[{index}].ports"), message);
        }
    }
}

fn phase(kind: Kind, spec: &Node, spec_name: &Range<usize>, lints: &mut Lints<'_>) {
    const AFTER: &str = "runs after Istio's AuthorizationPolicy, which so judges headers that the \
        filter changes later: `phase: AUTHZ` runs before it";
    let unspecified = if kind == Kind::WasmPlugin { "UNSPECIFIED_PHASE" } else { "UNSPECIFIED" };
    let value = present(spec, "phase");
    let span = value.map_or_else(|| spec_name.clone(), |value| value.span.clone());
    match (value, value.and_then(Node::as_str)) {
        (None, _) => {
            let message = format!("without `phase` the filter {AFTER}");
            lints.warning("late-phase", span, "spec", message);
        }
        (_, Some(word)) if word == "STATS" || word == unspecified => {
            let message = format!("with `{word}` the filter {AFTER}");
            lints.warning("late-phase", span, "spec.phase", message);
        }
        (_, Some("AUTHN")) => {
            lints.note(
                span,
                "spec.phase",
                "with `AUTHN` the filter runs before Istio's \
                authentication too, and `jwt` is never there: `AUTHZ` runs after it",
            );
        }
        _ => {}
    }
}

fn failure(module: Place<'_>, module_name: &Range<usize>, lints: &mut Lints<'_>) {
    const DEAD: &str = "a worker whose filter fails answers 503 until the configuration changes: \
        `FAIL_RELOAD` starts it anew (Istio 1.27 and later)";
    let path = format!("{}.failStrategy", module.path);
    let value = present(module.node, "failStrategy");
    let span = value.map_or_else(|| module_name.clone(), |value| value.span.clone());
    match (value, value.and_then(Node::as_str)) {
        (None, _) => {
            let message = format!("without `failStrategy` {DEAD}");
            lints.warning("no-reload", span, module.path, message);
        }
        (_, Some("FAIL_CLOSE")) => {
            lints.warning("no-reload", span, path, format!("with `FAIL_CLOSE` {DEAD}"));
        }
        (_, Some("FAIL_OPEN")) => {
            let message = "with `FAIL_OPEN` requests go on unchecked where the filter fails or \
                its image cannot be fetched: use `FAIL_RELOAD`";
            lints.error(span, path, message);
        }
        _ => {}
    }
}

fn others(module: Place<'_>, lints: &mut Lints<'_>) {
    let at = |name: &str| format!("{}.{name}", module.path);
    if let Some(kind) = present(module.node, "type").filter(|kind| kind.as_str() == Some("NETWORK"))
    {
        lints.error(
            kind.span.clone(),
            at("type"),
            "the filter is of type `HTTP`: as a `NETWORK` plugin it checks nothing",
        );
    }
    if present(module.node, "verificationKey").is_some() {
        let span = name_or_first_line(module.node, "verificationKey");
        lints.warning(
            "unverified-key",
            span,
            at("verificationKey"),
            "Istio does not verify signatures yet: pin the image with `sha256`",
        );
    }
}
