//! Compares what a case expects with what a layer observed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::expect::{AuditExpectation, Verdict};
use super::model::Step;
use super::observed::{Observed, values};

/// One fact that a case expects, and what was observed.
#[derive(Debug, Clone, PartialEq)]
pub struct Fact {
    /// The field of `expect`: `verdict`, or `headers` for a header.
    pub field: &'static str,
    /// The name within the field: of a header, an audit field, a counter.
    pub name: Option<String>,
    /// What the case expects.
    pub expected: Value,
    /// What was observed.
    pub got: Value,
    /// Whether the two agree.
    pub holds: bool,
}

impl Fact {
    /// What was observed where this was expected.
    #[must_use]
    pub fn new(field: &'static str, expected: impl Into<Value>, got: impl Into<Value>) -> Fact {
        let (expected, got) = (expected.into(), got.into());
        let holds = expected == got;
        Fact { field, name: None, expected, got, holds }
    }

    fn named(self, name: &str) -> Fact {
        Fact { name: Some(name.to_owned()), ..self }
    }

    /// Its path in `expect`, such as `headers.x-caller-identity`.
    #[must_use]
    pub fn path(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.field.to_owned(), |name| format!("{}.{name}", self.field))
    }
}

/// Everything that a step expects, with what was observed. Facts that the layer cannot see are left
/// out.
#[must_use]
pub fn compare(step: &Step, seen: &Observed) -> Vec<Fact> {
    let expect = &step.expect;
    let mut facts = Vec::new();
    facts.extend(expect.verdict.map(|expected| verdict(expected, seen)));
    if let Some(expected) = &expect.policy {
        let decided = seen.decision.as_ref().map(|decision| decision.policy.clone().into());
        facts.extend(recorded("policy", expected.clone().into(), decided, seen));
    }
    if let Some(expected) = expect.reason {
        let decided = seen.decision.as_ref().map(|decision| decision.reason.as_str().into());
        facts.extend(recorded("reason", expected.as_str().into(), decided, seen));
    }
    facts.extend(expect.status.as_ref().map(|expected| status(expected, seen.status)));
    if let Some(expected) = &expect.body {
        facts.push(Fact::new("body", expected.as_str(), String::from_utf8_lossy(&seen.body)));
    }
    facts.extend(headers(step, seen));
    if let Some(expected) = &expect.shadow {
        let decided = seen.decision.as_ref().map(|decision| set(&decision.shadow));
        facts.extend(recorded("shadow", set(expected), decided, seen));
    }
    if let (Some(expected), Some(got)) = (&expect.errors, &seen.errors) {
        facts.push(Fact::new("errors", set(expected), set(got)));
    }
    if let (Some(expected), Some(records)) = (&expect.audit, &seen.audit) {
        audit(expected, records, &mut facts);
    }
    if let Some(counters) = &seen.counters {
        facts.extend(compare_counters(&expect.counters, counters));
    }
    facts
}

/// A request that reached the origin counts as let through, whatever the audit record says; and the
/// record must agree with that.
fn verdict(expected: Verdict, seen: &Observed) -> Fact {
    let mut said: Vec<Value> = Vec::new();
    said.extend(seen.decision.as_ref().map(|decision| Value::from(decision.verdict.as_str())));
    if seen.upstream.is_some() {
        said.push(Verdict::Allow.as_str().into());
    }
    said.extend(fields(seen, "verdict"));
    if said.is_empty() {
        // Without a record, a denial and an answer look alike.
        let either = if expected == Verdict::Allow { Verdict::Deny } else { expected };
        said.push(either.as_str().into());
    }
    let expected = Value::from(expected.as_str());
    let got = said.into_iter().find(|said| *said != expected).unwrap_or_else(|| expected.clone());
    Fact::new("verdict", expected, got)
}

/// The value of a field of the audit record; nothing if the record does not have it.
fn fields<'s>(seen: &'s Observed, name: &'s str) -> impl Iterator<Item = Value> + 's {
    let records = seen.audit.iter().flatten();
    records.map(move |record| record.get(name).cloned().unwrap_or(Value::Null))
}

