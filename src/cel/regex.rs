//! Regular expressions, bounded in size; as a CEL value, so that a compiled one can stand where its pattern was.

use std::any::Any;

use cel::common::types::{BYTES_TYPE, Type};
use cel::common::value::{StaticVal, Val};

/// The longest pattern, in bytes.
const MAX_PATTERN: usize = 2048;
/// The most memory that one compiled pattern may take, in bytes.
const MAX_COMPILED: usize = 1 << 20;

/// The CEL type of a compiled pattern. No expression can name it or make one, it stands only where a literal was.
pub(crate) const TYPE: Type = Type::new_unspecified_type("regex");

/// A compiled pattern.
#[derive(Debug, Clone)]
pub(crate) struct Compiled(::regex::Regex);

impl Compiled {
    /// Compiles a pattern.
    pub(crate) fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > MAX_PATTERN {
            return Err(format!("the pattern has {} bytes, the limit is {MAX_PATTERN}", pattern.len()));
        }
        match ::regex::RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build() {
            Ok(regex) => Ok(Compiled(regex)),
            Err(::regex::Error::CompiledTooBig(_)) => Err(format!("the pattern takes more than {MAX_COMPILED} bytes once compiled")),
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
