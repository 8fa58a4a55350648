//! Variables: named expressions of a configuration, which other expressions read as
//! `variables.name`.
//!
//! A variable stands for its expression. An expression that reads it is checked, looked up and
//! decided as if the variable's expression were written there, in brackets. Three things differ:
//!
//! - A variable reads the message as it came, also where the expression around it reads one that
//!   earlier policies have changed.
//! - It holds a value: no headers, and no object such as `source`.
//! - It is evaluated at most once for each reading of a message, if that saves anything
//!   ([`Memo`]). Only an outcome without a breach is kept. So whoever reads the variable first pays
//!   for it, but no rule gets another value for that: a rule that finds the value kept has more
//!   steps left, and can only meet its limit later. Passing a limit never lets anything through.
//!
//! A variable whose expression is a literal, or a list or map of literals, is put into the trees of
//! the expressions that read it. So `request.host in variables.partners` is what it would be with
//! the list in its place.

mod memo;
mod outcome;
#[cfg(test)]
mod tests;
mod tree;
mod value;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use cel::IdedExpr;

pub use self::memo::Memo;
pub(crate) use self::outcome::extension;
pub(crate) use self::tree::{
    ANY_VARIABLE, ROOT, VARIABLE, constants, each_child_mut, index_of, refer, referred, texts,
    use_in, used_at,
};
use super::attributes::{Phase, Table};
use super::compile::{self, OfVariable};
use super::limits::Size;
use super::lowered::{Number, Test, Text, Time};
use super::program::Program;
use super::suggest::did_you_mean;
use super::types::Type;
use super::{Code, ExprError, Expression, Uses, budget};

/// The most variables of a configuration.
pub const MAX_VARIABLES: usize = 64;
/// The most parts that one expression may have with the expressions of its variables in their
/// place.
pub const MAX_PARTS: usize = 10_000;
/// The most parts that all expressions which read variables may have together, in the same way.
pub const MAX_ALL_PARTS: usize = 4_000_000;

/// What an expression may name: the attributes of a table, and variables.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'v> {
    /// The attributes.
    pub table: &'static Table,
    /// The variables.
    pub variables: &'v Variables,
}

impl Scope<'static> {
    /// The attributes of a table, and no variables.
    #[must_use]
    pub fn of(table: &'static Table) -> Scope<'static> {
        static NONE: Variables =
            Variables { declared: Vec::new(), used: AtomicU64::new(0), parts: AtomicUsize::new(0) };
        Scope { table, variables: &NONE }
    }
}

/// The variables of a configuration, in its order.
#[derive(Debug, Default)]
pub struct Variables {
    declared: Vec<Declared>,
    /// Those that a compiled expression reads, other than that of a variable, and those that these
    /// read: a bit each.
    used: AtomicU64,
    /// The parts of the expressions that read variables.
    parts: AtomicUsize,
}

#[derive(Debug)]
struct Declared {
    name: String,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its expression has not been compiled yet.
    Later,
    /// Its expression has errors.
    Wrong,
    Ready(Arc<Variable>),
}

/// A compiled variable.
pub struct Variable {
    name: String,
    /// The position among the variables of the configuration.
    position: u8,
    source: String,
    result: Type,
    /// Its own code, uses, patterns and variables.
    expression: Expression,
    /// What is evaluated where a part that could not be lowered reads it.
    program: Program,
    /// The tree of it.
    tree: IdedExpr,
    /// The steps for that.
    tree_weight: u64,
    /// Whether the type of its value is known only at a request.
    may_be_any: bool,
    /// The tree of a literal, or of a list or map of literals.
    constant: Option<IdedExpr>,
    /// The texts of a constant list of them, sorted.
    texts: Option<Arc<[Box<str>]>>,
    /// The int that it stands for, in lowered form. No policy changes the attributes that are ints.
    number: Option<Number>,
    /// The timestamp that it stands for, in the same way.
    time: Option<Time>,
    /// Its size with the expressions of other variables in their place.
    size: Size,
    /// Whether its outcome is kept.
    is_kept: bool,
    /// The variables that it reads, and those that these read: a bit each.
    reads: u64,
}

