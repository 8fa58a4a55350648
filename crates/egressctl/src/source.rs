//! Files as they were given, and positions in them.

use std::ops::Range;

use crate::{Failure, terminal};

/// A file's text.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its name as it was given; `<stdin>` for `-`.
    pub(crate) name: String,
    pub(crate) text: String,
    /// The byte at which each line begins.
    lines: Vec<usize>,
}

impl Source {
    /// A text with a name. It is kept with a line feed alone at the end of each line, so that
    /// positions do not depend on the editor.
    pub(crate) fn new(name: String, text: &str) -> Source {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
        let after = text.match_indices('\n').map(|(at, _)| at.saturating_add(1));
        let lines = std::iter::once(0).chain(after).collect();
        Source { name, text, lines }
    }

    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(name: &str) -> Result<Source, Failure> {
        let bytes = if name == "-" { terminal::read_stdin() } else { std::fs::read(name) };
        let name = if name == "-" { "<stdin>" } else { name }.to_owned();
        let not_utf8 =
            |_| Failure::Usage(format!("`{name}` is not UTF-8: a configuration is text"));
        match bytes.map(String::from_utf8) {
            Ok(text) => text.map(|text| Source::new(name.clone(), &text)).map_err(not_utf8),
            Err(error) => Err(Failure::Read { name, error }),
        }
    }

    /// The index of the line that a byte is on, and the byte at which it begins.
    fn line_of(&self, at: usize) -> (usize, usize) {
        let index = self.lines.partition_point(|start| *start <= at).saturating_sub(1);
        (index, self.lines.get(index).copied().unwrap_or(0))
    }

    /// Line and column in characters, both from 1, of a byte.
    pub(crate) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let at = at.min(self.text.len());
        let (index, start) = self.line_of(at);
        let before = self.text.get(start..at).unwrap_or_default();
        (index.saturating_add(1), before.chars().count().saturating_add(1))
    }

    /// The line that a byte is on: its number from 1, the byte at which it begins, and its text.
    pub(crate) fn line(&self, at: usize) -> (usize, usize, &str) {
        let (index, start) = self.line_of(at.min(self.text.len()));
        let text =
            self.text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        (index.saturating_add(1), start, text)
    }

    /// The range, limited to the line on which it begins, and to the text.
    pub(crate) fn first_line(&self, range: Range<usize>) -> Range<usize> {
        let text = self.text.get(range.clone()).unwrap_or_default();
        let line = text.split('\n').next().unwrap_or_default().trim_end();
        let end = range.start.saturating_add(line.len());
        range.start.min(self.text.len())..end.min(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_characters_from_one() {
        let source = Source::new("a".to_owned(), "äb\nc");
        for (at, expected) in
            [(0, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 1)), (5, (2, 2)), (99, (2, 2))]
        {
            assert_eq!(source.line_and_column(at), expected, "byte {at}");
        }
    }

    #[test]
    fn line_ends_and_a_byte_order_mark_do_not_move_anything() {
        let source = Source::new("a".to_owned(), "\u{feff}a: 1\r\nb: 2\r\n");
        assert_eq!(source.text, "a: 1\nb: 2\n");
        assert_eq!(source.line(6), (2, 5, "b: 2"));
        assert_eq!(source.line(99), (3, 10, ""));
    }

    #[test]
    fn a_range_is_shown_up_to_the_end_of_its_first_line() {
        let source = Source::new("a".to_owned(), "ab  \ncd");
        for (range, expected) in [(0..7, 0..2), (5..7, 5..7), (1..1, 1..1), (9..12, 7..7)] {
            assert_eq!(source.first_line(range.clone()), expected, "{range:?}");
        }
    }
}
