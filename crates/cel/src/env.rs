//! The environment that expressions are parsed and evaluated in: made once, shared by all.

use std::sync::{Arc, OnceLock};

use cel::{Env, extensions};

use super::bounded;
use super::budget;
use super::library;
use super::loops;
use super::variables;

/// The environment.
///
/// # Errors
/// If two of the declarations collide, which does not depend on any input.
pub(crate) fn shared() -> Result<Arc<Env>, String> {
    static ENV: OnceLock<Result<Arc<Env>, String>> = OnceLock::new();
    ENV.get_or_init(|| build().map(Arc::new).map_err(|error| error.to_string())).clone()
}

fn build() -> Result<Env, cel::DeclarationError> {
    // The parser expands macros, so the environment has none.
    let mut env = Env::default().with_stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::math)?;
    env.add_extension(bounded::extension)?;
    env.add_extension(budget::extension)?;
    env.add_extension(library::extension)?;
    env.add_extension(variables::extension)?;
    loops::extension(&mut env)?;
    Ok(env)
}
