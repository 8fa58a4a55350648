//! Builds the trees that macros expand to.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, ListExpr, LiteralValue,
    MapEntryExpr, MapExpr, operators as op,
};

use crate::parse::Places;
use crate::parse::lexer::Fault;

/// The accumulator of a loop. No source can spell this name.
const RESULT: &str = "@result";
/// The names for keys and values in a loop that names only one of them.
pub(crate) const KEY: &str = "@key";
pub(crate) const VALUE: &str = "@value";
/// The function that merges a list of maps into one.
pub(crate) const MAP_OF: &str = "@map_of";

/// The range of a loop, and the names of its variables.
pub(super) struct Over {
    pub(super) range: IdedExpr,
    pub(super) key: String,
    pub(super) value: Option<String>,
}

/// How a loop accumulates its result.
struct Fold {
    init: IdedExpr,
    goes_on: IdedExpr,
    step: IdedExpr,
    result: IdedExpr,
}

/// Builds the nodes of a macro, all at the position of its call.
pub(in crate::parse) struct Maker<'p> {
    pub(super) places: &'p mut Places,
    start: u32,
}

impl<'p> Maker<'p> {
    pub(in crate::parse) fn new(places: &'p mut Places, start: u32) -> Self {
        Maker { places, start }
    }

    pub(super) fn node(&mut self, expr: Expr) -> IdedExpr {
        IdedExpr { id: self.places.add(self.start), expr }
    }

    pub(super) fn name(&mut self, name: &str) -> IdedExpr {
        self.node(Expr::Ident(name.to_owned()))
    }

    pub(super) fn bool(&mut self, value: bool) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Boolean(value.into())))
    }

    fn int(&mut self, value: i64) -> IdedExpr {
        self.node(Expr::Literal(LiteralValue::Int(value.into())))
    }

    pub(super) fn list(&mut self, elements: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::List(ListExpr { elements, optional_indices: Vec::new() }))
    }

    pub(super) fn call(&mut self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    pub(super) fn method(&mut self, target: IdedExpr, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.node(Expr::Call(CallExpr {
            func_name: name.to_owned(),
            target: Some(Box::new(target)),
            args,
        }))
    }
}

impl Maker<'_> {
    pub(super) fn fault(&self, message: String) -> Fault {
        Fault::new(self.start, message)
    }

    fn comprehension(&mut self, over: Over, fold: Fold) -> IdedExpr {
        self.node(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range: over.range,
            iter_var: over.key,
            iter_var2: over.value,
            accu_var: RESULT.to_owned(),
            accu_init: fold.init,
            loop_cond: fold.goes_on,
            loop_step: fold.step,
            result: fold.result,
        })))
    }

    pub(super) fn all(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let so_far = self.name(RESULT);
        let goes_on = self.call(op::NOT_STRICTLY_FALSE, vec![so_far]);
        let so_far = self.name(RESULT);
        let fold = Fold {
            init: self.bool(true),
            goes_on,
            step: self.call(op::LOGICAL_AND, vec![so_far, predicate]),
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    pub(super) fn exists(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let so_far = self.name(RESULT);
        let none_yet = self.call(op::LOGICAL_NOT, vec![so_far]);
        let goes_on = self.call(op::NOT_STRICTLY_FALSE, vec![none_yet]);
        let so_far = self.name(RESULT);
        let fold = Fold {
            init: self.bool(false),
            goes_on,
            step: self.call(op::LOGICAL_OR, vec![so_far, predicate]),
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    pub(super) fn exists_one(&mut self, over: Over, predicate: IdedExpr) -> IdedExpr {
        let one_more = vec![self.name(RESULT), self.int(1)];
        let one_more = self.call(op::ADD, one_more);
        let so_far = self.name(RESULT);
        let step = self.call(op::CONDITIONAL, vec![predicate, one_more, so_far]);
        let counted = vec![self.name(RESULT), self.int(1)];
        let fold = Fold {
            init: self.int(0),
            goes_on: self.bool(true),
            step,
            result: self.call(op::EQUALS, counted),
        };
        self.comprehension(over, fold)
    }

    /// The list of a loop's elements, in the turns in which the condition holds.
    pub(super) fn collected(
        &mut self,
        over: Over,
        condition: Option<IdedExpr>,
        element: IdedExpr,
    ) -> IdedExpr {
        let so_far = self.name(RESULT);
        let element = self.list(vec![element]);
        let mut step = self.call(op::ADD, vec![so_far, element]);
        if let Some(condition) = condition {
            let so_far = self.name(RESULT);
            step = self.call(op::CONDITIONAL, vec![condition, step, so_far]);
        }
        let fold = Fold {
            init: self.list(Vec::new()),
            goes_on: self.bool(true),
            step,
            result: self.name(RESULT),
        };
        self.comprehension(over, fold)
    }

    /// The map of a loop's entries.
    pub(super) fn map_of(
        &mut self,
        over: Over,
        condition: Option<IdedExpr>,
        key: IdedExpr,
        value: IdedExpr,
    ) -> IdedExpr {
        let entry = MapEntryExpr { key, value, optional: false };
        let entry =
            IdedEntryExpr { id: self.places.add(self.start), expr: EntryExpr::MapEntry(entry) };
        let entry = self.node(Expr::Map(MapExpr { entries: vec![entry] }));
        let entries = self.collected(over, condition, entry);
        self.call(MAP_OF, vec![entries])
    }

    /// An expression in which a variable has a value: a loop over an empty list, whose accumulator
    /// is the variable and keeps its first value.
    pub(super) fn bound(&mut self, variable: &str, value: IdedExpr, result: IdedExpr) -> IdedExpr {
        let bound = ComprehensionExpr {
            iter_range: self.list(Vec::new()),
            iter_var: "#unused".to_owned(),
            iter_var2: None,
            accu_var: variable.to_owned(),
            accu_init: value,
            loop_cond: self.bool(false),
            loop_step: self.name(variable),
            result,
        };
        self.node(Expr::Comprehension(Box::new(bound)))
    }

    /// `o.optMap(v, e)`: `o.hasValue() ? optional.of(e where v is o.value()) : optional.none()`,
    /// `o` evaluated once; `optFlatMap` is the same without `optional.of`.
    pub(super) fn opt_map(
        &mut self,
        target: IdedExpr,
        variable: &str,
        mapped: IdedExpr,
        wrapped: bool,
    ) -> IdedExpr {
        let (name, bound) = match &target.expr {
            Expr::Ident(name) => (name.clone(), None),
            _ => ("@target".to_owned(), Some(target)),
        };
        let (target, optional) = (self.name(&name), self.name("optional"));
        let there = self.method(target, "hasValue", Vec::new());
        let target = self.name(&name);
        let value = self.method(target, "value", Vec::new());
        let mut mapped = self.bound(variable, value, mapped);
        if wrapped {
            let optional = self.name("optional");
            mapped = self.method(optional, "of", vec![mapped]);
        }
        let none = self.method(optional, "none", Vec::new());
        let result = self.call(op::CONDITIONAL, vec![there, mapped, none]);
        match bound {
            Some(target) => self.bound("@target", target, result),
            None => result,
        }
    }
}
