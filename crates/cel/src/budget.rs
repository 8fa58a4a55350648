//! Charges for an expression: puts calls that spend steps into its tree, once it is checked.
//!
//! The length of an expression bounds what is evaluated once. What a loop or a function does
//! depends on the request as well, so a caller could use up memory and time:
//! `request.headers.map(a, request.headers.map(b, request.path + "x"))` copies the path for each
//! pair of headers. So [`guard`] puts calls into the tree that spend from the allowance of the
//! evaluation (`bridge`): `@range(n, x)` around the range of a loop, `@made(x)` around the value of
//! a loop's body, `@read(n, x)` around what a function reads, and `@add(a, b)` for `a + b`.
//!
//! It also puts calls there that distinguish what cannot be read from what is missing (`strict`).

pub(crate) mod strict;
#[cfg(test)]
mod tests;

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, LiteralValue, operators as op,
};
use cel::common::types::{
    CelBytes, CelInt, CelList, CelMap, CelOptional, CelString, DYN_TYPE, INT_TYPE,
};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};

use super::attributes::Table;
use super::bounded::MAX_TEXT;
use super::meter::{BYTES_A_STEP, units};
use super::variables::ANY_VARIABLE;
use super::{PATTERN, bridge, functions};
pub(super) use strict::may_be_any;

/// The steps for one part of an expression that is not lowered.
const PART: i64 = 3;
/// How many lowered parts are evaluated for one step.
const LOWERED_A_STEP: u64 = 16;
/// The steps for a turn of a loop, besides those for its parts.
const TURN: i64 = 6;
/// What an element of a list or map counts besides its content, in bytes: when it is read or
/// copied, and when it is compared.
const ELEMENT: usize = 32;
const COMPARED_ELEMENT: usize = 192;
/// To which depth a value's size is counted. No value of an expression is as deep.
const MAX_NESTING: usize = 256;

/// `+`, bounded.
pub(crate) const ADD: &str = "@add";
pub(crate) const MADE: &str = "@made";
pub(crate) const RANGE: &str = "@range";
pub(crate) const READ: &str = "@read";
pub(crate) const COMPARED: &str = "@compared";
/// What an element behind a `?` is.
const OPTIONAL: &str = "optional_type";
/// Stands among the accumulators for a loop that accumulates nothing. No name is equal to it.
const BOUND: &str = "@bound";

/// How many bytes of its arguments a function reads for one step, which depends on its work for
/// each byte.
fn bytes_a_step(function: &str) -> i64 {
    match function {
        "startsWith" | "endsWith" | "size" | "matches" | "@contains" => 64,
        "bytes" | "string" | "stripPrefix" | "stripSuffix" => 32,
        "query" | "setQuery" | "addQuery" | "reverse" | "format" | "quote" | "strings.quote"
        | "regexReplace" | "form.decode" | "form.encode" | "toJson" => 2,
        "json" => 4,
        _ => 8,
    }
}

/// Puts the guards into an expression that has been checked and whose depth is bounded.
pub(super) fn guard(root: &mut IdedExpr, table: &'static Table) {
    Guard { table, accumulators: Vec::new() }.expr(root);
}

/// The number of parts of an expression, without those of its loops, which are charged for by each
/// turn.
fn parts(node: &IdedExpr) -> i64 {
    let below = match &node.expr {
        Expr::Comprehension(c) => parts(&c.iter_range)
            .saturating_add(parts(&c.accu_init))
            .saturating_add(parts(&c.result)),
        _ => {
            let mut sum = 0_i64;
            super::limits::each_child(node, &mut |child| sum = sum.saturating_add(parts(child)));
            sum
        }
    };
    below.saturating_add(1)
}

/// The steps for evaluating an expression as long as no value is large.
pub(super) fn weight(root: &IdedExpr, is_interpreted: bool) -> u64 {
    let parts = u64::try_from(parts(root)).unwrap_or(u64::MAX);
    if is_interpreted {
        parts.saturating_mul(PART.unsigned_abs())
    } else {
        parts.div_euclid(LOWERED_A_STEP)
    }
}

struct Guard {
    table: &'static Table,
    /// The accumulators of the loops around, innermost last.
    accumulators: Vec<String>,
}

