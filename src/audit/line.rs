//! One line of JSON in printable ASCII, written piece by piece behind one another.
//!
//! Keys come as literals, with what is between them and the values. Nearly every value needs no
//! escape, so eight bytes at a time are looked at, and a plain value is copied as it is.

use egress_reading::words;

/// How long a line can be before it needs more room: most are half as long.
const ROOM: usize = 800;

/// The longest text of a record that comes from the request, in bytes. A longer one is cut, and
/// ends in `...`.
pub(super) const MAX_TEXT: usize = 1024;

/// A line that is being written.
#[derive(Debug)]
pub(crate) struct Line(Vec<u8>);

impl Line {
    /// A line that begins with this JSON.
    pub(crate) fn beginning(json: &str) -> Line {
        let mut line = Vec::with_capacity(ROOM);
        line.extend_from_slice(json.as_bytes());
        Line(line)
    }

    /// Writes what is JSON in printable ASCII already.
    #[inline]
    pub(crate) fn json(&mut self, json: &str) {
        self.0.extend_from_slice(json.as_bytes());
    }

    /// Writes a key and a text, or `null` where there is none. The key comes with the text's first
    /// quote: `,"key":"`.
    #[inline(never)]
    pub(crate) fn text(&mut self, key: &str, text: Option<&[u8]>) {
        self.json(key);
        match text {
            Some(text) if is_plain(text) => self.0.extend_from_slice(text),
            Some(text) => self.escaped(text),
            None => return self.null(),
        }
        self.0.push(b'"');
    }

    /// Does what [`text`](Self::text) does, with a text that cannot contain anything but plain
    /// characters: the name of a policy or field, a SPIFFE ID, a canonical host.
    #[inline(never)]
    pub(crate) fn plain(&mut self, key: &str, text: Option<&str>) {
        debug_assert!(text.is_none_or(|text| is_plain(text.as_bytes())), "{key}{text:?}");
        self.json(key);
        let Some(text) = text else { return self.null() };
        self.json(text);
        self.0.push(b'"');
    }

    /// Writes `null` in the place of a text whose first quote is there already.
    fn null(&mut self) {
        self.0.pop();
        self.json("null");
    }

    /// Does what [`text`](Self::text) does, with a text of any length, which is cut.
    #[inline(never)]
    pub(crate) fn text_cut(&mut self, key: &str, text: Option<&[u8]>) {
        match text.and_then(|text| text.split_at_checked(MAX_TEXT)) {
            Some((start, rest)) if !rest.is_empty() => {
                self.text(key, Some(start));
                // The quote is in the place of the first dot.
                self.0.pop();
                self.json("...\"");
            }
            _ => self.text(key, text),
        }
    }

    /// Writes a number.
    pub(crate) fn number(&mut self, number: u32) {
        let (mut digits, mut rest) = ([b'0'; 10], number);
        let mut count = 0_usize;
        for digit in digits.iter_mut().rev() {
            *digit |= u8::try_from(rest % 10).unwrap_or(0);
            (rest, count) = (rest / 10, count.saturating_add(1));
            if rest == 0 {
                break;
            }
        }
        let start = digits.len().saturating_sub(count);
        self.0.extend_from_slice(digits.get(start..).unwrap_or_default());
    }

    /// Writes what is in a string of JSON, each character that is not plain as an escape. Bytes
    /// that are no UTF-8 become U+FFFD.
    #[cold]
    #[inline(never)]
    fn escaped(&mut self, text: &[u8]) {
        for chunk in text.utf8_chunks() {
            chunk.valid().chars().for_each(|letter| self.letter(letter));
            if !chunk.invalid().is_empty() {
                self.letter(char::REPLACEMENT_CHARACTER);
            }
        }
    }

    /// Writes one character: those beyond the BMP as a surrogate pair (RFC 8259 section 7).
    fn letter(&mut self, letter: char) {
        let short = match letter {
            '"' | '\\' => letter,
            '\n' => 'n',
            '\r' => 'r',
            '\t' => 't',
            '\u{8}' => 'b',
            '\u{c}' => 'f',
            ' '..='~' => {
                self.0.extend(u8::try_from(letter));
                return;
            }
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    self.json("\\u");
                    for shift in [12_u32, 8, 4, 0] {
                        let digit = char::from_digit(u32::from(*unit >> shift) & 0xf, 16);
                        self.0.extend(digit.and_then(|digit| u8::try_from(digit).ok()));
                    }
                }
                return;
            }
        };
        self.0.push(b'\\');
        self.0.extend(u8::try_from(short));
    }

    /// The line.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Whether a text can be in a string of JSON as it is, and is printable ASCII.
fn is_plain(text: &[u8]) -> bool {
    const EACH: u64 = 0x0101_0101_0101_0101;
    // Where no byte has its highest bit, each of these sets it in some byte exactly if there is
    // such a byte: a DEL, a control byte, a quote, a backslash.
    words::all(text, |word| {
        let from_del = word.wrapping_add(EACH);
        let from_blank = word.wrapping_sub(EACH.wrapping_mul(b' '.into()));
        let from_quote = (word ^ EACH.wrapping_mul(b'"'.into())).wrapping_sub(EACH);
        let from_backslash = (word ^ EACH.wrapping_mul(b'\\'.into())).wrapping_sub(EACH);
        (word | from_del | from_blank | from_quote | from_backslash) & (EACH << 7) == 0
    })
}

#[cfg(test)]
mod tests;
