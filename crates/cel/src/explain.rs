//! The value of each part of an expression for a request.
//!
//! The interpreter evaluates each part of the source by itself. The value of the whole does not
//! come from here, but from the engine, which evaluates it as for any request.

mod literal;
mod plan;
mod step;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use cel::common::types::{CelBool, CelInt, CelMap, CelNull, CelOptional, Kind};
use cel::common::value::{CowVal, Val};
use cel::{Context, Env};

use self::literal::literal;
pub use self::literal::of_bytes;
use self::plan::{Bound, Loop, Over, Part, Planner, Shape};
pub use self::step::{Step, Value, Variable};
use super::attributes::Attributes;
use super::eval::{self, Names};
use super::meter::Allowance;
use super::regex::Compiled;
use super::variables::{Scope, Variable as Declared};
use super::{bridge, env, parse};

/// How many turns of a loop are shown, besides the last.
const MAX_TURNS: usize = 8;
/// How many more turns are evaluated to find the one that ends the loop.
const MAX_EVALUATED: usize = 1_000;

/// An expression that can be explained.
pub struct Explainable {
    root: Part,
    patterns: Vec<Compiled>,
    /// The variables that are read.
    variables: Vec<Arc<Declared>>,
    env: Arc<Env>,
}

/// A variable's name and value.
type Binding<'v> = (String, Box<dyn Val + 'v>);

/// The outcome of a part, as far as it determines which other parts are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Bool(bool),
    Null,
    Other,
    Error,
}

impl fmt::Debug for Explainable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Explainable").field("source", &self.root.text).finish_non_exhaustive()
    }
}

impl Explainable {
    /// Reads a source that was compiled; `None` if that fails.
    #[must_use]
    pub fn of(source: &str, scope: Scope<'_>) -> Option<Explainable> {
        let (root, spelling) = parse::parse_spelled(source).ok()?;
        let mut planner = Planner::new(source, &spelling, scope);
        let mut root = planner.part(&root);
        // The text includes the brackets and comments around it.
        source.trim().clone_into(&mut root.text);
        let Planner { patterns, read: variables, .. } = planner;
        Some(Explainable { root, patterns, variables, env: env::shared().ok()? })
    }

    /// The whole, whose value is given, with its parts. Each part is evaluated with an allowance of
    /// its own.
    #[must_use]
    pub fn explain<A: Attributes>(&self, attributes: &A, value: Value) -> Step {
        let value = if self.root.varies && matches!(value, Value::Known(_)) {
            Value::Varies
        } else {
            value
        };
        let Explainable { env, patterns, variables, .. } = self;
        let names = Names::new(attributes, patterns, variables);
        let mut context = Context::with_env(Arc::clone(env));
        context.set_variable_resolver(&names);
        // Variables read the message as it came.
        let names = Names::new(attributes.as_it_came(), patterns, variables);
        let mut came = Context::with_env(Arc::clone(env));
        came.set_variable_resolver(&names);
        let scene = Scene { context: &context, came: &came };
        with_parts(Step { value, ..Step::of(&self.root) }, &self.root, scene)
    }

    /// The whole, which was not evaluated.
    #[must_use]
    pub fn not_needed(&self) -> Step {
        Step::of(&self.root)
    }
}

impl Step {
    /// Not needed, unless it turns out otherwise.
    fn of(part: &Part) -> Step {
        Step {
            source: part.text.clone(),
            variables: Vec::new(),
            value: Value::NotNeeded,
            parts: Vec::new(),
            omitted: 0,
        }
    }
}

/// What the parts are evaluated over: the message, with the variables of the macros around, and the
/// message as it came.
#[derive(Clone, Copy)]
struct Scene<'c, 'p, 'v> {
    context: &'c Context<'p, 'v>,
    came: &'c Context<'p, 'v>,
}

/// A part and all below it.
fn walk(part: &Part, scene: Scene<'_, '_, '_>) -> (Step, Found) {
    let (value, found) = evaluate(part, scene.context, |value| match value {
        Ok(value) if part.varies => (Value::Varies, Found::of(&*value)),
        Ok(value) => (Value::Known(literal(&*value)), Found::of(&*value)),
        Err(message) => (Value::Error(message), Found::Error),
    });
    (with_parts(Step { value, ..Step::of(part) }, part, scene), found)
}

