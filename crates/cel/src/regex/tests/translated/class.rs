//! Character classes: `[...]`, and what RE2 calls Perl's, which are of ASCII.

use super::{Scanner, Wrong, push_literal};

/// The letters of Perl's classes.
pub(super) const PERL: &str = "dDwWsS";

/// The names of ASCII's classes, as in `[[:alpha:]]`.
const NAMES: &[&str] = &[
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// A class of Perl's; it may stand in another class, too.
pub(super) fn push_perl(letter: char, out: &mut String) {
    let members = match letter.to_ascii_lowercase() {
        'd' => "0-9",
        'w' => "0-9A-Za-z_",
        _ => r"\t\n\f\r ",
    };
    out.push_str(if letter.is_ascii_uppercase() { "[^" } else { "[" });
    out.push_str(members);
    out.push(']');
}

/// What follows a square bracket that opens.
pub(super) fn translate(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Wrong> {
    out.push('[');
    if scanner.take_if("^") {
        out.push('^');
    }
    let mut first = true;
    loop {
        if !first && scanner.take_if("]") {
            out.push(']');
            return Ok(());
        }
        first = false;
        if let Some((name, after)) =
            scanner.rest.strip_prefix("[:").and_then(|inside| inside.split_once(":]"))
        {
            if !NAMES.contains(&name.strip_prefix('^').unwrap_or(name)) {
                return Err("a class has a name that there is not, between `[:` and `:]`");
            }
            ["[:", name, ":]"].iter().for_each(|part| out.push_str(part));
            scanner.rest = after;
            continue;
        }
        let escaped = scanner.rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
        if let Some(letter) = escaped.filter(|letter| PERL.contains(*letter)) {
            push_perl(letter, out);
            scanner.take();
            scanner.take();
            continue;
        }
        let low = member(scanner)?;
        let high = if scanner.rest.starts_with('-') && !scanner.rest.starts_with("-]") {
            scanner.take();
            member(scanner)?
        } else {
            low
        };
        if high < low {
            return Err("a range in a class ends before it starts");
        }
        push_literal(low, out);
        if high > low {
            out.push('-');
            push_literal(high, out);
        }
    }
}

/// One character of a class.
fn member(scanner: &mut Scanner<'_>) -> Result<char, Wrong> {
    match scanner.take() {
        None => Err("unclosed character class"),
        Some('\\') => scanner.escaped(),
        Some(literal) => Ok(literal),
    }
}
