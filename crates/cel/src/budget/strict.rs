//! Keeps values that are present but cannot be read from being treated as missing.
//!
//! `default(json(h).user, "")` is meant to catch that there is no user, not that the caller sent
//! half a document; and `default(json(h).age > 18, false)` must not be evaded with an age in
//! quotes, or one too large for an int. So it is a breach if a function or an operator fails
//! because of a value that it got. Our own functions see to that themselves. For the functions and
//! operators of the `cel` crate, calls are put into the tree: `@is("string", x)` if the type of a
//! value is known only at the request, and checked forms of conversions and operators.

use std::cmp::Ordering;

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators as op};
use cel::common::types::{CelBool, CelList, CelMap, CelString, DYN_TYPE, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};

use super::{Evaluated, is_operator, taken};
use crate::attributes::Table;
use crate::check::string_literal;
use crate::{bridge, env, functions};

pub(crate) const IS: &str = "@is";
pub(crate) const CONVERT: &str = "@convert";
pub(crate) const ORDER: &str = "@order";
pub(crate) const EQUAL: &str = "@equal";
/// Not `@in`, which is the name of the operator itself.
pub(crate) const IN: &str = "@is_in";
/// The same for a list or map that comes from the request.
pub(crate) const IN_DATA: &str = "@is_in_data";
pub(crate) const CALCULATE: &str = "@calculate";
pub(crate) const NEGATE: &str = "@negate";

/// The functions that convert a value to another type.
const CONVERSIONS: &[&str] = &["int", "uint", "double", "bool", "string"];

/// Marks the error of a value that is present: nothing may catch it.
#[cold]
pub(super) fn unreadable(error: ExecutionError) -> ExecutionError {
    bridge::unreadable();
    error
}

/// The error for a value of a type that an operation does not take.
#[cold]
pub(super) fn unfit(name: &str) -> ExecutionError {
    unreadable(ExecutionError::function_error(name, "a value of another type"))
}

/// Guards the operands of an operator.
pub(super) fn operator(call: &mut CallExpr, table: &Table) {
    match (call.func_name.as_str(), call.args.as_mut_slice()) {
        (op::LOGICAL_NOT, [operand]) => expect(operand, "!", "bool", table),
        (op::LOGICAL_AND | op::LOGICAL_OR, operands) => {
            operands.iter_mut().for_each(|operand| expect(operand, "&&, ||", "bool", table))
        }
        (op::CONDITIONAL, [condition, _, _]) => expect(condition, "? :", "bool", table),
        (op::IN, [element, container]) => {
            let from_request = may_be_any(container, table);
            let guarded = from_request || may_be_any(element, table);
            expect(container, "in", "list map", table);
            if guarded {
                let form = if from_request { IN_DATA } else { IN };
                form.clone_into(&mut call.func_name);
            }
        }
        // The language itself says that two values of unknown types differ if their types do.
        (op::EQUALS | op::NOT_EQUALS, [left, right])
            if may_be_any(left, table) != may_be_any(right, table) =>
        {
            named(call, EQUAL)
        }
        (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right])
            if may_be_any(left, table) || may_be_any(right, table) =>
        {
            named(call, ORDER);
        }
        (op::INDEX | op::OPT_INDEX, [container, index]) => {
            expect(
                container,
                "[]",
                if string_literal(index).is_some() { FIELDS } else { ELEMENTS },
                table,
            );
        }
        (op::OPT_SELECT, [operand, _]) => expect(operand, ".?", FIELDS, table),
        (op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [_, _]) => named(call, CALCULATE),
        (op::NEGATE, [_]) => NEGATE.clone_into(&mut call.func_name),
        _ => {}
    }
}

/// Guards the operand of a field selection. Null has no fields.
pub(super) fn select(select: &mut SelectExpr, table: &Table) {
    expect(&mut select.operand, ".", FIELDS, table);
}

/// Guards the range of a loop.
pub(super) fn range(range: &mut IdedExpr, table: &Table) {
    expect(range, "loop", "list map", table);
}

/// What has fields, and what has elements or entries.
const FIELDS: &str = "map null_type optional_type";
const ELEMENTS: &str = "list map null_type optional_type";

