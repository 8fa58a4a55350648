//! An expression evaluated twice: as it is for a request, and by the interpreter alone. For tests, and for fuzzing.

use cel::IdedExpr;

use super::view::View;
use super::{Expected, ExprError, Expression, Phase, budget, eval, parse, prepare};

/// An expression and its unlowered form.
#[derive(Debug)]
pub(crate) struct Agreement {
    expression: Expression,
    root: IdedExpr,
    expected: Expected,
}

impl Agreement {
    /// Compiles a source.
    pub(crate) fn of(source: &str, phase: Phase, expected: Expected) -> Result<Self, Vec<ExprError>> {
        let expression = Expression::compile(source, phase, expected)?;
        let (mut root, _) = parse(source)?;
        prepare(&mut root, &mut Vec::new(), &mut Vec::new());
        budget::meter(&mut root);
        Ok(Agreement { expression, root, expected })
    }

    /// What the lowered form gives.
    pub(crate) fn ours(&self, view: &View<'_>) -> Result<Vec<u8>, String> {
        match self.expected {
            Expected::Rule => self.expression.matches(view).map(|value| vec![u8::from(value)]),
            Expected::Header => self.expression.header_value(view),
        }
    }

    /// What the interpreter gives.
    pub(crate) fn theirs(&self, view: &View<'_>) -> Result<Vec<u8>, String> {
        let Expression { env, patterns, .. } = &self.expression;
        match self.expected {
            Expected::Rule => eval::rule(&self.root, env, view, patterns).map(|value| vec![u8::from(value)]),
            Expected::Header => eval::header(&self.root, env, view, patterns),
        }
    }
}
