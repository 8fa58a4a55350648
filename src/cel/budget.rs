//! What one evaluation may cost. The length of a policy's expression bounds what is evaluated once; what a loop makes of it
//! depends on the request, whose sender could else buy memory and time: `request.headers.map(a, request.headers.map(b,
//! request.path + "x"))` copies a path for each pair of headers.
//!
//! [`meter`] puts the meter into an expression once it is checked: `@range(@budget, x)` around what a loop goes over,
//! `@made(@budget, x)` around what a loop's body makes, and `@add(@budget, a, b)` for `a + b`. `@budget` is a name that no
//! source can spell; it stands for the [`Budget`] of the evaluation at hand.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::OnceLock;

use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, operators as op};
use cel::common::types::{BYTES_TYPE, CelBytes, CelList, CelMap, CelOptional, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};

use super::bounded::MAX_TEXT;
use super::meter;
use crate::request::headers::Headers;

/// How many bytes made cost as much as a step: at most 6.4 MB are made in one evaluation.
const UNIT: usize = 64;
/// A step costs one more for each of these bytes of the request, since it may look at all of them.
const LOOKED_AT: usize = 4096;
/// How deep a value's size is counted; none that an expression makes is as deep.
const MAX_NESTING: usize = 256;

/// The name that stands for the budget.
pub(super) const NAME: &str = "@budget";
/// `+`, bounded.
pub(super) const ADD: &str = "@add";
const MADE: &str = "@made";
/// Stands among the accumulators where nothing is accumulated. No name is this.
const BOUND: &str = "@bound";
const RANGE: &str = "@range";
/// What may double a text, wherever it is called.
const GROWING: &[&str] = &["quote", "strings.quote"];
/// What takes so long over a text that reading it costs as much as making it: patterns are matched by the simplest engine.
const SLOW: &[&str] = &["matches", "regexReplace"];

/// The CEL type of a budget. No expression can name it or make one.
const TYPE: Type = Type::new_unspecified_type("budget");

/// What a step costs; what is spent is the [`meter`](super::meter)'s.
#[derive(Debug, Default)]
pub(super) struct Budget {
    step: OnceLock<u64>,
}

impl Budget {
    /// Sets what a step costs, the first time it is asked for.
    pub(super) fn weigh(&self, request: &Headers<'_>) -> &Self {
        self.step.get_or_init(|| {
            let bytes = request.lines().fold(0_usize, |sum, (name, value)| sum.saturating_add(name.len()).saturating_add(value.len()));
            units(bytes, LOOKED_AT).saturating_add(1)
        });
        self
    }

    fn step(&self) -> u64 {
        self.step.get().copied().unwrap_or(1)
    }

    fn spend(cost: u64) -> Result<(), ExecutionError> {
        if meter::spend(cost) { Ok(()) } else { Err(ExecutionError::function_error("@budget", "exceeded")) }
    }
}

fn units(bytes: usize, unit: usize) -> u64 {
    bytes.checked_div(unit).and_then(|units| u64::try_from(units).ok()).unwrap_or(u64::MAX)
}

/// Puts the meter into an expression that is checked, and of bounded depth.
pub(super) fn meter(root: &mut IdedExpr) {
    Meter { accumulators: Vec::new() }.expr(root);
}

struct Meter {
    /// The accumulators of the loops around, innermost last.
    accumulators: Vec<String>,
}

