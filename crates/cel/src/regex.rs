//! Regular expressions in RE2's syntax, bounded in size, whose work is charged for. A compiled one
//! is a CEL value, so that it can replace its pattern in the tree.
//!
//! `parse` reads a pattern, `program` compiles it, `simulate` runs it over a text. This is not left
//! to the `regex` crate, because a caller chooses the text: the work of a match must be counted
//! while it runs, and the work of compiling a pattern at a request must be bounded by its size.

mod fold;
mod parse;
mod program;
mod replacement;
mod set;
mod simulate;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;

use cel::common::types::{BYTES_TYPE, Type};
use cel::common::value::{StaticVal, Val};

pub(crate) use self::fold::without_case;
use self::program::Program;
pub(crate) use self::replacement::{Part, parts};
use super::meter::Allowance;

/// The longest literal pattern, in bytes.
const MAX_PATTERN: usize = 2048;
/// The most memory that a compiled literal pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 18;
/// The longest pattern that is computed at a request, in bytes.
const MAX_PATTERN_AT_A_REQUEST: usize = 256;
/// The most memory that it may take once compiled, in bytes.
const MAX_COMPILED_AT_A_REQUEST: usize = 1 << 14;

/// The CEL type of a compiled pattern. No expression can name it or make one, it stands only where
/// a literal was.
pub(crate) const TYPE: Type = Type::new_unspecified_type("regex");

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Compiled(Arc<Program>);

/// How many bytes of a compiled pattern cost one step, if it is compiled at a request.
const COMPILED_A_STEP: usize = 128;
/// How many bytes of work on letter case cost one step then. Every four bytes of the pattern cost
/// one, too.
const FOLDED_A_STEP: usize = 16;

/// The rule's steps are spent, so there is no result. The allowance notes that the request exceeds
/// a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded;

/// The groups of a match.
#[derive(Debug)]
pub(crate) struct Groups<'t> {
    text: &'t str,
    slots: Vec<u32>,
    program: Arc<Program>,
}

impl<'t> Groups<'t> {
    /// Where the group of that number begins and ends, in bytes; the whole match has the number 0.
    fn range(&self, group: usize) -> Option<(usize, usize)> {
        let slot = group.checked_mul(2)?;
        let at = |slot: usize| self.slots.get(slot).filter(|at| **at != simulate::NOWHERE);
        let (begin, end) = (at(slot)?, at(slot.checked_add(1)?)?);
        Some((usize::try_from(*begin).ok()?, usize::try_from(*end).ok()?))
    }

    /// The text of the group of that number, or nothing if it is not in the match.
    pub(crate) fn get(&self, group: usize) -> Option<&'t str> {
        let (begin, end) = self.range(group)?;
        self.text.get(begin..end)
    }

    /// The text of the group of that name.
    pub(crate) fn named(&self, name: &str) -> Option<&'t str> {
        let (_, group) = self.program.names.iter().find(|(known, _)| **known == *name)?;
        self.get(*group)
    }

    /// The text before the match, and the text behind it.
    pub(crate) fn around(&self) -> (&'t str, &'t str) {
        let (begin, end) = self.range(0).unwrap_or_default();
        (self.text.get(..begin).unwrap_or_default(), self.text.get(end..).unwrap_or_default())
    }
}

impl Compiled {
    /// Compiles a literal pattern, when the policy loads.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        Compiled::within(pattern, MAX_PATTERN, MAX_COMPILED)
    }

    /// Compiles a pattern that is computed at a request. The cost arises each time, and the caller
    /// may influence it.
    pub(crate) fn at_a_request(pattern: &str, allowance: &Allowance) -> Result<Self, String> {
        let compiled =
            Compiled::within(pattern, MAX_PATTERN_AT_A_REQUEST, MAX_COMPILED_AT_A_REQUEST)?;
        let steps = (compiled.size() / COMPILED_A_STEP)
            .saturating_add(compiled.0.folded / FOLDED_A_STEP)
            .saturating_add(pattern.len() / 4);
        if allowance.spend(u64::try_from(steps).unwrap_or(u64::MAX)) {
            Ok(compiled)
        } else {
            Err("too much is compiled".to_owned())
        }
    }

    fn within(pattern: &str, longest: usize, compiled: usize) -> Result<Self, String> {
        if pattern.len() > longest {
            return Err(format!("the pattern has {} bytes, the limit is {longest}", pattern.len()));
        }
        let read = parse::parse(pattern, compiled)
            .map_err(|message| format!("the pattern cannot be read: {message}"))?;
        let program = Program::of(read, compiled);
        let program = program.map_err(|program::TooLarge| {
            format!("the pattern takes more than {compiled} bytes once compiled")
        })?;
        Ok(Compiled(Arc::new(program)))
    }

    /// How many bytes it takes.
    pub(crate) fn size(&self) -> usize {
        self.0.size()
    }

    /// Whether it matches anywhere in the text.
    pub(crate) fn is_match(&self, text: &str, allowance: &Allowance) -> Result<bool, Exceeded> {
        simulate::is_match(&self.0, text, allowance)
    }

    /// The groups of the first match.
    pub(crate) fn captures<'t>(
        &self,
        text: &'t str,
        allowance: &Allowance,
    ) -> Result<Option<Groups<'t>>, Exceeded> {
        let slots = simulate::slots(&self.0, text, allowance)?;
        Ok(slots.map(|slots| Groups { text, slots, program: Arc::clone(&self.0) }))
    }
}

/// Which argument of a function is a pattern, counting the target as the first.
pub(crate) fn pattern_argument(function: &str, member: bool) -> Option<usize> {
    match (function, member) {
        ("matches", _) | ("regexReplace", true) => Some(1),
        _ => None,
    }
}

impl Val for Compiled {
    fn get_type(&self) -> &Type {
        static THE_TYPE: Type = TYPE;
        &THE_TYPE
    }

    fn cel_type() -> &'static Type {
        // Only macros call this, and none of them is used with this type.
        &BYTES_TYPE
    }

    fn equals(&self, _other: &dyn Val) -> bool {
        false
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(self.clone())
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Compiled {}
