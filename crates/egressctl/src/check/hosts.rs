//! Compares the hosts of policies with those of the ServiceEntries that are checked with them: a
//! host that goes through a waypoint and that no policy names is open, unless the default action
//! is Deny.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use egress_filter::config::DefaultAction;
use egress_filter::policy::Engine;
use egress_filter::suggest::nearest;

use crate::diagnostic::{Diagnostic, Severity};
use crate::manifest::{Kind, Manifest, Plugin};
use crate::source::Source;
use crate::yaml::Node;

/// The label by which a ServiceEntry, or its namespace, is sent through a waypoint.
const USE_WAYPOINT: &str = "istio.io/use-waypoint";
/// The most hosts that are named in one message.
const MAX_NAMED: usize = 3;

/// A host, and where it is written.
#[derive(Debug)]
struct Written {
    file: usize,
    span: Range<usize>,
    path: String,
    host: String,
}

/// A host of a ServiceEntry.
#[derive(Debug)]
struct Entry {
    written: Written,
    /// Whether its own label sends it through a waypoint; none without one.
    labelled: Option<bool>,
    namespace: Option<String>,
}

/// A configuration that loads.
#[derive(Debug)]
struct Loaded {
    file: usize,
    span: Range<usize>,
    prefix: &'static str,
    engine: Engine,
    /// The hosts of its policies, each with the policy's name.
    hosts: Vec<(Written, String)>,
    /// All that it says, in lower case.
    text: String,
    /// Whether it sets a default action for all hosts.
    says_default: bool,
}

/// The hosts in the files that are checked.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    entries: Vec<Entry>,
    /// The configurations by their resource: a later one replaces an earlier one of its name.
    loaded: BTreeMap<String, Loaded>,
    /// Namespaces whose label sends all that is in them through a waypoint.
    namespaces: BTreeSet<String>,
}

impl Hosts {
    /// Takes what there is in a file.
    pub(super) fn add(
        &mut self,
        file: usize,
        manifest: &Manifest,
        engines: Vec<(Plugin<'_>, Engine)>,
    ) {
        manifest.documents.iter().for_each(|document| self.add_document(file, document));
        for (index, (plugin, engine)) in engines.into_iter().enumerate() {
            let Some(config) = plugin.config else { continue };
            // A configuration alone has no name by which another could replace it.
            let key = match plugin.kind {
                Kind::PluginConfig => format!("{file} {index}"),
                Kind::WasmPlugin | Kind::TrafficExtension => plugin.title(),
            };
            let loaded = Loaded {
                file,
                span: plugin.resource.field("spec").map_or_else(
                    || config.field("policies").map_or(0..0, |(key, _)| key.span.clone()),
                    |(key, _)| key.span.clone(),
                ),
                prefix: plugin.prefix(),
                engine,
                hosts: policy_hosts(file, plugin, config),
                text: config.to_json().to_lowercase(),
                says_default: config.get("defaultAction").is_some(),
            };
            self.loaded.insert(key, loaded);
        }
    }

    fn add_document(&mut self, file: usize, document: &Node) {
        let kind = document.get("kind").and_then(Node::as_str).unwrap_or_default();
        if kind.ends_with("List") {
            let items = document.get("items").and_then(Node::items).unwrap_or_default();
            items.iter().for_each(|item| self.add_document(file, item));
            return;
        }
        let of_metadata = |name: &str| {
            let metadata = document.get("metadata")?;
            metadata.get(name).and_then(Node::as_str).map(str::to_owned)
        };
        let label = document
            .at("metadata.labels")
            .and_then(|labels| labels.get(USE_WAYPOINT))
            .and_then(Node::as_str)
            .map(|waypoint| waypoint != "none");
        match kind {
            "Namespace" if label == Some(true) => self.namespaces.extend(of_metadata("name")),
            "ServiceEntry" => {
                let hosts = document.at("spec.hosts").and_then(Node::items).unwrap_or_default();
                self.entries.extend(hosts.iter().enumerate().filter_map(|(index, node)| {
                    let written = written(file, node, format!("spec.hosts[{index}]"))?;
                    let namespace = of_metadata("namespace");
                    Some(Entry { written, labelled: label, namespace })
                }));
            }
            _ => {}
        }
    }

    /// What is to be told about the hosts, each with the index of its file.
    pub(super) fn lint<'s>(
        &self,
        source: impl Fn(usize) -> Option<&'s Source>,
    ) -> Vec<(usize, Diagnostic)> {
        let mut found = Vec::new();
        let mut tell = |name: Option<_>, at: &Written, policy: Option<&String>, message: String| {
            if let Some(source) = source(at.file) {
                let span = at.span.clone();
                let diagnostic = match name {
                    Some(name) => Diagnostic::warning(name, source, span, message),
                    None => Diagnostic::new(Severity::Note, source, span, message),
                };
                let diagnostic = diagnostic.at(at.path.clone()).of_policy(policy.cloned());
                found.push((at.file, diagnostic));
            }
        };
        let open: Vec<&Entry> = self.entries.iter().filter(|entry| self.is_open(entry)).collect();
        for entry in &open {
            let host = &entry.written.host;
            let names = self.loaded.values().flat_map(|loaded| &loaded.hosts);
            let names: Vec<&str> = names.map(|(written, _)| written.host.as_str()).collect();
            let hint = match nearest(host, names) {
                Some(name) => format!("; a policy names `{name}`, which may be a slip"),
                None => String::new(),
            };
            let message = format!(
                "`{host}` is open to every caller: it goes through the waypoint, and no policy \
                 names it{hint}"
            );
            tell(Some("open-host"), &entry.written, None, message);
        }
        if !open.is_empty() {
            for loaded in self.loaded.values().filter(|loaded| !loaded.says_default) {
                let at = Written {
                    file: loaded.file,
                    span: loaded.span.clone(),
                    path: loaded.prefix.to_owned(),
                    host: String::new(),
                };
                let message = format!(
                    "`defaultAction` is not set, so what no policy names is open, {} here: \
                     `defaultAction: Deny` closes it",
                    listed(&open)
                );
                tell(None, &at, None, message);
            }
        }
        if self.entries.is_empty() {
            return found;
        }
        let known = || self.entries.iter().map(|entry| entry.written.host.as_str());
        for (at, policy) in self.loaded.values().flat_map(|loaded| &loaded.hosts) {
            if known().any(|entry| meet(entry, &at.host)) {
                continue;
            }
            let host = &at.host;
            match nearest(host, known()) {
                Some(name) => tell(
                    Some("unknown-host"),
                    at,
                    Some(policy),
                    format!("no ServiceEntry here has `{host}` (did you mean `{name}`?)"),
                ),
                None => tell(
                    None,
                    at,
                    Some(policy),
                    format!(
                        "no ServiceEntry here has `{host}`, so it may never reach the waypoint"
                    ),
                ),
            }
        }
        found
    }

