//! How a source spells its tree: where nodes end, and the calls that macros were. It is for tools
//! that show expressions.

use std::collections::HashMap;

use cel::IdedExpr;

use super::{Fault, Parser, Places};

/// How the nodes of a tree are spelled.
#[derive(Debug, Default)]
pub(crate) struct Spelling {
    places: Places,
    /// The end of the last token that was taken.
    passed: u32,
    /// The byte behind the node of an ID; IDs count from 1.
    ends: Vec<u32>,
    /// The call of the macro whose expansion is the node of this ID.
    calls: HashMap<u64, WrittenCall>,
}

/// A macro's call as it is written.
#[derive(Debug, Clone)]
pub(crate) struct WrittenCall {
    pub(crate) name: String,
    pub(crate) target: Option<IdedExpr>,
    pub(crate) args: Vec<IdedExpr>,
}

/// Parses a source, and returns how it spells its nodes.
pub(crate) fn parse_spelled(source: &str) -> Result<(IdedExpr, Spelling), Fault> {
    let mut parser = Parser::new(source, Spelling::default())?;
    let root = parser.whole()?;
    Ok((root, Spelling { places: parser.places, ..parser.written }))
}

impl Spelling {
    /// The part of the source that the node of an ID comes from. Half of a long chain of `&&` or
    /// `||`, which is no part of the source, has more text than that half.
    pub(crate) fn text<'s>(&self, source: &'s str, id: u64) -> &'s str {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        let end = index.and_then(|index| self.ends.get(index)).copied().unwrap_or(0);
        let byte = |at: u32| usize::try_from(at).unwrap_or(usize::MAX);
        source.get(byte(self.places.start(id))..byte(end)).unwrap_or_default()
    }

    /// The call of the macro whose expansion is the node of this ID.
    pub(crate) fn call(&self, id: u64) -> Option<&WrittenCall> {
        self.calls.get(&id)
    }

    fn end(&mut self, id: u64) {
        let Some(index) = usize::try_from(id).ok().and_then(|id| id.checked_sub(1)) else { return };
        // Nodes that a macro made were given no end.
        if self.ends.len() <= index {
            self.ends.resize(index.saturating_add(1), 0);
        }
        if let Some(end) = self.ends.get_mut(index) {
            *end = self.passed;
        }
    }
}

/// What a parser reports about how the source spells the tree.
pub(super) trait Written {
    /// A token was taken, which ends at this byte.
    fn passed(&mut self, _end: u32) {}

    /// The node of an ID ends with the last token that was taken.
    fn ends(&mut self, _id: u64) {}

    /// A call that may be a macro's.
    fn call(
        &self,
        _name: &str,
        _target: Option<&IdedExpr>,
        _args: &[IdedExpr],
    ) -> Option<WrittenCall> {
        None
    }

    /// A macro's call made the node of this ID.
    fn made(&mut self, _id: u64, _call: Option<WrittenCall>) {}
}

/// Nothing is kept.
impl Written for () {}

impl Written for Spelling {
    fn passed(&mut self, end: u32) {
        self.passed = end;
    }

    fn ends(&mut self, id: u64) {
        self.end(id);
    }

    fn call(
        &self,
        name: &str,
        target: Option<&IdedExpr>,
        args: &[IdedExpr],
    ) -> Option<WrittenCall> {
        Some(WrittenCall { name: name.to_owned(), target: target.cloned(), args: args.to_vec() })
    }

    fn made(&mut self, id: u64, call: Option<WrittenCall>) {
        // `default(a)` is `a`, which has its own place.
        let Some(call) = call.filter(|call| !call.args.iter().any(|arg| arg.id == id)) else {
            return;
        };
        self.end(id);
        self.calls.insert(id, call);
    }
}

#[cfg(test)]
mod tests {
    use cel::common::ast::Expr;

    use super::*;
    use crate::limits::children;

    /// The texts of all nodes that are written, from the root down.
    fn texts(source: &str) -> Vec<String> {
        fn walk(node: &IdedExpr, source: &str, spelling: &Spelling, found: &mut Vec<String>) {
            found.push(spelling.text(source, node.id).to_owned());
            match spelling.call(node.id) {
                Some(call) => call
                    .target
                    .iter()
                    .chain(&call.args)
                    .for_each(|part| walk(part, source, spelling, found)),
                None => {
                    children(node).into_iter().for_each(|part| walk(part, source, spelling, found))
                }
            }
        }
        let (root, spelling) = parse_spelled(source).unwrap();
        let mut found = Vec::new();
        walk(&root, source, &spelling, &mut found);
        found
    }

    #[test]
    fn nodes_have_the_text_that_is_written() {
        for (source, expected) in [
            ("a == \"b\" ", &["a == \"b\"", "a", "\"b\""][..]),
            ("(a || b) && !(c)", &["(a || b) && !(c)", "a || b", "a", "b", "!(c)", "c"]),
            (" a ? (b) : c.d // why", &["a ? (b) : c.d", "a", "b", "c.d", "c"]),
            ("a.f( b , c )[0]", &["a.f( b , c )[0]", "a.f( b , c )", "a", "b", "c", "0"]),
            ("a.?b[?-1]", &["a.?b[?-1]", "a.?b", "a", "a.?b", "-1"]),
            (
                "[a, 1 ] + {b: c,}.d",
                &["[a, 1 ] + {b: c,}.d", "[a, 1 ]", "a", "1", "{b: c,}.d", "{b: c,}", "b", "c"],
            ),
            ("has( a.b ) && x", &["has( a.b ) && x", "has( a.b )", "a.b", "a", "x"]),
            (
                "default(a.b,\n'') + ''",
                &["default(a.b,\n'') + ''", "default(a.b,\n'')", "a.b", "a", "''", "''"],
            ),
            (
                "default(a, default(b, c))",
                &["default(a, default(b, c))", "a", "default(b, c)", "b", "c"],
            ),
            ("coalesce(a)", &["a"]),
            ("x.all(k, v, k != v)", &["x.all(k, v, k != v)", "x", "k", "v", "k != v", "k", "v"]),
            ("math.greatest(a, b)", &["math.greatest(a, b)", "math", "a", "b"]),
            ("é == '…'", &[]),
        ] {
            if expected.is_empty() {
                assert!(parse_spelled(source).is_err(), "{source}");
            } else {
                assert_eq!(texts(source), expected, "{source}");
            }
        }
    }

    #[test]
    fn the_operands_of_a_long_chain_have_their_texts() {
        let source = "a && b && (c) && d.e && f()";
        let (root, spelling) = parse_spelled(source).unwrap();
        assert_eq!(spelling.text(source, root.id), source);
        fn operands<'t>(node: &'t IdedExpr, found: &mut Vec<&'t IdedExpr>) {
            match &node.expr {
                Expr::Call(call) if call.func_name == "_&&_" => {
                    call.args.iter().for_each(|arg| operands(arg, found))
                }
                _ => found.push(node),
            }
        }
        let mut found = Vec::new();
        operands(&root, &mut found);
        let texts: Vec<&str> =
            found.into_iter().map(|node| spelling.text(source, node.id)).collect();
        assert_eq!(texts, ["a", "b", "c", "d.e", "f()"]);
    }

    #[test]
    fn the_tree_is_the_same_as_without() {
        for source in ["a && b || c", "x.exists(y, y == 1)", "default(has(a.b), false)", "1 +"] {
            assert_eq!(
                parse_spelled(source).map(|(root, _)| root),
                super::super::parse(source).map(|(root, _)| root),
                "{source}"
            );
        }
    }
}
