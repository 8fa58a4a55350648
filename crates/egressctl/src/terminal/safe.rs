//! Output in which text from files and requests cannot control the terminal.

use std::io;

/// The codes for colours that [`Safe`] lets through. None of them hides text.
const STYLES: [&str; 16] =
    ["", "0", "1", "2", "4", "31", "32", "33", "34", "35", "36", "91", "92", "93", "94", "96"];

/// Writes control and format characters as `\uXXXX`, which is also how JSON has them; line breaks,
/// tabs and plain colours stay.
///
/// Each write is a text of its own, as formatting and serializing make them.
#[derive(Debug)]
pub(crate) struct Safe<W> {
    inner: W,
}

impl<W> Safe<W> {
    pub(super) fn new(inner: W) -> Self {
        Safe { inner }
    }

    /// The writer below, for data that must be written unchanged.
    pub(super) fn inner(&mut self) -> &mut W {
        &mut self.inner
    }
}

impl<W: io::Write> io::Write for Safe<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t')) {
            return self.inner.write(bytes);
        }
        self.inner.write_all(shown(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let style = style(rest);
        let (part, after) =
            rest.split_at_checked(style.unwrap_or(letter.len_utf8())).unwrap_or((rest, ""));
        let stays =
            matches!(letter, ' '..='~' | '\n' | '\t') || part == "\r" && after.starts_with('\n');
        // Rust's own notion of what is printable; it escapes no letter, and no mark but on its own.
        if stays || style.is_some() || (!letter.is_ascii() && letter.escape_debug().len() == 1) {
            shown.push_str(part);
        } else {
            letter
                .encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| shown.push_str(&format!("\\u{unit:04x}")));
        }
        rest = after;
    }
    shown
}

/// The length of a plain colour's code at the start of a text.
fn style(text: &str) -> Option<usize> {
    let (codes, _) = text.strip_prefix("\u{1b}[")?.split_once('m')?;
    let plain = codes.split(';').all(|code| STYLES.contains(&code));
    plain.then(|| codes.len().saturating_add(3))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn written(text: &str) -> String {
        let mut safe = Safe::new(Vec::new());
        safe.write_all(text.as_bytes()).unwrap();
        String::from_utf8(safe.inner).unwrap()
    }

    #[test]
    fn nothing_but_plain_colours_drives_the_terminal() {
        for (text, expected) in [
            ("a\u{9b}31mb", "a\\u009b31mb"),
            ("a\u{85}\u{2028}\u{2029}b", "a\\u0085\\u2028\\u2029b"),
            ("a\u{202e}\u{2066}\u{200b}\u{feff}b", "a\\u202e\\u2066\\u200b\\ufeffb"),
            ("\u{7f}\0\u{8}\u{e0001}", "\\u007f\\u0000\\u0008\\udb40\\udc01"),
            (
                "\u{1b}[8mhidden\u{1b}[2J\u{1b}]0;title\u{7}",
                "\\u001b[8mhidden\\u001b[2J\\u001b]0;title\\u0007",
            ),
            ("one\rtwo\r\nthree", "one\\u000dtwo\r\nthree"),
        ] {
            assert_eq!(written(text), expected, "{text:?}");
        }
    }

    #[test]
    fn text_and_colours_stay() {
        for text in
            ["plain\n\tline", "é日本 ✓ —", "\u{1b}[1m\u{1b}[31merror:\u{1b}[0m x", "\u{1b}[1;91m"]
        {
            assert_eq!(written(text), text);
        }
    }
}
