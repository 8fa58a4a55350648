//! Runs the cases of cel-spec's conformance suite, as data, and tells what differs.
//!
//! `cargo run -p egress-cel --example conformance -- CASES.json`; `make conformance CASES=...`. The
//! file is a list of objects: `file`, `section`, `name`, `expr`, `category`, `expect` (`value`,
//! `error` or `type`), and as needed `value`, `binds`, `rewritten` (the same expression without
//! macros that only the suite has) and `flags`. A value is a pair of its type and its text, or its
//! elements.
//!
//! It fails if a case of a category that can be expressed gives another value than the suite's, or
//! fails where a value is due, or gives one where an error is due, unless it is among the stated
//! differences. The static check may refuse what the suite evaluates with its own check switched
//! off, as any implementation that checks does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is a command")]

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::process::ExitCode;

use egress_cel::attributes::{Attributes, Fault, Id, Table, Unread};
use egress_cel::data::Data;
use egress_cel::meter::Allowance;
use egress_cel::time::Timestamp;
use egress_cel::{Expected, ExprError, Expression, Phase, Scope};
use egress_reading::cookie;
use serde::Deserialize;
use serde_json::Value;

/// The categories of which every case must pass.
const EXPRESSIBLE: [&str; 2] = ["expressible", "timestamps and durations"];
/// What the suite expects and this language does otherwise, by section and name, with the reason.
const STATED: &[(&str, &str, &str)] = &[
    ("exists", "list_elem_type_exhaustive", COMPARED),
    ("exists", "map_key_type_exhaustive", COMPARED),
    ("ip_type", "parse_invalid_ipv4_in_ipv6", "a mapped IPv4 address is that address"),
    ("format", "string substitution in a string variable", FORMAT),
    ("format", "multiple substitutions in a string variable", FORMAT),
    ("format", "substitution inside escaped percent signs in a string variable", FORMAT),
    ("format", "fixed point formatting clause in a string variable", FORMAT),
    ("format", "binary formatting clause in a string variable", FORMAT),
    ("format", "scientific notation formatting clause in a string variable", FORMAT),
    ("format", "default precision for fixed-point clause in a string variable", FORMAT),
];
const COMPARED: &str = "a value whose type is known at the request only cannot be compared with a \
                        literal of another type";
const FORMAT: &str = "`format` takes a literal";
/// Variables whose values the data leave out: cel-spec's `timestamps.textproto` gives this one as a
/// message.
const LEFT_OUT: &[(&str, &str, &str)] =
    &[("duration_converters", "get_milliseconds", "duration('123.321456789s')")];

#[derive(Debug, Deserialize)]
struct Case {
    file: String,
    section: String,
    name: String,
    expr: String,
    category: String,
    expect: String,
    value: Option<Value>,
    #[serde(default)]
    binds: Vec<(String, Value)>,
    rewritten: Option<String>,
    #[serde(default)]
    flags: Vec<String>,
}

/// What came of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    Passed,
    /// The check refuses it when it loads, where a value is due.
    Refused,
    /// Another value.
    Wrong,
    /// It fails where a value is due.
    Fails,
    /// It has a value where an error is due.
    HasValue,
    /// Nothing here can stand for its value or its variables.
    NotExpressible,
}

impl Outcome {
    const ALL: [(Outcome, &str); 6] = [
        (Outcome::Passed, "passed"),
        (Outcome::Refused, "refused"),
        (Outcome::Wrong, "wrong"),
        (Outcome::Fails, "fails"),
        (Outcome::HasValue, "has value"),
        (Outcome::NotExpressible, "not run"),
    ];
}

/// A message with no attributes.
#[derive(Debug)]
struct Nothing;

static TABLE: Table = Table::new(&[]);