impl Meter {
    fn expr(&mut self, node: &mut IdedExpr) {
        match &mut node.expr {
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) | Expr::Struct(_) => {}
            Expr::Select(select) => self.expr(&mut select.operand),
            Expr::Call(call) => {
                for part in call.target.as_deref_mut().into_iter().chain(&mut call.args) {
                    self.expr(part);
                }
                if call.func_name == op::ADD && call.args.len() == 2 {
                    // The interpreter appends to the list that a `map` or `filter` makes where it sees its own `+`.
                    if !self.accumulates(&call.args) {
                        ADD.clone_into(&mut call.func_name);
                        call.args.insert(0, budget());
                    }
                } else if (!self.accumulators.is_empty() && !is_operator(&call.func_name)) || GROWING.contains(&call.func_name.as_str()) {
                    if SLOW.contains(&call.func_name.as_str()) {
                        call.target.as_deref_mut().into_iter().chain(&mut call.args).for_each(|part| self.kept(part));
                    }
                    wrap(node, MADE);
                }
            }
            Expr::List(list) => {
                for element in &mut list.elements {
                    self.expr(element);
                    self.kept(element);
                }
            }
            Expr::Map(map) => {
                for entry in &mut map.entries {
                    if let EntryExpr::MapEntry(entry) = &mut entry.expr {
                        for part in [&mut entry.key, &mut entry.value] {
                            self.expr(part);
                            self.kept(part);
                        }
                    }
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// What a list or map keeps, which is a copy of what was a variable's, or what a [`SLOW`] function reads.
    fn kept(&self, node: &mut IdedExpr) {
        let copied = match &node.expr {
            Expr::Ident(name) => !name.starts_with(super::PATTERN),
            Expr::Select(_) => true,
            Expr::Call(call) => call.func_name != MADE && call.func_name != ADD,
            _ => false,
        };
        if copied && !self.accumulators.is_empty() {
            wrap(node, MADE);
        }
    }

    fn comprehension(&mut self, comprehension: &mut ComprehensionExpr) {
        self.expr(&mut comprehension.iter_range);
        wrap(&mut comprehension.iter_range, RANGE);
        self.expr(&mut comprehension.accu_init);
        self.accumulators.push(comprehension.accu_var.clone());
        self.expr(&mut comprehension.loop_cond);
        self.expr(&mut comprehension.loop_step);
        self.accumulators.pop();
        // What is bound can be used again and again, as what a loop goes over can: in the result, copies of it are charged.
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

fn budget() -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Ident(NAME.to_owned()) }
}

fn wrap(node: &mut IdedExpr, function: &str) {
    let id = node.id;
    let inner = std::mem::take(node);
    *node = IdedExpr { id, expr: Expr::Call(CallExpr { func_name: function.to_owned(), target: None, args: vec![budget(), inner] }) };
}

/// Whether a call is an operator's, which makes nothing large. Their names are of no letters, or those of the macros' inner
/// workings.
fn is_operator(name: &str) -> bool {
    name == op::NOT_STRICTLY_FALSE || name == op::IN || !name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

/// Declares the functions that the meter uses.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(ADD, "budget_add", vec![TYPE, DYN_TYPE, DYN_TYPE], add)?;
    env.add_overload(MADE, "budget_made", vec![TYPE, DYN_TYPE], made)?;
    env.add_overload(RANGE, "budget_range", vec![TYPE, DYN_TYPE], range)
}

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn spend(budget: &CowVal<'_, '_>, cost: impl FnOnce(&Budget) -> u64) -> Result<(), ExecutionError> {
    let missing = || ExecutionError::function_error("@budget", "expected a budget");
    let budget = budget.downcast_ref::<Budget>().ok_or_else(missing)?;
    Budget::spend(cost(budget))
}

fn made<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [budget, value] = pair(arguments)?;
    spend(&budget, |budget| budget.step().saturating_add(units(size(value.as_ref(), MAX_NESTING), UNIT)))?;
    Ok(value)
}

fn range<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [budget, value] = pair(arguments)?;
    let steps = value.as_sizer().and_then(|sizer| u64::try_from(*sizer.size().inner()).ok()).unwrap_or(0);
    let cost = |budget: &Budget| steps.saturating_mul(budget.step()).saturating_add(units(size(value.as_ref(), MAX_NESTING), UNIT));
    spend(&budget, cost)?;
    Ok(value)
}

fn add<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [budget, left, right] = <[CowVal<'b, 'v>; 3]>::try_from(arguments).map_err(|given| count(3, &given))?;
    let sum = left.as_adder().ok_or_else(|| ExecutionError::function_error("+", "no such overload"))?;
    let bytes = size(left.as_ref(), MAX_NESTING).saturating_add(size(right.as_ref(), MAX_NESTING));
    if bytes > MAX_TEXT && left.downcast_ref::<CelList<'v>>().is_none() {
        meter::breach();
        return Err(ExecutionError::function_error("+", "the result passes the limit"));
    }
    spend(&budget, |_| units(bytes, UNIT))?;
    Ok(CowVal::Owned(sum.add(right.as_ref())?.into_owned()))
}

fn pair<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<[CowVal<'b, 'v>; 2], ExecutionError> {
    arguments.try_into().map_err(|given: Vec<_>| count(2, &given))
}

fn count(expected: usize, given: &[CowVal<'_, '_>]) -> ExecutionError {
    ExecutionError::invalid_argument_count(expected, given.len())
}

/// About how many bytes a value takes; a text that is borrowed counts as if it were copied.
fn size(value: &(dyn Val + '_), nesting: usize) -> usize {
    let Some(nesting) = nesting.checked_sub(1) else { return usize::MAX };
    let node = std::mem::size_of::<[usize; 4]>();
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        return text.inner().len();
    }
    if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        return bytes.inner().len();
    }
    let all = |sum: usize, part: usize| sum.saturating_add(part).saturating_add(node);
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|element| size(element.as_ref(), nesting)).fold(node, all);
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        return map.inner().iter().flat_map(|(key, value)| [size(key.inner(), nesting), size(value.as_ref(), nesting)]).fold(node, all);
    }
    if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        return optional.inner().map_or(0, |inner| size(inner, nesting));
    }
    0
}

impl Val for Budget {
    fn get_type(&self) -> &Type {
        static THE_TYPE: Type = TYPE;
        &THE_TYPE
    }

    fn cel_type() -> &'static Type {
        // Only asked by macros that this type is not used with.
        &BYTES_TYPE
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        // What is spent is the meter's, and so the same for a copy.
        Box::new(Budget { step: self.step.clone() })
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Budget {}
