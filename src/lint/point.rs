//! Where in an expression's source it says what cannot be.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, operators as op};

use super::Known;
use super::formula::Reader;
use crate::cel::lower::{self, Test};
use crate::cel::{check, parse};

/// Line and column, from 1 and in characters, of the first part of a source that a message of
/// [`Findings::parts`](super::Findings) is about: of a comparison its start, of `in` the item of
/// the list.
///
/// What is evaluated does not know where it was written, so the source is parsed once more; only a
/// warning asks.
pub(crate) fn point_of(source: &str, message: &str, known: Known<'_>) -> Option<(usize, usize)> {
    let (root, places) = parse(source).ok()?;
    find(&root, message, known).map(|node| places.of(source, node))
}

/// The ID of the innermost node that is objected to in these words.
fn find(node: &IdedExpr, message: &str, known: Known<'_>) -> Option<u64> {
    let below = |part: &IdedExpr| find(part, message, known);
    match &node.expr {
        Expr::Call(call) => {
            let below = call.target.as_deref().into_iter().chain(&call.args).find_map(below);
            below.or_else(|| match (call.func_name.as_str(), call.args.as_slice()) {
                (op::IN, [text, list]) => item(text, list, message, known),
                _ => is_objected_to(&lower::test(node), message, known).then_some(node.id),
            })
        }
        Expr::List(list) => list.elements.iter().find_map(below),
        Expr::Map(map) => map.entries.iter().find_map(|entry| match &entry.expr {
            EntryExpr::MapEntry(entry) => below(&entry.key).or_else(|| below(&entry.value)),
            EntryExpr::StructField(field) => below(&field.value),
        }),
        Expr::Select(select) => below(&select.operand),
        // What is in a loop is not looked at.
        Expr::Comprehension(_)
        | Expr::Struct(_)
        | Expr::Literal(_)
        | Expr::Ident(_)
        | Expr::Unspecified => None,
    }
}

/// The item of a list for which an `in` is objected to.
fn item(text: &IdedExpr, list: &IdedExpr, message: &str, known: Known<'_>) -> Option<u64> {
    let (text, Expr::List(list)) = (lower::text(text)?, &list.expr) else { return None };
    let wrong = |item: &&IdedExpr| {
        check::string_literal(item).is_some_and(|literal| {
            is_objected_to(
                &Test::Equal(text.clone(), lower::Text::Literal(literal.into())),
                message,
                known,
            )
        })
    };
    list.elements.iter().find(wrong).map(|item| item.id)
}

fn is_objected_to(test: &Test, message: &str, known: Known<'_>) -> bool {
    let mut reader = Reader::new(known);
    reader.read(test);
    reader.take_objections().iter().any(|found| found == message)
}
