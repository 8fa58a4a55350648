//! Reads files of cases.

use std::collections::HashSet;
use std::ops::Range;

use egress_filter::identity::SpiffeId;
use egress_filter::outcome::Reason;

use super::draft::{self, Draft};
use super::fields::{Fields, Object};
use super::model::{Case, Expect, File, Lines, Policies, Suite, Verdict};
use super::relative;
use crate::Failure;
use crate::diagnostic::Diagnostic;
use crate::manifest::Manifest;
use crate::source::Source;
use crate::yaml::{Node, Value};

pub(crate) const SUITE: [&str; 6] = ["name", "policies", "config", "plugin", "defaults", "cases"];
pub(crate) const CASE: [&str; 3] = ["name", "for", "expect"];
pub(crate) const EXPECT: [&str; 8] =
    ["verdict", "policy", "reason", "status", "headers", "responseHeaders", "shadow", "errors"];
pub(crate) const VERDICTS: [&str; 2] = ["allow", "deny"];
/// The most cases that one `for` makes.
const MAX_VARIANTS: usize = 10_000;

/// A file that is none of cases, and what is wrong with it.
pub(crate) type Wrong = (Source, Vec<Diagnostic>);

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
    let mut fields = Fields { source: &source, found: Vec::new() };
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
            format!("a {kind} has no cases: name this file as the `policies` of a file that has, or give it as --policies"),
        );
        return None;
    }
    let object = fields.object(document, "a file of cases", &SUITE)?;
    let name = object.get("name").and_then(|node| fields.full_text(node, "`name`"));
    let plugin = object.get("plugin").and_then(|node| fields.full_text(node, "`plugin`"));
    let (defaults, trust_domain) =
        object.get("defaults").and_then(|node| defaults(fields, node)).unwrap_or_default();
    let policies = policies(fields, object);
    let Some(items) = object.get("cases").map(Node::items) else {
        if object.is_misspelt("cases") {
            return None;
        }
        fields.error(&document.span, "`cases` is missing: nothing is tested");
        return None;
    };
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        fields.error(
            &object.key("cases").map_or(document.span.clone(), |(key, _)| key.span.clone()),
            "`cases` is a list of at least one",
        );
        return None;
    };
    let mut cases = Vec::with_capacity(items.len());
    for item in items {
        case(fields, item, &defaults, trust_domain.as_deref(), &mut cases);
    }
    let mut names = HashSet::new();
    for case in &cases {
        if !names.insert(case.name.as_str()) {
            fields.error(&case.span, format!("two cases are named `{}`", case.name));
        }
    }
    Some(Suite { name, policies: policies?, plugin, cases })
}

