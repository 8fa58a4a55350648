//! The types of operators.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, operators as op};

use super::{Checker, string_literal, symbol};
use crate::parse::MAP_OF;
use crate::types::Type;
use crate::written::{dotted, hyphenated};

impl Checker<'_> {
    /// The type of an operator's result, or nothing where the call is no operator's.
    pub(super) fn operator(&mut self, node: &IdedExpr, call: &CallExpr) -> Option<Type> {
        let name = call.func_name.as_str();
        Some(match (name, call.args.as_slice()) {
            (op::LOGICAL_AND | op::LOGICAL_OR | op::LOGICAL_NOT, operands) => {
                for operand in operands {
                    self.expect_bool(operand, name);
                }
                Type::Bool
            }
            (op::NOT_STRICTLY_FALSE, operands) => {
                for operand in operands {
                    self.expr(operand);
                }
                Type::Bool
            }
            (MAP_OF, [collected]) => self.map_of(collected),
            (op::CONDITIONAL, [condition, yes, no]) => {
                self.expect_bool(condition, name);
                let yes = self.expr(yes);
                yes.join(self.expr(no))
            }
            (op::EQUALS | op::NOT_EQUALS, [left, right]) => self.equality(node, name, left, right),
            (op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [left, right]) => {
                self.order(node, name, left, right)
            }
            (op::ADD | op::SUBSTRACT | op::MULTIPLY | op::DIVIDE | op::MODULO, [left, right]) => {
                self.arithmetic(node, name, left, right)
            }
            (op::NEGATE, [operand]) => match self.expr(operand) {
                known @ (Type::Int | Type::Double | Type::Dyn) => known,
                other => self.mistake(node, format!("`-` takes int or double, not {other}")),
            },
            (op::IN, [element, container]) => self.membership(node, element, container),
            (op::INDEX, [container, index]) => self.index(node, container, index),
            (op::OPT_INDEX, [container, index]) => {
                let element = match self.index(node, container, index) {
                    Type::Optional(inner) => *inner,
                    other => other,
                };
                Type::Optional(Box::new(element))
            }
            (op::OPT_SELECT, [operand, field]) => {
                if let Some(headers) = self.headers_operand(operand) {
                    self.read_header(headers, string_literal(field));
                    return Some(Type::Optional(Box::new(headers.value())));
                }
                let known = self.operand(operand);
                let found = string_literal(field)
                    .map_or(Type::Dyn, |field| self.field(node, &known, field, operand));
                match found {
                    optional @ Type::Optional(_) => optional,
                    other => Type::Optional(Box::new(other)),
                }
            }
            _ => return None,
        })
    }

    fn expect_bool(&mut self, operand: &IdedExpr, operator: &str) {
        let found = self.expr(operand);
        if !found.fits(&Type::Bool) {
            self.mistake(operand, format!("`{}` takes bools, not {found}", symbol(operator)));
        }
    }

    fn equality(&mut self, node: &IdedExpr, name: &str, left: &IdedExpr, right: &IdedExpr) -> Type {
        let (a, b) = (self.expr(left), self.expr(right));
        let sign = symbol(name);
        let headers = |known: &Type| matches!(known, Type::Headers | Type::HeaderLists);
        if a == Type::Null || b == Type::Null {
            // Any value can be compared with null.
        } else if headers(&a) || headers(&b) {
            self.mistake(
                node,
                format!("`{sign}` does not compare headers as a whole: compare single ones"),
            );
        } else if matches!(a, Type::Object(_)) || matches!(b, Type::Object(_)) {
            let what = if matches!(a, Type::Object(_)) { &a } else { &b };
            self.mistake(
                node,
                format!("`{sign}` does not compare `{what}` as a whole: compare its attributes"),
            );
        } else if !a.may_equal(&b) {
            let unless = match (&a, &b) {
                (Type::List(_), Type::List(_))
                | (Type::Map(..), Type::Map(..))
                | (Type::Optional(_), Type::Optional(_)) => " unless both are empty",
                _ => "",
            };
            let message = format!("`{sign}` compares {a} with {b}, which are never equal{unless}");
            self.mistake(node, message);
        }
        Type::Bool
    }

    fn order(&mut self, node: &IdedExpr, name: &str, left: &IdedExpr, right: &IdedExpr) -> Type {
        let (a, b) = (self.expr(left), self.expr(right));
        let ordered = |known: &Type| {
            known.is_number()
                || matches!(
                    known,
                    Type::Bool
                        | Type::String
                        | Type::Bytes
                        | Type::Timestamp
                        | Type::Duration
                        | Type::Dyn
                )
        };
        let comparable =
            ordered(&a) && ordered(&b) && (a.fits(&b) || (a.is_number() && b.is_number()));
        if !comparable {
            self.mistake(node, format!("`{}` does not compare {a} with {b}", symbol(name)));
        }
        Type::Bool
    }

    fn arithmetic(
        &mut self,
        node: &IdedExpr,
        name: &str,
        left: &IdedExpr,
        right: &IdedExpr,
    ) -> Type {
        if let Some((of, meant)) = hyphenated(node).filter(|_| name == op::SUBSTRACT)
            && let (Some(_), Some(headers)) = (self.headers_operand(of), dotted(of))
        {
            let message = format!(
                "`-` takes something away from `{headers}.{}`: a header whose name has one is \
                 `{headers}[\"{meant}\"]`",
                meant.split('-').next().unwrap_or_default()
            );
            return self.mistake(node, message);
        }
        let (a, b) = (self.expr(left), self.expr(right));
        if let Some(known) = of_times(name, &a, &b) {
            return known;
        }
        let takes = |known: &Type| match name {
            op::ADD => {
                known.is_number()
                    || matches!(known, Type::String | Type::Bytes | Type::List(_) | Type::Dyn)
            }
            op::MODULO => matches!(known, Type::Int | Type::Uint | Type::Dyn),
            _ => known.is_number() || *known == Type::Dyn,
        };
        let lists = matches!((&a, &b), (Type::List(_), Type::List(_)));
        if !takes(&a) || !takes(&b) || !(a.fits(&b) || lists) {
            let mend = match (&a, &b) {
                (Type::String, other) | (other, Type::String)
                    if name == op::ADD && *other != Type::String =>
                {
                    ": put `string(...)` around the latter"
                }
                _ => "",
            };
            return self
                .mistake(node, format!("`{}` does not take {a} and {b}{mend}", symbol(name)));
        }
        if a == Type::Dyn {
            b
        } else if lists {
            a.join(b)
        } else {
            a
        }
    }

    fn membership(&mut self, node: &IdedExpr, element: &IdedExpr, container: &IdedExpr) -> Type {
        let element = self.expr(element);
        // Whether a header is there does not depend on which of its lines is looked at.
        if self.headers_operand(container).is_some() {
            if !element.fits(&Type::String) {
                self.mistake(node, format!("a header's name is a string, not {element}"));
            }
            return Type::Bool;
        }
        match self.expr(container) {
            Type::Dyn => {}
            Type::List(inner) | Type::Map(inner, _) if element.may_equal(&inner) => {}
            Type::List(inner) => {
                self.mistake(
                    node,
                    format!("`in` looks for {element} in a list of {inner}, where it never is"),
                );
            }
            Type::Map(key, _) => {
                self.mistake(
                    node,
                    format!(
                        "`in` looks for {element} among the {key} keys of a map, where it never is"
                    ),
                );
            }
            other => {
                self.mistake(node, format!("`in` takes a list or a map on its right, not {other}"));
            }
        }
        Type::Bool
    }

    fn index(&mut self, node: &IdedExpr, container: &IdedExpr, index: &IdedExpr) -> Type {
        if let Some(headers) = self.headers_operand(container) {
            let key = self.expr(index);
            if !key.fits(&Type::String) {
                return self.mistake(index, format!("a header's name is a string, not {key}"));
            }
            self.read_header(headers, string_literal(index));
            return headers.value();
        }
        let known = self.operand(container);
        let key = self.expr(index);
        match (&known, string_literal(index)) {
            (Type::Object(_), Some(field)) => return self.field(node, &known, field, container),
            (Type::Object(object), None) => {
                return self
                    .mistake(node, format!("`{}` is indexed by a literal name only", object));
            }
            _ => {}
        }
        match known {
            Type::Dyn => Type::Dyn,
            Type::List(element) if key.is_number() || key == Type::Dyn => *element,
            Type::Map(keys, value) if key.fits(&keys) || (key.is_number() && keys.is_number()) => {
                *value
            }
            Type::Headers if key.fits(&Type::String) => Type::String,
            Type::HeaderLists if key.fits(&Type::String) => Type::list(Type::String),
            Type::Optional(inner) => match *inner {
                Type::List(element) => Type::Optional(element),
                Type::Map(_, value) => Type::Optional(value),
                _ => Type::Optional(Box::new(Type::Dyn)),
            },
            other => self.mistake(node, format!("{other} is not indexed by {key}")),
        }
    }
}

/// The type of a sum or difference of timestamps and durations, if it is one. The other operand may
/// be known only at the request.
fn of_times(name: &str, left: &Type, right: &Type) -> Option<Type> {
    use Type::{Duration, Dyn, Timestamp};
    Some(match (name, left, right) {
        (op::ADD, Timestamp, Duration | Dyn)
        | (op::ADD, Duration | Dyn, Timestamp)
        | (op::SUBSTRACT, Timestamp, Duration) => Timestamp,
        (op::ADD | op::SUBSTRACT, Duration, Duration)
        | (op::SUBSTRACT, Timestamp, Timestamp)
        | (op::SUBSTRACT, Duration, Dyn) => Duration,
        // The difference of two, or of one and a duration.
        (op::ADD, Duration, Dyn)
        | (op::ADD, Dyn, Duration)
        | (op::SUBSTRACT, Timestamp, Dyn)
        | (op::SUBSTRACT, Dyn, Timestamp | Duration) => Dyn,
        _ => return None,
    })
}
