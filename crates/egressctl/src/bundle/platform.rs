//! The file that says what each team may name.

use std::ops::Range;
use std::path::Path;

use egress_filter::config::HostPattern;
use egress_filter::request::host;
use egress_filter::suggest::did_you_mean;

use super::guard::Namespace;
use super::{Errors, is_alone};
use crate::diagnostic::Diagnostic;
use crate::manifest::{Manifest, Plugin};
use crate::source::Source;
use crate::yaml::{Node, Value};

/// The teams of a mesh, and the plugin that their policies go into.
#[derive(Debug)]
pub(super) struct Platform {
    /// The plugin's file, beside this one.
    pub(super) plugin: String,
    pub(super) teams: Vec<Team>,
}

/// What a team may name.
#[derive(Debug)]
pub(super) struct Team {
    pub(super) name: String,
    pub(super) namespaces: Vec<Namespace>,
    /// Each with its place in the file.
    pub(super) hosts: Vec<(HostPattern, Range<usize>)>,
}

impl Team {
    /// The team's file: among those that are named, or below the platform's folder.
    pub(super) fn file(&self, folder: &Path, files: Option<&[String]>) -> Option<String> {
        if let Some(files) = files {
            return files.iter().find(|file| stem(file) == Some(&self.name)).cloned();
        }
        let file = folder.join("teams").join(format!("{}.yaml", self.name));
        // A team may have no policies yet.
        file.is_file().then(|| file.display().to_string())
    }

    /// Whether all hosts of a pattern are the team's.
    pub(super) fn has(&self, pattern: &HostPattern) -> bool {
        self.hosts.iter().any(|(own, _)| match (own, pattern) {
            (own, HostPattern::Exact(name)) => own.matches(name),
            (HostPattern::Under(own), HostPattern::Under(other)) => other.ends_with(own.as_str()),
            (HostPattern::Exact(_), HostPattern::Under(_)) => false,
        })
    }
}

/// The name of a file without its folder and ending.
fn stem(file: &str) -> Option<&str> {
    Path::new(file).file_stem()?.to_str()
}

/// Whether some host belongs to both.
pub(super) fn meet(a: &HostPattern, b: &HostPattern) -> bool {
    match (a, b) {
        (HostPattern::Exact(name), other) | (other, HostPattern::Exact(name)) => {
            other.matches(name)
        }
        (HostPattern::Under(a), HostPattern::Under(b)) => {
            a.ends_with(b.as_str()) || b.ends_with(a.as_str())
        }
    }
}

/// A host as a policy has it.
fn pattern(text: &str) -> Option<HostPattern> {
    let name = text.strip_prefix("*.").unwrap_or(text);
    let is_name = host::canonical(name.as_bytes()).is_ok_and(|canonical| canonical == name);
    if !is_name || name.starts_with('[') {
        return None;
    }
    Some(match text.strip_prefix('*') {
        Some(suffix) => HostPattern::Under(suffix.to_owned()),
        None => HostPattern::Exact(text.to_owned()),
    })
}

impl Platform {
    /// Reads the file. If files of teams are named, each has to be of some team.
    pub(super) fn read(
        manifest: &Manifest,
        files: Option<&[String]>,
    ) -> Result<Platform, Vec<Diagnostic>> {
        let mut reader = Reader { source: &manifest.source, found: Vec::new() };
        let mut platform = Platform { plugin: String::new(), teams: Vec::new() };
        match manifest.documents.as_slice() {
            [document] => platform.read_document(document, &mut reader),
            _ => reader.add(0..0, "expected one document with `plugin` and `teams`"),
        }
        for file in files.unwrap_or_default() {
            if !platform.teams.iter().any(|team| stem(file) == Some(&team.name)) {
                let hint = did_you_mean(
                    stem(file).unwrap_or_default(),
                    platform.teams.iter().map(|team| team.name.as_str()),
                );
                reader.add(0..0, format!("`{}` is the file of no team{hint}", file.escape_debug()));
            }
        }
        if reader.found.is_empty() { Ok(platform) } else { Err(reader.found) }
    }

    fn read_document(&mut self, document: &Node, reader: &mut Reader<'_>) {
        if !reader.fields(document, &["plugin", "teams"]) {
            return;
        }
        if let Some(plugin) = document.get("plugin") {
            match plugin.as_str() {
                Some(plugin) => self.plugin = plugin.to_owned(),
                None => reader.add(plugin.span.clone(), "expected the name of a file"),
            }
        }
        let teams = document.get("teams").map(|teams| reader.list(teams)).unwrap_or_default();
        for node in teams {
            if reader.fields(node, &["name", "namespaces", "hosts"]) {
                let team = self.read_team(node, reader);
                self.teams.push(team);
            }
        }
    }

