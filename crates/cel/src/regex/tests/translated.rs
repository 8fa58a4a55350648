//! RE2's syntax in that of the `regex` crate, exactly or not at all: an oracle for what this module
//! reads by itself.
//!
//! The two look alike and differ where it matters to a rule: in the crate `\d` takes the digits of
//! every script, `[a&&b]` is an intersection, `[a[b]` nests, `\<` is the start of a word and
//! `x{,5}` a repetition. Here each means what RE2's documentation says (its page "Syntax", which
//! cel-go follows), and what RE2 does not take is refused.

mod class;

use class::PERL;

use crate::regex::parse::{Wrong, scan::Scanner};

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
            '{' => repetition(&mut scanner)?,
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
            '\\' => escape(&mut scanner, &mut out)?,
            '[' => class::translate(&mut scanner, &mut out)?,
            '(' => group(&mut scanner, &mut out)?,
            '.' | '^' | '$' | '|' | ')' => out.push(next),
            literal => push_literal(literal, &mut out),
        }
    }
    Ok(out)
}

/// A character that stands for itself. The crate takes a backslash before others for more than
/// that: `\<` starts a word.
#[inline(never)]
pub(super) fn push_literal(literal: char, out: &mut String) {
    if r"\.+*?()|[]{}^$#&-~".contains(literal) {
        out.push('\\');
    }
    out.push(literal);
}

/// `{n}`, `{n,}` or `{n,m}` behind its bracket; any other bracket is one that stands for itscanner.
fn repetition<'p>(scanner: &mut Scanner<'p>) -> Result<Option<&'p str>, Wrong> {
    let Some((inside, after)) = scanner.rest.split_once('}') else { return Ok(None) };
    let inside_and_bracket = scanner.rest.get(..=inside.len());
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |digits: &str| {
        digits.bytes().all(|byte| byte.is_ascii_digit())
            && (digits.len() < 2 || !digits.starts_with('0'))
    };
    if least.is_empty() || !number(least) || !number(most) {
        return Ok(None);
    }
    if [least, most].iter().any(|digits| {
        !digits.is_empty() && digits.parse::<u32>().is_ok_and(|n| n > MAX_REPEAT)
            || digits.len() > 9
    }) {
        return Err("a repetition passes the limit of 1000");
    }
    // With the bracket that closes it.
    scanner.rest = after;
    Ok(inside_and_bracket)
}

/// What follows a round bracket that opens.
fn group(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Wrong> {
    out.push('(');
    if !scanner.take_if("?") {
        return Ok(());
    }
    out.push('?');
    if ["=", "!", "<=", "<!"].iter().any(|look| scanner.rest.starts_with(look)) {
        return Err("look-around, including look-ahead and look-behind, is not supported");
    }
    if scanner.take_if("P<") || scanner.take_if("<") {
        let name = scanner.take_while(|c| c != '>');
        if !scanner.take_if(">")
            || name.is_empty()
            || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        {
            return Err(
                "the name of a group is letters, digits and underscores, as in `(?P<name>...)`",
            );
        }
        ["P<", name, ">"].iter().for_each(|part| out.push_str(part));
        return Ok(());
    }
    let flags = scanner.take_while(|c| c != ')' && c != ':');
    if !flags.bytes().all(|flag| matches!(flag, b'i' | b'm' | b's' | b'U' | b'-')) {
        return Err("a group has a flag that is none of `i`, `m`, `s` and `U`");
    }
    let Some(end) = scanner.take() else { return Err("unclosed group") };
    out.push_str(flags);
    out.push(end);
    Ok(())
}

/// What follows a backslash, outside of a class.
fn escape(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Wrong> {
    let mut behind = Scanner { rest: scanner.rest };
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
            push_literal(scanner.escaped()?, out);
            return Ok(());
        }
    }
    scanner.rest = behind.rest;
    Ok(())
}
