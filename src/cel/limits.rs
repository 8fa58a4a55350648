//! Bounds on an expression's size, checked when the configuration loads.
//!
//! The parser, the checker and the interpreter all recurse with the depth of the expression, on a wasm stack of about a
//! megabyte, and the `cel` crate's own limit does not see chains such as `1+1+1...` (pitfalls that its users met). So the
//! depth that a source can have is bounded before it is parsed, and again once it is.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr};

/// The longest source of an expression, in bytes.
pub const MAX_SOURCE: usize = 4096;
/// The deepest nesting of an expression: brackets, operators, selections and calls.
pub const MAX_DEPTH: usize = 48;
/// The deepest nesting of comprehensions (`all`, `exists`, `map`, `filter`): each one multiplies the cost.
pub const MAX_COMPREHENSIONS: usize = 2;

/// The deepest nesting of macros that put a part of what they are given twice into the tree: each one doubles its size.
pub const MAX_DOUBLINGS: usize = 4;

/// Checks a source before it is parsed.
pub(crate) fn check_source(source: &str) -> Result<(), String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("the expression has {} bytes, the limit is {MAX_SOURCE}", source.len()));
    }
    let Depth { depth, doublings } = source_depth(source);
    if depth > MAX_DEPTH {
        return Err(too_deep(depth));
    }
    if doublings > MAX_DOUBLINGS {
        return Err(format!(
            "`default` and `optMap` are nested {doublings} deep, the limit is {MAX_DOUBLINGS}: each doubles the expression"
        ));
    }
    Ok(())
}

/// Checks an expression once it is parsed.
pub(crate) fn check_depth(root: &IdedExpr) -> Result<(), String> {
    // A loop with a stack of its own: the depth is not known to be safe to recurse over yet.
    let mut todo = vec![(root, 1_usize, 0_usize)];
    while let Some((node, depth, comprehensions)) = todo.pop() {
        let comprehensions = comprehensions.saturating_add(usize::from(matches!(node.expr, Expr::Comprehension(_))));
        if comprehensions > MAX_COMPREHENSIONS {
            return Err(format!("macros such as `all` and `map` are nested {comprehensions} deep, the limit is {MAX_COMPREHENSIONS}"));
        }
        // What macros expand to is some levels deeper than what was written.
        if depth > MAX_DEPTH.saturating_mul(3) {
            return Err(too_deep(depth));
        }
        for child in children(node) {
            todo.push((child, depth.saturating_add(1), comprehensions));
        }
    }
    Ok(())
}

fn too_deep(depth: usize) -> String {
    format!("the expression is nested {depth} deep, the limit is {MAX_DEPTH}: split it into several, or use `in [...]` for long chains")
}

