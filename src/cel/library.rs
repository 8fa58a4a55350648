//! What the functions do that the `cel` crate has not: AgentGateway's, and Kubernetes' for IP addresses.
//!
//! Each is bounded: what it makes of a request's data has at most [`MAX_TEXT`] bytes or [`MAX_PARTS`] parts, and an error
//! beyond; and no error repeats that data.

mod encoding;
mod hash;
mod headers;
mod json;
mod maps;
pub(super) mod net;
mod patterns;
mod query;
mod random;
mod strings;
#[cfg(test)]
mod tests;
mod urlencoded;

use cel::common::functions::Function;
use cel::common::types::{CelBytes, CelString, Type};
use cel::common::value::{CowVal, FromVal, Val};
use cel::{DeclarationError, Env, ExecutionError};

pub(super) use self::headers::Ask;
pub(super) use super::bounded::{MAX_PARTS, MAX_TEXT};

/// What a function gives.
type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

/// Declares all of them.
pub(super) fn extension(env: &mut Env) -> Result<(), DeclarationError> {
    encoding::declare(env)?;
    hash::declare(env)?;
    headers::declare(env)?;
    json::declare(env)?;
    maps::declare(env)?;
    net::declare(env)?;
    patterns::declare(env)?;
    query::declare(env)?;
    random::declare(env)?;
    strings::declare(env)
}

/// Declares a function called as `f(a, b)`.
fn global(env: &mut Env, name: &str, parameters: Vec<Type>, function: Function) -> Result<(), DeclarationError> {
    let id = overload_id(name, &parameters);
    env.add_overload(name, &id, parameters, function)
}

/// Declares a function called as `a.f(b)`.
fn member(env: &mut Env, name: &str, target: Type, parameters: Vec<Type>, function: Function) -> Result<(), DeclarationError> {
    let id = format!("{}.{}", target.name(), overload_id(name, &parameters));
    env.add_member_overload(name, &id, target, parameters, function)
}

fn overload_id(name: &str, parameters: &[Type]) -> String {
    let names: Vec<&str> = parameters.iter().map(Type::name).collect();
    format!("{name}({})", names.join(","))
}

fn failed(function: &str, message: &str) -> ExecutionError {
    ExecutionError::function_error(function, message)
}

fn too_large(function: &str) -> ExecutionError {
    failed(function, "the result passes the limit")
}

/// An argument of this Rust type.
fn argument<'a, 'v, T: FromVal<'a, 'v>>(function: &str, arguments: &'a [CowVal<'_, 'v>], index: usize) -> Result<&'a T, ExecutionError> {
    let value = arguments.get(index).ok_or_else(|| failed(function, "an argument is missing"))?;
    value.as_ref().downcast_ref::<T>().ok_or_else(|| failed(function, "an argument of another type"))
}

/// An argument that is a string.
fn text<'a>(function: &str, arguments: &'a [CowVal<'_, '_>], index: usize) -> Result<&'a str, ExecutionError> {
    argument::<CelString<'_>>(function, arguments, index).map(CelString::inner)
}

/// An argument that is a string or bytes, as bytes.
fn bytes<'a>(function: &str, arguments: &'a [CowVal<'_, '_>], index: usize) -> Result<&'a [u8], ExecutionError> {
    match argument::<CelBytes<'_>>(function, arguments, index) {
        Ok(bytes) => Ok(bytes.inner()),
        Err(_) => text(function, arguments, index).map(str::as_bytes),
    }
}

/// A string as a value.
fn string<'b, 'v>(text: String) -> CowVal<'b, 'v> {
    CowVal::owned(CelString::from(text))
}

/// A list of strings as a value.
fn strings<'b, 'v>(texts: impl IntoIterator<Item = String>) -> CowVal<'b, 'v> {
    let list: Vec<Box<dyn Val>> = texts.into_iter().map(|text| Box::new(CelString::from(text)) as Box<dyn Val>).collect();
    CowVal::owned(cel::common::types::CelList::from(list))
}

/// A text that is being made, and may not pass the limit.
struct Made {
    function: &'static str,
    text: String,
}

impl Made {
    fn new(function: &'static str) -> Self {
        Made { function, text: String::new() }
    }

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
