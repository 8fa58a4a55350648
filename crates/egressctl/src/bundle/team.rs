//! Holds a team's file to what the team may name.

use std::ops::Range;

use egress_filter::config::{Config, PolicyConfig};
use egress_filter::policy::Engine;
use egress_filter::suggest::did_you_mean;
use serde_json::Value as Json;

use super::commented;
use super::guard::guarded;
use super::platform::{Platform, Team};
use super::put::field;
use crate::allow;
use crate::diagnostic::Diagnostic;
use crate::emit::{Item, Tree};
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::yaml::{Node, Value};

/// The fields of a policy that a team may set for all of its hosts.
const OF_POLICY: [&str; 4] = ["name", "hosts", "mode", "traffic"];
/// Those of `traffic`.
const OF_TRAFFIC: [&str; 1] = ["authorization"];
/// The fields that hold for every caller of a host: only for hosts that no other team has.
const OF_POLICY_ALONE: [&str; 1] = ["denial"];
const OF_TRAFFIC_ALONE: [&str; 8] = [
    "transformation",
    "headerModifiers",
    "urlRewrite",
    "requestRedirect",
    "directResponse",
    "timeouts",
    "retry",
    "rateLimit",
];

/// The policies of a file that has nothing else.
pub(super) fn policies_alone(manifest: &Manifest) -> Result<&[Node], Vec<Diagnostic>> {
    let source = &manifest.source;
    let error = |span: Range<usize>, message: &str| {
        vec![Diagnostic::error(source, span, message.to_owned())]
    };
    let [document] = manifest.documents.as_slice() else {
        return Err(error(0..0, "expected one document with `policies`"));
    };
    let fields = document.fields().unwrap_or_default();
    let other = fields.iter().find(|(key, _)| key.name != "policies");
    if let Some((key, _)) = other {
        let hint = did_you_mean(&key.name, ["policies"]);
        let message = format!(
            "only `policies` may be in this file, got `{}`{hint}: all else belongs into the plugin",
            key.name.escape_debug()
        );
        return Err(error(key.span.clone(), &message));
    }
    match (fields, document.get("policies").and_then(Node::items)) {
        ([_], Some(policies)) => Ok(policies),
        _ => Err(error(0..0, "expected one list `policies`")),
    }
}

/// The policies of a team, guarded and with its name before theirs.
pub(super) fn held(
    platform: &Platform,
    team: &Team,
    plugin: Plugin<'_>,
    manifest: &Manifest,
) -> Result<Vec<Item>, Vec<Diagnostic>> {
    let nodes = policies_alone(manifest)?;
    let configs = load(plugin, manifest)?;
    let reads_bodies = |node: &Node| {
        let alone = format!("[{}]", node.to_json());
        let policies = serde_json::from_str(&alone).unwrap_or_default();
        let config = with_policies(plugin, policies).to_string();
        Engine::load(config.as_bytes()).is_ok_and(|engine| engine.reads_bodies())
    };
    let mut holder = Holder { platform, team, source: &manifest.source, found: Vec::new() };
    let mut trees = Vec::with_capacity(nodes.len());
    for (node, config) in nodes.iter().zip(&configs) {
        holder.hold(node, config, &reads_bodies);
        trees.push(guard(team, node, config));
    }
    if holder.found.is_empty() {
        let mut items = commented(&manifest.source.name, trees);
        for (item, node) in items.iter_mut().zip(nodes) {
            item.comment.extend(allowed(&manifest.source, node));
        }
        Ok(items)
    } else {
        Err(holder.found)
    }
}

/// The comment that silences for a policy what comments in it silence.
fn allowed(source: &Source, node: &Node) -> Option<String> {
    // The line above it, too.
    let (_, start, _) = source.line(node.span.start);
    let (_, start, above) = source.line(start.saturating_sub(1));
    let start = if above.trim_start().starts_with('#') { start } else { node.span.start };
    let (_, last, line) = source.line(node.span.end);
    let text = source.text.get(start..last.saturating_add(line.len())).unwrap_or_default();
    let names = allow::names_in(text);
    (!names.is_empty()).then(|| format!("egressctl: allow({})", names.join(", ")))
}

/// Loads the file's policies in the place of the plugin's own, so that they can read its variables.
/// Each expression is compiled as it stands in the file.
fn load(plugin: Plugin<'_>, manifest: &Manifest) -> Result<Vec<PolicyConfig>, Vec<Diagnostic>> {
    let document = manifest.documents.first();
    let policies = document.and_then(|document| document.get("policies")).map(json);
    let text = with_policies(plugin, policies.unwrap_or_default()).to_string();
    match (Engine::load(text.as_bytes()), Config::parse(text.as_bytes())) {
        (Ok(_), Ok(config)) => Ok(config.policies),
        (Err(errors), _) | (_, Err(errors)) => Err(errors
            .iter()
            .filter_map(|error| {
                let document = document?;
                let kind = Kind::PluginConfig;
                let alone = Plugin { kind, resource: document, config: Some(document) };
                Some(Diagnostic::of_error(&manifest.source, alone, error))
            })
            .collect()),
    }
}

fn json(node: &Node) -> Json {
    serde_json::from_str(&node.to_json()).unwrap_or_default()
}

