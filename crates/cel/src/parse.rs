//! From the source of an expression to its tree (langdef, "Syntax").
//!
//! This is the filter's own parser, which builds the `cel` crate's tree. The parser of that crate
//! would be a quarter of the module, takes more than ten times as long, overflows the stack on a
//! long chain of operators, and has no limit for that. Both accept the same sources with the same
//! trees, except for what `parse/tests/against_antlr.rs` lists.
//!
//! The parser stops at the first error. It checks the depth while it parses.

mod brackets;
mod lexer;
mod literal;
mod macros;
mod member;
mod places;
mod spelling;
#[cfg(test)]
mod tests;

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr, LiteralValue, operators as op};

pub(super) use self::lexer::Fault;
use self::lexer::{Lexer, Token};
pub(super) use self::macros::{KEY, MAP_OF, VALUE};
use self::member::RESERVED;
pub(super) use self::places::{Places, line_and_column};
use self::spelling::Written;
pub(super) use self::spelling::{Spelling, WrittenCall, parse_spelled};
use super::limits::{self, MAX_DEPTH};

/// The words of CEL that are no names (langdef, "Syntax").
#[must_use]
pub fn reserved_words() -> Vec<&'static str> {
    RESERVED.iter().copied().chain(["false", "in", "null", "true"]).collect()
}

/// Whether a text is an identifier of CEL (langdef, "Syntax").
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    let starts = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    starts
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !reserved_words().contains(&text)
}

/// Parses a source.
pub(super) fn parse(source: &str) -> Result<(IdedExpr, Places), Fault> {
    let mut parser = Parser::new(source, ())?;
    let root = parser.whole()?;
    Ok((root, parser.places))
}

/// A parsed part of the source.
struct Node {
    expr: IdedExpr,
    /// Where it begins, in bytes.
    start: u32,
    /// The depth of its tree. A macro counts as the call that was written.
    depth: usize,
}

struct Parser<'s, W> {
    lexer: Lexer<'s>,
    /// The current token, and where it begins.
    token: Token<'s>,
    at: u32,
    places: Places,
    /// How many brackets and conditionals are open.
    nesting: usize,
    /// Records how the source spells the tree, if a tool needs that.
    written: W,
}

type Parsed<T = Node> = Result<T, Fault>;

/// The operator of a symbol between two operands: its name in the tree, and how tightly it binds.
#[inline]
fn operator_of(symbol: &str) -> Option<(&'static str, u8)> {
    Some(match symbol {
        "||" => (op::LOGICAL_OR, 1),
        "&&" => (op::LOGICAL_AND, 2),
        "==" => (op::EQUALS, 3),
        "!=" => (op::NOT_EQUALS, 3),
        "in" => (op::IN, 3),
        "<" => (op::LESS, 3),
        "<=" => (op::LESS_EQUALS, 3),
        ">" => (op::GREATER, 3),
        ">=" => (op::GREATER_EQUALS, 3),
        "+" => (op::ADD, 4),
        "-" => (op::SUBSTRACT, 4),
        "*" => (op::MULTIPLY, 5),
        "/" => (op::DIVIDE, 5),
        "%" => (op::MODULO, 5),
        _ => return None,
    })
}
impl<'s, W: Written> Parser<'s, W> {
    fn new(source: &'s str, written: W) -> Parsed<Parser<'s, W>> {
        Ok(Parser {
            lexer: Lexer::new(source)?,
            token: Token::End,
            at: 0,
            places: Places::of_source(source),
            nesting: 0,
            written,
        })
    }

    /// The whole source.
    fn whole(&mut self) -> Parsed<IdedExpr> {
        self.advance()?;
        let root = self.expression()?;
        if self.token != Token::End {
            return Err(self.expected("an operator or the end"));
        }
        Ok(root.expr)
    }

    fn advance(&mut self) -> Parsed<Token<'s>> {
        self.written.passed(self.lexer.offset());
        let (token, at) = self.lexer.next()?;
        self.at = at;
        Ok(std::mem::replace(&mut self.token, token))
    }

    #[inline]
    fn is(&self, symbol: &str) -> bool {
        matches!(self.token, Token::Symbol(found) if found == symbol)
    }