impl Guard {
    fn expr(&mut self, node: &mut IdedExpr) {
        match &mut node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) => {
                self.expr(&mut select.operand);
                strict::select(select, self.table);
            }
            Expr::Call(call) => {
                for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                    self.expr(part);
                }
                if self.call(call) {
                    wrap(node, MADE, None);
                }
            }
            Expr::List(list) => {
                for (index, element) in list.elements.iter_mut().enumerate() {
                    self.expr(element);
                    if list.optional_indices.contains(&index) {
                        strict::expect(element, "?", OPTIONAL, self.table);
                    }
                    self.kept(element);
                }
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        self.expr(&mut entry.key);
                        self.kept(&mut entry.key);
                        self.expr(&mut entry.value);
                        if entry.optional {
                            strict::expect(&mut entry.value, "?", OPTIONAL, self.table);
                        }
                        self.kept(&mut entry.value);
                    }
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// Guards a call whose parts are guarded already. Returns whether its result must be charged
    /// for, too.
    fn call(&mut self, call: &mut CallExpr) -> bool {
        if call.func_name == op::ADD && call.args.len() == 2 {
            // The turns of a `map` or `filter` append to their list with a plain `+`.
            if !self.accumulates(&call.args) {
                ADD.clone_into(&mut call.func_name);
            }
            return false;
        }
        let looped = !self.accumulators.is_empty();
        if is_operator(&call.func_name) {
            // Operators may compare large values.
            if matches!(call.func_name.as_str(), op::EQUALS | op::NOT_EQUALS | op::IN) {
                call.args
                    .iter_mut()
                    .filter(|part| may_be_large(part))
                    .for_each(|part| wrap(part, COMPARED, None));
            }
            strict::operator(call, self.table);
            return false;
        }
        let weight = bytes_a_step(&call.func_name);
        strict::function(call, self.table);
        let called_on = call
            .target
            .as_deref_mut()
            .filter(|target| !functions::is_namespace(target, &call.func_name));
        called_on
            .into_iter()
            .chain(&mut call.args)
            .filter(|part| may_be_large(part))
            .for_each(|part| wrap(part, READ, Some(weight)));
        looped || matches!(call.func_name.as_str(), "quote" | "strings.quote")
    }

    /// The elements of a list or map, which are copies of the values of variables.
    fn kept(&self, node: &mut IdedExpr) {
        let copied = match &node.expr {
            Expr::Ident(name) => !name.starts_with(PATTERN),
            Expr::Select(_) => true,
            Expr::Call(call) => call.func_name != MADE && call.func_name != ADD,
            _ => false,
        };
        if copied && !self.accumulators.is_empty() {
            wrap(node, MADE, None);
        }
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) {
        let turn = parts(&comprehension.loop_cond).saturating_add(parts(&comprehension.loop_step));
        self.expr(&mut comprehension.iter_range);
        strict::range(&mut comprehension.iter_range, self.table);
        wrap(
            &mut comprehension.iter_range,
            RANGE,
            Some(turn.saturating_mul(PART).saturating_add(TURN)),
        );
        self.expr(&mut comprehension.accu_init);
        self.accumulators.push(comprehension.accu_var.clone());
        self.expr(&mut comprehension.loop_cond);
        self.expr(&mut comprehension.loop_step);
        self.accumulators.pop();
        // A bound value can be used repeatedly, like the range of a loop. Its copies in the result
        // are charged for.
        self.accumulators.push(BOUND.to_owned());
        self.expr(&mut comprehension.result);
        self.accumulators.pop();
    }

    fn accumulates(&self, operands: &[IdedExpr]) -> bool {
        match (operands.first().map(|first| &first.expr), self.accumulators.last()) {
            (Some(Expr::Ident(name)), Some(accumulator)) => name == accumulator,
            _ => false,
        }
    }
}

/// Whether a part may have a large value, for which its reader has not been charged.
fn may_be_large(node: &IdedExpr) -> bool {
    match &node.expr {
        Expr::Ident(name) => !name.starts_with('@'),
        Expr::Select(select) => !select.test,
        Expr::Call(call) => {
            !is_operator(&call.func_name)
                || matches!(call.func_name.as_str(), op::INDEX | op::CONDITIONAL)
        }
        // Literals in a list are parts of it.
        Expr::List(list) => {
            !list.elements.iter().all(|element| matches!(element.expr, Expr::Literal(_)))
        }
        Expr::Comprehension(_) | Expr::Map(_) => true,
        Expr::Unspecified | Expr::Literal(_) | Expr::Struct(_) => false,
    }
}

fn literal(number: i64) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::Int(number.into())) }
}

fn wrap(node: &mut IdedExpr, function: &str, number: Option<i64>) {
    let id = node.id;
    let inner = std::mem::take(node);
    let args = number.map(literal).into_iter().chain([inner]).collect();
    *node = IdedExpr {
        id,
        expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args }),
    };
}

