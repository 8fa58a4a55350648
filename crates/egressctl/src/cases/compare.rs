//! What was expected of a request against what came of it.

use egress_filter::trial::{Lines, Tried};
use serde_json::{Map, Value};
use similar::{ChangeTag, TextDiff};

use super::model::{Expect, Verdict};

/// One thing that a case looks at.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fact {
    /// `verdict`, or `headers` and the header's name.
    pub(crate) field: &'static str,
    pub(crate) name: Option<String>,
    pub(crate) expected: Value,
    pub(crate) got: Value,
    pub(crate) holds: bool,
}

impl Fact {
    fn new(field: &'static str, expected: Value, got: Value) -> Fact {
        let holds = expected == got;
        Fact { field, name: None, expected, got, holds }
    }

    /// Its path in `expect`, such as `headers.x-caller-identity`.
    pub(crate) fn path(&self) -> String {
        self.name
            .as_ref()
            .map_or_else(|| self.field.to_owned(), |name| format!("{}.{name}", self.field))
    }
}

/// Everything that a case looks at.
pub(crate) fn compare(expect: &Expect, tried: &Tried) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(expected) = expect.verdict {
        facts.push(Fact::new("verdict", expected.as_str().into(), verdict(tried).as_str().into()));
    }
    if let Some(expected) = &expect.policy {
        facts.push(Fact::new("policy", expected.clone().into(), tried.policy.clone().into()));
    }
    if let Some(expected) = expect.reason {
        facts.push(Fact::new("reason", expected.as_str().into(), tried.reason.as_str().into()));
    }
    if let Some(expected) = &expect.status {
        let got = status(tried);
        let value = match expected.as_slice() {
            [one] => (*one).into(),
            several => several.into(),
        };
        facts.push(Fact {
            field: "status",
            name: None,
            expected: value,
            got: got.into(),
            holds: got.is_some_and(|got| expected.contains(&got)),
        });
    }
    let headers = [
        ("headers", &expect.headers, &tried.upstream),
        ("responseHeaders", &expect.response_headers, &tried.downstream),
    ];
    for (field, expected, got) in headers {
        for (name, lines) in expected {
            // Of a request that was denied nothing is absent at the origin: it never came there.
            let (got, came) =
                got.as_ref().map_or(("(the request was denied)".into(), false), |got| {
                    (value(of(got, name)), true)
                });
            let expected = value(lines.clone());
            facts.push(Fact {
                holds: came && expected == got,
                field,
                name: Some(name.clone()),
                expected,
                got,
            });
        }
    }
    if let Some(expected) = &expect.shadow {
        facts.push(sets("shadow", expected, &tried.shadow));
    }
    if let Some(expected) = &expect.errors {
        let got: Vec<String> = tried.errors.iter().map(|(policy, _)| policy.clone()).collect();
        facts.push(sets("errors", expected, &got));
    }
    facts
}

pub(crate) fn verdict(tried: &Tried) -> Verdict {
    if tried.denial.is_some() { Verdict::Deny } else { Verdict::Allow }
}

/// The status that the caller sees.
pub(crate) fn status(tried: &Tried) -> Option<u16> {
    let answered = || of(tried.downstream.as_ref()?, ":status").first()?.parse().ok();
    tried.denial.map(|denial| denial.status).or_else(answered)
}

fn of(lines: &Lines, name: &str) -> Vec<String> {
    lines
        .iter()
        .filter(|(line, _)| line == name)
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// The lines of a header as a file of cases would give them.
fn value(mut lines: Vec<String>) -> Value {
    match lines.len() {
        0 => Value::Null,
        1 => lines.pop().into(),
        _ => lines.into(),
    }
}

fn sets(field: &'static str, expected: &[String], got: &[String]) -> Fact {
    let set = |names: &[String]| {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        names
    };
    Fact::new(field, set(expected).into(), set(got).into())
}

/// What was expected, or what came, as an object in the form of `expect`.
pub(crate) fn object(facts: &[Fact], side: impl Fn(&Fact) -> &Value) -> Value {
    let mut object = Map::new();
    for fact in facts {
        match &fact.name {
            None => {
                object.insert(fact.field.to_owned(), side(fact).clone());
            }
            Some(name) => {
                let headers = object.entry(fact.field).or_insert_with(|| Value::Object(Map::new()));
                if let Value::Object(headers) = headers {
                    headers.insert(name.clone(), side(fact).clone());
                }
            }
        }
    }
    Value::Object(object)
}

/// A line of a diff, and whether it is of what was expected, of what came, or of both.
pub(crate) type Line = (ChangeTag, String);

/// The difference, as lines of YAML that could stand in `expect`.
pub(crate) fn diff(facts: &[Fact]) -> Vec<Line> {
    // What holds is shown as it came: of several statuses, the one.
    let expected = yaml(facts, |fact| if fact.holds { &fact.got } else { &fact.expected });
    let got = yaml(facts, |fact| &fact.got);
    let diff = TextDiff::from_lines(&expected, &got);
    diff.iter_all_changes()
        .map(|change| (change.tag(), change.value().trim_end_matches('\n').to_owned()))
        .collect()
}

/// As the lines of `expect`.
fn yaml<'f>(facts: &'f [Fact], side: impl Fn(&'f Fact) -> &'f Value) -> String {
    let mut text = String::new();
    let mut last = "";
    for fact in facts {
        let (indent, name) = match &fact.name {
            None => ("", scalar(fact.field)),
            Some(name) => {
                if fact.field != last {
                    text.push_str(&format!("{}:\n", fact.field));
                }
                ("  ", scalar(name))
            }
        };
        last = fact.field;
        match side(fact) {
            Value::Array(items) if !items.is_empty() => {
                text.push_str(&format!("{indent}{name}:\n"));
                items
                    .iter()
                    .for_each(|item| text.push_str(&format!("{indent}- {}\n", of_value(item))));
            }
            value => text.push_str(&format!("{indent}{name}: {}\n", of_value(value))),
        }
    }
    text
}

fn of_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), scalar)
}

/// A text in YAML, in quotes where it could be taken for something else.
pub(crate) fn scalar(text: &str) -> String {
    let plain = |c: char| {
        c.is_ascii_alphanumeric()
            || matches!(c, '-' | '_' | '.' | '/' | ' ' | ':' | '+' | '=' | ';' | '(' | ')')
    };
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && crate::yaml::is_text(text);
    if is_plain { text.to_owned() } else { Value::from(text).to_string() }
}