/// Evaluates a part with an allowance of its own, and returns its outcome.
fn evaluate<'c, 'v, T>(
    part: &'c Part,
    context: &'c Context<'_, 'v>,
    look: impl FnOnce(Result<CowVal<'c, 'v>, String>) -> T,
) -> T {
    let allowance = Allowance::whole();
    let outcome = bridge::lend(&allowance, || cel::Value::resolve_val(&part.node, context));
    let value = match (outcome, allowance.breached()) {
        _ if allowance.is_exceeded() => Err(eval::EXCEEDED.to_owned()),
        (Err(error), _) => Err(eval::describe(&error, &part.node)),
        (Ok(_), Some(breach)) => Err(breach.to_owned()),
        (Ok(value), None) => Ok(value),
    };
    // Some values are resolved only when they are read.
    bridge::lend(&allowance, || look(value))
}

impl Found {
    fn of(value: &(dyn Val + '_)) -> Found {
        match value.downcast_ref::<CelBool>() {
            Some(value) => Found::Bool(*value.inner()),
            None if value.downcast_ref::<CelNull>().is_some() => Found::Null,
            None => Found::Other,
        }
    }
}

fn with_parts(mut step: Step, part: &Part, scene: Scene<'_, '_, '_>) -> Step {
    let mut found = Parts { scene, steps: Vec::new(), omitted: 0 };
    found.of(&part.shape);
    step.parts = found.steps;
    step.omitted = found.omitted;
    step
}

/// The parts of a step, while they are found.
struct Parts<'c, 'p, 'v> {
    scene: Scene<'c, 'p, 'v>,
    steps: Vec<Step>,
    omitted: usize,
}

impl<'v> Parts<'_, '_, 'v> {
    fn of(&mut self, shape: &Shape) {
        match shape {
            Shape::Whole => {}
            Shape::All(parts) => parts.iter().for_each(|part| {
                self.needed(part);
            }),
            Shape::Until(decisive, parts) => {
                self.until(parts, |found| found == Found::Bool(*decisive))
            }
            Shape::FirstOf(parts) => {
                self.until(parts, |found| !matches!(found, Found::Null | Found::Error))
            }
            Shape::If(parts) => {
                let [condition, yes, no] = &**parts;
                let met = self.needed(condition);
                for (branch, taken) in [(yes, true), (no, false)] {
                    if met == Found::Bool(taken) {
                        self.needed(branch);
                    } else {
                        self.not_needed(branch);
                    }
                }
            }
            Shape::Loop(turns) => self.turns(turns),
            Shape::Bound(bound) => self.bound(bound),
            Shape::Variable(part) => {
                let scene = Scene { context: self.scene.came, ..self.scene };
                let (step, _) = walk(part, scene);
                self.steps.push(step);
            }
        }
    }

    /// Evaluates a part, and shows it if it is worth showing.
    fn needed(&mut self, part: &Part) -> Found {
        let (step, found) = walk(part, self.scene);
        if !part.plain {
            self.steps.push(step);
        }
        found
    }

    fn not_needed(&mut self, part: &Part) {
        if !part.plain {
            self.steps.push(Step::of(part));
        }
    }

    fn until(&mut self, parts: &[Part], settles: impl Fn(Found) -> bool) {
        let mut settled = false;
        for part in parts {
            if settled {
                self.not_needed(part);
            } else {
                settled = settles(self.needed(part));
            }
        }
    }

    fn bound(&mut self, bound: &Bound) {
        self.needed(&bound.value);
        let value = evaluate(&bound.value, self.scene.context, |value| match value {
            Ok(value) if bound.optional => value
                .downcast_ref::<CelOptional<'_>>()
                .and_then(CelOptional::inner)
                .map(Val::clone_as_boxed),
            Ok(value) => Some(value.into_owned()),
            Err(_) => None,
        });
        match value {
            Some(value) => {
                let (step, _) = self.turn(vec![(bound.variable.clone(), value)], None, &bound.body);
                self.steps.push(step);
            }
            None => self.not_needed(&bound.body),
        }
    }

