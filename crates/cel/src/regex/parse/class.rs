//! Character classes: `[...]`, and Perl's (`\d`, `\s`, `\w`), which are ASCII only in RE2.

use super::scan::Scanner;
use super::{Parser, Wrong};
use crate::regex::set::Set;

/// ASCII's classes, as in `[[:alpha:]]`, and their ranges, each as its first and last character.
const NAMED: &[(&str, &str)] = &[
    ("alnum", "09AZaz"),
    ("alpha", "AZaz"),
    ("ascii", "\0\x7f"),
    ("blank", "\t\t  "),
    ("cntrl", "\0\x1f\x7f\x7f"),
    ("digit", "09"),
    ("graph", "!~"),
    ("lower", "az"),
    ("print", " ~"),
    ("punct", "!/:@[`{~"),
    ("space", "\t\r  "),
    ("upper", "AZ"),
    ("word", "09AZ__az"),
    ("xdigit", "09AFaf"),
];

fn ranges(spelt: &str) -> Vec<(u32, u32)> {
    let code = |byte: &u8| u32::from(*byte);
    spelt
        .as_bytes()
        .chunks(2)
        .filter_map(|pair| Some((code(pair.first()?), code(pair.last()?))))
        .collect()
}

/// Whether a letter behind a backslash is a class of Perl's.
pub(super) fn is_perl(letter: char) -> bool {
    matches!(letter, 'd' | 'D' | 'w' | 'W' | 's' | 'S')
}

impl Parser<'_> {
    /// A class that may stand in another.
    fn inner(&mut self, spelt: &str, negated: bool) -> Result<Set, Wrong> {
        let set = self.fold(Set::of(ranges(spelt)))?;
        Ok(if negated { set.negated() } else { set })
    }

    /// A class of Perl's.
    pub(super) fn perl(&mut self, letter: char) -> Result<Set, Wrong> {
        let members = match letter.to_ascii_lowercase() {
            'd' => "09",
            'w' => "09AZ__az",
            _ => "\t\n\x0c\r  ",
        };
        self.inner(members, letter.is_ascii_uppercase())
    }

    /// A class behind its opening bracket, and whether it is negated.
    pub(super) fn class(&mut self) -> Result<(Set, bool), Wrong> {
        let negated = self.scanner.take_if("^");
        let mut found: Vec<(u32, u32)> = Vec::new();
        let mut first = true;
        while first || !self.scanner.take_if("]") {
            first = false;
            let named =
                self.scanner.rest.strip_prefix("[:").and_then(|inside| inside.split_once(":]"));
            if let Some((name, after)) = named {
                let plain = name.strip_prefix('^').unwrap_or(name);
                let known = NAMED.iter().find(|(known, _)| *known == plain);
                let (_, members) =
                    known.ok_or("a class has a name that there is not, between `[:` and `:]`")?;
                found.extend(self.inner(members, plain.len() < name.len())?.ranges());
                self.scanner.rest = after;
                continue;
            }
            let escaped = self.scanner.rest.strip_prefix('\\').and_then(|rest| rest.chars().next());
            if let Some(letter) = escaped.filter(|letter| is_perl(*letter)) {
                found.extend(self.perl(letter)?.ranges());
                self.scanner.take();
                self.scanner.take();
                continue;
            }
            found.push(range(&mut self.scanner)?);
        }
        Ok((Set::of(found), negated))
    }
}

/// One character of a class, or a range of them.
fn range(scanner: &mut Scanner<'_>) -> Result<(u32, u32), Wrong> {
    let low = member(scanner)?;
    let mut high = low;
    if scanner.rest.starts_with('-') && !scanner.rest.starts_with("-]") {
        scanner.take();
        high = member(scanner)?;
    }
    if high < low {
        return Err("a range in a class ends before it starts");
    }
    Ok((u32::from(low), u32::from(high)))
}

/// One character of a class.
fn member(scanner: &mut Scanner<'_>) -> Result<char, Wrong> {
    match scanner.take() {
        None => Err("unclosed character class"),
        Some('\\') => scanner.escaped(),
        Some(literal) => Ok(literal),
    }
}
