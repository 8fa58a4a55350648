//! Variables: `variables.name`.

use cel::IdedExpr;
use cel::common::ast::SelectExpr;

use super::Checker;
use crate::limits::children;
use crate::types::Type;
use crate::variables::{self, Found, ROOT};

impl Checker<'_> {
    /// Whether a node reads a variable, and not a field of what a macro calls `variables`.
    pub(super) fn reads_variable(&self, node: &IdedExpr) -> bool {
        variables::use_in(node).is_some() && self.variable(ROOT).is_none()
    }

    /// The type of a variable.
    pub(super) fn declared(&mut self, node: &IdedExpr, select: &SelectExpr) -> Type {
        let name = &select.field;
        if select.test {
            self.mistake(
                node,
                format!(
                    "`has` cannot ask for a variable, which is always there: where \
                     `{ROOT}.{name}` may fail, write `default({ROOT}.{name}, ...)`"
                ),
            );
            return Type::Bool;
        }
        match self.scope.variables.find(name) {
            Found::Ready(variable) => {
                self.uses.merge(variable.uses());
                variable.result().clone()
            }
            Found::Wrong => Type::Dyn,
            Found::No(message) => self.mistake(node, message),
        }
    }

    /// Where there are variables, no macro may hide them.
    pub(super) fn expect_free_names<'n>(
        &mut self,
        node: &IdedExpr,
        mut names: impl Iterator<Item = &'n String>,
    ) {
        if !self.scope.variables.is_empty() && names.any(|name| name == ROOT) {
            self.mistake(
                node,
                format!("`{ROOT}` are those of the configuration: give the macro's another name"),
            );
        }
    }

    /// Which variables a node and its parts are, and their types, for a message that does not name
    /// them.
    pub(super) fn names(&self, node: &IdedExpr, message: &str) -> String {
        let mut named = String::new();
        if self.scope.variables.is_empty() {
            return named;
        }
        for part in std::iter::once(node).chain(children(node)) {
            let constant = self.constants.iter().find(|(id, _)| *id == part.id);
            let variable = constant
                .map(|(_, variable)| *variable)
                .or_else(|| variables::used_at(part, self.scope));
            let Some(variable) = variable else { continue };
            let name = format!("`{ROOT}.{}`", variable.name());
            if !message.contains(&name) && !named.contains(&name) {
                named.push_str(&format!(" ({name} is {})", variable.result()));
            }
        }
        named
    }
}
