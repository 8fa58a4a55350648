//! The environment that expressions are parsed and evaluated in: made once, shared by all.

use std::sync::{Arc, OnceLock};

use cel::common::types::{CelBool, CelString, STRING_TYPE};
use cel::common::value::CowVal;
use cel::{Env, ExecutionError, extensions};

use super::bounded;
use super::budget;
use super::loops;
use super::regex::{self, Compiled};

/// The environment.
///
/// # Errors
/// Where two of the declarations collide, which no input can bring about.
pub(crate) fn shared() -> Result<Arc<Env>, String> {
    static ENV: OnceLock<Result<Arc<Env>, String>> = OnceLock::new();
    ENV.get_or_init(|| build().map(Arc::new).map_err(|error| error.to_string())).clone()
}

fn build() -> Result<Env, cel::DeclarationError> {
    // Without macros, which are the parser's.
    let mut env = Env::default().with_stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::math)?;
    env.add_extension(extensions::encoders)?;
    env.add_extension(bounded::extension)?;
    env.add_extension(budget::extension)?;
    // `cel`'s own `matches` would compile its pattern at each call; here a literal one is compiled when the policy loads.
    env.add_overload("matches", "matches_string", vec![STRING_TYPE, STRING_TYPE], matches)?;
    env.add_overload("matches", "matches_compiled", vec![STRING_TYPE, regex::TYPE], matches_compiled)?;
    env.add_member_overload("matches", "string_matches", STRING_TYPE, vec![STRING_TYPE], matches)?;
    env.add_member_overload("matches", "string_matches_compiled", STRING_TYPE, vec![regex::TYPE], matches_compiled)?;
    loops::extension(&mut env)?;
    Ok(env)
}

fn matches<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (text, pattern) = two_arguments(&arguments)?;
    let (Some(text), Some(pattern)) = (text.downcast_ref::<CelString<'v>>(), pattern.downcast_ref::<CelString<'v>>()) else {
        return Err(ExecutionError::function_error("matches", "expected two strings"));
    };
    let compiled = Compiled::new(pattern.inner()).map_err(|error| ExecutionError::function_error("matches", error))?;
    Ok(CowVal::owned(CelBool::from(compiled.is_match(text.inner()))))
}

fn matches_compiled<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (text, pattern) = two_arguments(&arguments)?;
    let (Some(text), Some(compiled)) = (text.downcast_ref::<CelString<'v>>(), pattern.downcast_ref::<Compiled>()) else {
        return Err(ExecutionError::function_error("matches", "expected a string and a pattern"));
    };
    Ok(CowVal::owned(CelBool::from(compiled.is_match(text.inner()))))
}

fn two_arguments<'s, 'b, 'v>(arguments: &'s [CowVal<'b, 'v>]) -> Result<(&'s CowVal<'b, 'v>, &'s CowVal<'b, 'v>), ExecutionError> {
    match arguments {
        [first, second] => Ok((first, second)),
        _ => Err(ExecutionError::invalid_argument_count(2, arguments.len())),
    }
}
