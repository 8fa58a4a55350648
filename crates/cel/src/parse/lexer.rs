//! From characters to tokens (langdef, "Syntax").

use cel::common::ast::LiteralValue;

use super::literal;
use crate::limits::MAX_SOURCE;

/// An error, and where it is in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where, in bytes.
    pub(crate) at: u32,
    pub(crate) message: String,
}

impl Fault {
    pub(super) fn new(at: u32, message: impl Into<String>) -> Fault {
        Fault { at, message: message.into() }
    }
}

/// A token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token<'s> {
    /// An int as it is written, without its sign. Its range is known only with the sign.
    Int(&'s str),
    /// A double, likewise.
    Double(&'s str),
    /// Any other literal.
    Literal(LiteralValue),
    Name(&'s str),
    /// A name in backticks.
    Quoted(&'s str),
    /// An operator, a bracket, `in`.
    Symbol(&'static str),
    End,
}

/// The tokens of a source, one at a time.
#[derive(Debug)]
pub(super) struct Lexer<'s> {
    source: &'s str,
    /// The offset behind the last token, in bytes; always between two characters.
    at: usize,
}

/// Symbols of two characters before the symbols they begin with.
const SYMBOLS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", "{", "}", ".", ",", ":",
    "?", "+", "-", "*", "/", "%",
];

impl<'s> Lexer<'s> {
    /// The tokens of a source. One above the limit is refused, because offsets in it would not fit.
    pub(super) fn new(source: &'s str) -> Result<Lexer<'s>, Fault> {
        if source.len() > MAX_SOURCE {
            return Err(Fault::new(
                0,
                format!("the expression has {} bytes, the limit is {MAX_SOURCE}", source.len()),
            ));
        }
        Ok(Lexer { source, at: 0 })
    }

    /// The next token and where it begins, in bytes.
    pub(super) fn next(&mut self) -> Result<(Token<'s>, u32), Fault> {
        self.skip_space();
        let start = self.offset();
        let Some(&first) = self.rest().as_bytes().first() else { return Ok((Token::End, start)) };
        let token = match first {
            b'0'..=b'9' => self.number(start)?,
            b'.' if self.rest().as_bytes().get(1).is_some_and(u8::is_ascii_digit) => {
                self.number(start)?
            }
            b'"' | b'\'' => self.text(0, start)?,
            b'`' => self.quoted(start)?,
            b'a'..=b'z' | b'A'..=b'Z' | b'_' => self.word(start)?,
            _ => Token::Symbol(self.symbol(start)?),
        };
        Ok((token, start))
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    /// The offset behind the last token, in bytes.
    pub(super) fn offset(&self) -> u32 {
        u32::try_from(self.at).unwrap_or(u32::MAX)
    }

    /// Takes `len` bytes, which end between two characters.
    fn take(&mut self, len: usize) -> &'s str {
        let taken = self.rest().get(..len).unwrap_or_default();
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'s str {
        let rest = self.rest();
        self.take(rest.bytes().position(|byte| !wanted(byte)).unwrap_or(rest.len()))
    }

    /// Skips white space and comments.
    fn skip_space(&mut self) {
        loop {
            self.take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b'\x0c'));
            if !self.rest().starts_with("//") {
                return;
            }
            self.take_while(|byte| byte != b'\n');
        }
    }

    fn symbol(&mut self, start: u32) -> Result<&'static str, Fault> {
        let rest = self.rest();
        let first = rest.as_bytes().first();
        let mut begun = SYMBOLS.iter().filter(|symbol| symbol.as_bytes().first() == first);
        if let Some(symbol) = begun.find(|symbol| rest.starts_with(**symbol)) {
            self.take(symbol.len());
            return Ok(symbol);
        }
        let stray = rest.chars().next().unwrap_or_default();
        let mend = match stray {
            '=' => ": write `==` to compare",
            '&' => ": write `&&`",
            '|' => ": write `||`",
            '\u{2018}'..='\u{201f}' => ": strings are in plain quotes, `\"` or `'`",
            _ => "",
        };
        Err(Fault::new(start, format!("`{}` means nothing here{mend}", stray.escape_debug())))
    }

    /// A name, a keyword, or a string with a prefix.
    fn word(&mut self, start: u32) -> Result<Token<'s>, Fault> {
        let rest = self.rest();
        let len = rest.bytes().position(|byte| !is_name(byte)).unwrap_or(rest.len());
        let (word, after) = rest.split_at_checked(len).unwrap_or_default();
        if after.starts_with(['"', '\'']) {
            return match word {
                "r" | "R" | "b" | "B" | "br" | "bR" | "Br" | "BR" => self.text(len, start),
                "in" => {
                    self.take(len);
                    Ok(Token::Symbol("in"))
                }
                _ => Err(Fault::new(
                    start,
                    format!(
                        "`{word}` stands before a string as if it were its prefix: put a `+` \
                         between them, or the quote into a string of the other kind"
                    ),
                )),
            };
        }
        self.take(len);
        Ok(match word {
            "true" => Token::Literal(LiteralValue::Boolean(true.into())),
            "false" => Token::Literal(LiteralValue::Boolean(false.into())),
            "null" => Token::Literal(LiteralValue::Null),
            "in" => Token::Symbol("in"),
            _ => Token::Name(word),
        })
    }

    fn quoted(&mut self, start: u32) -> Result<Token<'s>, Fault> {
        self.take(1);
        let name =
            self.take_while(|byte| is_name(byte) || matches!(byte, b'.' | b'-' | b'/' | b' '));
        if name.is_empty() || !self.rest().starts_with('`') {
            return Err(Fault::new(
                start,
                "a name in backticks holds letters, digits, `_`, `.`, `-`, `/` and spaces, and \
                 ends with a backtick",
            ));
        }
        self.take(1);
        Ok(Token::Quoted(name))
    }

    fn number(&mut self, start: u32) -> Result<Token<'s>, Fault> {
        let rest = self.rest();
        let digits =
            |text: &str| text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
        let from = |at: usize| rest.get(at..).unwrap_or_default();
        let hex =
            from(2).bytes().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(from(2).len());
        if rest.starts_with("0x") && hex > 0 {
            return self.integer(hex.saturating_add(2), start);
        }
        let mut len = digits(rest);
        let mut double = false;
        if from(len).starts_with('.') && digits(from(len.saturating_add(1))) > 0 {
            double = true;
            len = len.saturating_add(1);
            len = len.saturating_add(digits(from(len)));
        }
        if from(len).starts_with(['e', 'E']) {
            let sign = usize::from(from(len.saturating_add(1)).starts_with(['+', '-']));
            let exponent = len.saturating_add(1).saturating_add(sign);
            if digits(from(exponent)) > 0 {
                double = true;
                len = exponent.saturating_add(digits(from(exponent)));
            }
        }
        if double { Ok(Token::Double(self.take(len))) } else { self.integer(len, start) }
    }

    fn integer(&mut self, len: usize, start: u32) -> Result<Token<'s>, Fault> {
        let written = self.take(len);
        if !self.rest().starts_with(['u', 'U']) {
            return Ok(Token::Int(written));
        }
        self.take(1);
        literal::uint(written)
            .map(Token::Literal)
            .ok_or_else(|| Fault::new(start, format!("`{written}u` is too large for a uint")))
    }

    /// A string or bytes with a prefix of this length.
    fn text(&mut self, prefix: usize, start: u32) -> Result<Token<'s>, Fault> {
        let (literal, len) = literal::text(self.rest(), prefix).map_err(|(at, message)| {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            Fault::new(start.saturating_add(at), message)
        })?;
        self.take(len);
        Ok(Token::Literal(literal))
    }
}

/// Whether a byte may stand in a name.
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
