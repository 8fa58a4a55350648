//! Regular expressions in RE2's syntax, bounded in size; as a CEL value, so that a compiled one can stand where its pattern
//! was.

mod class;
mod re2;
mod replacement;
#[cfg(test)]
mod tests;

use std::any::Any;

use cel::common::types::{BYTES_TYPE, Type};
use cel::common::value::{StaticVal, Val};

pub(crate) use self::replacement::{Part, parts};

/// The longest literal pattern, in bytes.
const MAX_PATTERN: usize = 2048;
/// The most memory that a compiled literal pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 18;
/// The longest pattern that is made of a request, in bytes.
const MAX_PATTERN_AT_A_REQUEST: usize = 256;
/// The most memory that it may take once compiled, in bytes.
const MAX_COMPILED_AT_A_REQUEST: usize = 1 << 14;
/// The longest text that it is matched with, in bytes: the time taken grows with the product of the two.
pub(crate) const MAX_TEXT_AT_A_REQUEST: usize = 4096;

/// The CEL type of a compiled pattern. No expression can name it or make one, it stands only where a literal was.
pub(crate) const TYPE: Type = Type::new_unspecified_type("regex");

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Compiled(::regex::Regex);

/// How many bytes of a text cost a step to be matched: patterns are matched by the simplest engine.
const BYTES_A_STEP: usize = 16;

/// Charges a text that is to be matched; gives whether there is enough left for it.
pub(super) fn charge(text: &str) -> bool {
    super::meter::spend(text.len().checked_div(BYTES_A_STEP).and_then(|steps| u64::try_from(steps).ok()).unwrap_or(u64::MAX))
}

impl Compiled {
    /// Compiles a literal pattern, when the policy loads.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        Compiled::within(pattern, MAX_PATTERN, MAX_COMPILED)
    }

    /// Compiles a pattern that is made at a request: its cost is paid each time, and may be the caller's to choose.
    pub(crate) fn at_a_request(pattern: &str) -> Result<Self, String> {
        Compiled::within(pattern, MAX_PATTERN_AT_A_REQUEST, MAX_COMPILED_AT_A_REQUEST)
    }

    fn within(pattern: &str, longest: usize, compiled: usize) -> Result<Self, String> {
        if pattern.len() > longest {
            return Err(format!("the pattern has {} bytes, the limit is {longest}", pattern.len()));
        }
        let translated = re2::translate(pattern).map_err(|message| format!("invalid pattern: {message}"))?;
        match ::regex::RegexBuilder::new(&translated).size_limit(compiled).dfa_size_limit(compiled).build() {
            Ok(regex) => Ok(Compiled(regex)),
            Err(::regex::Error::CompiledTooBig(_)) => Err(format!("the pattern takes more than {compiled} bytes once compiled")),
            // The crate's message draws the pattern over several lines; the last one says what is wrong.
            Err(error) => {
                let message = error.to_string();
                let last = message.lines().last().unwrap_or_default();
                Err(format!("invalid pattern: {}", last.strip_prefix("error: ").unwrap_or(last)))
            }
        }
    }

    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// What the groups of the first match hold.
    pub(crate) fn captures<'t>(&self, text: &'t str) -> Option<::regex::Captures<'t>> {
        self.0.captures(text)
    }
}

/// Which argument of a function is a pattern, where the target is counted as the first.
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
        // Only asked by macros that this type is not used with.
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