/// The outcome of looking for a variable by its name.
pub(crate) enum Found<'v> {
    Ready(&'v Arc<Variable>),
    /// It has errors of its own, which are reported.
    Wrong,
    /// There is none that can be read here, for this reason.
    No(String),
}

fn bit(position: u8) -> u64 {
    1_u64.checked_shl(u32::from(position)).unwrap_or(0)
}

impl Variables {
    /// Variables of these names, whose expressions are [defined](Variables::define) one by one.
    pub fn declare(names: impl IntoIterator<Item = String>) -> Variables {
        let declared =
            names.into_iter().map(|name| Declared { name, state: State::Later }).collect();
        Variables { declared, ..Variables::default() }
    }

    /// Compiles the expression of the first variable that has none yet. It may read attributes of
    /// the request, and the variables before it.
    ///
    /// # Errors
    /// All errors in it, each with its position. The variable is not reported as unknown where
    /// other expressions read it.
    pub fn define(&mut self, table: &'static Table, source: &str) -> Result<(), Vec<ExprError>> {
        let later = |declared: &Declared| matches!(declared.state, State::Later);
        let Some(index) = self.declared.iter().position(later) else { return Ok(()) };
        let position = u8::try_from(index).unwrap_or(u8::MAX);
        let name = self.declared.get(index).map_or("", |declared| &declared.name).to_owned();
        let made = Variable::compile(Scope { table, variables: self }, name, position, source);
        let (state, result) = match made {
            Ok(variable) => (State::Ready(Arc::new(variable)), Ok(())),
            Err(errors) => (State::Wrong, Err(errors)),
        };
        if let Some(declared) = self.declared.get_mut(index) {
            declared.state = state;
        }
        result
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// How many bytes their literal patterns take.
    #[must_use]
    pub fn pattern_bytes(&self) -> usize {
        let each = self.ready().map(|variable| variable.expression.pattern_bytes());
        each.fold(0, usize::saturating_add)
    }

    /// The positions of the variables that no expression reads which was compiled, not even through
    /// another variable.
    #[must_use]
    pub fn unused(&self) -> Vec<usize> {
        let used = self.used.load(Ordering::Relaxed);
        let unused = self.ready().filter(|variable| used & bit(variable.position) == 0);
        unused.map(|variable| usize::from(variable.position)).collect()
    }

    fn ready(&self) -> impl Iterator<Item = &Arc<Variable>> {
        self.declared.iter().filter_map(|declared| match &declared.state {
            State::Ready(variable) => Some(variable),
            State::Later | State::Wrong => None,
        })
    }

    /// The variable of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Variable>> {
        self.ready().find(|variable| variable.name == name)
    }

    pub(crate) fn find(&self, name: &str) -> Found<'_> {
        let defined = |known: &&Declared| !matches!(known.state, State::Later);
        let Some(declared) = self.declared.iter().find(|declared| declared.name == name) else {
            let names = self.declared.iter().take_while(defined);
            let hint = if self.declared.is_empty() {
                ": the configuration has no `variables`".to_owned()
            } else {
                did_you_mean(name, names.map(|declared| declared.name.as_str()))
            };
            return Found::No(format!("unknown variable `{ROOT}.{name}`{hint}"));
        };
        match &declared.state {
            State::Ready(variable) => Found::Ready(variable),
            State::Wrong => Found::Wrong,
            State::Later => {
                let mut later = self.declared.iter().filter(|known| !defined(known));
                let is_itself = later.next().is_some_and(|first| first.name == name);
                Found::No(if is_itself {
                    format!("`{ROOT}.{name}` reads itself: take it out of its own expression")
                } else {
                    format!(
                        "`{ROOT}.{name}` is declared behind this one: a variable reads only those \
                         before it"
                    )
                })
            }
        }
    }

    /// Notes that an expression of this size reads these variables.
    ///
    /// # Errors
    /// If all such expressions have too many parts together. Only the first of them gets a message.
    pub(crate) fn note<'a>(
        &self,
        read: impl Iterator<Item = &'a Arc<Variable>>,
        size: Size,
    ) -> Result<(), Option<String>> {
        let bits = read.fold(0, |bits, variable| bits | variable.bits());
        if bits == 0 {
            return Ok(());
        }
        self.used.fetch_or(bits, Ordering::Relaxed);
        let before = self.parts.fetch_add(size.parts, Ordering::Relaxed);
        if before.saturating_add(size.parts) <= MAX_ALL_PARTS {
            return Ok(());
        }
        let first = before <= MAX_ALL_PARTS;
        Err(first.then(|| {
            format!(
                "the expressions that read variables have more than {MAX_ALL_PARTS} parts in all, \
                 with the variables' expressions in their place; the limit is passed here: shorten \
                 the variables, or use them in fewer policies"
            )
        }))
    }
}

