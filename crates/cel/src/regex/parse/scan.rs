//! The unread rest of a pattern, and the smallest constructs that are read from it.

use super::Wrong;

/// The most repetitions of `{n,m}`, which is RE2's limit.
const MAX_REPEAT: u32 = 1000;

/// The unread rest of a pattern.
pub(in crate::regex) struct Scanner<'p> {
    pub(in crate::regex) rest: &'p str,
}

impl<'p> Scanner<'p> {
    #[inline(never)]
    pub(in crate::regex) fn take(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let next = chars.next()?;
        self.rest = chars.as_str();
        Some(next)
    }

    #[inline(never)]
    pub(in crate::regex) fn take_if(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    pub(in crate::regex) fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'p str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// `{n}`, `{n,}` or `{n,m}` behind its bracket; any other bracket stands for itself.
    pub(super) fn repetition(&mut self) -> Result<Option<(u32, Option<u32>)>, Wrong> {
        let Some((inside, after)) = self.rest.split_once('}') else { return Ok(None) };
        let (least, most) = match inside.split_once(',') {
            Some((least, "")) => (least, None),
            Some((least, most)) => (least, Some(most)),
            None => (inside, Some(inside)),
        };
        let is_number = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            plain && !digits.is_empty() && (digits.len() == 1 || !digits.starts_with('0'))
        };
        if !is_number(least) || !most.is_none_or(is_number) {
            return Ok(None);
        }
        // A number that is too large for its type is above the limit, too.
        let number = |digits: &str| digits.parse().ok().filter(|number| *number <= MAX_REPEAT);
        let passed = "a repetition passes the limit of 1000";
        let least = number(least).ok_or(passed)?;
        let most = most.map(|most| number(most).ok_or(passed)).transpose()?;
        if most.is_some_and(|most| most < least) {
            return Err("the first number of a repetition is larger than its second");
        }
        self.rest = after;
        Ok(Some((least, most)))
    }

    /// The character that an escape stands for, from behind its backslash.
    pub(in crate::regex) fn escaped(&mut self) -> Result<char, Wrong> {
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
            'p' | 'P' => {
                return Err(
                    "classes of Unicode characters (`\\p`) are not supported: write the ranges, as \
                     in `[a-z]`",
                );
            }
            'C' => return Err("`\\C` is not supported: a pattern matches characters"),
            _ if next.is_ascii_punctuation() || next == ' ' || next.is_ascii_control() => {
                u32::from(next)
            }
            _ => return Err("a backslash stands before what it does not escape"),
        };
        char::from_u32(code).ok_or("an escape stands for no character")
    }

    fn hexadecimal(&mut self) -> Result<u32, Wrong> {
        let wrong =
            || "a `\\x` takes two hexadecimal digits, or any number of them in curly brackets";
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

    /// Up to three octal digits. A single digit other than zero would be a back reference.
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
