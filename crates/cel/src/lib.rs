//! The policies' expressions: compiled once, when the configuration loads, and evaluated for each
//! message.
//!
//! The language is the Common Expression Language (CEL, langdef), with the functions that
//! `functions` declares and the attributes of a [`attributes::Table`]. Compiling parses a source
//! (`parse`), checks its names and types (`check`), and lowers as much of it as possible
//! ([`lowered`]); the rest is compiled (`program`). Both are evaluated over the message's own bytes
//! (`run` and `program`), and every evaluation spends from a [`meter::Allowance`]. Tools explain
//! expressions by the same evaluator (`explain`). The `cel` crate's interpreter, with the functions
//! that it lacks, is the reference of tests (`reference`, `eval`, `env`, and parts of `library`,
//! `values` and `budget`); nothing else calls it.
//!
//! All that the crate knows of requests comes through [`attributes::Attributes`].

#![cfg_attr(
    not(any(test, feature = "fuzzing")),
    expect(dead_code, reason = "what only the reference calls stands beside what it is held to")
)]

pub mod attributes;
mod bounded;
mod bridge;
mod budget;
mod check;
mod compile;
pub mod data;
mod env;
mod eval;
mod expected;
pub mod explain;
mod functions;
pub mod guard;
mod library;
pub mod limits;
mod literals;
mod loops;
mod lower;
pub mod lowered;
pub mod meter;
mod parse;
mod prepare;
mod presence;
mod program;
mod quick;
mod recorded;
#[cfg(any(test, feature = "fuzzing"))]
mod reference;
mod regex;
mod returned;
mod run;
mod search;
pub mod sort;
pub mod suggest;
#[cfg(any(test, feature = "fuzzing"))]
pub mod tests;
pub mod time;
mod types;
mod values;
pub mod variables;
mod written;

use std::fmt;
use std::sync::Arc;

use cel::IdedExpr;

pub use self::attributes::Phase;
use self::attributes::{Attributes, Set, Table};
use self::data::Data;
pub use self::expected::Expected;
use self::guard::{Guard, Guards};
use self::lowered::{Test, Text};
use self::meter::Allowance;
use self::parse::Places;
pub use self::parse::{is_identifier, reserved_words};
use self::prepare::PATTERN;
use self::program::Program;
pub use self::recorded::{MAX_RECORDED, MAX_RECORDED_TEXT, Recorded};
use self::regex::Compiled;
use self::variables::Variable;
pub use self::variables::{Scope, Variables};

/// An error in an expression, and where it is in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The message.
    pub message: String,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// The headers that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeadersRead {
    /// Those of these names, in lower case.
    Names(Vec<String>),
    /// Perhaps any.
    All,
}

impl HeadersRead {
    fn merge(&mut self, other: &HeadersRead) {
        match other {
            HeadersRead::Names(names) => names.iter().for_each(|name| self.name(name)),
            HeadersRead::All => *self = HeadersRead::All,
        }
    }

