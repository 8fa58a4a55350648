//! Timestamps and durations as values.

use std::any::Any;
use std::cmp::Ordering;

use cel::ExecutionError;
use cel::common::traits::{Adder, Comparer, Subtractor, Zeroer};
use cel::common::types::Type;
use cel::common::value::{CowVal, StaticVal, Val};

use crate::time::{Span, Timestamp};

/// The type of a timestamp.
pub(crate) const TIMESTAMP: Type = Type::new_unspecified_type("google.protobuf.Timestamp");
/// The type of a duration.
pub(crate) const DURATION: Type = Type::new_unspecified_type("google.protobuf.Duration");

type Evaluated<'b, 'v> = Result<CowVal<'b, 'v>, ExecutionError>;

fn unfit(operator: &str) -> ExecutionError {
    ExecutionError::function_error(operator, "a value of another type")
}

/// A result, unless it is out of range.
fn ranged<'b, 'v>(operator: &str, found: Option<impl Val + 'v>) -> Evaluated<'b, 'v> {
    found
        .map(CowVal::owned)
        .ok_or_else(|| ExecutionError::function_error(operator, "the result is out of range"))
}

impl Adder for Timestamp {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        let span = other.downcast_ref::<Span>().ok_or_else(|| unfit("+"))?;
        ranged("+", self.plus(*span))
    }
}

impl Adder for Span {
    fn add<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(time) = other.downcast_ref::<Timestamp>() {
            return ranged("+", time.plus(*self));
        }
        let span = other.downcast_ref::<Span>().ok_or_else(|| unfit("+"))?;
        ranged("+", self.plus(*span))
    }
}

impl Subtractor for Timestamp {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        if let Some(time) = other.downcast_ref::<Timestamp>() {
            return ranged("-", self.since(*time));
        }
        let span = other.downcast_ref::<Span>().ok_or_else(|| unfit("-"))?;
        ranged("-", self.minus(*span))
    }
}

impl Subtractor for Span {
    fn sub<'b, 'v>(&'b self, other: &(dyn Val + 'v)) -> Evaluated<'b, 'v>
    where
        Self: 'v,
    {
        let span = other.downcast_ref::<Span>().ok_or_else(|| unfit("-"))?;
        ranged("-", self.minus(*span))
    }
}

impl Zeroer for Timestamp {
    fn is_zero_value(&self) -> bool {
        *self == Timestamp::of_nanos(0)
    }
}

impl Zeroer for Span {
    fn is_zero_value(&self) -> bool {
        self.nanos() == 0
    }
}

macro_rules! value {
    ($name:ident, $kind:ident) => {
        impl Comparer for $name {
            fn compare(&self, other: &dyn Val) -> Result<Ordering, ExecutionError> {
                let other = other.downcast_ref::<$name>().ok_or_else(|| unfit("<"))?;
                Ok(self.cmp(other))
            }
        }

        impl Val for $name {
            fn get_type(&self) -> &Type {
                Self::cel_type()
            }

            fn cel_type() -> &'static Type {
                static KIND: Type = $kind;
                &KIND
            }

            fn as_adder<'b, 'v>(&'b self) -> Option<&'b (dyn Adder + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_subtractor<'b, 'v>(&'b self) -> Option<&'b (dyn Subtractor + 'v)>
            where
                Self: 'v,
            {
                Some(self)
            }

            fn as_comparer(&self) -> Option<&dyn Comparer> {
                Some(self)
            }

            fn as_zeroer(&self) -> Option<&dyn Zeroer> {
                Some(self)
            }

            fn equals(&self, other: &dyn Val) -> bool {
                other.downcast_ref::<$name>() == Some(self)
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(*self)
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}
    };
}

value!(Timestamp, TIMESTAMP);
value!(Span, DURATION);