    fn read_team(&self, node: &Node, reader: &mut Reader<'_>) -> Team {
        let mut team = Team { name: String::new(), namespaces: Vec::new(), hosts: Vec::new() };
        if let Some(name) = node.get("name") {
            let text = name.as_str().unwrap_or_default();
            let is_legal = !text.is_empty()
                && text.len() <= 63
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            if !is_legal {
                let message = "expected a name of 1 to 63 letters, digits, `-` and `_`";
                reader.add(name.span.clone(), message);
            } else if self.teams.iter().any(|team| team.name == text) {
                reader.add(name.span.clone(), format!("a team `{text}` is above already"));
            }
            team.name = text.to_owned();
        }
        for node in node.get("namespaces").map(|list| reader.list(list)).unwrap_or_default() {
            match node.as_str().and_then(Namespace::parse) {
                Some(namespace) => team.namespaces.push(namespace),
                None => reader.add(
                    node.span.clone(),
                    "expected a namespace, or the beginning of several with `*` behind it",
                ),
            }
        }
        for node in node.get("hosts").map(|list| reader.list(list)).unwrap_or_default() {
            match node.as_str().and_then(pattern) {
                Some(pattern) => team.hosts.push((pattern, node.span.clone())),
                None => reader.add(
                    node.span.clone(),
                    "expected a host in lower case, such as `api.example.com` or `*.example.com`",
                ),
            }
        }
        team
    }

    /// Whether a host of a pattern is also another team's.
    pub(super) fn shares(&self, team: &Team, pattern: &HostPattern) -> Option<&Team> {
        let others = self.teams.iter().filter(|other| other.name != team.name);
        others.into_iter().find(|other| other.hosts.iter().any(|(own, _)| meet(own, pattern)))
    }

    /// Checks that the plugin lets no team decide for others: an Allow closes its host to everybody
    /// else, unless the host is closed already.
    pub(super) fn check_plugin(
        &self,
        source: &Source,
        plugin_source: &Source,
        plugin: Plugin<'_>,
    ) -> Result<(), Errors> {
        let Some(config) = plugin.config else { return Ok(()) };
        if config.get("defaultAction").and_then(Node::as_str) != Some("Deny") {
            let span = config.field("policies").map_or(0..0, |(key, _)| key.span.clone());
            let message = "teams need `defaultAction: Deny` at the top of the configuration: under \
                a default of Allow, one team's Allow would close its host to all others";
            let path = if is_alone(plugin.kind) { "" } else { plugin.prefix() };
            let error = Diagnostic::error(plugin_source, span, message.to_owned()).at(path);
            return Err(vec![(plugin_source.clone(), vec![error])]);
        }
        let policies = config.get("policies").and_then(Node::items).unwrap_or_default();
        let opening = policies.iter().filter(|policy| {
            policy.get("defaultAction").and_then(Node::as_str) == Some("Allow")
                && policy.get("mode").and_then(Node::as_str) != Some("Shadow")
        });
        let mut found = Vec::new();
        for policy in opening {
            let name = policy.get("name").and_then(Node::as_str).unwrap_or_default();
            let hosts = policy.get("hosts").and_then(Node::items).unwrap_or_default();
            let open: Vec<HostPattern> =
                hosts.iter().filter_map(|host| pattern(&host.as_str()?.to_lowercase())).collect();
            for (own, span) in self.teams.iter().flat_map(|team| &team.hosts) {
                if open.iter().any(|open| meet(open, own)) {
                    let message = format!(
                        "policy `{name}` of the plugin opens this host to every caller, and a \
                         team's Allow would close it to all but its own"
                    );
                    found.push(Diagnostic::error(source, span.clone(), message));
                }
            }
        }
        if found.is_empty() { Ok(()) } else { Err(vec![(source.clone(), found)]) }
    }
}

/// Reads values, and notes what is wrong with them.
struct Reader<'s> {
    source: &'s Source,
    found: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn add(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push(Diagnostic::error(self.source, span, message.into()));
    }

    /// Whether this is an object that has all of these fields once, and no other.
    fn fields(&mut self, node: &Node, names: &[&'static str]) -> bool {
        let before = self.found.len();
        let Some(fields) = node.fields() else {
            self.add(node.span.clone(), format!("expected an object, got {}", node.kind()));
            return false;
        };
        for (index, (key, _)) in fields.iter().enumerate() {
            let name = key.name.as_str();
            if !names.contains(&name) {
                let hint = did_you_mean(name, names.iter().copied());
                let message = format!("unknown field `{}`{hint}", name.escape_debug());
                self.add(key.span.clone(), message);
            } else if fields.iter().take(index).any(|(earlier, _)| earlier.name == name) {
                self.add(key.span.clone(), format!("field `{name}` is given twice"));
            }
        }
        for name in names {
            if node.get(name).is_none_or(|value| matches!(value.value, Value::Null)) {
                self.add(node.span.clone(), format!("field `{name}` is missing"));
            }
        }
        self.found.len() == before
    }

    /// The entries of a list that has some.
    fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        let items = node.items().unwrap_or_default();
        if items.is_empty() {
            self.add(node.span.clone(), "expected a list with at least one entry");
        }
        items
    }
}
