//! JSON as lenient parsers take it, and the claims of a token.

use super::{Reading, trimmed};

/// The deepest nesting that is read.
const DEPTH: usize = 64;

/// Every text that an origin may take for a field of an object, be it given twice.
pub(in crate::attack) fn fields(value: &[u8], name: &str) -> Vec<Reading> {
    let text = String::from_utf8_lossy(trimmed(value)).into_owned();
    let dropped: String = value.utf8_chunks().map(|chunk| chunk.valid()).collect();
    [text, dropped].iter().flat_map(|text| of_text(text, name)).collect()
}

fn of_text(text: &str, name: &str) -> Vec<Reading> {
    let mut parser = Parser { rest: text.trim_start_matches('\u{feff}'), found: Vec::new(), name };
    let _ = parser.value(0);
    parser.found.into_iter().map(|text| Reading::new("JSON", text)).collect()
}

/// Every text that an origin may take for a claim of a token, whoever signed it.
pub(in crate::attack) fn claims(token: &[u8], name: &str) -> Vec<Reading> {
    let payload = trimmed(token).split(|byte| *byte == b'.').nth(1).unwrap_or_default();
    fields(&base64(payload), name)
}

/// Base64 of either alphabet, padded or not; what belongs to neither is passed over, as PHP and
/// Python do.
fn base64(text: &[u8]) -> Vec<u8> {
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::new());
    for byte in text {
        let sextet = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => continue,
        };
        (bits, count) = ((bits << 6 | u32::from(sextet)) & 0xffff, count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}

/// A parser that goes on where another would stop.
struct Parser<'a> {
    rest: &'a str,
    found: Vec<String>,
    name: &'a str,
}

impl Parser<'_> {
    fn eat(&mut self, wanted: char) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// The text at this place; for any other value, that there is one.
    fn value(&mut self, depth: usize) -> Option<Option<String>> {
        if depth > DEPTH {
            return None;
        }
        if self.eat('{') {
            while !self.eat('}') {
                if self.eat(',') {
                    continue;
                }
                let key = if self.eat('"') { self.string()? } else { return None };
                if !self.eat(':') {
                    return None;
                }
                let value = self.value(depth + 1)?;
                if depth == 0 && key == self.name {
                    self.found.extend(value);
                }
            }
            return Some(None);
        }
        if self.eat('[') {
            while !self.eat(']') {
                if !self.eat(',') {
                    self.value(depth + 1)?;
                }
            }
            return Some(None);
        }
        if self.eat('"') {
            return self.string().map(Some);
        }
        let end = self.rest.find([',', '}', ']', ' ', '\t', '"', ':']).unwrap_or(self.rest.len());
        self.rest = &self.rest[end..];
        (end > 0).then_some(None)
    }

    /// The rest of a string whose quote has been read.
    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        loop {
            let mut characters = self.rest.chars();
            let next = characters.next()?;
            self.rest = characters.as_str();
            match next {
                '"' => return Some(text),
                '\\' => {
                    let escape = characters.next()?;
                    self.rest = characters.as_str();
                    text.push(match escape {
                        'n' => '\n',
                        't' => '\t',
                        'r' => '\r',
                        'u' => self.escape()?,
                        other => other,
                    });
                }
                other => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let code = u32::from_str_radix(self.rest.get(..4)?, 16).ok()?;
        self.rest = &self.rest[4..];
        Some(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER))
    }
}
