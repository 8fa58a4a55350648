//! The loops that macros make.

use cel::IdedExpr;
use cel::common::ast::{ComprehensionExpr, Expr, operators as op};

use super::{Checker, headers};
use crate::loops;
use crate::types::Type;

impl Checker<'_> {
    pub(super) fn comprehension(&mut self, comprehension: &ComprehensionExpr) -> Type {
        // A loop over the names of headers alone does not depend on which of their lines are looked
        // at.
        let names = if comprehension.iter_var2.is_none() {
            self.headers_operand(&comprehension.iter_range)
        } else {
            None
        };
        let range =
            names.map_or_else(|| self.expr(&comprehension.iter_range), headers::Named::view);
        let (first, second) = match range {
            Type::List(_) if loops::is_of_map(comprehension) => {
                let message =
                    format!("this macro takes a map, not {range}: write `map` or `filter`");
                self.mistake(&comprehension.iter_range, message);
                (Type::Dyn, Type::Dyn)
            }
            Type::List(element) if comprehension.iter_var2.is_some() => (Type::Int, *element),
            Type::List(element) => (*element, Type::Dyn),
            Type::Map(key, value) => (*key, *value),
            Type::Headers => (Type::String, Type::String),
            Type::HeaderLists => (Type::String, Type::list(Type::String)),
            Type::Dyn => (Type::Dyn, Type::Dyn),
            other => {
                self.mistake(
                    &comprehension.iter_range,
                    format!("{other} has no elements: expected a list or a map"),
                );
                (Type::Dyn, Type::Dyn)
            }
        };
        let names = [&comprehension.accu_var, &comprehension.iter_var];
        self.expect_free_names(
            &comprehension.iter_range,
            names.into_iter().chain(&comprehension.iter_var2),
        );
        let init = self.expr(&comprehension.accu_init);
        let before = self.variables.len();
        self.variables.push((comprehension.accu_var.clone(), init));
        self.variables.push((comprehension.iter_var.clone(), first));
        if let Some(name) = &comprehension.iter_var2 {
            self.variables.push((name.clone(), second));
        }
        self.expr(&comprehension.loop_cond);
        let step = self.step(&comprehension.loop_step, &comprehension.accu_var);
        // The result sees what was collected, and no variable of the loop.
        self.variables.truncate(before);
        self.variables.push((comprehension.accu_var.clone(), step));
        let result = self.expr(&comprehension.result);
        self.variables.truncate(before);
        result
    }

    /// The type of a loop's accumulator after a turn. The type of a list is found from what is
    /// added to it.
    fn step(&mut self, step: &IdedExpr, accumulator: &str) -> Type {
        let is_accumulator =
            |node: &IdedExpr| matches!(&node.expr, Expr::Ident(name) if name == accumulator);
        if let Expr::Call(call) = &step.expr {
            match (call.func_name.as_str(), call.args.as_slice()) {
                (op::ADD, [so_far, added])
                    if is_accumulator(so_far) && matches!(added.expr, Expr::List(_)) =>
                {
                    return self.expr(added);
                }
                (op::CONDITIONAL, [condition, added, so_far]) if is_accumulator(so_far) => {
                    self.expect_condition(condition);
                    return self.step(added, accumulator);
                }
                (op::LOGICAL_AND | op::LOGICAL_OR, [so_far, condition])
                    if is_accumulator(so_far) =>
                {
                    self.expect_condition(condition);
                    return Type::Bool;
                }
                _ => {}
            }
        }
        self.expr(step)
    }

    fn expect_condition(&mut self, condition: &IdedExpr) {
        let found = self.expr(condition);
        if !found.fits(&Type::Bool) {
            self.mistake(
                condition,
                format!("a macro's condition gives a bool, this gives {found}"),
            );
        }
    }

    /// The type of the map that a macro makes of the maps that a loop collects.
    pub(super) fn map_of(&mut self, collected: &IdedExpr) -> Type {
        match self.expr(collected) {
            Type::List(element) if matches!(*element, Type::Map(..)) => *element,
            Type::List(element) if *element != Type::Dyn => self.mistake(
                collected,
                format!(
                    "`transformMapEntry` expects a map of each entry, \
                    as `{{key: value}}`, not {element}"
                ),
            ),
            _ => Type::Map(Box::new(Type::Dyn), Box::new(Type::Dyn)),
        }
    }
}
