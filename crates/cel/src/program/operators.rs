//! Operators, whose operands are evaluated already.

use super::evaluate::Run;
use super::{Str, Value, size};
use crate::bounded::MAX_TEXT;
use crate::lowered::Comparison;
use crate::meter::BYTES_A_STEP;
use crate::run::{Evaluated, Failure};

/// An operator that calculates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

/// What `in` does with values that cannot be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Membership {
    /// Types were checked when the configuration loaded.
    Checked,
    /// The container is of the rule. A value that cannot be compared with any element cannot be
    /// read.
    OfRule,
    /// The container is of the request. If the value is not found, but some element cannot be
    /// compared with it, an origin may read that element as the value.
    OfRequest,
}

/// Whether two values can be compared. A caller who sends `"7"` instead of 7, or a list of one
/// number, has sent what the rule cannot read but an origin may. Any value can be compared with
/// null.
fn are_comparable(left: &Value<'_>, right: &Value<'_>) -> bool {
    (left.is_number() && right.is_number())
        || left.is_like(right)
        || matches!(left, Value::Null)
        || matches!(right, Value::Null)
}

impl<'p> Run<'_, 'p> {
    /// The failure of a value of a type that an operation does not take. Nothing may catch it.
    #[cold]
    #[inline(never)]
    pub(super) fn unfit(&self, name: &'p str) -> Failure<'p> {
        self.scene.allowance.unreadable();
        Failure::In(name)
    }

    pub(super) fn equal_any(&self, left: &Value<'p>, right: &Value<'p>) -> Evaluated<'p, bool> {
        if are_comparable(left, right) { Ok(left.equals(right)) } else { Err(self.unfit("_==_")) }
    }

    pub(super) fn ordered(
        &self,
        comparison: Comparison,
        left: &Value<'p>,
        right: &Value<'p>,
        is_known: bool,
    ) -> Evaluated<'p, bool> {
        match left.order(right) {
            Some(order) => Ok(comparison.holds(order)),
            None if is_known => Err(Failure::Plain("values that have no order")),
            None => Err(self.unfit("<, >")),
        }
    }

    pub(super) fn is_in(
        &self,
        element: &Value<'p>,
        container: &Value<'p>,
        membership: Membership,
    ) -> Evaluated<'p, bool> {
        let found = match container {
            Value::List(list) => list.iter().any(|other| other.equals(element)),
            Value::Map(map) => match map.find(element) {
                Ok(found) => found.is_some(),
                Err(()) if membership == Membership::Checked => return Err(Failure::In("in")),
                Err(()) => return Err(self.unfit("in")),
            },
            Value::Headers(view) => {
                let Some(name) = element.as_text() else { return Err(self.unfit("in")) };
                return self.has_header(*view, name);
            }
            _ if membership == Membership::Checked => return Err(Failure::In("in")),
            _ => return Err(self.unfit("in")),
        };
        if found || membership == Membership::Checked {
            return Ok(found);
        }
        let (mut all, mut comparable) = (0_usize, 0_usize);
        let mut count = |other: &Value<'p>| {
            all = all.saturating_add(1);
            comparable = comparable.saturating_add(usize::from(are_comparable(element, other)));
        };
        match container {
            Value::List(list) => list.iter().for_each(&mut count),
            Value::Map(map) => map.entries().iter().for_each(|(key, _)| count(key)),
            _ => {}
        }
        let is_readable = match membership {
            Membership::OfRule => all == 0 || comparable > 0,
            _ => all == comparable,
        };
        if is_readable { Ok(false) } else { Err(self.unfit("in")) }
    }

    /// `+`. If it is bounded, a failure is that of a value that cannot be read.
    pub(super) fn sum(
        &self,
        left: Value<'p>,
        right: &Value<'p>,
        bounded: bool,
    ) -> Evaluated<'p, Value<'p>> {
        if bounded {
            let bytes = size::of(&left).saturating_add(size::of(right));
            if bytes > MAX_TEXT && !matches!(left, Value::List(_)) {
                self.scene.allowance.breach();
                return Err(Failure::In("+"));
            }
            self.spend_on(bytes, BYTES_A_STEP)?;
        }
        let found = match (left, right) {
            (Value::Text(a), Value::Text(b)) => {
                let (a, b) = (a.as_str(), b.as_str());
                let mut both = String::with_capacity(a.len().saturating_add(b.len()));
                both.push_str(a);
                both.push_str(b);
                Some(Value::Text(Str::Shared(both.into())))
            }
            (Value::Bytes(a), Value::Bytes(b)) => {
                let both = [a.as_slice(), b.as_slice()].concat();
                Some(Value::Bytes(super::Bytes::Shared(both.into())))
            }
            (Value::List(mut a), Value::List(b)) => {
                std::sync::Arc::make_mut(&mut a).extend(b.iter().cloned());
                Some(Value::List(a))
            }
            (Value::Int(a), Value::Int(b)) => match a.checked_add(*b) {
                Some(sum) => Some(Value::Int(sum)),
                None => return Err(self.overflow("add", bounded)),
            },
            (Value::Uint(a), Value::Uint(b)) => match a.checked_add(*b) {
                Some(sum) => Some(Value::Uint(sum)),
                None => return Err(self.overflow("add", bounded)),
            },
            (Value::Double(a), Value::Double(b)) => Some(Value::Double(a + b)),
            (Value::Time(time), Value::Span(span)) => time.plus(*span).map(Value::Time),
            (Value::Span(span), Value::Time(time)) => time.plus(span).map(Value::Time),
            (Value::Span(a), Value::Span(b)) => a.plus(*b).map(Value::Span),
            _ => None,
        };
        found.ok_or_else(|| if bounded { self.unfit("+") } else { Failure::In("+") })
    }

    #[cold]
    fn overflow(&self, operator: &str, marked: bool) -> Failure<'p> {
        if marked {
            self.scene.allowance.unreadable();
        }
        Failure::Interpreted(format!("overflow in `{operator}`"))
    }

    pub(super) fn calculated(
        &self,
        operator: Operator,
        left: &Value<'p>,
        right: &Value<'p>,
    ) -> Evaluated<'p, Value<'p>> {
        match (left, right) {
            (Value::Int(a), Value::Int(b)) => self.integer(operator, *b == 0, || {
                let found = match operator {
                    Operator::Subtract => a.checked_sub(*b),
                    Operator::Multiply => a.checked_mul(*b),
                    Operator::Divide => a.checked_div(*b),
                    Operator::Modulo => a.checked_rem(*b),
                };
                found.map(Value::Int)
            }),
            (Value::Uint(a), Value::Uint(b)) => self.integer(operator, *b == 0, || {
                let found = match operator {
                    Operator::Subtract => a.checked_sub(*b),
                    Operator::Multiply => a.checked_mul(*b),
                    Operator::Divide => a.checked_div(*b),
                    Operator::Modulo => a.checked_rem(*b),
                };
                found.map(Value::Uint)
            }),
            (Value::Double(a), Value::Double(b)) => Ok(Value::Double(match operator {
                Operator::Subtract => a - b,
                Operator::Multiply => a * b,
                Operator::Divide => a / b,
                Operator::Modulo => return Err(self.unfit("%")),
            })),
            (left, right) if operator == Operator::Subtract => {
                let found = match (left, right) {
                    (Value::Time(a), Value::Time(b)) => a.since(*b).map(Value::Span),
                    (Value::Time(a), Value::Span(b)) => a.minus(*b).map(Value::Time),
                    (Value::Span(a), Value::Span(b)) => a.minus(*b).map(Value::Span),
                    _ => None,
                };
                found.ok_or_else(|| self.unfit("-"))
            }
            _ => Err(self.unfit(match operator {
                Operator::Subtract => "-",
                Operator::Multiply => "*",
                Operator::Divide => "/",
                Operator::Modulo => "%",
            })),
        }
    }

    fn integer(
        &self,
        operator: Operator,
        by_zero: bool,
        found: impl FnOnce() -> Option<Value<'p>>,
    ) -> Evaluated<'p, Value<'p>> {
        let zero = match operator {
            Operator::Divide if by_zero => "division by zero",
            Operator::Modulo if by_zero => "remainder by zero",
            _ => {
                return found().ok_or_else(|| {
                    let name = match operator {
                        Operator::Subtract => "sub",
                        Operator::Multiply => "mul",
                        Operator::Divide => "div",
                        Operator::Modulo => "rem",
                    };
                    self.overflow(name, true)
                });
            }
        };
        self.scene.allowance.unreadable();
        Err(Failure::Plain(zero))
    }

    pub(super) fn negated(&self, value: &Value<'p>) -> Evaluated<'p, Value<'p>> {
        match value {
            Value::Int(number) => {
                number.checked_neg().map(Value::Int).ok_or_else(|| self.overflow("negate", true))
            }
            Value::Double(number) => Ok(Value::Double(-number)),
            _ => Err(self.unfit("-")),
        }
    }
}
