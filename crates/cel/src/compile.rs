//! The steps from a source to a tree that is ready to be lowered or interpreted.

use std::sync::Arc;

use cel::IdedExpr;

use super::check::{self, Mistake};
use super::limits::{self, Size};
use super::lower::Lowering;
use super::lowered::{Number, Time};
use super::prepare::prepare;
use super::presence;
use super::program::Program;
use super::regex::Compiled;
use super::types::Type;
use super::variables::{self, Scope, Variable};
use super::{
    Code, Expected, ExprError, Expression, Phase, Uses, budget, names_escape, parse, sort,
};

/// A tree that is ready, and what is known of it.
pub(super) struct Ready<'v> {
    scope: Scope<'v>,
    pub(super) root: IdedExpr,
    result: Type,
    uses: Uses,
    patterns: Vec<Compiled>,
    /// The variables that it reads.
    variables: Vec<Arc<Variable>>,
    /// The nodes that are the literals of variables.
    constants: Vec<(u64, &'v Arc<Variable>)>,
    size: Size,
}

/// An error of an expression as a whole.
fn whole(message: String) -> Vec<ExprError> {
    vec![ExprError { line: 1, column: 1, message }]
}

/// Parses and checks a source. `wrong` is the message for a result that is not what is wanted.
pub(super) fn ready<'v>(
    scope: Scope<'v>,
    source: &str,
    phase: Phase,
    wrong: impl Fn(&Type) -> Option<String>,
) -> Result<Ready<'v>, Vec<ExprError>> {
    let (mut root, places) = parse(source)?;
    let size = limits::check_size(&root, scope).map_err(whole)?;
    let constants = variables::constants(&mut root, scope);
    let checked = check::check(&root, phase, scope, &constants);
    let mut mistakes = checked.mistakes;
    let (mut variables, mut patterns) = (Vec::new(), Vec::new());
    variables::refer(&mut root, scope, &mut variables);
    if scope.table.has_provided(checked.uses.attributes) {
        presence::mark(&mut root, scope.table, &mut Vec::new());
    }
    prepare(&mut root, scope.table, &mut patterns, &mut mistakes);
    if mistakes.is_empty()
        && let Some(message) = wrong(&checked.result)
    {
        mistakes.push(Mistake { node: root.id, message: message + &checked.names });
    }
    if mistakes.is_empty() {
        let escapes = checked.uses.escapes || names_escape(&root);
        let uses = Uses { escapes, ..checked.uses };
        let result = checked.result;
        return Ok(Ready { scope, root, result, uses, patterns, variables, constants, size });
    }
    let mut errors: Vec<ExprError> = mistakes
        .into_iter()
        .map(|mistake| {
            let (line, column) = places.of(source, mistake.node);
            ExprError { line, column, message: mistake.message }
        })
        .collect();
    // `default(a, b)` has `a` twice in the tree, and every error in `a` as well.
    let order = |error: &ExprError| (error.line, error.column);
    sort::by(&mut errors, |a, b| order(a).cmp(&order(b)).then_with(|| a.message.cmp(&b.message)));
    errors.dedup();
    Err(errors)
}

impl Ready<'_> {
    pub(super) fn lowering(&self) -> Lowering<'_> {
        let Ready { variables, constants, .. } = self;
        Lowering { table: self.scope.table, variables, constants }
    }

    /// The whole, with its guards.
    pub(super) fn guarded(&self) -> Program {
        let mut guarded = self.root.clone();
        budget::guard(&mut guarded, self.scope.table);
        Program::of(&guarded, self.scope.table)
    }

    /// Every variable that is read.
    fn read(&self) -> impl Iterator<Item = &Arc<Variable>> {
        self.variables.iter().chain(self.constants.iter().map(|(_, variable)| *variable))
    }

    /// Notes which variables an expression reads.
    ///
    /// # Errors
    /// If all expressions that read variables are too large together.
    pub(super) fn note(&self) -> Result<(), Vec<ExprError>> {
        let noted = self.scope.variables.note(self.read(), self.size);
        noted.map_err(|message| message.map_or_else(Vec::new, whole))
    }

    pub(super) fn expression(self, code: Code, expected: Expected) -> Expression {
        let weight = budget::weight(&self.root, code.is_interpreted());
        let Ready { scope, uses, patterns, variables, .. } = self;
        Expression { table: scope.table, code, expected, patterns, variables, uses, weight }
    }
}

/// The expression of a variable.
pub(super) struct OfVariable {
    pub(super) expression: Expression,
    pub(super) result: Type,
    pub(super) root: IdedExpr,
    pub(super) size: Size,
    /// The int that it is, in lowered form.
    pub(super) number: Option<Number>,
    /// The timestamp that it is, in lowered form.
    pub(super) time: Option<Time>,
    /// The variables that it reads, and those that these read: a bit each.
    pub(super) reads: u64,
}

/// Compiles the expression of a variable.
pub(super) fn variable(scope: Scope<'_>, source: &str) -> Result<OfVariable, Vec<ExprError>> {
    let ready = ready(scope, source, variables::PHASE, variables::cannot_hold)?;
    let (result, root, size) = (ready.result.clone(), ready.root.clone(), ready.size);
    let lowering = ready.lowering();
    let code = match &result {
        Type::Bool => Code::Rule(lowering.test(&root)),
        Type::String => {
            lowering.text(&root).map_or_else(|| Code::Interpreted(ready.guarded()), Code::Value)
        }
        _ => Code::Interpreted(ready.guarded()),
    };
    let (number, time) = (lowering.number(&root), lowering.time(&root));
    let reads = ready.read().fold(0, |bits, read| bits | read.bits());
    Ok(OfVariable {
        expression: ready.expression(code, Expected::Any),
        result,
        root,
        size,
        number,
        time,
        reads,
    })
}
