//! Positions in a source.

/// The positions of the nodes of a tree.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By ID: where the text of a node begins, with its operands. IDs count from 1.
    starts: Vec<u32>,
}

impl Places {
    /// No positions yet, with room for those of a source.
    pub(super) fn of_source(source: &str) -> Places {
        Places { starts: Vec::with_capacity(source.len() / 4) }
    }

    /// The ID of another node, which begins at this byte.
    pub(super) fn add(&mut self, start: u32) -> u64 {
        self.starts.push(start);
        u64::try_from(self.starts.len()).unwrap_or(u64::MAX)
    }

    /// The byte at which the node of an ID begins.
    pub(super) fn start(&self, id: u64) -> u32 {
        let index = usize::try_from(id).ok().and_then(|id| id.checked_sub(1));
        index.and_then(|index| self.starts.get(index)).copied().unwrap_or(0)
    }

    /// Line and column, from 1 and in characters, of the node of an ID.
    pub(crate) fn of(&self, source: &str, id: u64) -> (usize, usize) {
        line_and_column(source, self.start(id))
    }
}

/// Line and column, from 1 and in characters, of an offset in bytes.
pub(crate) fn line_and_column(source: &str, offset: u32) -> (usize, usize) {
    let before =
        usize::try_from(offset).ok().and_then(|offset| source.get(..offset)).unwrap_or(source);
    let line = before.matches('\n').count().saturating_add(1);
    let column = before.chars().rev().take_while(|c| *c != '\n').count().saturating_add(1);
    (line, column)
}
