//! The value of each part of an expression for a request.
//!
//! Each part of the source is compiled by itself, and evaluated by the evaluator that also decides.
//! The value of the whole does not come from here, but from the engine, which evaluates it as for
//! any request.

mod literal;
mod plan;
mod step;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use self::literal::literal;
pub use self::literal::of_bytes;
use self::plan::{Bound, Loop, Over, Part, Planner, Shape};
pub use self::step::{Step, Value, Variable};
use super::attributes::Attributes;
use super::eval;
use super::meter::Allowance;
use super::parse;
use super::program::{self, Run};
use super::regex::Compiled;
use super::variables::{Scope, Variable as Declared};

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
}

/// The values of the names that the macros around give; nothing for those that are evaluated when
/// they are first read.
type Given<'p> = Vec<Option<program::Value<'p>>>;

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
        Some(Explainable { root, patterns, variables })
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
        let Explainable { patterns, variables, .. } = self;
        let allowance = &Allowance::whole();
        let now = program::Scene { attributes, allowance, patterns, variables };
        // Variables read the message as it came.
        let came = program::Scene { attributes: attributes.as_it_came(), ..now };
        let scene = Scene { now, came, given: &[] };
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

/// What the parts are evaluated over: the message, with the names of the macros around, and the
/// message as it came.
#[derive(Clone, Copy)]
struct Scene<'s, 'p> {
    now: program::Scene<'p>,
    came: program::Scene<'p>,
    given: &'s [Option<program::Value<'p>>],
}

/// A part and all below it.
fn walk<'p>(part: &'p Part, scene: Scene<'_, 'p>) -> (Step, Found) {
    let (value, found) = evaluate(part, scene, |run, value| match value {
        Ok(value) if part.varies => (Value::Varies, Found::of(&value)),
        Ok(value) => (Value::Known(literal(run, &value)), Found::of(&value)),
        Err(message) => (Value::Error(message), Found::Error),
    });
    (with_parts(Step { value, ..Step::of(part) }, part, scene), found)
}

/// Evaluates a part with an allowance of its own, and looks at its outcome.
fn evaluate<'p, T>(
    part: &'p Part,
    scene: Scene<'_, 'p>,
    look: impl FnOnce(&Run<'_, 'p>, Result<program::Value<'p>, String>) -> T,
) -> T {
    let allowance = scene.now.allowance;
    allowance.swap(&Allowance::whole());
    part.program.part(scene.now, scene.given, |run, outcome| {
        let value = match (outcome, allowance.breached()) {
            _ if allowance.is_exceeded() => Err(eval::EXCEEDED.to_owned()),
            (Err(failure), _) => Err(failure.to_string()),
            (Ok(_), Some(breach)) => Err(breach.to_owned()),
            (Ok(value), None) => Ok(value),
        };
        look(run, value)
    })
}

impl Found {
    fn of(value: &program::Value<'_>) -> Found {
        match value {
            program::Value::Bool(value) => Found::Bool(*value),
            program::Value::Null => Found::Null,
            _ => Found::Other,
        }
    }
}

fn with_parts<'p>(mut step: Step, part: &'p Part, scene: Scene<'_, 'p>) -> Step {
    let mut found = Parts { scene, steps: Vec::new(), omitted: 0 };
    found.of(&part.shape);
    step.parts = found.steps;
    step.omitted = found.omitted;
    step
}

/// The parts of a step, while they are found.
struct Parts<'s, 'p> {
    scene: Scene<'s, 'p>,
    steps: Vec<Step>,
    omitted: usize,
}

/// A turn of a loop, before it is evaluated.
struct Turn<'p> {
    given: Given<'p>,
    shown: Vec<Variable>,
}

