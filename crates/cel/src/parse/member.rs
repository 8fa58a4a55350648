//! Primary expressions (names, literals, calls, brackets), and what is selected from them: fields,
//! methods, elements.

use cel::common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators as op};

use super::lexer::{Fault, Token};
use super::macros::{self, Expanded, Maker};
use super::{Node, Parsed, Parser, Written, literal, parts};
use crate::limits::{self, MAX_DEPTH};

/// Names that CEL keeps for languages that embed it (langdef, "Syntax").
pub(super) const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

impl<W: Written> Parser<'_, W> {
    /// A primary expression, and what is selected from it: `a.b`, `a.?b`, `a.f(b)`, `a[b]`,
    /// `a[?b]`.
    pub(super) fn member(&mut self, start: u32, negative: bool) -> Parsed {
        // Whether it is a dotted name so far, which may be the type of a message.
        let mut dotted = matches!(self.token, Token::Name(_) | Token::Symbol("."));
        let mut node = self.primary(start, negative)?;
        dotted &= matches!(node.expr.expr, Expr::Ident(_));
        loop {
            let start = node.start;
            if self.eat("[")? {
                let name = if self.eat("?")? { op::OPT_INDEX } else { op::INDEX };
                let index = self.expression()?;
                self.expect("]")?;
                node = self.operation(start, name, vec![node, index])?;
            } else if self.eat(".")? {
                node = self.selected(node)?;
                if matches!(&node.expr.expr, Expr::Select(select) if !select.test) {
                    continue;
                }
            } else if dotted && self.is("{") {
                node = self.message(node)?;
            } else {
                return Ok(node);
            }
            dotted = false;
        }
    }

    /// The selection behind a dot.
    fn selected(&mut self, of: Node) -> Parsed {
        let (start, depth) = (of.start, of.depth.saturating_add(1));
        let optional = self.eat("?")?;
        let (field, callable) = match self.token {
            Token::Name(name) => (name, !optional),
            Token::Quoted(name) => (name, false),
            _ => return Err(self.expected("a name behind the `.`")),
        };
        self.advance()?;
        if callable && self.is("(") {
            return self.call(start, field, Some(of));
        }
        if optional {
            let literal =
                self.node(start, 1, Expr::Literal(LiteralValue::String(field.to_owned().into())))?;
            return self.operation(start, op::OPT_SELECT, vec![of, literal]);
        }
        self.node(
            start,
            depth,
            Expr::Select(SelectExpr {
                operand: Box::new(of.expr),
                field: field.to_owned(),
                test: false,
            }),
        )
    }

    /// A call or macro, from its opening bracket on.
    fn call(&mut self, start: u32, name: &str, target: Option<Node>) -> Parsed {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if !self.is(")") {
            loop {
                arguments.push(self.expression()?);
                if !self.eat(",")? {
                    break;
                }
            }
        }
        if !self.is(")") {
            return Err(self.expected("`,` or `)`"));
        }
        self.advance()?;
        let (args, below) = parts(arguments);
        let (target, depth) = target.map_or((None, below), |node| {
            (Some(node.expr), below.max(node.depth.saturating_add(1)))
        });
        let call = self.written.call(name, target.as_ref(), &args);
        let mut maker = Maker::new(&mut self.places, start);
        match macros::expand(&mut maker, name, target, args)? {
            Expanded::Made(expr) if depth <= MAX_DEPTH => {
                self.written.made(expr.id, call);
                Ok(Node { expr, start, depth })
            }
            Expanded::Made(_) => Err(Fault::new(start, limits::too_deep())),
            Expanded::Call(target, args) => self.node(
                start,
                depth,
                Expr::Call(CallExpr {
                    func_name: name.to_owned(),
                    target: target.map(Box::new),
                    args,
                }),
            ),
        }
    }

    fn primary(&mut self, start: u32, negative: bool) -> Parsed {
        if self.eat("(")? {
            let inner = self.expression()?;
            self.expect(")")?;
            return Ok(Node { start, ..inner });
        }
        if self.eat("[")? {
            return self.list(start);
        }
        if self.eat("{")? {
            return self.map(start);
        }
        let rooted = self.eat(".")?;
        if let Token::Name(name) = self.token {
            let at = self.at;
            self.advance()?;
            return self.name(start, at, rooted, name);
        }
        if rooted {
            return Err(self.expected("a name behind the `.`"));
        }
        let too_large = |written, what| {
            let sign = if negative { "-" } else { "" };
            Fault::new(start, format!("`{sign}{written}` is too large for {what}"))
        };
        let literal = match &self.token {
            Token::Literal(_) => match self.advance()? {
                Token::Literal(literal) => return self.node(start, 1, Expr::Literal(literal)),
                _ => return Err(self.expected("a literal")),
            },
            Token::Int(written) => {
                literal::int(written, negative).ok_or_else(|| too_large(written, "an int"))?
            }
            Token::Double(written) => {
                literal::double(written, negative).ok_or_else(|| too_large(written, "a double"))?
            }
            Token::Quoted(name) => {
                return Err(Fault::new(
                    self.at,
                    format!("a name in backticks stands behind a `.` only, as in `x.`{name}``"),
                ));
            }
            Token::Name(_) | Token::Symbol(_) | Token::End => {
                return Err(self.expected("an expression"));
            }
        };
        self.advance()?;
        self.node(start, 1, Expr::Literal(literal))
    }

    /// A name that begins an expression, read already: of a variable or of a function.
    fn name(&mut self, start: u32, at: u32, rooted: bool, name: &str) -> Parsed {
        if RESERVED.contains(&name) {
            return Err(Fault::new(at, format!("`{name}` is a reserved word of CEL, and no name")));
        }
        let name = if rooted { format!(".{name}") } else { name.to_owned() };
        if self.is("(") {
            self.call(start, &name, None)
        } else {
            self.node(start, 1, Expr::Ident(name))
        }
    }
}
