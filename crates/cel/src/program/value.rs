//! The values of expressions.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use super::Map;
use super::headers::View;
use crate::library::net::{Cidr, Ip};
use crate::regex::Compiled;
use crate::time::{Span, Timestamp};

/// A value. It borrows what the message or the configuration has, and shares what was made.
#[derive(Debug, Clone)]
pub(crate) enum Value<'p> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    Text(Str<'p>),
    Bytes(Bytes<'p>),
    List(Arc<Vec<Value<'p>>>),
    Map(Arc<Map<'p>>),
    Optional(Option<Arc<Value<'p>>>),
    /// A type, by its name.
    Type(&'static str),
    Ip(Ip),
    Cidr(Cidr),
    Time(Timestamp),
    Span(Span),
    /// An attribute that has attributes, by its name.
    Object(&'static str),
    /// Headers, in one of their views.
    Headers(View),
    /// A literal pattern; only functions see it.
    Pattern(&'p Compiled),
}

/// A text.
#[derive(Debug, Clone)]
pub(crate) enum Str<'p> {
    Borrowed(&'p str),
    Shared(Arc<str>),
}

/// Bytes.
#[derive(Debug, Clone)]
pub(crate) enum Bytes<'p> {
    Borrowed(&'p [u8]),
    Shared(Arc<[u8]>),
}

/// The kinds that a value may be of: a bit each, by their position in [`NAMES`].
pub(super) type Kinds = u16;

/// The names of the types of values.
const NAMES: &[&str] = &[
    "null_type",
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "optional_type",
    "type",
    "net.IP",
    "net.CIDR",
    "google.protobuf.Timestamp",
    "google.protobuf.Duration",
];

/// The type of this name, where it is one.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    NAMES.iter().copied().find(|known| *known == name)
}

/// The kinds of these names, with blanks between them.
pub(super) fn kinds(names: &str) -> Kinds {
    let position = |name: &str| NAMES.iter().position(|known| *known == name).map(bit);
    names.split(' ').filter_map(position).fold(0, |all, kind| all | kind)
}

fn bit(position: usize) -> Kinds {
    u32::try_from(position).ok().and_then(|by| 1_u16.checked_shl(by)).unwrap_or(0)
}

impl Str<'_> {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Str::Borrowed(text) => text,
            Str::Shared(text) => text,
        }
    }

    fn lasting(&self) -> Str<'static> {
        match self {
            Str::Borrowed(text) => Str::Shared((*text).into()),
            Str::Shared(text) => Str::Shared(Arc::clone(text)),
        }
    }
}

impl Bytes<'_> {
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Bytes::Borrowed(bytes) => bytes,
            Bytes::Shared(bytes) => bytes,
        }
    }
}

impl Value<'static> {
    /// The same, lent: a text is borrowed.
    pub(super) fn lent(&self) -> Value<'_> {
        match self {
            Value::Text(text) => Value::text(text.as_str()),
            value => value.clone(),
        }
    }
}

impl<'p> Value<'p> {
    /// A text that the message or the configuration has.
    pub(crate) fn text(text: &'p str) -> Value<'p> {
        Value::Text(Str::Borrowed(text))
    }

    /// A text that was made.
    #[inline(never)]
    pub(crate) fn made(text: &str) -> Value<'p> {
        Value::Text(Str::Shared(text.into()))
    }