/// The plugin's configuration with other policies.
fn with_policies(plugin: Plugin<'_>, policies: Json) -> Json {
    let mut config = plugin.config.map(json).unwrap_or_default();
    if let Some(config) = config.as_object_mut() {
        config.insert("policies".to_owned(), policies);
    }
    config
}

struct Holder<'h> {
    platform: &'h Platform,
    team: &'h Team,
    source: &'h Source,
    found: Vec<Diagnostic>,
}

impl Holder<'_> {
    fn hold(&mut self, node: &Node, config: &PolicyConfig, reads_bodies: &dyn Fn(&Node) -> bool) {
        let name = Some(config.name.clone());
        let before = self.found.len();
        self.hosts(node, config);
        let shared = config.hosts.iter().find_map(|host| self.platform.shares(self.team, host));
        let shared = shared.map(|other| other.name.clone());
        if let Some(other) = shared.as_deref().filter(|_| reads_bodies(node)) {
            let message = format!(
                "it reads bodies, so that those of every caller of the host are held and limited; \
                 and this one is also team `{other}`'s"
            );
            self.add(node.span.clone(), message);
        }
        self.fields(node, &OF_POLICY, &OF_POLICY_ALONE, shared.as_deref());
        if let Some(traffic) = node.get("traffic") {
            self.fields(traffic, &OF_TRAFFIC, &OF_TRAFFIC_ALONE, shared.as_deref());
            self.features(traffic);
        }
        for found in self.found.iter_mut().skip(before) {
            found.policy.clone_from(&name);
        }
    }

    fn add(&mut self, span: Range<usize>, message: String) {
        self.found.push(Diagnostic::error(self.source, span, message));
    }

    fn hosts(&mut self, node: &Node, config: &PolicyConfig) {
        let written = node.get("hosts").and_then(Node::items).unwrap_or_default();
        if config.hosts.is_empty() {
            let message = "a team's policy needs `hosts`: without them it would be for every host";
            self.add(node.span.clone(), message.to_owned());
        }
        for (node, host) in written.iter().zip(&config.hosts) {
            if !self.team.has(host) {
                let host = node.as_str().unwrap_or_default();
                let message = format!(
                    "`{}` is no host of team `{}`: the platform's file would have to name it",
                    host.escape_debug(),
                    self.team.name
                );
                self.add(node.span.clone(), message);
            }
        }
    }

    /// Checks that an object has no other fields than these; the second ones only where no other
    /// team has the host.
    fn fields(&mut self, node: &Node, always: &[&str], alone: &[&str], shared: Option<&str>) {
        for (key, value) in node.fields().unwrap_or_default() {
            let name = key.name.as_str();
            let is_left_out = matches!(value.value, Value::Null);
            if is_left_out || always.contains(&name) {
                continue;
            }
            if !alone.contains(&name) {
                let message = format!("`{name}` is not a team's to set: it belongs in the plugin");
                self.add(key.span.clone(), message);
            } else if let Some(other) = shared {
                let message = format!(
                    "`{name}` holds for every caller of a host, and this one is also team \
                     `{other}`'s: only `authorization` may be for it"
                );
                self.add(key.span.clone(), message);
            }
        }
    }

    /// Checks features that could reach another host, or call a service of the waypoint's.
    fn features(&mut self, traffic: &Node) {
        let of = |name: &str| traffic.get(name);
        let mut found = Vec::new();
        for feature in [of("transformation"), of("headerModifiers")].into_iter().flatten() {
            visit(feature, &mut |name, value| {
                let text = value.as_str().unwrap_or_default();
                let is_host =
                    [":authority", "host"].iter().any(|host| text.eq_ignore_ascii_case(host));
                if name == "name" && is_host {
                    found.push((value.span.clone(), "another `:authority`"));
                }
            });
        }
        for (feature, field, what) in [
            ("urlRewrite", "hostname", "another `:authority`"),
            ("rateLimit", "global", "`global`"),
        ] {
            if let Some(feature) = of(feature) {
                visit(feature, &mut |name, value| {
                    if name == field {
                        found.push((value.span.clone(), what));
                    }
                });
            }
        }
        for (span, what) in found {
            self.add(span, format!("{what} is not a team's to set: it belongs in the plugin"));
        }
    }
}

/// Calls a function for each field below a value.
fn visit(node: &Node, see: &mut impl FnMut(&str, &Node)) {
    for item in node.items().unwrap_or_default() {
        visit(item, see);
    }
    for (key, value) in node.fields().unwrap_or_default() {
        see(&key.name, value);
        visit(value, see);
    }
}

/// A policy with its team's name, whose rule counts for the team's callers.
fn guard(team: &Team, node: &Node, config: &PolicyConfig) -> Tree {
    let mut tree = Tree::of(node);
    if let Some(name) = field(&mut tree, "name") {
        *name = Tree::text(format!("{}.{}", team.name, config.name));
    }
    let path = ["traffic", "authorization", "policy", "matchExpressions"];
    let list = path.into_iter().try_fold(&mut tree, |tree, name| field(tree, name));
    if let (Some(rule), Some(Tree::List(items))) = (&config.authorization, list) {
        for (item, expression) in items.iter_mut().zip(&rule.expressions) {
            let guarded = guarded(rule.action, &team.namespaces, &expression.source);
            item.tree = Tree::text(guarded);
        }
    }
    tree
}
