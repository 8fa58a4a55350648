//! The variables of a configuration, compiled.

use crate::attributes::TABLE;
use crate::cel::Variables;
use crate::config::{ConfigError, Spot, VariableConfig};

/// Compiles variables. Those that are wrong are known to the expressions that read them, so that
/// only what is wrong with themselves is reported.
#[inline(never)]
pub(super) fn compile(configs: &[VariableConfig], errors: &mut Vec<ConfigError>) -> Variables {
    let mut variables = Variables::declare(configs.iter().map(|config| config.name.clone()));
    for VariableConfig { expression, .. } in configs {
        let wrong = variables.define(&TABLE, &expression.source).err().unwrap_or_default();
        errors.extend(wrong.into_iter().map(|error| ConfigError {
            policy: None,
            place: expression.place.clone(),
            spot: Spot::Source { line: error.line, column: error.column },
            message: error.message,
        }));
    }
    variables
}