/// The parts of an expression.
pub(crate) fn children(node: &IdedExpr) -> Vec<&IdedExpr> {
    match &node.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(c) => vec![&c.iter_range, &c.accu_init, &c.loop_cond, &c.loop_step, &c.result],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => map.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(|entry| entry_parts(&entry.expr)).collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// Bounds of what a source parses to.
struct Depth {
    depth: usize,
    doublings: usize,
}

/// Upper bounds of the depth of what a source parses to, and of the macros in it that double their parts.
///
/// Operators, selections and brackets each add a level to what stands beside them. `&&`, `||`, `,`, `:` and `?` start
/// anew: the parser balances chains of the first two, and the others stand between siblings; a level each is counted
/// for the nesting of conditionals.
fn source_depth(source: &str) -> Depth {
    struct Level {
        /// Levels in the chain being read.
        chain: usize,
        /// The deepest chain so far, what it brackets included.
        deepest: usize,
        /// Conditionals, which nest to the right.
        conditionals: usize,
        /// Doublings in the chain being read, and the most so far.
        doublings: usize,
        most_doublings: usize,
        /// The macro whose brackets these are.
        doubles: Option<Doubles>,
    }
    let level = |doubles| Level { chain: 0, deepest: 0, conditionals: 0, doublings: 0, most_doublings: 0, doubles };
    let mut levels = vec![level(None)];
    let mut doubles = None;
    let mut tokens = Tokens { rest: source.as_bytes() };
    while let Some(token) = tokens.next() {
        let Some(current) = levels.last_mut() else { break };
        let named = doubles.take();
        match token {
            Token::Macro(found) => doubles = Some(found),
            Token::Deepens => {
                current.chain = current.chain.saturating_add(1);
                current.deepest = current.deepest.max(current.chain);
            }
            Token::StartsAnew => (current.chain, current.doublings) = (0, 0),
            Token::Conditional => {
                (current.chain, current.doublings) = (0, 0);
                current.conditionals = current.conditionals.saturating_add(1);
            }
            Token::Opens => levels.push(level(named)),
            Token::Closes => {
                if let (Some(inner), Some(outer)) = (levels.pop(), levels.last_mut()) {
                    let depth = inner.deepest.saturating_add(inner.conditionals).saturating_add(1);
                    outer.chain = outer.chain.saturating_add(depth);
                    outer.deepest = outer.deepest.max(outer.chain);
                    let (mut before, mut within) = (outer.doublings, inner.most_doublings);
                    match inner.doubles {
                        Some(Doubles::Argument) => within = within.saturating_add(1),
                        Some(Doubles::Target) => before = before.saturating_add(1),
                        None => {}
                    }
                    outer.doublings = before.max(within);
                    outer.most_doublings = outer.most_doublings.max(outer.doublings);
                } else {
                    levels.push(level(None));
                }
            }
        }
    }
    let start = Depth { depth: 0, doublings: 0 };
    levels.iter().fold(start, |sum, level| Depth {
        depth: sum.depth.saturating_add(level.deepest).saturating_add(level.conditionals).saturating_add(1),
        doublings: sum.doublings.saturating_add(level.most_doublings),
    })
}

/// What a macro puts twice into the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubles {
    /// `default(a, b)`: `a`.
    Argument,
    /// `x.optMap(v, a)`: `x`.
    Target,
}

enum Token {
    Deepens,
    StartsAnew,
    Conditional,
    Opens,
    Closes,
    Macro(Doubles),
}

