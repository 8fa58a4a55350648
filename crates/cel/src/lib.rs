//! Expressions: compiled once, when the configuration loads, and evaluated per request.
//!
//! Language: the Common Expression Language (CEL, langdef), with the attributes and functions that
//! [`types`] and [`functions`] declare.

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod agreement;
pub(crate) mod attribute;
mod bounded;
mod bridge;
mod budget;
mod check;
pub(crate) mod contradiction;
#[cfg(test)]
pub(crate) mod differential;
mod env;
mod eval;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod explain;
mod functions;
pub(crate) mod guard;
mod library;
pub mod limits;
mod literals;
mod loops;
mod lower;
pub(crate) mod meter;
mod parse;
mod regex;
mod run;
mod search;
#[cfg(test)]
mod tests;
mod types;
mod values;
pub(crate) mod view;

use std::fmt;
use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, operators as op};
use cel::{Env, IdedExpr};

use self::meter::Allowance;
use self::parse::Places;
use self::regex::Compiled;
pub(crate) use self::types::Phase;
use self::types::Type;
use self::view::View;
use crate::request::Reads;

/// The prefix of the names that stand where literal patterns stood. No source can spell one.
const PATTERN: &str = "@pattern";

/// What an expression must give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// A rule gives a bool.
    Rule,
    /// A header's value is a string or bytes.
    Header,
}

/// What is wrong with an expression, and where in its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.message)
    }
}

/// The headers that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeadersRead {
    /// These, lower-case.
    Names(Vec<String>),
    /// Perhaps any.
    All,
}

impl HeadersRead {
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
pub(crate) struct Uses {
    pub(crate) reads: Reads,
    pub(crate) request_headers: HeadersRead,
    /// Whether it reads a cookie by its name.
    pub(crate) cookies: bool,
    /// Which cookies; none where that is known only at a request.
    pub(crate) cookie_names: Option<Vec<String>>,
    /// Whether it reads the path.
    pub(crate) path: bool,
    /// Whether it may name an escape, so that it speaks of the path as it came.
    pub(crate) escapes: bool,
}

impl Default for Uses {
    fn default() -> Self {
        Uses {
            reads: Reads::default(),
            request_headers: HeadersRead::Names(Vec::new()),
            cookies: false,
            cookie_names: Some(Vec::new()),
            path: false,
            escapes: false,
        }
    }
}

/// A compiled expression.
pub(crate) struct Expression {
    code: Code,
    patterns: Vec<Compiled>,
    env: Arc<Env>,
    uses: Uses,
    /// What asking it costs, where nothing that it reads is large.
    weight: u64,
}

/// How an expression is evaluated.
enum Code {
    /// A rule.
    Rule(lower::Test),
    /// A header's value, of a common shape.
    Value(lower::Text),
    /// A header's value of any other.
    Interpreted(IdedExpr),
}

impl Code {
    /// Whether any of it is left to the interpreter.
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
    /// Parses and checks a source.
    pub(crate) fn compile(
        source: &str,
        phase: Phase,
        expected: Expected,
    ) -> Result<Expression, Vec<ExprError>> {
        let whole = |message: String| vec![ExprError { line: 1, column: 1, message }];
        let (mut root, places) = parse(source)?;
        limits::check_depth(&root).map_err(whole)?;
        let env = env::shared().map_err(whole)?;
        let checked = check::check(&root, phase);
        let mut mistakes = checked.mistakes;
        let mut patterns = Vec::new();
        prepare(&mut root, &mut patterns, &mut mistakes);
        if mistakes.is_empty() {
            mistakes.extend(wrong_result(&root, &checked.result, expected));
        }
        if mistakes.is_empty() {
            let code = match expected {
                Expected::Rule => Code::Rule(lower::test(&root)),
                Expected::Header => lower::text(&root).map_or_else(
                    || {
                        let mut guarded = root.clone();
                        budget::guard(&mut guarded);
                        Code::Interpreted(guarded)
                    },
                    Code::Value,
                ),
            };
            let weight = budget::weight(&root, code.is_interpreted());
            let uses = Uses { escapes: names_escape(&root), ..checked.uses };
            return Ok(Expression { code, patterns, env, uses, weight });
        }
        let mut errors: Vec<ExprError> = mistakes
            .into_iter()
            .map(|mistake| {
                let (line, column) = places.of(source, mistake.node);
                ExprError { line, column, message: mistake.message }
            })
            .collect();
        // `default(a, b)` has `a` twice in the tree, and so its mistakes.
        errors.sort_by(|a, b| (a.line, a.column, &a.message).cmp(&(b.line, b.column, &b.message)));
        errors.dedup();
        Err(errors)
    }

    /// What it reads.
    pub(crate) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// How many bytes its literal patterns take.
    pub(crate) fn pattern_bytes(&self) -> usize {
        self.patterns.iter().fold(0, |sum, pattern| sum.saturating_add(pattern.size()))
    }

    /// What an attribute must be for the rule not to give `settled`; any of these may be used.
    pub(crate) fn guards(&self, settled: bool) -> Vec<guard::Guard> {
        match &self.code {
            Code::Rule(test) => guard::guards(test, settled),
            Code::Value(_) | Code::Interpreted(_) => Vec::new(),
        }
    }

    /// The header's value, where it is the same for every request.
    pub(crate) fn constant(&self) -> Option<&str> {
        match &self.code {
            Code::Value(lower::Text::Literal(value)) => Some(value),
            _ => None,
        }
    }

    /// Evaluates a rule; an error says what is wrong with the request's data, without repeating it.
    /// Whatever it is, the allowance may have met a breach.
    pub(crate) fn matches(&self, view: &View<'_>, allowance: &Allowance) -> Result<bool, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        match &self.code {
            Code::Rule(test) => {
                self.run(view, allowance).test(test).map_err(|failure| failure.to_string())
            }
            Code::Value(_) | Code::Interpreted(_) => Err("not a rule".to_owned()),
        }
    }

