//! Reads files of cases.

pub(crate) mod case;
pub(crate) mod draft;
pub(crate) mod expect;
pub(crate) mod headers;
pub(crate) mod service;
mod time;

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::time::Duration;

use egress_filter::identity::SpiffeId;

use super::fields::{Fields, Object};
use super::model::{Case, File, Policies, Service, Suite};
use super::relative;
use crate::Failure;
use crate::diagnostic::Diagnostic;
use crate::manifest::Manifest;
use crate::source::Source;
use crate::yaml::{Key, Node, Value};
use draft::Draft;

pub(crate) const SUITE: [&str; 12] = [
    "name",
    "description",
    "policies",
    "config",
    "plugin",
    "normalizePath",
    "workers",
    "clock",
    "environment",
    "services",
    "defaults",
    "cases",
];
/// The most workers of a suite.
pub(crate) const MAX_WORKERS: usize = 16;

/// A file that is not one of cases, and what is wrong with it.
pub(crate) type Wrong = (Source, Vec<Diagnostic>);

/// The defaults that cases take from their suite.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    draft: Draft,
    trust_domain: Option<String>,
    services: Vec<Service>,
    workers: usize,
    clock: Option<Duration>,
}

/// Reads a file, or standard input for `-`.
pub(crate) fn read(name: &str) -> Result<Result<File, Wrong>, Failure> {
    Ok(match Manifest::read(name)? {
        Ok(manifest) => of(manifest),
        Err((source, error)) => Err((source, vec![error])),
    })
}

/// Reads documents as suites of cases.
pub(crate) fn of(manifest: Manifest) -> Result<File, Wrong> {
    let Manifest { source, documents } = manifest;
    let mut fields = Fields::new(&source);
    let suites: Vec<Suite> =
        documents.iter().filter_map(|document| suite(&mut fields, document)).collect();
    if documents.is_empty() {
        fields.error(&(0..0), "nothing to test: this file has no cases");
    }
    let mut found = fields.found;
    found.sort_by_key(|found| found.span.start);
    if found.is_empty() { Ok(File { source, suites }) } else { Err((source, found)) }
}

fn suite(fields: &mut Fields<'_>, document: &Node) -> Option<Suite> {
    if let Some((key, kind)) = document.field("kind")
        && document.get("apiVersion").is_some()
    {
        let kind = kind.as_str().unwrap_or("resource");
        fields.error(
            &key.span,
            format!(
                "a {kind} has no cases: name this file as the `policies` of a file that has, \
                 or give it as --policies"
            ),
        );
        return None;
    }
    if let Some((key, policies)) = document.field("policies")
        && document.get("cases").is_none()
        && policies.items().is_some_and(|items| items.iter().all(|item| item.fields().is_some()))
    {
        fields.error(
            &key.span,
            "these are policies, not cases: run `egressctl check` on this file, or name it as \
             the `policies` of a file that has cases",
        );
        return None;
    }
    let object = fields.object(document, "a file of cases", &SUITE)?;
    let name = object.get("name").and_then(|node| fields.full_text(node, "`name`"));
    let description =
        object.get("description").and_then(|node| fields.full_text(node, "`description`"));
    let plugin = object.get("plugin").and_then(|node| fields.full_text(node, "`plugin`"));
    let normalize_path = object.get("normalizePath").and_then(|node| flag(fields, node));
    let clock = object.get("clock").and_then(|node| time::timestamp(fields, node));
    let environment = object.get("environment").map(|node| environment(fields, node));
    let mut defaults =
        object.get("defaults").and_then(|node| defaults(fields, node)).unwrap_or_default();
    defaults.workers = object.get("workers").and_then(|node| workers(fields, node)).unwrap_or(1);
    defaults.clock = clock;
    defaults.services =
        object.get("services").map(|node| service::services(fields, node)).unwrap_or_default();
    let policies = policies(fields, object);
    let items = items(fields, object)?;
    let mut cases = Vec::with_capacity(items.len());
    for item in items {
        case::read(fields, item, &defaults, &mut cases);
    }
    let mut names = HashSet::new();
    for case in &cases {
        if !names.insert(case.name.as_str()) {
            fields.error(&case.span, format!("two cases are named `{}`", case.name));
        }
    }
    let normalize_path = normalize_path.unwrap_or(true);
    for step in cases.iter_mut().flat_map(|case: &mut Case| &mut case.steps) {
        step.normalize_path = normalize_path;
    }
    Some(Suite {
        file: fields.source.name.clone(),
        name,
        description,
        config: serde_json::Value::Null,
        normalize_path,
        workers: defaults.workers,
        clock,
        environment: environment.unwrap_or_default(),
        cases,
        policies: policies?,
        plugin,
    })
}

