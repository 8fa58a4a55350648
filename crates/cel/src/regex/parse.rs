//! Parses RE2's syntax (the page "Syntax" of its documentation, which cel-go follows). A construct
//! is either supported exactly or refused.

mod class;
mod group;
pub(super) mod scan;

use scan::Scanner;

use super::set::Set;

/// An error in a pattern.
pub(super) type Wrong = &'static str;

/// The deepest nesting of groups.
const MAX_GROUPS_DEEP: usize = 250;

/// A pattern that was read.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) root: Node,
    /// The sets of characters, which nodes refer to by number.
    pub(super) sets: Vec<Set>,
    /// The names of groups, with their numbers.
    pub(super) names: Vec<(Box<str>, usize)>,
    /// How many groups there are, with the whole as the first.
    pub(super) groups: usize,
    /// How many bytes were taken to find other cases of characters.
    pub(super) folded: usize,
}

/// A part of a pattern.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Whether it may match no characters at all.
    pub(super) may_be_empty: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// Matches the empty text.
    Empty,
    Literal(char),
    /// A character of the set of this number.
    Set(usize),
    Anchor(Anchor),
    /// A group that is captured, by its number.
    Group(usize, Box<Node>),
    /// One after the other.
    All(Vec<Node>),
    /// The first that leads to a match.
    Either(Vec<Node>),
    Repeat(Box<Node>, Repetition),
}

/// How often a part is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Repetition {
    pub(super) least: u32,
    /// None if there is no upper limit.
    pub(super) most: Option<u32>,
    /// Whether fewer are preferred.
    pub(super) lazy: bool,
}

/// A condition on a position between two characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    TextStart,
    TextEnd,
    LineStart,
    LineEnd,
    WordEdge,
    NoWordEdge,
}

/// What `(?i)`, `(?m)`, `(?s)` and `(?U)` set.
#[derive(Debug, Clone, Copy, Default)]
struct Flags {
    ignore_case: bool,
    many_lines: bool,
    dot_is_any: bool,
    swap_greed: bool,
}

/// A group, or the whole pattern, while it is parsed.
#[derive(Debug, Default)]
struct Level {
    alternatives: Vec<Node>,
    parts: Vec<Node>,
    /// The flags that apply again after it.
    flags: Flags,
    /// Its number, if it is captured.
    number: Option<usize>,
    last: Last,
}

/// The kind of token before the current position.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Part,
    Repeated,
}

struct Parser<'p> {
    /// The most bytes that may be taken to find other cases.
    limit: usize,
    scanner: Scanner<'p>,
    flags: Flags,
    level: Level,
    around: Vec<Level>,
    pattern: Pattern,
}

/// Parses a pattern that may take so many bytes once compiled.
pub(super) fn parse(pattern: &str, limit: usize) -> Result<Pattern, Wrong> {
    let root = Node { kind: Kind::Empty, may_be_empty: true };
    let mut parser = Parser {
        limit,
        scanner: Scanner { rest: pattern },
        flags: Flags::default(),
        level: Level::default(),
        around: Vec::new(),
        pattern: Pattern { root, sets: Vec::new(), names: Vec::new(), groups: 1, folded: 0 },
    };
    while let Some(next) = parser.scanner.take() {
        parser.part(next)?;
    }
    if !parser.around.is_empty() {
        return Err("unclosed group");
    }
    parser.pattern.root = std::mem::take(&mut parser.level).into_node();
    Ok(parser.pattern)
}

