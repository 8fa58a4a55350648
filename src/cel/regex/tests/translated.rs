//! RE2's syntax in that of the `regex` crate, exactly or not at all: an oracle for what this module
//! reads by itself.
//!
//! The two look alike and differ where it matters to a rule: in the crate `\d` takes the digits of every script, `[a&&b]` is
//! an intersection, `[a[b]` nests, `\<` is the start of a word and `x{,5}` a repetition. Here each means what RE2's
//! documentation says (its page "Syntax", which cel-go follows), and what RE2 does not take is refused.

mod class;

use class::PERL;

/// What is wrong with a pattern.
pub(super) type Wrong = &'static str;

/// The most repetitions that `{n,m}` may ask for, RE2's own limit.
const MAX_REPEAT: u32 = 1000;

/// The pattern for the `regex` crate.
pub(super) fn translate(pattern: &str) -> Result<String, Wrong> {
    let mut scanner = Scanner { rest: pattern };
    let mut out = String::with_capacity(pattern.len());
    let mut repeated = false;
    while let Some(next) = scanner.take() {
        let repeats = match next {
            '*' => Some("*"),
            '+' => Some("+"),
            '?' => Some("?"),
            '{' => scanner.repetition()?,
            _ => None,
        };
        if let Some(operator) = repeats {
            if repeated {
                return Err("repetition operators cannot be stacked");
            }
            repeated = true;
            if next == '{' {
                out.push(next);
            }
            out.push_str(operator);
            if scanner.take_if("?") {
                out.push('?');
            }
            continue;
        }
        repeated = false;
        match next {
            '\\' => scanner.escape(&mut out)?,
            '[' => class::translate(&mut scanner, &mut out)?,
            '(' => scanner.group(&mut out)?,
            '.' | '^' | '$' | '|' | ')' => out.push(next),
            literal => push_literal(literal, &mut out),
        }
    }
    Ok(out)
}

/// A character that stands for itself. The crate takes a backslash before others for more than that: `\<` starts a word.
#[inline(never)]
pub(super) fn push_literal(literal: char, out: &mut String) {
    if r"\.+*?()|[]{}^$#&-~".contains(literal) {
        out.push('\\');
    }
    out.push(literal);
}

/// What is left of a pattern.
pub(super) struct Scanner<'p> {
    pub(super) rest: &'p str,
}

impl<'p> Scanner<'p> {
    #[inline(never)]
    pub(super) fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    #[inline(never)]
    pub(super) fn take_if(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'p str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// `{n}`, `{n,}` or `{n,m}` behind its bracket; any other bracket is one that stands for itself.
    fn repetition(&mut self) -> Result<Option<&'p str>, Wrong> {
        let Some((inside, after)) = self.rest.split_once('}') else { return Ok(None) };
        let inside_and_bracket = self.rest.get(..=inside.len());
        let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
        let number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits.len() < 2 || !digits.starts_with('0'));
        if least.is_empty() || !number(least) || !number(most) {
            return Ok(None);
        }
        if [least, most].iter().any(|digits| !digits.is_empty() && digits.parse::<u32>().is_ok_and(|n| n > MAX_REPEAT) || digits.len() > 9)
        {
            return Err("a repetition passes the limit of 1000");
        }
        // With the bracket that closes it.
        self.rest = after;
        Ok(inside_and_bracket)
    }

    /// What follows a round bracket that opens.
    fn group(&mut self, out: &mut String) -> Result<(), Wrong> {
        out.push('(');
        if !self.take_if("?") {
            return Ok(());
        }
        out.push('?');
        if ["=", "!", "<=", "<!"].iter().any(|look| self.rest.starts_with(look)) {
            return Err("look-around, including look-ahead and look-behind, is not supported");
        }
        if self.take_if("P<") || self.take_if("<") {
            let name = self.take_while(|c| c != '>');
            if !self.take_if(">") || name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                return Err("the name of a group is letters, digits and underscores, as in `(?P<name>...)`");
            }
            ["P<", name, ">"].iter().for_each(|part| out.push_str(part));
            return Ok(());
        }
        let flags = self.take_while(|c| c != ')' && c != ':');
        if !flags.bytes().all(|flag| matches!(flag, b'i' | b'm' | b's' | b'U' | b'-')) {
            return Err("a group has a flag that is none of `i`, `m`, `s` and `U`");
        }
        let Some(end) = self.take() else { return Err("unclosed group") };
        out.push_str(flags);
        out.push(end);
        Ok(())
    }

    /// What follows a backslash, outside of a class.
    fn escape(&mut self, out: &mut String) -> Result<(), Wrong> {
        let mut behind = Scanner { rest: self.rest };
        match behind.take() {
            Some(place @ ('A' | 'z')) => out.extend(['\\', place]),
            Some(place @ ('b' | 'B')) => {
                out.push_str("(?-u:\\");
                out.extend([place, ')']);
            }
            Some('Q') => {
                let (quoted, after) = behind.rest.split_once("\\E").unwrap_or((behind.rest, ""));
                quoted.chars().for_each(|literal| push_literal(literal, out));
                behind.rest = after;
            }
            Some(class) if PERL.contains(class) => class::push_perl(class, out),
            _ => {
                push_literal(self.escaped()?, out);
                return Ok(());
            }
        }
        self.rest = behind.rest;
        Ok(())
    }

    /// The character that an escape stands for, from behind its backslash.
    pub(super) fn escaped(&mut self) -> Result<char, Wrong> {
        let next = self.take().ok_or("a backslash at the end escapes nothing")?;
        let code = match next {
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            'x' => self.hexadecimal()?,
            '0'..='7' => self.octal(next)?,
            'p' | 'P' => return Err("classes of Unicode characters (`\\p`) are not supported: write the ranges, as in `[a-z]`"),
            'C' => return Err("`\\C` is not supported: a pattern matches characters"),
            _ if next.is_ascii_punctuation() || next == ' ' || next.is_ascii_control() => u32::from(next),
            _ => return Err("a backslash stands before what it does not escape"),
        };
        char::from_u32(code).ok_or("an escape stands for no character")
    }

    fn hexadecimal(&mut self) -> Result<u32, Wrong> {
        let wrong = || "a `\\x` takes two hexadecimal digits, or any number of them in curly brackets";
        let digits = if self.take_if("{") {
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            if !self.take_if("}") {
                return Err(wrong());
            }
            digits
        } else {
            let (digits, rest) = self.rest.split_at_checked(2).ok_or_else(wrong)?;
            self.rest = rest;
            digits
        };
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        u32::from_str_radix(digits, 16).map_err(|_| wrong())
    }

    /// Up to three octal digits; a single one but zero would refer back to a group.
    fn octal(&mut self, first: char) -> Result<u32, Wrong> {
        let mut code = first.to_digit(8).unwrap_or_default();
        for taken in 0..2 {
            let Some(digit) = self.rest.chars().next().and_then(|c| c.to_digit(8)) else {
                if taken == 0 && first != '0' {
                    return Err("references back to a group are not supported");
                }
                break;
            };
            self.take();
            code = code.saturating_mul(8).saturating_add(digit);
        }
        Ok(code)
    }
}