/// What a case does not say, and the trust domain of its caller.
fn defaults(fields: &mut Fields<'_>, node: &Node) -> Option<(Draft, Option<String>)> {
    let known: Vec<&str> = draft::FIELDS.into_iter().chain(["trustDomain"]).collect();
    let given = fields.object(node, "`defaults`", &known)?;
    let defaults = Draft::read(fields, given);
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
    Some((defaults, trust_domain))
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

/// Reads a case, or the several that its `for` makes of it.
fn case(
    fields: &mut Fields<'_>,
    node: &Node,
    defaults: &Draft,
    trust_domain: Option<&str>,
    cases: &mut Vec<Case>,
) {
    let known: Vec<&str> = CASE.into_iter().chain(draft::FIELDS).collect();
    let Some(object) = fields.object(node, "a case", &known) else { return };
    let Some((_, name_node)) = object.key("name") else {
        if object.is_misspelt("name") {
            return;
        }
        fields.error(&node.span, "a case needs a `name`: the rule that it shows");
        return;
    };
    let name = fields.full_text(name_node, "`name`");
    let own = Draft::read(fields, object);
    let expect = expect(fields, node, object);
    let variants =
        object.get("for").map_or_else(|| Some(vec![Vec::new()]), |node| variants(fields, node));
    let (Some(name), Some(expect), Some(variants)) = (name, expect, variants) else { return };
    for variant in variants {
        let mut draft = own.clone().over(defaults);
        for (field, value, span) in &variant {
            draft.vary(fields, field, value, span);
        }
        let errors = fields.found.len();
        if object.is_misspelt("caller") || object.is_misspelt("request") {
            return;
        }
        let short = draft.short_caller().filter(|_| trust_domain.is_none());
        let finished =
            draft.finish(fields, &name_node.span, trust_domain.unwrap_or("cluster.local"));
        let values: Vec<&str> = variant.iter().map(|(_, value, _)| value.as_str()).collect();
        let name = if values.is_empty() {
            name.clone()
        } else {
            format!("{name} [{}]", values.join(", "))
        };
        if let Some((caller, trial)) = finished {
            cases.push(Case {
                name,
                span: name_node.span.clone(),
                caller,
                short,
                trial,
                expect: expect.clone(),
            });
        }
        // What is wrong with one variant is so with most.
        if fields.found.len() > errors {
            return;
        }
    }
}

type Variant = Vec<(&'static str, String, Range<usize>)>;

/// Each way to choose one value for each field.
fn variants(fields: &mut Fields<'_>, node: &Node) -> Option<Vec<Variant>> {
    let object = fields.object(node, "`for`", &draft::VARIED)?;
    let mut variants: Vec<Variant> = vec![Vec::new()];
    for (key, value) in object.iter() {
        let Some(name) = draft::VARIED.into_iter().find(|name| *name == key.name) else { continue };
        let values = fields.texts(value, &format!("each value of `{name}`"))?;
        if values.is_empty() || values.len().saturating_mul(variants.len()) > MAX_VARIANTS {
            fields.error(&key.span, format!("`for` makes 1 to {MAX_VARIANTS} cases"));
            return None;
        }
        let longer = |variant: Variant| {
            let longer = |(text, span): &(String, Range<usize>)| {
                variant
                    .iter()
                    .cloned()
                    .chain([(name, text.clone(), span.clone())])
                    .collect::<Variant>()
            };
            values.iter().map(longer).collect::<Vec<_>>()
        };
        variants = variants.into_iter().flat_map(longer).collect();
    }
    Some(variants)
}

fn expect(fields: &mut Fields<'_>, case: &Node, object: Object<'_>) -> Option<Expect> {
    let Some((key, node)) = object.key("expect") else {
        if object.is_misspelt("expect") {
            return None;
        }
        fields.error(
            &case.span,
            "a case without `expect` shows nothing: at least say `expect: allow` or `expect: deny`",
        );
        return None;
    };
    let mut expect = Expect::default();
    if node.as_str().is_some() {
        expect.verdict = verdict(fields, node);
        return Some(expect);
    }
    let given = fields.object(node, "`expect`", &EXPECT)?;
    let errors = fields.found.len();
    expect.verdict = given.get("verdict").and_then(|node| verdict(fields, node));
    expect.policy = given.get("policy").and_then(|node| match node.value {
        Value::Null => Some(None),
        _ => fields.full_text(node, "`policy`").map(Some),
    });
    if let Some(node) = given.get("reason") {
        let words = Reason::ALL.map(Reason::as_str);
        let word = fields.word(node, "`reason`", &words);
        expect.reason = Reason::ALL.into_iter().find(|reason| Some(reason.as_str()) == word);
    }
    expect.status = given.get("status").map(|node| {
        let one = std::slice::from_ref(node);
        node.items().unwrap_or(one).iter().filter_map(|node| draft::status(fields, node)).collect()
    });
    expect.headers =
        given.get("headers").map(|node| lower(draft::headers(fields, node))).unwrap_or_default();
    expect.response_headers = given
        .get("responseHeaders")
        .map(|node| lower(draft::headers(fields, node)))
        .unwrap_or_default();
    let mut names = |name: &str| {
        let names = fields.texts(given.get(name)?, "a policy's name")?;
        Some(names.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    expect.shadow = names("shadow");
    expect.errors = names("errors");
    contradictions(fields, given, &expect);
    if expect.is_empty() && fields.found.len() == errors {
        fields.error(&key.span, "`expect` is empty, so the case shows nothing");
    }
    Some(expect)
}

fn verdict(fields: &mut Fields<'_>, node: &Node) -> Option<Verdict> {
    match fields.word(node, "a verdict", &VERDICTS)? {
        "allow" => Some(Verdict::Allow),
        _ => Some(Verdict::Deny),
    }
}

/// Expectations that nothing can meet.
fn contradictions(fields: &mut Fields<'_>, given: Object<'_>, expect: &Expect) {
    let by_reason = expect.reason.map(|reason| match reason {
        Reason::AllowMatched | Reason::NoAllowRule => Verdict::Allow,
        _ => Verdict::Deny,
    });
    if let (Some(verdict), Some(by_reason), Some((key, _))) =
        (expect.verdict, by_reason, given.key("reason"))
        && verdict != by_reason
    {
        fields.error(
            &key.span,
            format!("a request with this reason has the verdict `{}`", by_reason.as_str()),
        );
    }
    if expect.verdict == Some(Verdict::Deny) || by_reason == Some(Verdict::Deny) {
        for name in ["headers", "responseHeaders"] {
            if let Some((key, _)) = given.key(name) {
                fields.error(
                    &key.span,
                    format!("a denied request reaches no origin, so it has no `{name}`"),
                );
            }
        }
    }
}

/// Names in lower case, and all lines of a name together.
fn lower(headers: Vec<(String, Lines)>) -> Vec<(String, Lines)> {
    let mut all: Vec<(String, Lines)> = Vec::with_capacity(headers.len());
    for (name, lines) in headers {
        let name = name.to_lowercase();
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(lines),
            None => all.push((name, lines)),
        }
    }
    all
}