impl Variable {
    fn compile(
        scope: Scope<'_>,
        name: String,
        position: u8,
        source: &str,
    ) -> Result<Variable, Vec<ExprError>> {
        let compiled = compile::variable(scope, source)?;
        let OfVariable { expression, result, root, size, number, time, reads } = compiled;
        let constant = tree::is_constant(&root).then(|| root.clone());
        let mut tree = root;
        budget::guard(&mut tree, scope.table);
        Ok(Variable {
            name,
            position,
            source: source.to_owned(),
            result,
            is_kept: constant.is_none() && memo::is_worth_it(&expression),
            number,
            time,
            tree_weight: budget::weight(&tree, true),
            may_be_any: budget::may_be_any(&tree, scope.table),
            texts: constant.as_ref().and_then(texts),
            constant,
            expression,
            program: Program::of(&tree, scope.table),
            tree,
            size,
            reads,
        })
    }

    /// It, and the variables that it reads: a bit each.
    pub(crate) fn bits(&self) -> u64 {
        bit(self.position) | self.reads
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The expression, as it is written.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn result(&self) -> &Type {
        &self.result
    }

    pub(crate) fn uses(&self) -> &Uses {
        &self.expression.uses
    }

    pub(crate) fn size(&self) -> Size {
        self.size
    }

    /// The lowered form, if its value is a bool.
    #[must_use]
    pub fn test(&self) -> Option<&Test> {
        self.expression.rule()
    }

    /// The lowered form, if its value is a string that could be lowered.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match &self.expression.code {
            Code::Value(text) => Some(text),
            Code::Rule(_) | Code::Interpreted(_) => None,
        }
    }

    /// Its number, if it stands for one that needs no evaluation.
    pub(crate) fn number(&self) -> Option<&Number> {
        self.number.as_ref()
    }

    /// Its timestamp, if it stands for one that needs no evaluation.
    pub(crate) fn time(&self) -> Option<Time> {
        self.time
    }

    pub(crate) fn is_constant(&self) -> bool {
        self.constant.is_some()
    }

    /// The texts of a constant list of them, sorted.
    pub(crate) fn texts(&self) -> Option<&Arc<[Box<str>]>> {
        self.texts.as_ref()
    }

    /// Whether its value is a string, whatever the request is.
    pub(crate) fn is_text(&self) -> bool {
        self.result == Type::String && !self.may_be_any
    }
}

impl fmt::Debug for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Variable").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The message for an expression whose value a variable cannot hold; none if it can.
pub(crate) fn cannot_hold(result: &Type) -> Option<String> {
    match result {
        Type::Headers | Type::HeaderLists => Some(
            "a variable holds no headers: read one of them, as in `request.headers[\"x-team\"]`"
                .to_owned(),
        ),
        Type::Object(object) => Some(format!(
            "a variable holds no object such as `{object}`: read one of its attributes"
        )),
        Type::List(inner) | Type::Optional(inner) => cannot_hold(inner),
        Type::Map(key, value) => cannot_hold(key).or_else(|| cannot_hold(value)),
        _ => None,
    }
}

/// The phase whose attributes a variable may read.
pub(crate) const PHASE: Phase = Phase::Request;