/// The decision by the engine, and by the audit record. If the layer has no engine, there must be
/// exactly one record.
fn recorded(
    field: &'static str,
    expected: Value,
    decided: Option<Value>,
    seen: &Observed,
) -> Option<Fact> {
    let recorded: Vec<Value> = fields(seen, field)
        .map(|value| match value {
            Value::Null if field == "shadow" => Value::Array(Vec::new()),
            Value::Array(names) => set_of(names),
            value => value,
        })
        .collect();
    let count = recorded.len();
    let asked = decided.is_some();
    let said = decided.into_iter().chain(recorded);
    let got = said.reduce(|first, next| if first == expected { next } else { first });
    match (asked, count, got) {
        (false, 0, _) if seen.audit.is_none() => None,
        (true, _, Some(got)) | (false, 1, Some(got)) => Some(Fact::new(field, expected, got)),
        _ => {
            let got = Value::from(format!("({count} audit records)"));
            Some(Fact { holds: false, ..Fact::new(field, expected, got) })
        }
    }
}

fn status(expected: &[u16], got: Option<u16>) -> Fact {
    let holds = got.is_some_and(|got| expected.contains(&got));
    let expected = match expected {
        [one] => Value::from(*one),
        several => several.into(),
    };
    Fact { holds, ..Fact::new("status", expected, got) }
}

fn headers(step: &Step, seen: &Observed) -> Vec<Fact> {
    const DENIED: &str = "(the request was denied)";
    let expect = &step.expect;
    let mut facts = Vec::new();
    for (name, expected) in &expect.headers {
        let expected = of_header(expected.clone());
        // A header counts as absent only at an origin that was reached.
        let fact = match &seen.upstream {
            Some(reached) => Fact::new("headers", expected, of_header(reached.values(name))),
            None => Fact { holds: false, ..Fact::new("headers", expected, DENIED) },
        };
        facts.push(fact.named(name));
    }
    // An answer that is not the origin's counts only where one is expected.
    let answered = seen.upstream.is_some() || expect.is_refusal(step.origin.status);
    for (name, expected) in &expect.response_headers {
        let expected = of_header(expected.clone());
        let got = match name.as_str() {
            ":status" => seen.status.iter().map(ToString::to_string).collect(),
            name => values(&seen.headers, name),
        };
        let fact = if answered {
            Fact::new("responseHeaders", expected, of_header(got))
        } else {
            Fact { holds: false, ..Fact::new("responseHeaders", expected, DENIED) }
        };
        facts.push(fact.named(name));
    }
    facts
}

fn audit(expected: &AuditExpectation, records: &[Value], facts: &mut Vec<Fact>) {
    match (expected, records) {
        (AuditExpectation::Absent, records) => {
            let got = if records.is_empty() { "none".into() } else { Value::from(records) };
            facts.push(Fact::new("audit", "none", got));
        }
        (AuditExpectation::Record(fields), [record]) => {
            for (name, expected) in fields {
                // A missing field is not the same as a null.
                let got = record.get(name).cloned().unwrap_or_else(|| "(no such field)".into());
                facts.push(Fact::new("audit", expected.clone(), got).named(name));
            }
        }
        (AuditExpectation::Record(fields), records) => {
            let got = Value::from(format!("({} audit records)", records.len()));
            facts.push(Fact::new("audit", fields.clone(), got));
        }
    }
}

/// What is expected of counters, with what was observed of each.
#[must_use]
pub fn compare_counters(
    expected: &BTreeMap<String, u64>,
    seen: &BTreeMap<String, u64>,
) -> Vec<Fact> {
    let fact = |(name, expected): (&String, &u64)| {
        let got = seen.get(name).copied().unwrap_or(0);
        Fact::new("counters", *expected, got).named(name)
    };
    expected.iter().map(fact).collect()
}

/// The values of a header as a file of cases would give them.
fn of_header(mut values: Vec<String>) -> Value {
    match values.len() {
        0 => Value::Null,
        1 => values.pop().into(),
        _ => values.into(),
    }
}

/// Names in order, each once.
fn set(names: &[String]) -> Value {
    set_of(names.iter().map(|name| Value::from(name.as_str())).collect())
}

fn set_of(mut names: Vec<Value>) -> Value {
    names.sort_by_key(ToString::to_string);
    names.dedup();
    names.into()
}

#[cfg(test)]
mod tests;