/// Guards the arguments of a function.
pub(super) fn function(call: &mut CallExpr, table: &Table) {
    if call.target.is_none() && CONVERSIONS.contains(&call.func_name.as_str()) {
        named(call, CONVERT);
        return;
    }
    let CallExpr { func_name, target, args } = call;
    let called_on = target.as_deref_mut();
    let Some(kinds) = functions::kinds(called_on.as_deref(), func_name, args.len()) else { return };
    let called_on = called_on.filter(|target| !functions::is_namespace(target, func_name));
    for (part, kinds) in called_on.into_iter().chain(args).zip(kinds) {
        expect(part, func_name, &kinds, table);
    }
}

/// Calls a checked form, whose first argument is the name of what was called.
fn named(call: &mut CallExpr, form: &str) {
    let name = std::mem::replace(&mut call.func_name, form.to_owned());
    call.args.insert(0, text(&name));
}

fn text(text: &str) -> IdedExpr {
    IdedExpr { id: 0, expr: Expr::Literal(LiteralValue::String(text.to_owned().into())) }
}

/// Makes sure that a part has one of these types, if that is not certain.
pub(crate) fn expect(node: &mut IdedExpr, name: &str, kinds: &str, table: &Table) {
    if kinds.is_empty() || !may_be_any(node, table) {
        return;
    }
    let id = node.id;
    let args = vec![text(name), text(kinds), std::mem::take(node)];
    *node = IdedExpr {
        id,
        expr: Expr::Call(CallExpr { func_name: IS.to_owned(), target: None, args }),
    };
}

/// Whether a part's type is known only at the request. So is any type that the source does not
/// show.
pub(crate) fn may_be_any(node: &IdedExpr, table: &Table) -> bool {
    match &node.expr {
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) | Expr::Unspecified => {
            false
        }
        // The accumulator of a loop is a bool or a list. All other variables may have any type.
        Expr::Ident(name) => {
            !name.starts_with('@') && !table.has_root(name.trim_start_matches('.'))
        }
        Expr::Select(select) => !select.test && !is_attribute(&select.operand, table),
        Expr::Comprehension(comprehension) => may_be_any(&comprehension.result, table),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (op::CONDITIONAL, [_, yes, no]) => may_be_any(yes, table) || may_be_any(no, table),
            (op::INDEX, [container, _]) => !is_attribute(container, table),
            (super::ADD | CALCULATE, args) => args.iter().any(|part| may_be_any(part, table)),
            (super::MADE | super::READ | super::RANGE | super::COMPARED, args) => {
                args.last().is_some_and(|part| may_be_any(part, table))
            }
            (IS | ORDER | EQUAL | IN | IN_DATA | CONVERT, _) => false,
            (super::ANY_VARIABLE, _) => true,
            (name, _) => {
                !is_operator(name) && functions::may_give_anything(call.target.as_deref(), name)
            }
        },
    }
}

/// Whether a node is an attribute that has attributes, or `request.headers` and its like.
fn is_attribute(node: &IdedExpr, table: &Table) -> bool {
    match &node.expr {
        Expr::Ident(name) => table.root(name.trim_start_matches('.')).is_some(),
        Expr::Select(select) => !select.test && is_attribute(&select.operand, table),
        _ => false,
    }
}

/// Declares the functions.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    env.add_overload(IS, "strict_is", vec![STRING_TYPE, STRING_TYPE, DYN_TYPE], is)?;
    env.add_overload(CONVERT, "strict_convert", vec![STRING_TYPE, DYN_TYPE], convert)?;
    env.add_overload(ORDER, "strict_order", vec![STRING_TYPE, DYN_TYPE, DYN_TYPE], order)?;
    env.add_overload(EQUAL, "strict_equal", vec![STRING_TYPE, DYN_TYPE, DYN_TYPE], equal)?;
    env.add_overload(IN, "strict_in", vec![DYN_TYPE, DYN_TYPE], is_in)?;
    env.add_overload(IN_DATA, "strict_in_data", vec![DYN_TYPE, DYN_TYPE], is_in_data)?;
    env.add_overload(
        CALCULATE,
        "strict_calculate",
        vec![STRING_TYPE, DYN_TYPE, DYN_TYPE],
        calculate,
    )?;
    env.add_overload(NEGATE, "strict_negate", vec![DYN_TYPE], negate)
}

fn name<'a>(value: &'a CowVal<'_, '_>) -> &'a str {
    value.downcast_ref::<CelString<'_>>().map_or("", CelString::inner)
}

fn is<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [function, kinds, value] = taken(arguments)?;
    let found = value.get_type().name();
    if name(&kinds).split(' ').any(|kind| kind == found) {
        Ok(value)
    } else {
        Err(unfit(name(&function)))
    }
}

