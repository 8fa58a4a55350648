//! Lists, maps and messages.

use cel::IdedExpr;
use cel::common::ast::{
    EntryExpr, Expr, IdedEntryExpr, ListExpr, MapEntryExpr, MapExpr, StructExpr, StructFieldExpr,
};

use super::lexer::Token;
use super::{Node, Parsed, Parser, Written, parts};

impl<W: Written> Parser<'_, W> {
    /// A list, behind its opening bracket.
    pub(super) fn list(&mut self, start: u32) -> Parsed {
        let (mut elements, mut optional_indices) = (Vec::new(), Vec::new());
        while !self.is("]") && !self.is(",") {
            if self.eat("?")? {
                optional_indices.push(elements.len());
            }
            elements.push(self.expression()?);
            if !self.separated("]")? {
                break;
            }
        }
        self.closed("]", elements.is_empty())?;
        let (elements, depth) = parts(elements);
        self.node(start, depth, Expr::List(ListExpr { elements, optional_indices }))
    }

    /// A map, behind its opening bracket.
    pub(super) fn map(&mut self, start: u32) -> Parsed {
        let (mut entries, mut depth) = (Vec::new(), 1_usize);
        while !self.is("}") && !self.is(",") {
            let at = self.at;
            let optional = self.eat("?")?;
            let key = self.expression()?;
            self.expect(":")?;
            let value = self.expression()?;
            depth = depth.max(key.depth.saturating_add(1)).max(value.depth.saturating_add(1));
            let entry =
                EntryExpr::MapEntry(MapEntryExpr { key: key.expr, value: value.expr, optional });
            entries.push(IdedEntryExpr { id: self.places.add(at), expr: entry });
            if !self.separated("}")? {
                break;
            }
        }
        self.closed("}", entries.is_empty())?;
        self.node(start, depth, Expr::Map(MapExpr { entries }))
    }

    /// A message, `a.B{c: d}`, behind its name.
    pub(super) fn message(&mut self, name: Node) -> Parsed {
        self.expect("{")?;
        let (mut entries, mut depth) = (Vec::new(), 1_usize);
        while !self.is("}") && !self.is(",") {
            let at = self.at;
            let optional = self.eat("?")?;
            let (Token::Name(field) | Token::Quoted(field)) = self.token else {
                return Err(self.expected("the name of a field"));
            };
            self.advance()?;
            self.expect(":")?;
            let value = self.expression()?;
            depth = depth.max(value.depth.saturating_add(1));
            let entry = EntryExpr::StructField(StructFieldExpr {
                field: field.to_owned(),
                value: value.expr,
                optional,
            });
            entries.push(IdedEntryExpr { id: self.places.add(at), expr: entry });
            if !self.separated("}")? {
                break;
            }
        }
        self.closed("}", entries.is_empty())?;
        let type_name = dotted_name(&name.expr).unwrap_or_default();
        self.node(name.start, depth, Expr::Struct(StructExpr { type_name, entries }))
    }

    /// Takes a comma, and returns whether another entry follows.
    fn separated(&mut self, closing: &str) -> Parsed<bool> {
        Ok(self.eat(",")? && !self.is(closing))
    }

    /// Takes the closing bracket of a list, map or message. An empty one may contain a comma.
    fn closed(&mut self, closing: &str, empty: bool) -> Parsed<()> {
        if empty {
            self.eat(",")?;
        }
        if self.eat(closing)? { Ok(()) } else { Err(self.expected(&format!("`,` or `{closing}`"))) }
    }
}

fn dotted_name(node: &IdedExpr) -> Option<String> {
    match &node.expr {
        Expr::Ident(name) => Some(name.clone()),
        Expr::Select(select) => Some(format!("{}.{}", dotted_name(&select.operand)?, select.field)),
        _ => None,
    }
}
