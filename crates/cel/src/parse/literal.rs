//! The values of literals (langdef, "Numeric Values" and "String and Bytes Values").

use cel::common::ast::LiteralValue;

/// A uint, written without its suffix, if it is in range.
pub(super) fn uint(written: &str) -> Option<LiteralValue> {
    let (digits, radix) = written.strip_prefix("0x").map_or((written, 10), |digits| (digits, 16));
    Some(LiteralValue::UInt(u64::from_str_radix(digits, radix).ok()?.into()))
}

/// An int, if it is in range. The sign matters for the smallest int.
pub(super) fn int(written: &str, negative: bool) -> Option<LiteralValue> {
    let (digits, radix) = written.strip_prefix("0x").map_or((written, 10), |digits| (digits, 16));
    let magnitude = i128::from(u64::from_str_radix(digits, radix).ok()?);
    let value = if negative { magnitude.checked_neg()? } else { magnitude };
    Some(LiteralValue::Int(i64::try_from(value).ok()?.into()))
}

/// A double, if it is finite.
pub(super) fn double(written: &str, negative: bool) -> Option<LiteralValue> {
    let value: f64 = written.parse().ok()?;
    value.is_finite().then(|| LiteralValue::Double(if negative { -value } else { value }.into()))
}

/// An error, and its offset in the literal, in bytes.
type Wrong = (usize, &'static str);

/// The string or bytes that `source` begins with, and its length, given that of its prefix.
pub(super) fn text(source: &str, prefix: usize) -> Result<(LiteralValue, usize), Wrong> {
    let (letters, rest) = source.split_at_checked(prefix).unwrap_or_default();
    let raw = letters.ends_with(['r', 'R']);
    let bytes = letters.starts_with(['b', 'B']);
    let quote = if rest.starts_with('"') { "\"" } else { "'" };
    let triple = if quote == "\"" { "\"\"\"" } else { "'''" };
    let quote = if rest.starts_with(triple) { triple } else { quote };
    let opened = prefix.saturating_add(quote.len());
    let mut text = Text { rest: source.get(opened..).unwrap_or_default(), bytes, made: Vec::new() };
    loop {
        let at = source.len().saturating_sub(text.rest.len());
        if let Some(after) = text.rest.strip_prefix(quote) {
            let len = source.len().saturating_sub(after.len());
            let made = std::mem::take(&mut text.made);
            if bytes {
                return Ok((LiteralValue::Bytes(made.into()), len));
            }
            let made = String::from_utf8(made).map_err(|_| (0, "a string is no Unicode text"))?;
            return Ok((LiteralValue::String(made.into()), len));
        }
        let Some(next) = text.rest.chars().next() else {
            return Err((0, NOT_CLOSED));
        };
        match next {
            '\\' if !raw => text.escape().map_err(|message| (at, message))?,
            '\n' | '\r' if quote.len() == 1 => {
                return Err((
                    0,
                    "a string is not closed on its line: one of several lines is in `\"\"\"`",
                ));
            }
            // A line end counts as one character, however the file has it.
            '\r' => {
                text.skip(if text.rest.starts_with("\r\n") { 2 } else { 1 });
                text.made.push(b'\n');
            }
            _ => text.copy(next.len_utf8()),
        }
    }
}

/// A string or bytes that is being read.
struct Text<'s> {
    rest: &'s str,
    bytes: bool,
    made: Vec<u8>,
}

const NOT_CLOSED: &str = "a string is not closed: it ends with the quote it begins with";

const BAD_ESCAPE: &str =
    r#"a string has an escape that is none: write `\\` for a backslash, or `r"..."`"#;

impl Text<'_> {
    fn skip(&mut self, len: usize) {
        self.rest = self.rest.get(len..).unwrap_or_default();
    }

    fn copy(&mut self, len: usize) {
        self.made.extend_from_slice(self.rest.get(..len).unwrap_or_default().as_bytes());
        self.skip(len);
    }

    /// An escape sequence, from its backslash on.
    fn escape(&mut self) -> Result<(), &'static str> {
        let kind = self.rest.as_bytes().get(1).copied().ok_or(NOT_CLOSED)?;
        let plain = match kind {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'\'' | b'"' | b'`' | b'?' => kind,
            b'x' | b'X' => return self.code_point(2, 2, 16),
            b'u' | b'U' if self.bytes => {
                return Err(r"bytes have no `\u`: write `\x` and two digits for each byte");
            }
            b'u' => return self.code_point(2, 4, 16),
            b'U' => return self.code_point(2, 8, 16),
            b'0'..=b'3' => return self.code_point(1, 3, 8),
            _ => return Err(BAD_ESCAPE),
        };
        self.made.push(plain);
        self.skip(2);
        Ok(())
    }

    /// The code point, in bytes the byte, that a number of digits names.
    fn code_point(&mut self, before: usize, digits: usize, radix: u32) -> Result<(), &'static str> {
        let written = self.rest.get(before..before.saturating_add(digits)).ok_or(BAD_ESCAPE)?;
        // The library's parser of numbers would accept a sign, too.
        if !written.chars().all(|digit| digit.is_digit(radix)) {
            return Err(BAD_ESCAPE);
        }
        let value = u32::from_str_radix(written, radix).map_err(|_| BAD_ESCAPE)?;
        match u8::try_from(value) {
            Ok(byte) if self.bytes => self.made.push(byte),
            _ => {
                let point = char::from_u32(value).ok_or("an escape names no Unicode character")?;
                self.made.extend_from_slice(point.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
        self.skip(before.saturating_add(digits));
        Ok(())
    }
}
