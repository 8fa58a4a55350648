//! What the filter is attached to.

use std::ops::Range;

use super::{Lints, Place, name_or_first_line, present, word};
use crate::diagnostic::Diagnostic;
use crate::manifest::Plugin;
use crate::source::Source;
use crate::yaml::Node;

const GATEWAY_GROUP: &str = "gateway.networking.k8s.io";
const WAYPOINT_CLASS: &str = "istio-waypoint";
const ROOT_NAMESPACE: &str = "istio-system";
const MAX_TARGETS: usize = 16;

pub(super) fn lint(
    plugin: Plugin<'_>,
    spec: &Node,
    spec_name: &Range<usize>,
    lints: &mut Lints<'_>,
) {
    let several = present(spec, "targetRefs");
    let single = present(spec, "targetRef");
    let targets = several.and_then(Node::items).unwrap_or_default();
    let nowhere = targets.is_empty() && single.is_none();
    if present(spec, "selector").is_some() {
        let so = match nowhere {
            true => "so this plugin is attached nowhere: use `targetRefs`",
            false => "and the API server refuses it beside `targetRefs`: leave it out",
        };
        lints.error(
            name_or_first_line(spec, "selector"),
            "spec.selector",
            format!("a waypoint ignores `selector`, {so}"),
        );
    } else if nowhere && several.is_none_or(|several| several.items().is_some()) {
        let span =
            several.map_or_else(|| spec_name.clone(), |_| name_or_first_line(spec, "targetRefs"));
        let message = "without `targetRefs` a waypoint ignores the plugin, so it is attached \
            nowhere: name the waypoint's Gateway";
        lints.error(span, "spec", message);
    }
    if single.is_some() {
        let message = "`targetRef` is superseded: write a list `targetRefs`";
        let span = name_or_first_line(spec, "targetRef");
        lints.warning("superseded-field", span, "spec.targetRef", message);
    }
    if targets.len() > MAX_TARGETS {
        let message =
            format!("`targetRefs` has {} entries, the limit is {MAX_TARGETS}", targets.len());
        lints.error(name_or_first_line(spec, "targetRefs"), "spec.targetRefs", message);
    }
    for (index, target) in targets.iter().enumerate() {
        reference(
            Place { node: target, path: &format!("spec.targetRefs[{index}]") },
            plugin,
            lints,
        );
    }
    if let Some(target) = single {
        reference(Place { node: target, path: "spec.targetRef" }, plugin, lints);
    }
}

fn reference(target: Place<'_>, plugin: Plugin<'_>, lints: &mut Lints<'_>) {
    let node = target.node;
    if node.fields().is_none() {
        return;
    }
    for name in ["kind", "name"] {
        if present(node, name).is_none() {
            lints.error(node.span.clone(), target.path, format!("field `{name}` is missing"));
        }
    }
    let Some(kind) = word(node, "kind") else { return };
    let at = |name: &str| format!("{}.{name}", target.path);
    let groups: &[&str] = match kind {
        "Gateway" | "GatewayClass" => &[GATEWAY_GROUP],
        "Service" => &["", "core"],
        "ServiceEntry" => &["networking.istio.io"],
        _ => {
            let expected = "`Gateway`, `GatewayClass`, `Service` or `ServiceEntry`";
            let message = format!(
                "a plugin is attached to no `{}`: expected {expected}",
                kind.escape_debug()
            );
            lints.error(value_of(node, "kind"), at("kind"), message);
            return;
        }
    };
    let group = word(node, "group").unwrap_or_default();
    if !groups.contains(&group) {
        let expected = groups.first().copied().unwrap_or_default();
        let message = match present(node, "group") {
            Some(_) => {
                format!("`group` of a {kind} is `{expected}`, so this plugin is attached nowhere")
            }
            None => format!(
                "field `group` is missing: without `{expected}` no {kind} is meant, and this \
                 plugin is attached nowhere"
            ),
        };
        lints.error(value_of(node, "group"), at("group"), message);
        return;
    }
    let own = plugin.namespace();
    if let Some(other) = word(node, "namespace")
        .filter(|namespace| !namespace.is_empty() && own.is_some_and(|own| own != *namespace))
    {
        let message = format!(
            "a plugin is attached in its own namespace only: move it to `{}`",
            other.escape_debug()
        );
        lints.error(value_of(node, "namespace"), at("namespace"), message);
    }
    match kind {
        "GatewayClass" if word(node, "name").is_some_and(|name| name != WAYPOINT_CLASS) => {
            lints.error(
                value_of(node, "name"),
                at("name"),
                format!("of GatewayClasses only `{WAYPOINT_CLASS}` takes plugins"),
            );
        }
        "GatewayClass" if own != Some(ROOT_NAMESPACE) => {
            let message = format!(
                "a plugin for a GatewayClass counts only in Istio's root namespace, which is \
                 `{ROOT_NAMESPACE}` unless the mesh says otherwise"
            );
            lints.warning("root-namespace", value_of(node, "kind"), at("kind"), message);
        }
        "Service" | "ServiceEntry" => {
            let message = format!(
                "the filter is only on the way to this {kind}, and before Istio 1.30.3 only where \
                 the waypoint is in the plugin's namespace: for all egress, target the waypoint's \
                 Gateway"
            );
            lints.note(value_of(node, "kind"), at("kind"), message);
        }
        _ => {}
    }
}

/// The position of a field's value, or of the object's first line where the field is missing.
fn value_of(node: &Node, name: &str) -> Range<usize> {
    present(node, name).map_or_else(|| node.span.clone(), |value| value.span.clone())
}

/// The targets of the plugins seen so far, of all files.
#[derive(Debug, Default)]
pub(in crate::check) struct Attached {
    /// Namespace, kind and name of each target, and the resource attached to it.
    seen: Vec<([String; 3], String)>,
}

impl Attached {
    /// Notes a plugin's targets, and reports each that another plugin has too. The same resource
    /// given again is an update of it.
    pub(in crate::check) fn add(&mut self, source: &Source, plugin: Plugin<'_>) -> Vec<Diagnostic> {
        let mut found = Vec::new();
        let title = plugin.title();
        let targets =
            plugin.resource.at("spec.targetRefs").and_then(Node::items).unwrap_or_default();
        for (index, target) in targets.iter().enumerate() {
            let (Some(kind), Some(name)) = (word(target, "kind"), word(target, "name")) else {
                continue;
            };
            let key = [plugin.namespace().unwrap_or_default(), kind, name].map(str::to_owned);
            match self.seen.iter().find(|(seen, other)| *seen == key && *other != title) {
                Some((_, other)) => {
                    let message = format!(
                        "the {kind} `{name}` has the filter from {other} too: with both, each \
                         request passes it twice"
                    );
                    let warning = Diagnostic::warning(
                        "attached-twice",
                        source,
                        value_of(target, "name"),
                        message,
                    );
                    found.push(warning.at(format!("spec.targetRefs[{index}].name")));
                }
                None => self.seen.push((key, title.clone())),
            }
        }
        found
    }
}