    fn turns(&mut self, turns: &Loop) {
        self.needed(&turns.range);
        let elements = evaluate(&turns.range, self.scene.context, |range| {
            range.ok().map(|range| elements(&*range, turns))
        });
        let Some(mut elements) = elements else {
            self.not_needed(&turns.body);
            return;
        };
        // The value of the whole already shows what is made from names alone.
        if turns.body.plain && turns.condition.is_none() {
            return;
        }
        let rest = elements.split_off(elements.len().min(MAX_TURNS));
        let decisive = turns.until.map(Found::Bool);
        for variables in elements {
            let (step, found) = self.turn(variables, turns.condition.as_ref(), &turns.body);
            self.steps.push(step);
            if Some(found) == decisive {
                // The later turns are not needed.
                return;
            }
        }
        let ends = |variables: &Vec<Binding<'v>>| {
            let inner = self.scope(variables.clone());
            evaluate(&turns.body, &inner, |value| {
                value.is_ok_and(|value| Some(Found::of(&*value)) == decisive)
            })
        };
        let last = decisive
            .and_then(|_| rest.iter().take(MAX_EVALUATED).position(ends))
            .or(rest.len().checked_sub(1));
        self.omitted = last.unwrap_or(0);
        if let Some(variables) = last.and_then(|last| rest.into_iter().nth(last)) {
            let (step, _) = self.turn(variables, turns.condition.as_ref(), &turns.body);
            self.steps.push(step);
        }
    }

    /// A scope in which variables have values.
    fn scope(&self, variables: Vec<Binding<'v>>) -> Context<'_, 'v> {
        let mut inner = self.scene.context.new_inner_scope();
        for (name, value) in variables {
            inner.add_variable_as_val(name, value);
        }
        inner
    }

    /// A macro's body, with values for its variables.
    fn turn(
        &self,
        variables: Vec<Binding<'v>>,
        condition: Option<&Part>,
        body: &Part,
    ) -> (Step, Found) {
        let shown = variables
            .iter()
            .map(|(name, value)| Variable { name: name.clone(), value: literal(&**value) })
            .collect();
        let inner = self.scope(variables);
        let scene = Scene { context: &inner, came: self.scene.came };
        let met = condition.map(|condition| walk(condition, scene));
        let (mut step, found) = match met {
            Some((step, found)) if found != Found::Bool(true) => (step, found),
            Some((met, _)) => {
                let (mut step, found) = walk(body, scene);
                step.parts.insert(0, met);
                (step, found)
            }
            None => walk(body, scene),
        };
        step.variables = shown;
        (step, found)
    }
}

/// The values of a loop's variables, turn by turn.
fn elements<'v>(range: &(dyn Val + 'v), turns: &Loop) -> Vec<Vec<Binding<'v>>> {
    let Some(iterable) = range.as_iterable() else { return Vec::new() };
    let is_list = range.get_type().kind() == Kind::List;
    let (mut keys, mut found, mut index) = (iterable.iter(), Vec::new(), 0_i64);
    while let Some(key) = keys.next() {
        let position: Box<dyn Val + 'v> = Box::new(CelInt::from(index));
        index = index.saturating_add(1);
        let value = || range.as_indexer().and_then(|map| Some(map.get(key).ok()?.into_owned()));
        let values = match (turns.over, is_list) {
            (Over::Elements, _) | (Over::Values, true) => vec![key.clone_as_boxed()],
            (Over::Values, false) => value().into_iter().collect(),
            (Over::Pairs, true) => vec![position, key.clone_as_boxed()],
            (Over::Pairs, false) => std::iter::once(key.clone_as_boxed()).chain(value()).collect(),
        };
        found.push(turns.variables.iter().cloned().zip(values).collect::<Vec<_>>());
    }
    // A map that the expression made has no order of its own.
    if range.downcast_ref::<CelMap<'_>>().is_some() {
        found.sort_by_cached_key(|variables| variables.first().map(|(_, value)| literal(&**value)));
    }
    found
}
