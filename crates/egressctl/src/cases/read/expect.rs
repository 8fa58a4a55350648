//! Reads the expected outcome of a request.

use std::collections::BTreeMap;

use egress_filter::decision::Reason;

use super::{draft, headers};
use crate::cases::expect::{AuditExpectation, Expect, Values, Verdict};
use crate::cases::fields::{Fields, Object};
use crate::yaml::{Node, Value};

pub(crate) const EXPECT: [&str; 11] = [
    "verdict",
    "policy",
    "reason",
    "status",
    "body",
    "headers",
    "responseHeaders",
    "shadow",
    "errors",
    "audit",
    "counters",
];
pub(crate) const VERDICTS: [&str; 3] = ["allow", "answer", "deny"];

/// The `expect` of a case or a step, which has one.
pub(super) fn read(fields: &mut Fields<'_>, case: &Node, object: Object<'_>) -> Option<Expect> {
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
    decision(fields, given, &mut expect);
    expect.status = given.get("status").map(|node| {
        let one = std::slice::from_ref(node);
        node.items().unwrap_or(one).iter().filter_map(|node| draft::status(fields, node)).collect()
    });
    expect.body = given.get("body").and_then(|node| fields.text(node, "`body`"));
    let mut lines = |name: &str| {
        given.get(name).map(|node| lower(headers::read(fields, node))).unwrap_or_default()
    };
    expect.headers = lines("headers");
    expect.response_headers = lines("responseHeaders");
    expect.audit = given.get("audit").and_then(|node| audit(fields, node));
    expect.counters = given.get("counters").map(|node| counters(fields, node)).unwrap_or_default();
    contradictions(fields, given, &expect);
    if expect.is_empty() && fields.found.len() == errors {
        fields.error(&key.span, "`expect` is empty, so the case shows nothing");
    }
    Some(expect)
}

/// What the engine decides.
fn decision(fields: &mut Fields<'_>, given: Object<'_>, expect: &mut Expect) {
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
    let mut names = |name: &str| {
        let names = fields.texts(given.get(name)?, "a policy's name")?;
        Some(names.into_iter().map(|(name, _)| name).collect::<Vec<_>>())
    };
    expect.shadow = names("shadow");
    expect.errors = names("errors");
}

fn verdict(fields: &mut Fields<'_>, node: &Node) -> Option<Verdict> {
    match fields.word(node, "a verdict", &VERDICTS)? {
        "allow" => Some(Verdict::Allow),
        "answer" => Some(Verdict::Answer),
        _ => Some(Verdict::Deny),
    }
}

/// `none`, or fields of the one record.
fn audit(fields: &mut Fields<'_>, node: &Node) -> Option<AuditExpectation> {
    if let Some(word) = node.as_str() {
        if word != "none" {
            fields.error(
                &node.span,
                format!("`audit` is fields of a record, or `none`, not `{word}`"),
            );
        }
        return Some(AuditExpectation::Absent);
    }
    fields.any_object(node, "`audit`")?;
    let record = serde_json::from_str(&node.to_json()).unwrap_or_default();
    Some(AuditExpectation::Record(record))
}

/// Counters by name.
pub(super) fn counters(fields: &mut Fields<'_>, node: &Node) -> BTreeMap<String, u64> {
    let Some(object) = fields.any_object(node, "`counters`") else { return BTreeMap::new() };
    let mut counters = BTreeMap::new();
    for (key, node) in object.iter() {
        let Some(text) = fields.text(node, "a count") else { continue };
        match text.parse() {
            Ok(count) => drop(counters.insert(key.name.clone(), count)),
            Err(_) => fields.error(&node.span, format!("`{text}` is no count: it is 0 or more")),
        }
    }
    counters
}

/// Reports expectations that nothing can meet.
fn contradictions(fields: &mut Fields<'_>, given: Object<'_>, expect: &Expect) {
    let by_reason = expect.reason.map(Reason::verdict);
    if let (Some(verdict), Some(by_reason), Some((key, _))) =
        (expect.verdict, by_reason, given.key("reason"))
        && verdict != by_reason
    {
        fields.error(
            &key.span,
            format!("a request with this reason has the verdict `{}`", by_reason.as_str()),
        );
    }
    let what = match expect.verdict.or(by_reason) {
        Some(Verdict::Deny) => "a denied request",
        Some(Verdict::Answer) => "an answered request",
        Some(Verdict::Allow) | None => return,
    };
    if let Some((key, _)) = given.key("headers") {
        fields.error(&key.span, format!("{what} reaches no origin, so it has no `headers`"));
    }
}

/// Names in lower case, and all lines of a name together.
fn lower(headers: Vec<(String, Values)>) -> Vec<(String, Values)> {
    let mut all: Vec<(String, Values)> = Vec::with_capacity(headers.len());
    for (name, values) in headers {
        let name = name.to_lowercase();
        match all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => known.extend(values),
            None => all.push((name, values)),
        }
    }
    all
}
