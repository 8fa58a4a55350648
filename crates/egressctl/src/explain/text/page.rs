//! Rows of two columns, the right one aligned.

use std::io;

use anstyle::Style;

use crate::terminal::{STRONG, painted};

/// The right column begins behind the longest left one, as long as that is not longer than this.
const MAX_COLUMN: usize = 72;

/// One row: an item on the left, its value on the right.
struct Row {
    indent: usize,
    left: String,
    left_style: Style,
    right: String,
    right_style: Style,
}

/// Rows, with an empty one before each group.
#[derive(Default)]
pub(super) struct Page {
    rows: Vec<Option<Row>>,
}

impl Page {
    /// A row of a group.
    pub(super) fn row(
        &mut self,
        indent: usize,
        left: impl Into<String>,
        right: impl Into<String>,
        right_style: Style,
    ) {
        self.painted_row(indent, (left.into(), Style::new()), (right.into(), right_style));
    }

    /// A row whose left side has a style, too.
    pub(super) fn painted_row(
        &mut self,
        indent: usize,
        (left, left_style): (String, Style),
        (right, right_style): (String, Style),
    ) {
        self.rows.push(Some(Row { indent, left, left_style, right, right_style }));
    }

    /// The first row of a group.
    pub(super) fn title(
        &mut self,
        left: impl Into<String>,
        right: impl Into<String>,
        right_style: Style,
    ) {
        self.rows.push(None);
        self.painted_row(0, (left.into(), STRONG), (right.into(), right_style));
    }

    pub(super) fn write(&self, out: &mut impl io::Write) -> io::Result<()> {
        let rows = || self.rows.iter().flatten().filter(|row| !row.right.is_empty());
        let column = rows().map(Row::width).filter(|width| *width <= MAX_COLUMN).max().unwrap_or(0);
        for row in &self.rows {
            match row {
                Some(row) => row.write(out, column)?,
                None => writeln!(out)?,
            }
        }
        Ok(())
    }
}

impl Row {
    fn margin(&self) -> usize {
        self.indent.saturating_mul(2)
    }

    /// The width of the last line, beside which the right column stands.
    fn width(&self) -> usize {
        self.left.lines().last().unwrap_or_default().chars().count().saturating_add(self.margin())
    }

    fn write(&self, out: &mut impl io::Write, column: usize) -> io::Result<()> {
        let margin = " ".repeat(self.margin());
        let mut lines = self.left.lines().peekable();
        while let Some(line) = lines.next() {
            write!(out, "{margin}{}", painted(self.left_style, line))?;
            if lines.peek().is_some() {
                writeln!(out)?;
            }
        }
        if self.right.is_empty() {
            return writeln!(out);
        }
        let gap = " ".repeat(column.saturating_sub(self.width()).saturating_add(2));
        writeln!(out, "{gap}{}", painted(self.right_style, &self.right))
    }
}