fn convert<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [function, value] = taken(arguments)?;
    let env = env::shared().map_err(|error| ExecutionError::function_error("@convert", error))?;
    let given = [value];
    let found = env.find_overload(name(&function), &given).ok_or_else(|| unfit(name(&function)))?;
    found(given.into()).map_err(unreadable)
}

fn order<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [operator, left, right] = taken(arguments)?;
    let operator = name(&operator);
    let order = left
        .as_comparer()
        .ok_or_else(|| unfit(operator))?
        .compare(right.as_ref())
        .map_err(unreadable)?;
    let holds = match operator {
        op::LESS => order == Ordering::Less,
        op::LESS_EQUALS => order != Ordering::Greater,
        op::GREATER => order == Ordering::Greater,
        _ => order != Ordering::Less,
    };
    Ok(CowVal::owned(CelBool::from(holds)))
}

/// Whether two values can be compared. A caller who sends `"7"` instead of 7, or a list of one
/// number, has sent what the rule cannot read but an origin may. Any value can be compared with
/// null.
fn are_comparable(left: &dyn Val, right: &dyn Val) -> bool {
    let kind = |value: &dyn Val| match value.get_type().name() {
        "int" | "uint" | "double" => "number".to_owned(),
        other => other.to_owned(),
    };
    let (left, right) = (kind(left), kind(right));
    left == right || left == NULL || right == NULL
}

const NULL: &str = "null_type";

fn equal<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [operator, left, right] = taken(arguments)?;
    if !are_comparable(left.as_ref(), right.as_ref()) {
        return Err(unfit(name(&operator)));
    }
    Ok(CowVal::owned(CelBool::from((left == right) == (name(&operator) == op::EQUALS))))
}

/// Whether a value of the request is in a list or map of the rule. A value that cannot be compared
/// with any element cannot be read.
fn is_in<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [element, container] = taken(arguments)?;
    let others = comparable(element.as_ref(), container.as_ref());
    find(&element, &container, others.all == 0 || others.comparable > 0)
}

/// Whether a value is in a list or map of the request. If it is not found, but some element cannot
/// be compared with it, an origin may read that element as the value.
fn is_in_data<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [element, container] = taken(arguments)?;
    let others = comparable(element.as_ref(), container.as_ref());
    find(&element, &container, others.all == others.comparable)
}

fn find<'b, 'v>(
    element: &CowVal<'b, 'v>,
    container: &CowVal<'b, 'v>,
    is_readable: bool,
) -> Evaluated<'b, 'v> {
    let container = container.as_container().ok_or_else(|| unfit("in"))?;
    let found = container.contains(element.as_ref());
    match found {
        Ok(false) if !is_readable => Err(unfit("in")),
        found => found.map(|found| CowVal::owned(CelBool::from(found))).map_err(unreadable),
    }
}

/// The number of elements of a list, or keys of a map, and of those with which a value can be
/// compared.
struct Comparable {
    all: usize,
    comparable: usize,
}

fn comparable<'v>(element: &(dyn Val + 'v), container: &(dyn Val + 'v)) -> Comparable {
    let fits = |other: &&(dyn Val + 'v)| are_comparable(element, *other);
    if let Some(list) = container.downcast_ref::<CelList<'v>>() {
        let elements = list.inner().iter().map(|other| other.as_ref());
        return Comparable { all: list.inner().len(), comparable: elements.filter(fits).count() };
    }
    if let Some(map) = container.downcast_ref::<CelMap<'v>>() {
        let keys = map.inner().keys().map(|key| key.inner());
        return Comparable { all: map.inner().len(), comparable: keys.filter(fits).count() };
    }
    Comparable { all: 0, comparable: 0 }
}

fn calculate<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [operator, left, right] = taken(arguments)?;
    let (operator, right) = (name(&operator), right.as_ref());
    let missing = || unfit(operator);
    let found = match operator {
        op::SUBSTRACT => left.as_subtractor().ok_or_else(missing)?.sub(right),
        op::MULTIPLY => left.as_multiplier().ok_or_else(missing)?.mul(right),
        op::DIVIDE => left.as_divider().ok_or_else(missing)?.div(right),
        _ => left.as_modder().ok_or_else(missing)?.modulo(right),
    };
    found.map(|found| CowVal::Owned(found.into_owned())).map_err(unreadable)
}

fn negate<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Evaluated<'b, 'v> {
    let [value] = taken(arguments)?;
    value.as_negator().ok_or_else(|| unfit("-"))?.negate().map(CowVal::Owned).map_err(unreadable)
}
