//! The audit record of a decision.

use crate::audit::{Line, MAX_LIST};
use crate::decision::{Asked, Decision, WHOLE};
use crate::path;
use crate::policy::{Engine, FieldValue};
use crate::request::Facts;
use crate::request::headers::{Headers, Known};

/// What was found in a request line when the request was admitted.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RequestLine<'a> {
    /// The host, in its canonical form, which needs no escape in JSON.
    pub(super) host: Option<&'a str>,
    /// The path without its query, where a look at it has found it plain.
    pub(super) plain_path: Option<&'a str>,
}

/// The record as a line of JSON. `found` is what is known of the request line; `status` is that of
/// the filter's own answer, if it answers; `fields` are those that the configuration adds.
pub(super) fn line(
    engine: &Engine,
    facts: &Facts<'_>,
    found: RequestLine<'_>,
    decision: &Decision,
    status: Option<u16>,
    fields: &[FieldValue],
) -> Vec<u8> {
    let mut line = written(Some((engine, facts)), &facts.headers, found, decision, status);
    if !fields.is_empty() {
        add_fields(&mut line, fields);
    }
    line.json("}");
    line.into_bytes()
}

/// The record of a request that is refused because there is no configuration.
pub(super) fn unconfigured(headers: &Headers<'_>, decision: &Decision, status: u16) -> Vec<u8> {
    let mut line = written(None, headers, RequestLine::default(), decision, Some(status));
    line.json("}");
    line.into_bytes()
}

/// The record, without what the configuration adds and the brace that ends it. JSON escapes what a
/// caller puts into its request, so that no line can be forged.
fn written(
    known: Option<(&Engine, &Facts<'_>)>,
    headers: &Headers<'_>,
    found: RequestLine<'_>,
    decision: &Decision,
    status: Option<u16>,
) -> Line {
    let mut line = Line::beginning("{\"event\":\"egress\",\"verdict\":\"");
    line.json(decision.verdict().as_str());
    let engine = known.map(|(engine, _)| engine);
    let name = |index: usize| engine?.policy_name(index);
    line.plain("\",\"policy\":\"", decision.policy.and_then(name));
    line.json(",\"reason\":\"");
    line.json(decision.reason.as_str());
    line.json("\"");
    if decision.detail.is_some() {
        line.text(",\"detail\":\"", decision.detail.map(str::as_bytes));
    }
    line.json(",\"shadow\":[");
    if let (Some(engine), false) = (engine, decision.shadow.is_empty()) {
        names(&mut line, engine, &decision.shadow);
    }
    line.json("]");
    if let Some(engine) = engine {
        lists(&mut line, engine, decision);
    }
    let caller = known.map(|(engine, facts)| engine.caller(facts));
    let accepted = caller.and_then(|caller| caller.spiffe_id());
    line.plain(",\"caller\":\"", accepted);
    if let Some(rejected) = caller.and_then(|caller| caller.rejected()) {
        line.plain(",\"rejectedCaller\":\"", Some(rejected));
    }
    line.text_cut(",\"method\":\"", headers.known(Known::METHOD));
    match found.host {
        Some(host) => line.plain(",\"host\":\"", Some(host)),
        // The authority as it came.
        None => line.text_cut(",\"host\":\"", headers.known(Known::AUTHORITY)),
    }
    let path = || headers.known(Known::PATH).map(path::without_query);
    line.text_cut(",\"path\":\"", found.plain_path.map(str::as_bytes).or_else(path));
    match (known, found.host) {
        (Some((_, facts)), Some(host)) if facts.is_named(host) => {
            line.plain(",\"destination\":\"", Some(host));
        }
        _ => {
            let destination = known.and_then(|(_, facts)| facts.destination());
            line.text(",\"destination\":\"", destination.map(str::as_bytes));
        }
    }
    line.json(",\"status\":");
    match status {
        Some(status) => line.number(u32::from(status)),
        None => line.json("null"),
    }
    line.text_cut(",\"requestId\":\"", headers.known(Known::REQUEST_ID));
    line
}

/// Writes the lists that few records have.
fn lists(line: &mut Line, engine: &Engine, decision: &Decision) {
    let Decision { errors, credentials, calls, .. } = decision;
    if !(errors.is_empty() && credentials.is_empty() && calls.is_empty()) {
        filled_lists(line, engine, decision);
    }
}

#[cold]
#[inline(never)]
fn filled_lists(line: &mut Line, engine: &Engine, decision: &Decision) {
    // A list in which nothing is left is not written.
    let mut errors = decision.errors.iter().filter_map(|(index, message)| {
        let policy = engine.policy_name(*index);
        (policy.is_some() || *index == WHOLE).then_some((policy, message))
    });
    let mut separator = ",\"errors\":[{";
    for (policy, message) in errors.by_ref().take(MAX_LIST) {
        line.json(separator);
        separator = ",{";
        if let Some(policy) = policy {
            line.plain("\"policy\":\"", Some(policy));
            line.json(",");
        }
        line.text("\"message\":\"", Some(message.as_bytes()));
        line.json("}");
    }
    if separator == ",{" {
        line.json("]");
    }
    if decision.credentials.iter().any(|index| engine.policy_name(*index).is_some()) {
        line.json(",\"credentials\":[");
        names(line, engine, &decision.credentials);
        line.json("]");
    }
    let calls = decision.calls.iter().filter_map(|asked| {
        let policy = engine.policy_name(asked.policy)?;
        Some((asked, policy))
    });
    let mut separator = ",\"calls\":[{";
    for (asked, policy) in calls.take(MAX_LIST) {
        line.json(separator);
        separator = ",{";
        call(line, asked, policy);
    }
    if separator == ",{" {
        line.json("]");
    }
}

/// Writes what came of asking a service, without the first brace.
fn call(line: &mut Line, asked: &Asked, policy: &str) {
    line.plain("\"policy\":\"", Some(policy));
    line.json(",\"service\":\"");
    line.json(asked.service.field());
    line.json("\",\"outcome\":\"");
    line.json(asked.outcome.as_str());
    line.json("\"");
    if asked.is_cached {
        line.json(",\"cached\":true");
    }
    if asked.fails_open {
        line.json(",\"failedOpen\":true");
    }
    line.json(",\"milliseconds\":");
    line.number(asked.milliseconds);
    line.json("}");
}

/// Writes the names of policies.
fn names(line: &mut Line, engine: &Engine, indices: &[usize]) {
    let names = indices.iter().filter_map(|index| engine.policy_name(*index));
    let mut key = "\"";
    for name in names.take(MAX_LIST) {
        line.plain(key, Some(name));
        key = ",\"";
    }
}

/// Adds the fields, whose values are JSON already, and the names of those that are cut.
#[cold]
fn add_fields(line: &mut Line, fields: &[FieldValue]) {
    line.json(",\"fields\":{");
    let mut key = "\"";
    for FieldValue { name, json, .. } in fields {
        line.plain(key, Some(name));
        line.json(":");
        line.json(json);
        key = ",\"";
    }
    line.json("}");
    let mut key = ",\"cutFields\":[\"";
    for field in fields.iter().filter(|field| field.is_cut) {
        line.plain(key, Some(&field.name));
        key = ",\"";
    }
    if key == ",\"" {
        line.json("]");
    }
}

#[cfg(test)]
mod tests;