/// The tokens that matter to the depth; strings and comments are skipped.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    fn next(&mut self) -> Option<Token> {
        while let Some((&byte, after)) = self.rest.split_first() {
            let doubled = after.first() == Some(&byte);
            if is_name(byte) {
                if let Some(token) = self.skip_name() {
                    return Some(token);
                }
                continue;
            }
            self.rest = after;
            match byte {
                b'"' | b'\'' => self.skip_string(byte, false),
                b'/' if doubled => {
                    let line = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
                    self.rest = after.get(line..).unwrap_or_default();
                }
                b'&' | b'|' if doubled => {
                    self.rest = after.get(1..).unwrap_or_default();
                    return Some(Token::StartsAnew);
                }
                b',' | b':' => return Some(Token::StartsAnew),
                b'?' => return Some(Token::Conditional),
                b'(' | b'[' | b'{' => return Some(Token::Opens),
                b')' | b']' | b'}' => return Some(Token::Closes),
                b'.' | b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'<' | b'>' | b'=' => {
                    if after.first() == Some(&b'=') {
                        self.rest = after.get(1..).unwrap_or_default();
                    }
                    return Some(Token::Deepens);
                }
                _ => {}
            }
        }
        None
    }

    /// Skips a name or number, and the string that it is the prefix of.
    fn skip_name(&mut self) -> Option<Token> {
        let len = self.rest.iter().position(|byte| !is_name(*byte)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at_checked(len)?;
        self.rest = after;
        match name {
            b"in" => return Some(Token::Deepens),
            b"default" => return Some(Token::Macro(Doubles::Argument)),
            b"optMap" | b"optFlatMap" => return Some(Token::Macro(Doubles::Target)),
            _ => {}
        }
        let raw = matches!(name, b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR");
        if let (true, Some((quote @ (b'"' | b'\''), after))) = (raw, after.split_first()) {
            self.rest = after;
            self.skip_string(*quote, true);
        }
        None
    }

    /// Skips to behind the closing quote; only over the opening one where there is none, as the lexer does.
    fn skip_string(&mut self, quote: u8, raw: bool) {
        let inside = self.rest;
        let triple = inside.starts_with(&[quote, quote]);
        let mut rest = if triple { inside.get(2..).unwrap_or_default() } else { inside };
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte == b'\\' && !raw {
                rest = after.get(1..).unwrap_or_default();
            } else if byte == quote && (!triple || after.starts_with(&[quote, quote])) {
                self.rest = if triple { after.get(2..).unwrap_or_default() } else { after };
                return;
            } else if byte == b'\n' && !triple {
                return;
            }
        }
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    #[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn ordinary_rules_are_shallow() {
        for source in [
            r#"source.identity.namespace == "team-a" && source.identity.serviceAccount == "team-a""#,
            r#"request.host == "a" && !(request.path == "/zen" || request.path.startsWith("/repos/"))"#,
            &format!("request.path in [{}]", vec![r#""/a/b/c""#; 300].join(", ")),
            &vec![r#"request.path == "/a""#; 100].join(" || "),
            r#""a string with ((((((((((((((((((((((((((( and ........................................... in it" == "x""#,
        ] {
            assert_eq!(check_source(source), Ok(()), "{source}");
        }
    }

    #[test]
    fn every_way_to_nest_is_bounded() {
        for source in [
            vec!["1"; 200].join("+"),
            format!("request{}", ".a".repeat(200)),
            format!("{}1{}", "(".repeat(200), ")".repeat(200)),
            format!("{}1{}", "[".repeat(200), "]".repeat(200)),
            format!("{}true", "!".repeat(200)),
            format!("{}1", "-".repeat(200)),
            format!("{}1", "true ? 1 : ".repeat(200)),
            format!("a{}", "[0]".repeat(200)),
            format!("a{}", ".f()".repeat(200)),
            vec!["1"; 200].join(" in "),
            vec!["1"; 200].join(" < "),
            format!("(({})+{})", vec!["1"; 30].join("+"), vec!["1"; 30].join("+")),
            format!("{}{}", "f(".repeat(200), ")".repeat(200)),
            format!(r#"r"\" == "{}" "#, vec!["1"; 200].join(r#""+""#)),
            format!("\"unclosed\n + {}", vec!["1"; 200].join("+")),
            format!("\"\"\"unclosed\n + {}", vec!["1"; 200].join("+")),
        ] {
            assert!(check_source(&source).is_err(), "{source}");
        }
        assert!(check_source(&format!("\"{}\"", "a".repeat(MAX_SOURCE))).is_err());
    }

    #[test]
    fn macros_that_double_what_they_are_given_nest_a_few_deep() {
        let default = |n: usize| format!("{}'a'{}", "default(".repeat(n), ", 'b')".repeat(n));
        for source in [
            default(MAX_DOUBLINGS),
            vec![default(1); 20].join(" && "),
            vec![default(2); 9].join(" + "),
            format!("a{}", ".optMap(v, v)".repeat(MAX_DOUBLINGS)),
            format!("'{}' == default", default(9)),
        ] {
            assert_eq!(check_source(&source), Ok(()), "{source}");
        }
        for source in [
            default(MAX_DOUBLINGS + 1),
            default(20),
            format!("true && [x, ({})]", default(MAX_DOUBLINGS + 1)),
            format!("a{}", ".optMap(v, v)".repeat(MAX_DOUBLINGS + 1)),
            format!("a{}", ".optFlatMap(v, v)".repeat(MAX_DOUBLINGS + 1)),
            format!("default(a{}, b)", " .optMap ( v, v)".repeat(MAX_DOUBLINGS)),
            format!("default (({}), b)", default(MAX_DOUBLINGS)),
        ] {
            assert!(check_source(&source).is_err_and(|message| message.contains("the limit is 4")), "{source}");
        }
    }
}
