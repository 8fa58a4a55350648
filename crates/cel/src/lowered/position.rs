//! Where in an expression's source a lowered part was written.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, operators as op};

use super::{Comparison, Number, Test, Text};
use crate::check::string_literal;
use crate::literals::int_literal;
use crate::lower::Lowering;
use crate::parse;
use crate::variables::{self, Scope};

/// Line and column, from 1 and in characters, of the first and innermost part of a source for which
/// `is_meant` holds. For a comparison it is the start; for `in` it is the item of the list, which
/// is passed as a [`Test::Equal`] or a comparison of numbers of its own.
///
/// The lowered form does not contain positions, so the source is parsed once more.
#[must_use]
pub fn position_of(
    scope: Scope<'_>,
    source: &str,
    is_meant: impl Fn(&Test) -> bool,
) -> Option<(usize, usize)> {
    let (mut root, places) = parse(source).ok()?;
    let constants = variables::constants(&mut root, scope);
    let mut read = Vec::new();
    variables::refer(&mut root, scope, &mut read);
    let lowering = Lowering { table: scope.table, variables: &read, constants: &constants };
    let search = Search { lowering, is_meant };
    search.find(&root).map(|node| places.of(source, node))
}

struct Search<'v, F> {
    lowering: Lowering<'v>,
    is_meant: F,
}

impl<F: Fn(&Test) -> bool> Search<'_, F> {
    /// The id of the innermost node that is meant.
    fn find(&self, node: &IdedExpr) -> Option<u64> {
        let below = |part: &IdedExpr| self.find(part);
        match &node.expr {
            Expr::Call(call) => {
                let below = call.target.as_deref().into_iter().chain(&call.args).find_map(below);
                below.or_else(|| match (call.func_name.as_str(), call.args.as_slice()) {
                    (op::IN, [text, list]) => self.item(text, list),
                    _ => (self.is_meant)(&self.lowering.test(node)).then_some(node.id),
                })
            }
            Expr::List(list) => list.elements.iter().find_map(below),
            Expr::Map(map) => map.entries.iter().find_map(|entry| match &entry.expr {
                EntryExpr::MapEntry(entry) => below(&entry.key).or_else(|| below(&entry.value)),
                EntryExpr::StructField(field) => below(&field.value),
            }),
            Expr::Select(select) => below(&select.operand),
            // Loops are not lowered.
            Expr::Comprehension(_)
            | Expr::Struct(_)
            | Expr::Literal(_)
            | Expr::Ident(_)
            | Expr::Unspecified => None,
        }
    }

    /// The item of a list for which an `in` is meant.
    fn item(&self, element: &IdedExpr, list: &IdedExpr) -> Option<u64> {
        let Expr::List(list) = &list.expr else { return None };
        let Some(text) = self.lowering.text(element) else {
            let number = self.lowering.number(element)?;
            let meant = |item: &&IdedExpr| {
                int_literal(item).is_some_and(|literal| {
                    let literal = Number::Literal(literal);
                    (self.is_meant)(&Test::Number(Comparison::Equal, number.clone(), literal))
                })
            };
            return list.elements.iter().find(meant).map(|item| item.id);
        };
        let meant = |item: &&IdedExpr| {
            string_literal(item).is_some_and(|literal| {
                (self.is_meant)(&Test::Equal(text.clone(), Text::Literal(literal.into())))
            })
        };
        list.elements.iter().find(meant).map(|item| item.id)
    }
}
