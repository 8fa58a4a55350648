//! The environment that expressions are parsed and evaluated in: made once, shared by all.

use std::sync::{Arc, OnceLock};

use cel::common::ast::{CallExpr, Expr, ListExpr, operators};
use cel::parser::Macro;
use cel::{Env, extensions};

use super::bounded;
use super::library;
use super::limits;

/// The environment.
///
/// # Errors
/// Where two of the declarations collide, which no input can bring about.
pub(crate) fn shared() -> Result<Arc<Env>, String> {
    static ENV: OnceLock<Result<Arc<Env>, String>> = OnceLock::new();
    ENV.get_or_init(|| build().map(Arc::new).map_err(|error| error.to_string())).clone()
}

fn build() -> Result<Env, cel::DeclarationError> {
    let mut env = Env::stdlib();
    env.add_extension(extensions::strings)?;
    env.add_extension(extensions::math)?;
    env.add_extension(bounded::extension)?;
    env.add_extension(library::extension)?;
    env.add_macro(default_macro())?;
    Ok(env)
}

/// `default(a, b)`: `a`, or `b` where `a` errors (AgentGateway's function).
///
/// CEL has one place where an error becomes a value: `@not_strictly_false`, which the macros `all` and `exists` are made
/// with, is true for one. `[a] == []` is false or an error; so `default(a, b)` is `@not_strictly_false([a] == []) ? b : a`.
/// That doubles `a`, and `default(default(...), ...)` doubles it at each level: its size is bounded before it is copied.
fn default_macro() -> Macro {
    Macro::global("default", 2, |helper, _target, arguments| {
        let (Some(fallback), Some(value)) = (arguments.pop(), arguments.pop()) else { return Ok(None) };
        if let Err(message) = limits::check_doubled(&value) {
            return Err(helper.new_error(value.id, message));
        }
        let probe = helper.next_expr(Expr::List(ListExpr::new(vec![value.clone()])));
        let empty = helper.next_expr(Expr::List(ListExpr::new(Vec::new())));
        let mut call = |name: &str, args| helper.next_expr(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }));
        let equal = call(operators::EQUALS, vec![probe, empty]);
        let errs = call(operators::NOT_STRICTLY_FALSE, vec![equal]);
        Ok(Some(call(operators::CONDITIONAL, vec![errs, fallback, value])))
    })
}
