//! One proposed expression: callers, methods, paths.

use std::collections::BTreeSet;

use super::paths::Paths;
use super::{MAX_METHODS, Observed};
use crate::request;

/// The most text of one kind (callers, paths) in an expression, in bytes. An expression has at most
/// 4,096.
const MAX_TEXT: usize = 1_500;

/// The longest list that is written on one line.
const WIDTH: usize = 80;

/// Which requests an expression is to let through.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    /// SPIFFE IDs.
    pub(super) callers: BTreeSet<String>,
    pub(super) methods: BTreeSet<String>,
    pub(super) paths: Paths,
    /// How many different paths it is made from.
    pub(super) seen: usize,
}

impl Rule {
    /// The same in parts, each short enough for an expression.
    pub(super) fn in_parts(self) -> Vec<Rule> {
        let mut parts = Vec::new();
        let methods: Vec<String> = self.methods.into_iter().collect();
        for callers in by_length(self.callers) {
            for methods in methods.chunks(MAX_METHODS) {
                let mut add = |paths: Paths| {
                    parts.push(Rule {
                        callers: callers.clone(),
                        methods: methods.iter().cloned().collect(),
                        paths,
                        seen: self.seen,
                    });
                };
                for exact in by_length(self.paths.exact.clone()) {
                    add(Paths { exact, below: BTreeSet::new() });
                }
                for below in by_length(self.paths.below.clone()) {
                    add(Paths { exact: BTreeSet::new(), below });
                }
            }
        }
        parts
    }

    pub(super) fn covers(&self, request: &Observed) -> bool {
        self.callers.contains(&request.caller)
            && self.methods.contains(&request.method)
            && self.paths.contain(&request.path)
    }

    /// As CEL, a line for each test.
    pub(super) fn to_cel(&self) -> String {
        let mut tests =
            vec![one_of("source.spiffeId", &self.callers), one_of("request.method", &self.methods)];
        if !self.paths.are_all() {
            let mut paths = Vec::new();
            if !self.paths.exact.is_empty() {
                paths.push(one_of("request.path", &self.paths.exact));
            }
            paths.extend(self.paths.below.iter().map(|above| {
                format!("(request.path + \"/\").startsWith({})", literal(&format!("{above}/")))
            }));
            match paths.as_slice() {
                [one] => tests.push(one.clone()),
                several => tests.push(format!("({})", several.join(" ||\n "))),
            }
        }
        tests.join(" &&\n")
    }

    /// What it lets through beside what was seen.
    pub(super) fn generalised(&self) -> Option<String> {
        if self.paths.below.is_empty() {
            return None;
        }
        let places: Vec<String> = self.paths.below.iter().map(|above| shown(above)).collect();
        let callers: Vec<_> = self.callers.iter().map(|caller| request::short(caller)).collect();
        Some(format!(
            "generalised from {} paths: {} {} of {}",
            self.seen,
            self.methods.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            places.join(", "),
            callers.join(", ")
        ))
    }
}

fn shown(above: &str) -> String {
    if above.is_empty() { "every path".to_owned() } else { format!("{above} and all below it") }
}

/// A test whether something is one of these texts.
fn one_of(subject: &str, texts: &BTreeSet<String>) -> String {
    let literals: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    match literals.as_slice() {
        [one] => format!("{subject} == {one}"),
        all => {
            let line = format!("{subject} in [{}]", all.join(", "));
            if line.len() <= WIDTH {
                line
            } else {
                format!("{subject} in [\n  {}\n]", all.join(",\n  "))
            }
        }
    }
}

/// A text of printable ASCII as CEL, in which the two characters with a meaning in a string are
/// escaped.
fn literal(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Texts in parts that are not too long, one text at least in each.
fn by_length(texts: BTreeSet<String>) -> Vec<BTreeSet<String>> {
    let mut parts: Vec<(usize, BTreeSet<String>)> = Vec::new();
    for text in texts {
        let length = literal(&text).len().saturating_add(40);
        match parts.last_mut() {
            Some((sum, part)) if sum.saturating_add(length) <= MAX_TEXT => {
                *sum = sum.saturating_add(length);
                part.insert(text);
            }
            _ => parts.push((length, [text].into())),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}