    /// Whether a host goes through a waypoint, and every configuration leaves it open without
    /// naming it.
    fn is_open(&self, entry: &Entry) -> bool {
        let by_namespace = || {
            entry.namespace.as_ref().is_some_and(|namespace| self.namespaces.contains(namespace))
        };
        let host = entry.written.host.as_str();
        // Of a wildcard, any host under it.
        let one = host.strip_prefix('*').map_or_else(|| host.to_owned(), |rest| format!("x{rest}"));
        let bare = host.trim_start_matches("*.");
        entry.labelled.unwrap_or_else(by_namespace)
            && !self.loaded.is_empty()
            && self
                .loaded
                .values()
                .all(|loaded| loaded.engine.leaves_open(&one) && !loaded.text.contains(bare))
    }
}

fn written(file: usize, node: &Node, path: String) -> Option<Written> {
    let host = node.as_str()?.to_ascii_lowercase();
    Some(Written { file, span: node.span.clone(), path, host })
}

/// The hosts that the policies of a configuration name.
fn policy_hosts(file: usize, plugin: Plugin<'_>, config: &Node) -> Vec<(Written, String)> {
    let policies = config.get("policies").and_then(Node::items).unwrap_or_default();
    let prefix = match plugin.prefix() {
        "" => String::new(),
        prefix => format!("{prefix}."),
    };
    let of_policy = |(index, policy): (usize, &Node)| {
        let name = policy.get("name").and_then(Node::as_str).unwrap_or_default().to_owned();
        let hosts = policy.get("hosts").and_then(Node::items).unwrap_or_default();
        let hosts = hosts.iter().enumerate().filter_map(|(position, node)| {
            let path = format!("{prefix}policies[{index}].hosts[{position}]");
            Some((written(file, node, path)?, name.clone()))
        });
        hosts.collect::<Vec<_>>()
    };
    policies.iter().enumerate().flat_map(of_policy).collect()
}

/// Whether some host may belong to both.
fn meet(a: &str, b: &str) -> bool {
    let within = |name: &str, pattern: &str| {
        pattern.strip_prefix('*').is_some_and(|suffix| name.ends_with(suffix))
    };
    a == b || within(a, b) || within(b, a)
}

fn listed(open: &[&Entry]) -> String {
    let named = open.iter().take(MAX_NAMED).map(|entry| format!("`{}`", entry.written.host));
    let named = named.collect::<Vec<_>>().join(", ");
    match open.len().checked_sub(MAX_NAMED) {
        Some(more) if more > 0 => format!("{named} and {more} more"),
        _ => named,
    }
}

/// Warns of a configuration without policies, unless it says that everything is to go on.
pub(super) fn lint_defaults(
    source: &Source,
    plugin: Plugin<'_>,
    config: &Node,
    engine: &Engine,
    found: &mut Vec<Diagnostic>,
) {
    let Some((key, _)) = config.field("policies").filter(|_| engine.policy_count() == 0) else {
        return;
    };
    let message = match engine.default_action_of_all() {
        DefaultAction::Allow if config.get("defaultAction").is_some() => return,
        DefaultAction::Allow => {
            "there is no policy, so every caller may call every host: `defaultAction: Deny` \
             closes them until there is one"
        }
        DefaultAction::Deny => "there is no policy, and `defaultAction` is Deny: nothing goes on",
    };
    let path = match plugin.prefix() {
        "" => "policies".to_owned(),
        prefix => format!("{prefix}.policies"),
    };
    found.push(
        Diagnostic::warning("no-policies", source, key.span.clone(), message.to_owned()).at(path),
    );
}
