//! Files as they were given, and places in them.

use std::ops::Range;

use crate::{Failure, terminal};

/// A file's text.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its name as it was given; `<stdin>` for `-`.
    pub(crate) name: String,
    pub(crate) text: String,
}

impl Source {
    /// Reads a file, or standard input for `-`.
    pub(crate) fn read(name: &str) -> Result<Source, Failure> {
        let bytes = if name == "-" { terminal::read_stdin() } else { std::fs::read(name) };
        let name = if name == "-" { "<stdin>" } else { name }.to_owned();
        let not_utf8 = |_| Failure::Usage(format!("`{name}` is not UTF-8: a configuration is text"));
        match bytes.map(String::from_utf8) {
            Ok(text) => text.map(|text| Source { name: name.clone(), text }).map_err(not_utf8),
            Err(error) => Err(Failure::Read { name, error }),
        }
    }

    /// Line and column in characters, both from 1, of a byte.
    pub(crate) fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        (line, last.chars().count().saturating_add(1))
    }

    /// The range cut down to the line it begins on, and to what is there.
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
        let source = Source { name: "a".to_owned(), text: "äb\nc".to_owned() };
        for (at, expected) in [(0, (1, 1)), (2, (1, 2)), (3, (1, 3)), (4, (2, 1)), (5, (2, 2)), (99, (2, 2))] {
            assert_eq!(source.line_and_column(at), expected, "byte {at}");
        }
    }

    #[test]
    fn a_range_is_shown_up_to_the_end_of_its_first_line() {
        let source = Source { name: "a".to_owned(), text: "ab  \ncd".to_owned() };
        for (range, expected) in [(0..7, 0..2), (5..7, 5..7), (1..1, 1..1), (9..12, 7..7)] {
            assert_eq!(source.first_line(range.clone()), expected, "{range:?}");
        }
    }
}