impl Attributes for Nothing {
    fn table(&self) -> &'static Table {
        &TABLE
    }
    fn text(&self, _: Id) -> Result<&str, Fault> {
        Err(Fault::Missing)
    }
    fn int(&self, _: Id) -> Option<i64> {
        None
    }
    fn time(&self, _: Id) -> Option<Timestamp> {
        None
    }
    fn bytes(&self, _: Id) -> Result<&[u8], Unread> {
        Err(Unread::Missing("there are none"))
    }
    fn data(&self, _: Id) -> Result<&Data, Unread> {
        Err(Unread::Missing("there is none"))
    }
    fn is_there(&self, _: Id) -> bool {
        false
    }
    fn header(&self, _: Id, _: &str) -> Option<&[u8]> {
        None
    }
    fn header_lines(&self, _: Id, _: &str) -> Vec<&[u8]> {
        Vec::new()
    }
    fn header_names(&self, _: Id) -> Vec<Cow<'_, str>> {
        Vec::new()
    }
    fn header_count(&self, _: Id) -> usize {
        0
    }
    fn header_name_bytes(&self, _: Id) -> usize {
        0
    }
    fn as_it_came(&self) -> &Self {
        self
    }
    fn as_it_came_dyn(&self) -> &dyn Attributes {
        self
    }
    fn cookie(&self, _: Id, _: &str) -> Result<String, cookie::Fault> {
        Err(cookie::Fault::Missing)
    }
}

/// A value as CEL writes it.
fn literal(value: &Value) -> Option<String> {
    let (kind, value) = (value.get(0)?.as_str()?, value.get(1)?);
    let parts = || {
        let parts = value.as_array()?.iter();
        parts.map(literal).collect::<Option<Vec<_>>>()
    };
    Some(match kind {
        "bool" | "int" => value.to_string(),
        "uint" => format!("{value}u"),
        "double" => format!("double('{}')", value.as_str()?),
        "string" => quoted(value.as_str()?),
        "bytes" => {
            let digits = value.as_str()?.as_bytes();
            let escapes = digits
                .chunks(2)
                .map(|pair| std::str::from_utf8(pair).ok().map(|pair| format!("\\x{pair}")));
            format!("b\"{}\"", escapes.collect::<Option<String>>()?)
        }
        "null_type" => "null".to_owned(),
        "type" => value.as_str()?.to_owned(),
        "list" => format!("[{}]", parts()?.join(", ")),
        "map" => {
            let entries = value.as_array()?.iter().map(|entry| {
                Some(format!("{}: {}", literal(entry.get(0)?)?, literal(entry.get(1)?)?))
            });
            format!("{{{}}}", entries.collect::<Option<Vec<_>>>()?.join(", "))
        }
        _ => return None,
    })
}

/// `cel.block([a, b], c)`, a macro that only the suite has, as `cel.bind`s of the values that
/// `cel.index(0)` and its like stand for; nothing for another expression.
fn unblocked(source: &str) -> Option<String> {
    let rest = source.strip_prefix("cel.block([")?.strip_suffix(')')?;
    let (values, body) = rest.rsplit_once("], ")?;
    // Commas between values, not those in their calls.
    let (mut parts, mut open) = (vec![String::new()], 0_usize);
    for c in values.chars() {
        match c {
            '(' => open = open.saturating_add(1),
            ')' => open = open.saturating_sub(1),
            _ => {}
        }
        match parts.last_mut() {
            Some(part) if c != ',' || open > 0 => part.push(c),
            _ => parts.push(String::new()),
        }
    }
    let bound = parts.iter().enumerate().rev().fold(body.to_owned(), |body, (index, value)| {
        format!("cel.bind(ix_{index}, {}, {body})", value.trim())
    });
    let whole = (0..parts.len()).rev().fold(bound, |text, index| {
        text.replace(&format!("cel.index({index})"), &format!("ix_{index}"))
    });
    Some(whole)
}

fn quoted(text: &str) -> String {
    let escapes = text.chars().map(|c| format!("\\U{:08x}", u32::from(c)));
    format!("\"{}\"", escapes.collect::<String>())
}

impl Case {
    /// Its variables bound around an expression.
    fn bound(&self, body: String) -> Option<String> {
        let mut body = body;
        let left_out = LEFT_OUT
            .iter()
            .filter(|(section, name, _)| (self.section == *section) && (self.name == *name))
            .map(|(.., value)| ("x".to_owned(), Some((*value).to_owned())));
        let given = self.binds.iter().map(|(name, value)| (name.clone(), literal(value)));
        for (name, value) in given.chain(left_out) {
            // These are no names, whatever the suite binds to them.
            if ["true", "false", "null"].contains(&name.as_str()) {
                continue;
            }
            if name.contains('.') {
                return None;
            }
            body = format!("cel.bind({name}, {}, {body})", value?);
        }
        Some(body)
    }