impl<'p> Parts<'_, 'p> {
    fn of(&mut self, shape: &'p Shape) {
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
            Shape::OrElse(parts) => {
                let [optional, otherwise] = &**parts;
                self.needed(optional);
                let is_empty = evaluate(optional, self.scene, |_, value| {
                    matches!(value, Ok(program::Value::Optional(None)))
                });
                if is_empty {
                    self.needed(otherwise);
                } else {
                    self.not_needed(otherwise);
                }
            }
            Shape::Loop(turns) => self.turns(turns),
            Shape::Bound(bound) => self.bound(bound),
            Shape::Variable(part) => {
                let scene = Scene { now: self.scene.came, given: &[], ..self.scene };
                let (step, _) = walk(part, scene);
                self.steps.push(step);
            }
        }
    }

    /// Evaluates a part, and shows it if it is worth showing.
    fn needed(&mut self, part: &'p Part) -> Found {
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

    fn until(&mut self, parts: &'p [Part], settles: impl Fn(Found) -> bool) {
        let mut settled = false;
        for part in parts {
            if settled {
                self.not_needed(part);
            } else {
                settled = settles(self.needed(part));
            }
        }
    }

    fn bound(&mut self, bound: &'p Bound) {
        let place = self.scene.given.len();
        // A name that nothing reads is not evaluated.
        let is_read = bound.optional
            || evaluate(&bound.body, Scene { given: &self.given(vec![None]), ..self.scene }, {
                |run, _| run.has(place)
            });
        if !is_read {
            self.not_needed(&bound.value);
            let (step, _) =
                self.turn(Turn { given: vec![None], shown: Vec::new() }, None, &bound.body);
            self.steps.push(step);
            return;
        }
        self.needed(&bound.value);
        let turn = evaluate(&bound.value, self.scene, |run, value| {
            let value = match value.ok()? {
                program::Value::Optional(inner) if bound.optional => (*inner?).clone(),
                value => value,
            };
            let shown = Variable { name: bound.variable.clone(), value: literal(run, &value) };
            Some(Turn { given: vec![Some(value)], shown: vec![shown] })
        });
        let without = || Turn { given: vec![None], shown: Vec::new() };
        match turn.or_else(|| (!bound.optional).then(without)) {
            Some(turn) => {
                let (step, _) = self.turn(turn, None, &bound.body);
                self.steps.push(step);
            }
            None => self.not_needed(&bound.body),
        }
    }

    fn turns(&mut self, turns: &'p Loop) {
        self.needed(&turns.range);
        let found = evaluate(&turns.range, self.scene, |run, range| {
            range.ok().and_then(|range| elements(run, &range, turns))
        });
        let Some(mut found) = found else {
            self.not_needed(&turns.body);
            return;
        };
        // The value of the whole already shows what is made from names alone.
        if turns.body.plain && turns.condition.is_none() {
            return;
        }
        let rest = found.split_off(found.len().min(MAX_TURNS));
        let decisive = turns.until.map(Found::Bool);
        for turn in found {
            let (step, found) = self.turn(turn, turns.condition.as_ref(), &turns.body);
            self.steps.push(step);
            if Some(found) == decisive {
                // The later turns are not needed.
                return;
            }
        }
        let ends = |turn: &Turn<'p>| {
            let scene = Scene { given: &self.given(turn.given.clone()), ..self.scene };
            evaluate(&turns.body, scene, |_, value| {
                value.is_ok_and(|value| Some(Found::of(&value)) == decisive)
            })
        };
        let last = decisive
            .and_then(|_| rest.iter().take(MAX_EVALUATED).position(ends))
            .or(rest.len().checked_sub(1));
        self.omitted = last.unwrap_or(0);
        if let Some(turn) = last.and_then(|last| rest.into_iter().nth(last)) {
            let (step, _) = self.turn(turn, turns.condition.as_ref(), &turns.body);
            self.steps.push(step);
        }
    }

    /// The values of all names, with these of one macro more.
    fn given(&self, more: Given<'p>) -> Given<'p> {
        self.scene.given.iter().cloned().chain(more).collect()
    }

    /// A macro's body, with values for its variables.
    fn turn(&self, turn: Turn<'p>, condition: Option<&'p Part>, body: &'p Part) -> (Step, Found) {
        let scene = Scene { given: &self.given(turn.given), ..self.scene };
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
        step.variables = turn.shown;
        (step, found)
    }
}

/// The values of a loop's variables, turn by turn.
fn elements<'p>(
    run: &Run<'_, 'p>,
    range: &program::Value<'p>,
    turns: &Loop,
) -> Option<Vec<Turn<'p>>> {
    let is_list = matches!(range, program::Value::List(_));
    let turn = |(index, key): (usize, program::Value<'p>)| {
        let index = program::Value::Int(i64::try_from(index).unwrap_or(i64::MAX));
        let mut shown = Vec::new();
        let mut names = turns.variables.iter();
        let mut show = |value: &program::Value<'p>| {
            let variable =
                |name: &String| Variable { name: name.clone(), value: literal(run, value) };
            shown.extend(names.next().map(variable));
        };
        let given = if turns.over == Over::Elements {
            show(&key);
            vec![Some(key)]
        } else {
            let key = if is_list { index } else { key };
            if turns.over == Over::Pairs {
                show(&key);
            }
            if let Some(value) = run.found_at(range, &key) {
                show(&value);
            }
            vec![Some(range.clone()), Some(key), None]
        };
        Turn { given, shown }
    };
    Some(run.visited(range)?.into_iter().enumerate().map(turn).collect())
}