/// Whether a call is that of an operator, whose result is never large. The names of operators have
/// no letters, except for those that macros use internally.
#[inline]
fn is_operator(name: &str) -> bool {
    name == op::NOT_STRICTLY_FALSE
        || name == op::IN
        || !name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Declares the functions that the guards use.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(ADD, "budget_add", vec![DYN_TYPE, DYN_TYPE], add)?;
    env.add_overload(MADE, "budget_made", vec![DYN_TYPE], made)?;
    env.add_overload(RANGE, "budget_range", vec![INT_TYPE, DYN_TYPE], range)?;
    env.add_overload(READ, "budget_read", vec![INT_TYPE, DYN_TYPE], read)?;
    env.add_overload(COMPARED, "budget_compared", vec![DYN_TYPE], compared)?;
    strict::extension(env)
}

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn made<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    bridge::spend(units(size(value.as_ref(), MAX_NESTING), BYTES_A_STEP).saturating_add(1))?;
    Ok(value)
}

fn range<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [turn, value] = taken(arguments)?;
    let turns =
        value.as_sizer().and_then(|sizer| u64::try_from(*sizer.size().inner()).ok()).unwrap_or(0);
    let cost = turns.saturating_mul(u64::try_from(number(&turn)).unwrap_or(u64::MAX));
    bridge::spend(cost.saturating_add(units(size(value.as_ref(), MAX_NESTING), BYTES_A_STEP)))?;
    Ok(value)
}

fn read<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [bytes_a_step, value] = taken(arguments)?;
    let bytes_a_step = usize::try_from(number(&bytes_a_step)).unwrap_or(1);
    bridge::spend_on(size(value.as_ref(), MAX_NESTING), bytes_a_step)?;
    Ok(value)
}

fn compared<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    let bytes = sized(value.as_ref(), MAX_NESTING, COMPARED_ELEMENT);
    bridge::spend_on(bytes, COMPARED_A_STEP)?;
    Ok(value)
}

/// How many bytes of values are compared in a step.
const COMPARED_A_STEP: usize = 64;

fn number(value: &CowVal<'_, '_>) -> i64 {
    value.downcast_ref::<CelInt>().map_or(i64::MAX, |number| *number.inner())
}

fn add<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [left, right] = taken(arguments)?;
    let sum = left.as_adder().ok_or_else(|| strict::unfit("+"))?;
    let bytes = size(left.as_ref(), MAX_NESTING).saturating_add(size(right.as_ref(), MAX_NESTING));
    if bytes > MAX_TEXT && left.downcast_ref::<CelList<'v>>().is_none() {
        bridge::breach();
        return Err(ExecutionError::function_error("+", "the result passes the limit"));
    }
    bridge::spend(units(bytes, BYTES_A_STEP))?;
    sum.add(right.as_ref()).map(|sum| CowVal::Owned(sum.into_owned())).map_err(strict::unreadable)
}

fn taken<'b, 'v, const N: usize>(
    arguments: Vec<CowVal<'b, 'v>>,
) -> Result<[CowVal<'b, 'v>; N], ExecutionError> {
    arguments
        .try_into()
        .map_err(|given: Vec<_>| ExecutionError::invalid_argument_count(N, given.len()))
}

/// Roughly how many bytes a value takes. A borrowed text counts as if it were copied.
pub(super) fn size(value: &(dyn Val + '_), nesting: usize) -> usize {
    sized(value, nesting, ELEMENT)
}

fn sized(value: &(dyn Val + '_), nesting: usize, node: usize) -> usize {
    let Some(nesting) = nesting.checked_sub(1) else { return usize::MAX };
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return text.inner().len();
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        return bytes.inner().len();
    }
    let all = |sum: usize, part: usize| sum.saturating_add(part).saturating_add(node);
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list
            .inner()
            .iter()
            .map(|element| sized(element.as_ref(), nesting, node))
            .fold(node, all);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        // Comparing two maps compares each key with all the keys of the other.
        let pairs = if node == COMPARED_ELEMENT {
            map.inner().len().saturating_mul(map.inner().len())
        } else {
            0
        };
        let parts = map.inner().iter().flat_map(|(key, value)| {
            [sized(key.inner(), nesting, node), sized(value.as_ref(), nesting, node)]
        });
        return parts.fold(node.saturating_add(pairs), all);
    }
    if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        return optional.inner().map_or(0, |inner| sized(inner, nesting, node));
    }
    0
}
