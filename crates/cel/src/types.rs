//! The types that expressions are checked with.

use std::fmt;

/// A CEL type, as far as checking needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Type {
    /// Known only at the request.
    Dyn,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Null,
    /// The type of a type, such as `int`.
    Meta,
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
    Optional(Box<Type>),
    /// The headers of a request or response: a map of strings whose keys ignore letter case.
    Headers,
    /// A view of them whose values are lists of strings.
    HeaderLists,
    /// An IP address.
    Ip,
    /// A range of IP addresses.
    Cidr,
    Timestamp,
    Duration,
    /// The object of this name, which has attributes.
    Object(&'static str),
}

impl Type {
    pub(crate) fn list(element: Type) -> Type {
        Type::List(Box::new(element))
    }

    /// Whether a value of one type may be used where the other is expected.
    pub(crate) fn fits(&self, expected: &Type) -> bool {
        match (self, expected) {
            (Type::Dyn, _) | (_, Type::Dyn) => true,
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => a.fits(b),
            (Type::Map(key_a, value_a), Type::Map(key_b, value_b)) => {
                key_a.fits(key_b) && value_a.fits(value_b)
            }
            (Type::Headers, Type::Map(key, value)) => {
                Type::String.fits(key) && Type::String.fits(value)
            }
            (Type::HeaderLists, Type::Map(key, value)) => {
                Type::String.fits(key) && Type::list(Type::String).fits(value)
            }
            // A function that takes headers takes any view of them.
            (Type::HeaderLists, Type::Headers) => true,
            (a, b) => a == b,
        }
    }

    /// Whether values of both types may be equal. Numbers are compared by value.
    pub(crate) fn may_equal(&self, other: &Type) -> bool {
        match (self, other) {
            (Type::List(a), Type::List(b)) | (Type::Optional(a), Type::Optional(b)) => {
                a.may_equal(b)
            }
            (Type::Map(key_a, value_a), Type::Map(key_b, value_b)) => {
                key_a.may_equal(key_b) && value_a.may_equal(value_b)
            }
            (a, b) => a.fits(b) || a.is_number() && b.is_number(),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Type::Int | Type::Uint | Type::Double)
    }

    /// The type that holds both.
    pub(crate) fn join(self, other: Type) -> Type {
        if self == other { self } else { Type::Dyn }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Type::Dyn => f.write_str("dyn"),
            Type::Bool => f.write_str("bool"),
            Type::Int => f.write_str("int"),
            Type::Uint => f.write_str("uint"),
            Type::Double => f.write_str("double"),
            Type::String => f.write_str("string"),
            Type::Bytes => f.write_str("bytes"),
            Type::Null => f.write_str("null"),
            Type::Meta => f.write_str("type"),
            Type::List(element) => write!(f, "list({element})"),
            Type::Map(key, value) => write!(f, "map({key}, {value})"),
            Type::Optional(value) => write!(f, "optional({value})"),
            Type::Headers => f.write_str("headers"),
            Type::HeaderLists => f.write_str("headers of lists"),
            Type::Ip => f.write_str("ip"),
            Type::Cidr => f.write_str("cidr"),
            Type::Timestamp => f.write_str("timestamp"),
            Type::Duration => f.write_str("duration"),
            Type::Object(object) => f.write_str(object),
        }
    }
}