/// The environment variables of the proxy.
fn environment(fields: &mut Fields<'_>, node: &Node) -> BTreeMap<String, String> {
    let Some(object) = fields.any_object(node, "`environment`") else { return BTreeMap::new() };
    let variable = |(key, value): (&Key, &Node)| {
        let value = fields.text(value, &format!("the value of `{}`", key.name))?;
        Some((key.name.clone(), value))
    };
    object.iter().filter_map(variable).collect()
}

/// The list of cases, of which there is at least one.
fn items<'d>(fields: &mut Fields<'_>, object: Object<'d>) -> Option<&'d [Node]> {
    let Some((key, node)) = object.key("cases") else {
        if !object.is_misspelt("cases") {
            fields.error(&object.node.span, "`cases` is missing: nothing is tested");
        }
        return None;
    };
    let items = node.items().filter(|items| !items.is_empty());
    if items.is_none() {
        fields.error(&key.span, "`cases` is a list of at least one");
    }
    items
}

/// What a case does not say, and the trust domain of its caller.
fn defaults(fields: &mut Fields<'_>, node: &Node) -> Option<Defaults> {
    let known: Vec<&str> = draft::FIELDS.into_iter().chain(["trustDomain"]).collect();
    let given = fields.object(node, "`defaults`", &known)?;
    let draft = Draft::read(fields, given);
    let named =
        given.get("trustDomain").and_then(|node| Some((node, fields.text(node, "`trustDomain`")?)));
    let trust_domain =
        named.and_then(|(node, domain)| match SpiffeId::parse(&format!("spiffe://{domain}")) {
            Ok(_) => Some(domain),
            Err(error) => {
                fields.error(&node.span, format!("`{domain}`: {error}"));
                None
            }
        });
    Some(Defaults { draft, trust_domain, ..Defaults::default() })
}

fn flag(fields: &mut Fields<'_>, node: &Node) -> Option<bool> {
    if let Value::Bool(flag) = node.value {
        return Some(flag);
    }
    fields.error(&node.span, format!("this is `true` or `false`, not {}", node.kind()));
    None
}

fn workers(fields: &mut Fields<'_>, node: &Node) -> Option<usize> {
    let text = fields.text(node, "`workers`")?;
    let workers = text.parse().ok().filter(|workers| (1..=MAX_WORKERS).contains(workers));
    if workers.is_none() {
        fields.error(&node.span, format!("`workers` is a number from 1 to {MAX_WORKERS}"));
    }
    workers
}

fn policies(fields: &mut Fields<'_>, object: Object<'_>) -> Option<Policies> {
    match (object.key("policies"), object.get("config")) {
        (None, None) if object.is_misspelt("policies") || object.is_misspelt("config") => None,
        (None, None) => Some(Policies::Unsaid(object.node.span.clone())),
        (Some((key, _)), Some(_)) => {
            fields.error(
                &key.span,
                "`policies` and `config` exclude each other: the policies are in files, or here",
            );
            None
        }
        (None, Some(config)) => Some(Policies::Inline(config.clone())),
        (Some((key, node)), None) => {
            let files = fields.texts(node, "a file of policies")?;
            if files.is_empty()
                || files.iter().any(|(file, _)| file.trim().is_empty() || file == "-")
            {
                fields.error(&key.span, "`policies` names the file that has them, or several");
                return None;
            }
            let name = |(file, span): (String, Range<usize>)| {
                (relative::beside(&fields.source.name, &file), span)
            };
            Some(Policies::Files(files.into_iter().map(name).collect()))
        }
    }
}