    /// Runs it; the message tells what happened instead of what is due.
    fn run(&self) -> (Outcome, String) {
        let not_run = |why: &str| (Outcome::NotExpressible, why.to_owned());
        let source = &self.rewritten.clone().or_else(|| unblocked(&self.expr));
        let source = source.as_ref().unwrap_or(&self.expr);
        let due = match (self.expect.as_str(), &self.value) {
            ("value", None) => return not_run("a message or an enum is due"),
            ("value", Some(value)) => match (literal(value), value.get(0)) {
                (Some(due), Some(kind)) => Some((due, kind.as_str().unwrap_or_default())),
                _ => return not_run("no literal is like the value that is due"),
            },
            _ => None,
        };
        let body = match &due {
            // No value is equal to this one.
            Some((due, _)) if due == "double('NaN')" => format!("cel.bind(r_, {source}, r_ != r_)"),
            Some((due, kind)) => {
                format!("cel.bind(r_, {source}, type(r_) == {kind} && dyn(r_) == dyn({due}))")
            }
            None => format!("cel.bind(r_, {source}, [r_].size() == 1)"),
        };
        let Some(rule) = self.bound(body) else { return not_run("a variable has dots") };
        let compiled =
            Expression::compile(Scope::of(&TABLE), &rule, Phase::Request, Expected::Rule);
        let value = match &compiled {
            Ok(rule) => rule.matches(&Nothing, &Allowance::whole()),
            Err(errors) => Err(told(errors)),
        };
        match (self.expect.as_str(), value, compiled.is_ok()) {
            ("value", Ok(true), _) | ("error", Err(_), _) | ("type", _, true) => {
                (Outcome::Passed, String::new())
            }
            (_, Err(message), false) => (Outcome::Refused, message),
            ("value", Err(message), true) => (Outcome::Fails, message),
            ("error", Ok(_), _) => (Outcome::HasValue, "no error".to_owned()),
            _ => (Outcome::Wrong, format!("not {}", due.unwrap_or_default().0)),
        }
    }

    fn stated(&self) -> Option<&'static str> {
        STATED
            .iter()
            .find(|(section, name, _)| self.section == *section && self.name == *name)
            .map(|(.., reason)| *reason)
    }
}

fn told(errors: &[ExprError]) -> String {
    errors.iter().map(ExprError::to_string).collect::<Vec<_>>().join("; ")
}

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("conformance: which file of cases?");
        return ExitCode::from(2);
    };
    let read = std::fs::read_to_string(&path).map_err(|error| error.to_string());
    let cases: Vec<Case> = match read
        .and_then(|text| serde_json::from_str(&text).map_err(|error| error.to_string()))
    {
        Ok(cases) => cases,
        Err(error) => {
            eprintln!("conformance: {path}: {error}");
            return ExitCode::from(2);
        }
    };
    let mut counts: BTreeMap<&str, BTreeMap<Outcome, usize>> = BTreeMap::new();
    let mut unexpected = 0_usize;
    for case in &cases {
        let (outcome, message) = case.run();
        let count = counts.entry(&case.category).or_default().entry(outcome).or_default();
        *count = count.saturating_add(1);
        if outcome == Outcome::Passed || !EXPRESSIBLE.contains(&case.category.as_str()) {
            continue;
        }
        let unchecked = case.flags.iter().any(|flag| flag == "disable_check");
        let why = match case.stated() {
            Some(reason) => reason,
            None if outcome == Outcome::Refused && unchecked => "refused by the static check",
            None => {
                unexpected = unexpected.saturating_add(1);
                "UNEXPECTED"
            }
        };
        let Case { file, section, name, expr, .. } = case;
        println!("{why}: {file}/{section}/{name}: {expr}\n    {message}");
    }
    let names = Outcome::ALL.map(|(_, name)| format!("{name:>10}"));
    println!("{:<50}{:>7}{}", "category", "cases", names.concat());
    for (category, counts) in &counts {
        let of = |outcome: &Outcome| counts.get(outcome).copied().unwrap_or(0);
        let numbers = Outcome::ALL.map(|(outcome, _)| format!("{:>10}", of(&outcome)));
        println!("{category:<50}{:>7}{}", counts.values().sum::<usize>(), numbers.concat());
    }
    println!("{} cases; {unexpected} differ without a stated reason", cases.len());
    // A file without such cases would show nothing.
    let ran = EXPRESSIBLE.iter().all(|category| counts.contains_key(category));
    if unexpected == 0 && ran { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
