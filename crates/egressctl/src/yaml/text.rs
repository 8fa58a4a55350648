//! Finds the position in the source of a character of a text, for each style of scalar that YAML
//! has.

use std::ops::Range;

use saphyr_parser::ScalarStyle;

/// The byte of the source at which a character of the value is written; `None` if value and source
/// do not match.
pub(super) fn byte_of(
    source: &str,
    span: Range<usize>,
    value: &str,
    style: ScalarStyle,
    character: usize,
) -> Option<usize> {
    let written = source.get(span.clone())?;
    let mut walk = Walk { written, at: 0, indent: 0, style };
    let mut before = value.chars().take(character);
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => {
            // The parser begins a block's span at the first character of its first line that is not
            // blank.
            let line = source.get(..span.start)?.rsplit('\n').next().unwrap_or_default();
            walk.indent = line.len();
            let blank_lines = value.len().saturating_sub(value.trim_start_matches('\n').len());
            if let Some(last) = blank_lines.checked_sub(1) {
                before.nth(last);
            }
        }
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => walk.at = 1,
        ScalarStyle::Plain => {}
    }
    for wanted in before {
        walk.step(wanted)?;
    }
    walk.skip_indent();
    walk.skip_folded(value.chars().nth(character));
    Some(span.start.saturating_add(walk.at).min(span.end))
}

struct Walk<'s> {
    written: &'s str,
    at: usize,
    /// The indentation of a block's lines.
    indent: usize,
    style: ScalarStyle,
}

impl<'s> Walk<'s> {
    fn rest(&self) -> &'s str {
        self.written.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, by: usize) {
        self.at = self.at.saturating_add(by);
    }

    /// At the start of a block's line, goes past its indentation.
    fn skip_indent(&mut self) {
        let starts_line = self.written.get(..self.at).is_some_and(|before| before.ends_with('\n'));
        if self.indent > 0 && starts_line {
            let blank = self.rest().len().saturating_sub(self.rest().trim_start_matches(' ').len());
            self.advance(blank.min(self.indent));
        }
    }

    /// Skips a line end that is not part of the text: an escaped one, and the first of several in a
    /// folded block.
    fn skip_folded(&mut self, wanted: Option<char>) {
        if self.style == ScalarStyle::DoubleQuoted
            && let Some(after) = self.rest().strip_prefix("\\\n")
        {
            let blank = after.len().saturating_sub(after.trim_start_matches([' ', '\t']).len());
            self.advance(blank.saturating_add(2));
        }
        while self.style == ScalarStyle::Folded
            && self.rest().starts_with('\n')
            && !matches!(wanted, Some(' ' | '\n'))
        {
            self.advance(1);
            self.skip_indent();
        }
    }

    /// Skips the source of one character of the value.
    fn step(&mut self, wanted: char) -> Option<()> {
        self.skip_indent();
        self.skip_folded(Some(wanted));
        let rest = self.rest();
        let here = rest.chars().next()?;
        let blank =
            rest.get(..rest.len().saturating_sub(rest.trim_start().len())).unwrap_or_default();
        let is_block = self.indent > 0;
        if is_block && wanted == ' ' && here == '\n' {
            // A folded line's end.
            self.advance(1);
        } else if !is_block && blank.contains('\n') && matches!(wanted, ' ' | '\n') {
            // One line's end is a space; of several, each but the first is a line's end.
            let first = blank.find('\n').map_or(0, |at| at.saturating_add(1));
            self.advance(if blank.matches('\n').count() > 2 { first } else { blank.len() });
        } else if self.style == ScalarStyle::DoubleQuoted && here == '\\' {
            self.step_escape(rest)?;
        } else if self.style == ScalarStyle::SingleQuoted && rest.starts_with("''") {
            self.advance(2);
        } else if here == wanted {
            self.advance(here.len_utf8());
        } else {
            return None;
        }
        Some(())
    }

    fn step_escape(&mut self, rest: &str) -> Option<()> {
        let kind = rest.chars().nth(1)?;
        self.advance(match kind {
            'x' => 4,
            'u' => 6,
            'U' => 10,
            _ => kind.len_utf8().saturating_add(1),
        });
        Some(())
    }
}