    fn name(&mut self, name: &str) {
        if let HeadersRead::Names(names) = self {
            let name = name.to_ascii_lowercase();
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
}

/// What an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uses {
    /// The attributes, and the objects that contain them.
    pub attributes: Set,
    /// The headers of the request.
    pub request_headers: HeadersRead,
    /// Whether it reads a cookie by its name.
    pub cookies: bool,
    /// The names of these cookies; none if they are known only at a request.
    pub cookie_names: Option<Vec<String>>,
    /// Whether it may contain an escape, so that it is about the path as it was sent.
    pub escapes: bool,
}

impl Uses {
    /// Adds what a variable reads.
    fn merge(&mut self, other: &Uses) {
        self.attributes = self.attributes.or(other.attributes);
        self.request_headers.merge(&other.request_headers);
        self.cookies |= other.cookies;
        self.escapes |= other.escapes;
        match (&mut self.cookie_names, &other.cookie_names) {
            (Some(names), Some(others)) => {
                for name in others {
                    if !names.contains(name) {
                        names.push(name.clone());
                    }
                }
            }
            (names, _) => *names = None,
        }
    }
}

impl Default for Uses {
    fn default() -> Self {
        Uses {
            attributes: Set::default(),
            request_headers: HeadersRead::Names(Vec::new()),
            cookies: false,
            cookie_names: Some(Vec::new()),
            escapes: false,
        }
    }
}

/// A compiled expression.
pub struct Expression {
    table: &'static Table,
    code: Code,
    expected: Expected,
    patterns: Vec<Compiled>,
    /// The variables that it reads, except for those that are literals.
    variables: Vec<Arc<Variable>>,
    uses: Uses,
    /// The steps for evaluating it as long as nothing that it reads is large.
    weight: u64,
}

/// How an expression is evaluated.
enum Code {
    /// A rule.
    Rule(Test),
    /// A header's value, a body or a record's value, in lowered form.
    Value(Text),
    /// One that could not be lowered as a whole.
    Interpreted(Program),
}

impl Code {
    /// Whether any of it has no lowered form.
    fn is_interpreted(&self) -> bool {
        match self {
            Code::Rule(test) => test.is_interpreted(),
            Code::Value(text) => text.is_interpreted(),
            Code::Interpreted(_) => true,
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expression").field("uses", &self.uses).finish_non_exhaustive()
    }
}

impl Expression {
    /// Parses and checks a source, which may read the attributes and the variables of a scope.
    ///
    /// # Errors
    /// All errors in it, each with its position. There may be none if another expression has
    /// passed a limit of all, whose error says so.
    pub fn compile(
        scope: Scope<'_>,
        source: &str,
        phase: Phase,
        expected: Expected,
    ) -> Result<Expression, Vec<ExprError>> {
        let ready = compile::ready(scope, source, phase, |result| expected.mistake(result))?;
        ready.note()?;
        let lowering = ready.lowering();
        let code = match expected {
            Expected::Rule => Code::Rule(lowering.test(&ready.root)),
            _ => lowering
                .text(&ready.root)
                .map_or_else(|| Code::Interpreted(ready.guarded()), Code::Value),
        };
        Ok(ready.expression(code, expected))
    }

    /// What it reads.
    #[must_use]
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// How many bytes its literal patterns take.
    #[must_use]
    pub fn pattern_bytes(&self) -> usize {
        self.patterns.iter().fold(0, |sum, pattern| sum.saturating_add(pattern.size()))
    }

    /// Conditions on attributes without which the rule returns `settled`; any one of them may be
    /// used.
    #[must_use]
    pub fn guards(&self, settled: bool) -> Vec<Guard> {
        let guards = Guards { table: self.table };
        self.rule().map_or_else(Vec::new, |test| guards.of(test, settled))
    }

    /// The lowered form of a rule.
    #[must_use]
    pub fn rule(&self) -> Option<&Test> {
        match &self.code {
            Code::Rule(test) => Some(test),
            Code::Value(_) | Code::Interpreted(_) => None,
        }
    }

    /// The header's value, or the body, if it is the same for every request.
    #[must_use]
    pub fn constant(&self) -> Option<&str> {
        match &self.code {
            Code::Value(Text::Literal(value)) => Some(value),
            _ => None,
        }
    }

    /// Whether it is a rule of which [`quick`](Self::quick) may have the result.
    #[must_use]
    pub fn may_be_quick(&self) -> bool {
        self.rule().is_some_and(quick::may_hold)
    }

    /// The result of a rule, and the steps that it takes, where no text that it reads is long or
    /// unreadable; none where [`matches`](Self::matches) is to evaluate it, of which nothing has
    /// been done then.
    #[inline]
    pub fn quick<A: Attributes>(&self, attributes: &A) -> Option<(bool, u64)> {
        let Code::Rule(test) = &self.code else { return None };
        quick::holds(test, attributes).map(|holds| (holds, self.weight))
    }

    /// Evaluates a rule. The allowance may have met a breach, whatever this returns.
    ///
    /// # Errors
    /// What is wrong with the message's data, without repeating that data.
    #[inline(always)]
    pub fn matches<A: Attributes>(
        &self,
        attributes: &A,
        allowance: &Allowance,
    ) -> Result<bool, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        match &self.code {
            Code::Rule(test) => {
                self.run(attributes, allowance).test(test).map_err(|failure| failure.to_string())
            }
            Code::Value(_) | Code::Interpreted(_) => Err("not a rule".to_owned()),
        }
    }