    #[inline]
    fn eat(&mut self, symbol: &str) -> Parsed<bool> {
        let found = self.is(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, symbol: &str) -> Parsed<()> {
        if self.eat(symbol)? { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    /// The error for another token than was expected.
    fn expected(&self, expected: &str) -> Fault {
        let found = match &self.token {
            Token::End => "the end of the expression".to_owned(),
            Token::Symbol(symbol) => format!("`{symbol}`"),
            Token::Name(word) | Token::Int(word) | Token::Double(word) => format!("`{word}`"),
            Token::Quoted(name) => format!("a name in backticks, `{name}`"),
            Token::Literal(LiteralValue::String(_)) => "a string".to_owned(),
            Token::Literal(LiteralValue::Bytes(_)) => "bytes".to_owned(),
            Token::Literal(LiteralValue::Boolean(value)) => format!("`{}`", value.inner()),
            Token::Literal(LiteralValue::Null) => "`null`".to_owned(),
            Token::Literal(_) => "a number".to_owned(),
        };
        let mend = match self.token {
            Token::Name("and" | "AND") => ": write `&&`",
            Token::Name("or" | "OR") => ": write `||`",
            Token::Name("not" | "NOT") => ": write `!`",
            _ => "",
        };
        Fault::new(self.at, format!("expected {expected}, got {found}{mend}"))
    }

    fn node(&mut self, start: u32, depth: usize, expr: Expr) -> Parsed {
        if depth > MAX_DEPTH {
            return Err(Fault::new(start, limits::too_deep()));
        }
        let expr = IdedExpr { id: self.places.add(start), expr };
        self.written.ends(expr.id);
        Ok(Node { expr, start, depth })
    }

    /// The call of an operator, whose name is never that of a macro.
    fn operation(&mut self, start: u32, name: &str, operands: Vec<Node>) -> Parsed {
        let (args, depth) = parts(operands);
        self.node(
            start,
            depth,
            Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }),
        )
    }

    /// `a ? b : c`, or what binds tighter.
    fn expression(&mut self) -> Parsed {
        self.nesting = self.nesting.saturating_add(1);
        if self.nesting > MAX_DEPTH {
            return Err(Fault::new(self.at, limits::too_deep()));
        }
        let mut node = self.binary(1)?;
        if self.eat("?")? {
            let yes = self.binary(1)?;
            if self.is("?") {
                return Err(Fault::new(
                    self.at,
                    "expected `:`, got `?`: put brackets around a conditional between `?` and `:`",
                ));
            }
            self.expect(":")?;
            let no = self.expression()?;
            node = self.operation(node.start, op::CONDITIONAL, vec![node, yes, no])?;
        }
        self.nesting = self.nesting.saturating_sub(1);
        Ok(node)
    }

    fn operator(&self) -> Option<(&'static str, u8)> {
        let Token::Symbol(written) = self.token else { return None };
        operator_of(written)
    }

    /// A chain of operators that bind at least this tightly.
    fn binary(&mut self, least: u8) -> Parsed {
        let mut left = self.unary()?;
        while let Some((name, binds)) = self.operator().filter(|(_, binds)| *binds >= least) {
            let tighter = binds.saturating_add(1);
            if name == op::LOGICAL_AND || name == op::LOGICAL_OR {
                let mut operands = vec![left];
                while self.operator().is_some_and(|(next, _)| next == name) {
                    self.advance()?;
                    operands.push(self.binary(tighter)?);
                }
                left = self.balanced(name, operands)?;
            } else {
                self.advance()?;
                let right = self.binary(tighter)?;
                left = self.operation(left.start, name, vec![left, right])?;
            }
        }
        Ok(left)
    }

    /// A chain of `&&` or `||` as a tree that is as flat as possible. The grouping has no meaning.
    fn balanced(&mut self, name: &str, mut operands: Vec<Node>) -> Parsed {
        let right = operands.split_off(operands.len().div_ceil(2));
        let half = |parser: &mut Self, mut half: Vec<Node>| match half.len() {
            1 => half.pop().ok_or_else(|| parser.expected("an expression")),
            _ => parser.balanced(name, half),
        };
        let left = half(self, operands)?;
        let right = half(self, right)?;
        self.operation(left.start, name, vec![left, right])
    }

    /// `!a`, `-a`, or what binds tighter. Two signs cancel.
    fn unary(&mut self) -> Parsed {
        let start = self.at;
        let (sign, name) = if self.is("!") { ("!", op::LOGICAL_NOT) } else { ("-", op::NEGATE) };
        let mut signs = 0_usize;
        while self.eat(sign)? {
            signs = signs.saturating_add(1);
        }
        // A single minus before a number belongs to the number.
        if name == op::NEGATE && signs == 1 && self.is_number() {
            return self.member(start, true);
        }
        let inner = self.at;
        let negative = name == op::LOGICAL_NOT && self.eat("-")?;
        if negative && !self.is_number() {
            return Err(self.expected("a number behind the `-`"));
        }
        let operand = self.member(inner, negative)?;
        if signs.is_multiple_of(2) {
            Ok(operand)
        } else {
            self.operation(start, name, vec![operand])
        }
    }

    fn is_number(&self) -> bool {
        matches!(self.token, Token::Int(_) | Token::Double(_))
    }
}

/// The trees of several nodes, and the depth of a node above them.
fn parts(nodes: Vec<Node>) -> (Vec<IdedExpr>, usize) {
    let depth = nodes.iter().map(|node| node.depth).max().unwrap_or(0).saturating_add(1);
    (nodes.into_iter().map(|node| node.expr).collect(), depth)
}
