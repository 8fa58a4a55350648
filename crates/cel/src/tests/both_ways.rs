//! An expression evaluated in both ways: as it is for a message, and by the interpreter alone. For
//! tests, and for fuzzing.

use cel::IdedExpr;

use crate::attributes::Attributes;
use crate::data::Data;
use crate::meter::Allowance;
use crate::prepare::prepare;
use crate::reference::Interpreter;
use crate::{
    Expected, ExprError, Expression, Phase, Recorded, Scope, budget, parse, presence, variables,
};

/// An expression and its unlowered form.
#[derive(Debug)]
pub struct BothWays {
    expression: Expression,
    root: IdedExpr,
    expected: Expected,
}

impl BothWays {
    /// Compiles a source.
    pub fn of(
        scope: Scope<'_>,
        source: &str,
        phase: Phase,
        expected: Expected,
    ) -> Result<Self, Vec<ExprError>> {
        let expression = Expression::compile(scope, source, phase, expected)?;
        let (mut root, _) = parse(source)?;
        variables::constants(&mut root, scope);
        variables::refer(&mut root, scope, &mut Vec::new());
        presence::mark(&mut root, scope.table, &mut Vec::new());
        prepare(&mut root, scope.table, &mut Vec::new(), &mut Vec::new());
        budget::guard(&mut root, scope.table);
        Ok(BothWays { expression, root, expected })
    }

    /// The result of the lowered form.
    pub fn ours<A: Attributes>(&self, attributes: &A) -> Result<Vec<u8>, String> {
        let allowance = Allowance::whole();
        let value = match self.expected {
            Expected::Rule => {
                self.expression.matches(attributes, &allowance).map(|value| vec![u8::from(value)])
            }
            Expected::Header | Expected::Body => {
                self.expression.header_value(attributes, &allowance)
            }
            Expected::Any => self.expression.recorded(attributes, &allowance).map(bytes_of),
            _ => self.expression.optional_data(attributes, &allowance).map(bytes_of_data),
        };
        held(value, &allowance)
    }

    /// The result of the interpreter.
    pub fn theirs<A: Attributes>(&self, attributes: &A) -> Result<Vec<u8>, String> {
        let env = &crate::env::shared()?;
        let Expression { patterns, variables, .. } = &self.expression;
        let interpreter = Interpreter { env, attributes, patterns, variables };
        let allowance = Allowance::whole();
        let value = match self.expected {
            Expected::Rule => {
                interpreter.rule(&self.root, &allowance).map(|value| vec![u8::from(value)])
            }
            Expected::Header | Expected::Body => interpreter.header(&self.root, &allowance),
            Expected::Any => interpreter.recorded(&self.root, &allowance).map(bytes_of),
            expected => {
                let data = interpreter.data(&self.root, &allowance);
                data.and_then(|data| data.map(|data| expected.fit(data)).transpose())
                    .map(bytes_of_data)
            }
        };
        held(value, &allowance)
    }
}

fn bytes_of(recorded: Option<Recorded>) -> Vec<u8> {
    recorded.map_or_else(Vec::new, |recorded| recorded.json.into_bytes())
}

fn bytes_of_data(data: Option<Data>) -> Vec<u8> {
    format!("{data:?}").into_bytes()
}

/// Whether the lowered form's answer is the interpreter's: both have the same value, or none.
pub fn agree(ours: &Result<Vec<u8>, String>, theirs: &Result<Vec<u8>, String>) -> bool {
    ours.as_ref().ok() == theirs.as_ref().ok()
}

/// What holds of a value: none does, where the request passed a limit or cannot be read.
fn held(value: Result<Vec<u8>, String>, allowance: &Allowance) -> Result<Vec<u8>, String> {
    match allowance.breached() {
        Some(breach) => value.and(Err(breach.to_owned())),
        None => value,
    }
}

#[cfg(feature = "fuzzing")]
impl BothWays {
    /// Whether an interpreter's answer may be another than that of the lowered form: what differs
    /// each time it is asked, and a budget that short cuts do not use up.
    pub fn may_differ(source: &str, theirs: &Result<Vec<u8>, String>) -> bool {
        ["uuid", "random"].iter().any(|function| source.contains(function))
            || matches!(theirs, Err(message) if message == crate::eval::EXCEEDED)
    }
}