    /// Evaluates a header's value, or a body. The allowance may have met a breach, whatever this
    /// returns.
    ///
    /// # Errors
    /// What is wrong with the message's data, without repeating that data.
    pub fn header_value<A: Attributes>(
        &self,
        attributes: &A,
        allowance: &Allowance,
    ) -> Result<Vec<u8>, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        match &self.code {
            Code::Value(text) => {
                let value = self
                    .run(attributes, allowance)
                    .text(text)
                    .map_err(|failure| failure.to_string())?;
                Ok(value.into_owned().into_bytes())
            }
            Code::Interpreted(root) => {
                let scene = self.run(attributes, allowance).scene();
                root.header(scene).map_err(|failure| failure.to_string())
            }
            Code::Rule(_) => Err("not a header's value".to_owned()),
        }
    }

    /// Evaluates a value for a record; none for an optional that has none.
    ///
    /// # Errors
    /// What is wrong with the message's data, without repeating that data.
    pub fn recorded<A: Attributes>(
        &self,
        attributes: &A,
        allowance: &Allowance,
    ) -> Result<Option<Recorded>, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        match &self.code {
            Code::Value(text) => self
                .run(attributes, allowance)
                .text(text)
                .map_err(|failure| failure.to_string())
                .and_then(|value| match allowance.breached() {
                    None => Ok(Some(Recorded::of_text(&value))),
                    Some(breach) => Err(breach.to_owned()),
                }),
            Code::Interpreted(root) => {
                let scene = self.run(attributes, allowance).scene();
                root.recorded(scene).map_err(|failure| failure.to_string())
            }
            Code::Rule(_) => Err("not a value".to_owned()),
        }
    }

    /// Evaluates a value as data, whole. Which kinds it can be of, what was expected says.
    ///
    /// A breach is an error here. So is an optional without a value, and what takes more than
    /// 64 KiB. Headers as a whole are a map of strings, with their secrets.
    ///
    /// # Errors
    /// What is wrong with the message's data, without repeating that data.
    pub fn data<A: Attributes>(
        &self,
        attributes: &A,
        allowance: &Allowance,
    ) -> Result<Data, String> {
        self.optional_data(attributes, allowance)?.ok_or_else(|| returned::NO_VALUE.to_owned())
    }

    /// Does what [`data`](Self::data) does, except that an optional without a value is none, and no
    /// error.
    ///
    /// # Errors
    /// What is wrong with the message's data, without repeating that data.
    pub fn optional_data<A: Attributes>(
        &self,
        attributes: &A,
        allowance: &Allowance,
    ) -> Result<Option<Data>, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        let data = match &self.code {
            Code::Value(text) => {
                let text = self.run(attributes, allowance).text(text);
                Some(returned::text(text.map_err(|failure| failure.to_string())?, allowance)?)
            }
            Code::Interpreted(root) => {
                let scene = self.run(attributes, allowance).scene();
                root.data(scene).map_err(|failure| failure.to_string())?
            }
            Code::Rule(_) => return Err("not a value".to_owned()),
        };
        data.map(|data| self.expected.fit(data)).transpose()
    }

    fn run<'p, A>(&'p self, attributes: &'p A, allowance: &'p Allowance) -> run::Run<'p, A> {
        run::Run { expression: self, attributes, allowance }
    }
}

/// Whether a text in an expression has an escape that is decoded in the other reading of a path.
fn names_escape(node: &IdedExpr) -> bool {
    if let Some(text) = check::string_literal(node) {
        return text.contains('%') && egress_reading::path::plain(text.as_bytes()).is_some();
    }
    let mut found = false;
    limits::each_child(node, &mut |child| found = found || names_escape(child));
    found
}

fn parse(source: &str) -> Result<(IdedExpr, Places), Vec<ExprError>> {
    parse::parse(source).map_err(|fault| {
        let (line, column) = parse::line_and_column(source, fault.at);
        vec![ExprError { line, column, message: fault.message }]
    })
}