    /// Evaluates a header's value.
    pub(crate) fn header_value(
        &self,
        view: &View<'_>,
        allowance: &Allowance,
    ) -> Result<Vec<u8>, String> {
        if !allowance.spend(self.weight) {
            return Err(eval::EXCEEDED.to_owned());
        }
        match &self.code {
            Code::Value(text) => self
                .run(view, allowance)
                .text(text)
                .map(|value| value.into_owned().into_bytes())
                .map_err(|failure| failure.to_string()),
            Code::Interpreted(root) => {
                eval::header(root, &self.env, view, &self.patterns, allowance)
            }
            Code::Rule(_) => Err("not a header's value".to_owned()),
        }
    }

    fn run<'p, 'v>(&'p self, view: &'p View<'v>, allowance: &'p Allowance) -> run::Run<'p, 'v> {
        run::Run { patterns: &self.patterns, env: &self.env, view, allowance }
    }
}

/// Whether a text in an expression has an escape that a path's other reading undoes.
fn names_escape(node: &IdedExpr) -> bool {
    check::string_literal(node)
        .is_some_and(|text| egress_reading::path::plain(text.as_bytes()).is_some())
        || limits::children(node).into_iter().any(names_escape)
}

fn parse(source: &str) -> Result<(IdedExpr, Places), Vec<ExprError>> {
    parse::parse(source).map_err(|fault| {
        let (line, column) = parse::line_and_column(source, fault.at);
        vec![ExprError { line, column, message: fault.message }]
    })
}

fn wrong_result(root: &IdedExpr, result: &Type, expected: Expected) -> Option<check::Mistake> {
    let message = match expected {
        Expected::Rule if !result.fits(&Type::Bool) => {
            format!("a rule gives a bool, this gives {result}")
        }
        Expected::Header if !result.fits(&Type::String) && !result.fits(&Type::Bytes) => {
            format!(
                "a header's value is a string or bytes, this gives {result}: put `string(...)` around it"
            )
        }
        _ => return None,
    };
    Some(check::Mistake { node: root.id, message })
}

/// What `x.headers[?"name"]` and `x.headers.?name` are evaluated as:
/// `"name" in x.headers ? optional.of(x.headers["name"]) : optional.none()`. The interpreter takes
/// every error there for "none", so that a header which cannot be read would be none.
fn optional_header(node: &IdedExpr) -> Option<IdedExpr> {
    let Expr::Call(call) = &node.expr else { return None };
    let (op::OPT_INDEX | op::OPT_SELECT, [headers, name]) =
        (call.func_name.as_str(), call.args.as_slice())
    else {
        return None;
    };
    check::string_literal(name)?;
    match &headers.expr {
        Expr::Select(select)
            if select.field == "headers"
                && !select.test
                && matches!(select.operand.expr, Expr::Ident(_)) => {}
        _ => return None,
    }
    let made = |expr| IdedExpr { id: node.id, expr };
    let call = |name: &str, args| {
        made(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    };
    let optional = |name: &str, args| {
        let target = Some(Box::new(made(Expr::Ident("optional".to_owned()))));
        made(Expr::Call(CallExpr { func_name: name.to_owned(), target, args }))
    };
    let there = call(op::IN, vec![name.clone(), headers.clone()]);
    let value = call(op::INDEX, vec![headers.clone(), name.clone()]);
    Some(call(
        op::CONDITIONAL,
        vec![there, optional("of", vec![value]), optional("none", Vec::new())],
    ))
}

/// Compiles the literal patterns of `matches`, and puts names that resolve to them in their stead;
/// calls the bounded functions by their own names.
fn prepare(node: &mut IdedExpr, patterns: &mut Vec<Compiled>, mistakes: &mut Vec<check::Mistake>) {
    if let Some(plain) = optional_header(node) {
        *node = plain;
    }
    if let Expr::Call(call) = &mut node.expr {
        if let (Some(bounded), true) = (bounded::name_of(&call.func_name), call.target.is_some()) {
            bounded.clone_into(&mut call.func_name);
        }
        mistakes.extend(literals::mistake(call));
        let target = usize::from(call.target.is_some());
        if let Some(position) = regex::pattern_argument(&call.func_name, call.target.is_some())
            && let Some(argument) = call.args.get_mut(position.saturating_sub(target))
            && let Some(pattern) = check::string_literal(argument)
        {
            match Compiled::new(pattern) {
                Ok(compiled) => {
                    argument.expr = Expr::Ident(format!("{PATTERN}{}", patterns.len()));
                    patterns.push(compiled);
                }
                Err(message) => mistakes.push(check::Mistake { node: argument.id, message }),
            }
        }
    }
    match &mut node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        Expr::Call(call) => {
            for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                prepare(part, patterns, mistakes);
            }
        }
        Expr::Comprehension(c) => {
            loops::simplify(c, node.id);
            for part in [
                &mut c.iter_range,
                &mut c.accu_init,
                &mut c.loop_cond,
                &mut c.loop_step,
                &mut c.result,
            ] {
                prepare(part, patterns, mistakes);
            }
        }
        Expr::List(list) => {
            for part in &mut list.elements {
                prepare(part, patterns, mistakes);
            }
        }
        Expr::Select(select) => prepare(&mut select.operand, patterns, mistakes),
        Expr::Map(map) => {
            for entry in &mut map.entries {
                if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                    prepare(&mut entry.key, patterns, mistakes);
                    prepare(&mut entry.value, patterns, mistakes);
                }
            }
        }
        // Refused by the check.
        Expr::Struct(_) => {}
    }
}