impl Parser<'_> {
    fn part(&mut self, next: char) -> Result<(), Wrong> {
        match next {
            '*' => self.repeat(0, None),
            '+' => self.repeat(1, None),
            '?' => self.repeat(0, Some(1)),
            '{' => match self.scanner.repetition()? {
                Some((least, most)) => self.repeat(least, most),
                None => self.literal(next),
            },
            '|' => {
                self.level.close_alternative();
                Ok(())
            }
            '(' => self.open(),
            ')' => self.close(),
            '[' => {
                let (set, negated) = self.class()?;
                let set = self.fold(set)?;
                self.set(if negated { set.negated() } else { set })
            }
            '\\' => self.escape(),
            '^' if self.flags.many_lines => self.anchor(Anchor::LineStart),
            '^' => self.anchor(Anchor::TextStart),
            '$' if self.flags.many_lines => self.anchor(Anchor::LineEnd),
            '$' => self.anchor(Anchor::TextEnd),
            '.' if self.flags.dot_is_any => self.set(Set::default().negated()),
            '.' => self.set(Set::of(vec![(10, 10)]).negated()),
            literal => self.literal(literal),
        }
    }

    fn push(&mut self, kind: Kind, may_be_empty: bool) -> Result<(), Wrong> {
        self.level.parts.push(Node { kind, may_be_empty });
        self.level.last = Last::Part;
        Ok(())
    }

    fn anchor(&mut self, anchor: Anchor) -> Result<(), Wrong> {
        self.push(Kind::Anchor(anchor), true)
    }

    fn literal(&mut self, literal: char) -> Result<(), Wrong> {
        if !self.flags.ignore_case {
            return self.push(Kind::Literal(literal), false);
        }
        let code = u32::from(literal);
        let set = self.fold(Set::of(vec![(code, code)]))?;
        self.set(set)
    }

    /// With the other cases of its letters, where case is ignored.
    fn fold(&mut self, set: Set) -> Result<Set, Wrong> {
        if !self.flags.ignore_case {
            return Ok(set);
        }
        let (set, bytes) = set.with_other_cases();
        self.pattern.folded = self.pattern.folded.saturating_add(bytes);
        if self.pattern.folded > self.limit {
            return Err(
                "the case of too many characters is ignored: name fewer between square brackets",
            );
        }
        Ok(set)
    }

    fn set(&mut self, set: Set) -> Result<(), Wrong> {
        if let Some(only) = set.only() {
            return self.push(Kind::Literal(only), false);
        }
        let sets = &mut self.pattern.sets;
        let known = sets.iter().position(|known| *known == set);
        let index = known.unwrap_or(sets.len());
        if known.is_none() {
            sets.push(set);
        }
        self.push(Kind::Set(index), false)
    }

    fn repeat(&mut self, least: u32, most: Option<u32>) -> Result<(), Wrong> {
        let lazy = self.scanner.take_if("?") != self.flags.swap_greed;
        let repeated = match self.level.last {
            Last::Repeated => return Err("repetition operators cannot be stacked"),
            Last::Nothing => None,
            Last::Part => self.level.parts.pop(),
        };
        let Some(repeated) = repeated else {
            return Err("a repetition operator stands behind nothing that it could repeat");
        };
        let may_be_empty = least == 0 || repeated.may_be_empty;
        let repetition = Repetition { least, most, lazy };
        self.push(Kind::Repeat(Box::new(repeated), repetition), may_be_empty)?;
        self.level.last = Last::Repeated;
        Ok(())
    }

    /// What follows a backslash, outside of a class.
    fn escape(&mut self) -> Result<(), Wrong> {
        let mut behind = Scanner { rest: self.scanner.rest };
        let anchor = match behind.take() {
            Some('A') => Anchor::TextStart,
            Some('z') => Anchor::TextEnd,
            Some('b') => Anchor::WordEdge,
            Some('B') => Anchor::NoWordEdge,
            Some('Q') => {
                let (quoted, after) = behind.rest.split_once("\\E").unwrap_or((behind.rest, ""));
                self.scanner.rest = after;
                return quoted.chars().try_for_each(|literal| self.literal(literal));
            }
            Some(letter) if class::is_perl(letter) => {
                self.scanner = behind;
                let set = self.perl(letter)?;
                return self.set(set);
            }
            _ => {
                let literal = self.scanner.escaped()?;
                return self.literal(literal);
            }
        };
        self.scanner = behind;
        self.anchor(anchor)
    }
}

impl Level {
    /// Ends an alternative, at `|` or at the end of the group.
    fn close_alternative(&mut self) {
        let parts = std::mem::take(&mut self.parts);
        self.alternatives.push(all(parts));
        self.last = Last::Nothing;
    }

    fn into_node(mut self) -> Node {
        self.close_alternative();
        match <[Node; 1]>::try_from(self.alternatives) {
            Ok([only]) => only,
            Err(several) => {
                let may_be_empty = several.iter().any(|node| node.may_be_empty);
                Node { kind: Kind::Either(several), may_be_empty }
            }
        }
    }
}

fn all(parts: Vec<Node>) -> Node {
    match <[Node; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) if parts.is_empty() => Node { kind: Kind::Empty, may_be_empty: true },
        Err(parts) => {
            let may_be_empty = parts.iter().all(|node| node.may_be_empty);
            Node { kind: Kind::All(parts), may_be_empty }
        }
    }
}
