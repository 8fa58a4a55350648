//! The functions that the `cel` crate lacks: AgentGateway's, Kubernetes' for IP addresses, and
//! CEL's for timestamps and durations.
//!
//! Each is bounded: its result has at most [`MAX_TEXT`] bytes or [`MAX_PARTS`] parts, and anything
//! larger is an error. No error contains data of the request.

pub(crate) mod encoding;
pub(crate) mod hash;
mod headers;
mod json;
mod maps;
pub(super) mod net;
mod patterns;
pub(crate) mod query;
pub(crate) mod random;
pub(crate) mod strings;
#[cfg(test)]
mod tests;
pub(super) mod time;
pub(crate) mod urlencoded;

use cel::common::functions::Function;
use cel::common::types::{
    BYTES_TYPE, CelBytes, CelList, CelString, DYN_TYPE, INT_TYPE, MAP_TYPE, OPTIONAL_TYPE,
    STRING_TYPE, Type,
};
use cel::common::value::{CowVal, FromVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) use self::headers::Ask;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::json::json_text;
pub(super) use self::json::quote;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) use self::maps::sorted_keys;
pub(super) use super::bounded::{MAX_PARTS, MAX_TEXT};

/// A function's result.
type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// An overload: the function's name, its parameters (a member's target first), and its
/// implementation.
struct Overload(&'static str, Style, &'static [Parameter], Function);

/// How an overload is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `f(a)`
    Global,
    /// `a.f()`
    Member,
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Any,
    Text,
    Bytes,
    Int,
    Map,
    Pattern,
    Ip,
    Cidr,
    Timestamp,
    Duration,
}

impl Parameter {
    fn to_type(self) -> Type {
        match self {
            Parameter::Any => DYN_TYPE,
            Parameter::Text => STRING_TYPE,
            Parameter::Bytes => BYTES_TYPE,
            Parameter::Int => INT_TYPE,
            Parameter::Map => MAP_TYPE,
            Parameter::Pattern => super::regex::TYPE,
            Parameter::Ip => net::IP,
            Parameter::Cidr => net::CIDR,
            Parameter::Timestamp => time::TIMESTAMP,
            Parameter::Duration => time::DURATION,
        }
    }
}

/// Declares all functions.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    for named in [time::TIMESTAMP, time::DURATION, net::IP, net::CIDR, OPTIONAL_TYPE] {
        env.add_type(named)?;
    }
    let tables = [
        encoding::FUNCTIONS,
        hash::FUNCTIONS,
        headers::FUNCTIONS,
        json::FUNCTIONS,
        maps::FUNCTIONS,
        net::FUNCTIONS,
        patterns::FUNCTIONS,
        query::FUNCTIONS,
        random::FUNCTIONS,
        strings::FUNCTIONS,
        time::FUNCTIONS,
    ];
    for Overload(name, style, parameters, function) in tables.into_iter().flatten() {
        let id = format!("{name}{style:?}{parameters:?}");
        let mut types: Vec<Type> = parameters.iter().map(|parameter| parameter.to_type()).collect();
        match style {
            Style::Global => env.add_overload(name, &id, types, *function)?,
            Style::Member => {
                let target = types.remove(0);
                env.add_member_overload(name, &id, target, types, *function)?;
            }
        }
    }
    Ok(())
}

/// Runs a function. It is apart from the closures of the functions so that its code is in the
/// module once.
#[inline(never)]
fn run<'b, 'v>(
    arguments: Vec<CowVal<'b, 'v>>,
    function: fn(&[CowVal<'b, 'v>]) -> Evaluated<'b, 'v>,
) -> Evaluated<'b, 'v> {
    function(&arguments)
}

/// The error of a function that cannot read its argument. Nothing may catch it, because that is not
/// the same as a missing argument.
#[cold]
#[inline(never)]
fn failed(function: &str, message: &str) -> ExecutionError {
    super::bridge::unreadable();
    ExecutionError::function_error(function, message)
}

/// The error of a function that reached a limit. Its rule has no result, even if the expression
/// catches the error.
#[cold]
fn passes_limit(function: &str, message: &str) -> ExecutionError {
    super::bridge::breach();
    ExecutionError::function_error(function, message)
}

#[cold]
fn too_large(function: &str) -> ExecutionError {
    passes_limit(function, "the result passes the limit")
}

/// An argument of this Rust type.
fn argument<'a, 'v, T: FromVal<'a, 'v>>(
    function: &str,
    arguments: &'a [CowVal<'_, 'v>],
    index: usize,
) -> Result<&'a T, ExecutionError> {
    // The overload determines the types of the arguments, so this is an error of the program, not
    // of the request.
    let other = |message| ExecutionError::function_error(function, message);
    let value = arguments.get(index).ok_or_else(|| other("an argument is missing"))?;
    value.as_ref().downcast_ref::<T>().ok_or_else(|| other("an argument of another type"))
}

/// An argument that is a string.
#[inline(never)]
fn text<'a>(
    function: &str,
    arguments: &'a [CowVal<'_, '_>],
    index: usize,
) -> Result<&'a str, ExecutionError> {
    argument::<CelString<'_>>(function, arguments, index).map(CelString::inner)
}

/// An argument that is a string or bytes, as bytes.
#[inline(never)]
fn bytes<'a>(
    function: &str,
    arguments: &'a [CowVal<'_, '_>],
    index: usize,
) -> Result<&'a [u8], ExecutionError> {
    match argument::<CelBytes<'_>>(function, arguments, index) {
        Ok(bytes) => Ok(bytes.inner()),
        Err(_) => text(function, arguments, index).map(str::as_bytes),
    }
}

/// A string as a value.
#[inline(never)]
fn string<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

/// A list of strings as a value.
fn strings<'b, 'v>(texts: impl IntoIterator<Item = String>) -> CowVal<'b, 'v> {
    let list: Vec<Box<dyn Val>> =
        texts.into_iter().map(|text| Box::new(CelString::from(text)) as Box<dyn Val>).collect();
    CowVal::owned(CelList::from(list))
}

/// A text under construction, up to the limit.
struct Made {
    function: &'static str,
    text: String,
}

impl Made {
    fn new(function: &'static str) -> Self {
        Made { function, text: String::new() }
    }

    #[inline(never)]
    fn push(&mut self, part: &str) -> Result<(), ExecutionError> {
        if self.text.len().saturating_add(part.len()) > MAX_TEXT {
            return Err(too_large(self.function));
        }
        self.text.push_str(part);
        Ok(())
    }

    fn value<'b, 'v>(self) -> CowVal<'b, 'v> {
        string(self.text)
    }
}