    pub(crate) fn of_cow(text: Cow<'p, str>) -> Value<'p> {
        match text {
            Cow::Borrowed(text) => Value::text(text),
            Cow::Owned(text) => Value::made(&text),
        }
    }

    pub(crate) fn list(elements: Vec<Value<'p>>) -> Value<'p> {
        Value::List(Arc::new(elements))
    }

    pub(crate) fn map(map: Map<'p>) -> Value<'p> {
        Value::Map(Arc::new(map))
    }

    pub(crate) fn some(self) -> Value<'p> {
        Value::Optional(Some(Arc::new(self)))
    }

    /// The kind of texts.
    pub(super) const TEXT: Kinds = 1 << 5;
    /// The kind of lists.
    pub(super) const LIST: Kinds = 1 << 7;

    pub(crate) const NONE: Value<'static> = Value::Optional(None);

    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// The position of its type among the names.
    fn position(&self) -> usize {
        match self {
            Value::Null => 0,
            Value::Bool(_) => 1,
            Value::Int(_) => 2,
            Value::Uint(_) => 3,
            Value::Double(_) => 4,
            Value::Text(_) => 5,
            Value::Bytes(_) => 6,
            Value::List(_) => 7,
            Value::Map(_) | Value::Object(_) | Value::Headers(_) => 8,
            Value::Optional(_) => 9,
            Value::Type(_) => 10,
            Value::Ip(_) => 11,
            Value::Cidr(_) => 12,
            Value::Time(_) => 13,
            Value::Span(_) => 14,
            Value::Pattern(_) => usize::MAX,
        }
    }

    /// Whether another is of the same type.
    pub(super) fn is_like(&self, other: &Value<'_>) -> bool {
        self.position() == other.position()
    }

    /// Whether it is of one of these kinds.
    pub(super) fn is_of(&self, kinds: Kinds) -> bool {
        kinds & bit(self.position()) != 0
    }

    /// The name of its type.
    pub(crate) fn type_name(&self) -> &'static str {
        NAMES.get(self.position()).copied().unwrap_or("regex")
    }

    /// Whether it is equal to another. Numbers of different types may be; other values of
    /// different types are not.
    pub(super) fn equals(&self, other: &Value<'_>) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.equals(b))
            }
            (Value::Map(a), Value::Map(b)) => a.equals(b),
            (Value::Optional(a), Value::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equals(b),
                _ => false,
            },
            (Value::Type(a), Value::Type(b)) => a == b,
            (Value::Ip(a), Value::Ip(b)) => a == b,
            (Value::Cidr(a), Value::Cidr(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => {
                egress_reading::hash::same(a.as_str().as_bytes(), b.as_str().as_bytes())
            }
            _ => self.order(other) == Some(Ordering::Equal),
        }
    }

    /// Its order with another; none where they have none.
    pub(super) fn order(&self, other: &Value<'_>) -> Option<Ordering> {
        Some(match (self, other) {
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::Uint(a), Value::Uint(b)) => a.cmp(b),
            (Value::Text(a), Value::Text(b)) => a.as_str().cmp(b.as_str()),
            (Value::Bytes(a), Value::Bytes(b)) => a.as_slice().cmp(b.as_slice()),
            (Value::Time(a), Value::Time(b)) => a.cmp(b),
            (Value::Span(a), Value::Span(b)) => a.cmp(b),
            (Value::Int(a), Value::Uint(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (Value::Uint(a), Value::Int(b)) => i128::from(*a).cmp(&i128::from(*b)),
            (a, b) => return a.as_double()?.partial_cmp(&b.as_double()?),
        })
    }

    /// A number as a double.
    #[allow(clippy::cast_precision_loss, reason = "CEL compares numbers as doubles")]
    pub(super) fn as_double(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Uint(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The whole number that a double is.
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    pub(super) fn whole(&self) -> Option<i64> {
        match self {
            Value::Double(number)
                if number.trunc() == *number
                    && *number > -9_223_372_036_854_775_808.0
                    && *number < 9_223_372_036_854_775_808.0 =>
            {
                Some(*number as i64)
            }
            _ => None,
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Value::Int(_) | Value::Uint(_) | Value::Double(_))
    }

    /// Whether it is the zero of its type, or empty.
    pub(super) fn is_zero(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(value) => !value,
            Value::Int(number) => *number == 0,
            Value::Uint(number) => *number == 0,
            Value::Double(number) => *number == 0.0,
            Value::Text(text) => text.as_str().is_empty(),
            Value::Bytes(bytes) => bytes.as_slice().is_empty(),
            Value::List(list) => list.is_empty(),
            Value::Map(map) => map.entries().is_empty(),
            Value::Time(time) => *time == Timestamp::of_nanos(0),
            Value::Span(span) => span.nanos() == 0,
            _ => false,
        }
    }

    /// A copy that lasts; none of headers and objects. No value is nested as deep as this allows.
    pub(crate) fn lasting(&self, nesting: usize) -> Option<Value<'static>> {
        let nesting = nesting.checked_sub(1)?;
        Some(match self {
            Value::Null => Value::Null,
            Value::Bool(value) => Value::Bool(*value),
            Value::Int(number) => Value::Int(*number),
            Value::Uint(number) => Value::Uint(*number),
            Value::Double(number) => Value::Double(*number),
            Value::Text(text) => Value::Text(text.lasting()),
            Value::Bytes(bytes) => Value::Bytes(Bytes::Shared(bytes.as_slice().into())),
            Value::List(list) => {
                let kept = list.iter().map(|value| value.lasting(nesting));
                Value::list(kept.collect::<Option<Vec<_>>>()?)
            }
            Value::Map(map) => Value::map(map.lasting(nesting)?),
            Value::Optional(None) => Value::NONE,
            Value::Optional(Some(inner)) => inner.lasting(nesting)?.some(),
            Value::Type(name) => Value::Type(name),
            Value::Ip(ip) => Value::Ip(*ip),
            Value::Cidr(cidr) => Value::Cidr(*cidr),
            Value::Time(time) => Value::Time(*time),
            Value::Span(span) => Value::Span(*span),
            Value::Object(_) | Value::Headers(_) | Value::Pattern(_) => return None,
        })
    }
}
