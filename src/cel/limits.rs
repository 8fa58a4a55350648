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
/// The most steps that one evaluation may take in loops; each call in a loop is one, too, and so is making 64 bytes. Where the
/// request is large, a step counts for several.
pub const MAX_STEPS: u64 = 100_000;

/// The most nodes that the first argument of `default`, which is evaluated twice, may have.
pub const MAX_DOUBLED: usize = 128;

/// Checks a source before it is parsed.
pub(crate) fn check_source(source: &str) -> Result<(), String> {
    if source.len() > MAX_SOURCE {
        return Err(format!("the expression has {} bytes, the limit is {MAX_SOURCE}", source.len()));
    }
    match source_depth(source)? {
        depth if depth > MAX_DEPTH => Err(too_deep(depth)),
        _ => Ok(()),
    }
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
            return Err(format!("the macros of the expression make it nested {depth} deep, the limit is {}", MAX_DEPTH.saturating_mul(3)));
        }
        for child in children(node) {
            todo.push((child, depth.saturating_add(1), comprehensions));
        }
    }
    Ok(())
}

/// Checks an expression that a macro is about to copy.
pub(crate) fn check_doubled(root: &IdedExpr) -> Result<(), String> {
    let (mut todo, mut nodes) = (vec![root], 0_usize);
    while let Some(node) = todo.pop() {
        nodes = nodes.saturating_add(1);
        if nodes > MAX_DOUBLED {
            return Err(format!(
                "the first argument of `default` is evaluated twice, and the limit is {MAX_DOUBLED} parts: nest `default(a, default(b, c))`, not `default(default(a, b), c)`"
            ));
        }
        todo.extend(children(node));
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

/// An upper bound of the depth of what a source parses to.
///
/// Operators, selections and brackets each add a level to what stands beside them. `&&`, `||`, `,`, `:` and `?` start
/// anew: the parser balances chains of the first two, and the others stand between siblings; a level each is counted
/// for the nesting of conditionals.
///
/// What the lexer would stumble over is refused: it goes on behind the place, and would take for code what looks like a
/// string from here. So is a bracket that closes nothing: what it seems to end, the parser goes on with.
fn source_depth(source: &str) -> Result<usize, String> {
    struct Level {
        /// What closes it; nothing for the source as a whole.
        closing: Option<u8>,
        /// Levels in the chain being read.
        chain: usize,
        /// The deepest chain so far, what it brackets included.
        deepest: usize,
        /// Conditionals, which nest to the right.
        conditionals: usize,
    }
    let fresh = |closing| Level { closing, chain: 0, deepest: 0, conditionals: 0 };
    let mut levels = vec![fresh(None)];
    let mut tokens = Tokens { rest: source.as_bytes() };
    while let Some(token) = tokens.next()? {
        let Some(level) = levels.last_mut() else { break };
        match token {
            Token::Deepens => {
                level.chain = level.chain.saturating_add(1);
                level.deepest = level.deepest.max(level.chain);
            }
            Token::StartsAnew => level.chain = 0,
            Token::Conditional => {
                level.chain = 0;
                level.conditionals = level.conditionals.saturating_add(1);
            }
            Token::Opens(closing) => levels.push(fresh(Some(closing))),
            Token::Closes(bracket) => {
                if level.closing != Some(bracket) {
                    return Err(format!("`{}` closes nothing that is open", char::from(bracket)));
                }
                if let (Some(inner), Some(outer)) = (levels.pop(), levels.last_mut()) {
                    let inner = inner.deepest.saturating_add(inner.conditionals).saturating_add(1);
                    outer.chain = outer.chain.saturating_add(inner);
                    outer.deepest = outer.deepest.max(outer.chain);
                }
            }
        }
    }
    Ok(levels.iter().fold(0, |sum, level| sum.saturating_add(level.deepest).saturating_add(level.conditionals).saturating_add(1)))
}

enum Token {
    Deepens,
    StartsAnew,
    Conditional,
    /// A bracket; with the one that closes it.
    Opens(u8),
    Closes(u8),
}

/// The tokens that matter to the depth; strings and comments are skipped.
struct Tokens<'a> {
    rest: &'a [u8],
}

impl Tokens<'_> {
    fn next(&mut self) -> Result<Option<Token>, String> {
        while let Some((&byte, after)) = self.rest.split_first() {
            let doubled = after.first() == Some(&byte);
            if is_name(byte) {
                if let Some(token) = self.skip_name()? {
                    return Ok(Some(token));
                }
                continue;
            }
            self.rest = after;
            match byte {
                b'"' | b'\'' => self.skip_string(byte, false)?,
                b'`' => return Err(r#"a quoted name is not supported: write `x["..."]`"#.to_owned()),
                b'/' if doubled => {
                    let line = after.iter().position(|byte| *byte == b'\n').unwrap_or(after.len());
                    self.rest = after.get(line..).unwrap_or_default();
                }
                b'&' | b'|' if doubled => {
                    self.rest = after.get(1..).unwrap_or_default();
                    return Ok(Some(Token::StartsAnew));
                }
                b',' | b':' => return Ok(Some(Token::StartsAnew)),
                b'?' => return Ok(Some(Token::Conditional)),
                b'(' => return Ok(Some(Token::Opens(b')'))),
                b'[' => return Ok(Some(Token::Opens(b']'))),
                b'{' => return Ok(Some(Token::Opens(b'}'))),
                b')' | b']' | b'}' => return Ok(Some(Token::Closes(byte))),
                b'.' => {
                    // `a.?b` is a selection, no conditional.
                    let after = after.trim_ascii_start();
                    self.rest = after.strip_prefix(b"?").unwrap_or(after);
                    return Ok(Some(Token::Deepens));
                }
                b'+' | b'-' | b'*' | b'/' | b'%' | b'!' | b'<' | b'>' | b'=' => {
                    if after.first() == Some(&b'=') {
                        self.rest = after.get(1..).unwrap_or_default();
                    }
                    return Ok(Some(Token::Deepens));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Skips a name or number, and the string that it is the prefix of.
    fn skip_name(&mut self) -> Result<Option<Token>, String> {
        let len = self.rest.iter().position(|byte| !is_name(*byte)).unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at_checked(len).unwrap_or_default();
        self.rest = after;
        if let Some((quote @ (b'"' | b'\''), after)) = after.split_first() {
            let raw = match name {
                b"r" | b"R" | b"br" | b"bR" | b"Br" | b"BR" => true,
                b"b" | b"B" => false,
                _ => return Err(format!("`{}` stands before a string as if it were its prefix", String::from_utf8_lossy(name))),
            };
            self.rest = after;
            self.skip_string(*quote, raw)?;
        }
        Ok((name == b"in").then_some(Token::Deepens))
    }

    /// Skips to behind the closing quote.
    fn skip_string(&mut self, quote: u8, raw: bool) -> Result<(), String> {
        let triple = self.rest.starts_with(&[quote, quote]);
        if triple {
            self.rest = self.rest.get(2..).unwrap_or_default();
        }
        while let Some((&byte, after)) = self.rest.split_first() {
            self.rest = after;
            if byte == b'\\' && !raw {
                self.rest = skip_escape(after).ok_or(r#"a string has an invalid escape: write `\\` for a backslash, or `r"..."`"#)?;
            } else if byte == quote && (!triple || after.starts_with(&[quote, quote])) {
                self.rest = after.get(if triple { 2 } else { 0 }..).unwrap_or_default();
                return Ok(());
            } else if matches!(byte, b'\n' | b'\r') && !triple {
                break;
            }
        }
        Err("a string is not closed".to_owned())
    }
}

/// What follows an escape sequence of a string (langdef, "String and Bytes Values"), from behind its backslash.
fn skip_escape(rest: &[u8]) -> Option<&[u8]> {
    let (kind, after) = rest.split_first()?;
    let (digits, legal): (usize, fn(&u8) -> bool) = match kind {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => return Some(after),
        b'x' | b'X' => (2, u8::is_ascii_hexdigit),
        b'u' => (4, u8::is_ascii_hexdigit),
        b'U' => (8, u8::is_ascii_hexdigit),
        b'0'..=b'3' => (2, |digit| matches!(digit, b'0'..=b'7')),
        _ => return None,
    };
    let (digits, after) = after.split_at_checked(digits)?;
    digits.iter().all(legal).then_some(after)
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
    fn nothing_hides_a_chain_from_the_count() {
        let chain = vec!["1"; 600].join("+");
        for source in [
            format!("{chain})"),
            format!("({chain}]"),
            format!("\"\r {chain} \""),
            format!("\"\\q {chain} \""),
            format!("\"\\x4 {chain} \""),
            format!("a.`b//c` + {chain}"),
            format!("[1r\"\\\", {chain}, \"\"]"),
            format!("a{}", format!(".?a{}", ".b".repeat(20)).repeat(20)),
            format!("a{}", format!(". ?a{}", ".b".repeat(20)).repeat(20)),
        ] {
            assert!(check_source(&source).is_err(), "{source}");
        }
        for source in [
            r#""\"" == '\'' && '"' == b"\x41\101\u00e9\U0001f600" || r"\" == br'\'"#,
            r#"'''a\n'b' ''' == """""""#,
            "true // it's \"\n && true",
            "a.?b.?c[?0] == 1 in [1]",
        ] {
            assert_eq!(check_source(source), Ok(()), "{source}");
        }
    }
}
