//! What an expression must return.

use std::time::Duration;

use super::data::Data;
use super::types::Type;

/// What an expression must return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// A bool, for a rule.
    Rule,
    /// A string or bytes, for a header's value.
    Header,
    /// A string or bytes, for the body of an answer.
    Body,
    /// A value of any type, for a record, in which it may be cut.
    Any,
    /// A string, bytes, bool, int or uint, as [data](crate::Expression::data): something to tell
    /// callers apart by, or to look up.
    Scalar,
    /// An int or uint that is not negative. As data it is a [`Data::Uint`].
    Count,
    /// A map whose keys are strings, as data. Headers are one.
    Map,
    /// A duration, a number of seconds, or a timestamp. As data it is a [`Data::Duration`] or a
    /// [`Data::Timestamp`].
    Time,
    /// A value of any type, as data.
    Value,
}

impl Expected {
    /// What is wrong with an expression of this type; nothing if it is what is expected.
    pub(super) fn mistake(self, result: &Type) -> Option<String> {
        // An optional of data that has no value fails at the request.
        let inner = match result {
            Type::Optional(inner) => inner,
            other => other,
        };
        match self {
            Expected::Rule if !result.fits(&Type::Bool) => {
                Some(format!("a rule gives a bool, this gives {result}"))
            }
            Expected::Header | Expected::Body
                if !result.fits(&Type::String) && !result.fits(&Type::Bytes) =>
            {
                let what = if self == Expected::Body { "a body" } else { "a header's value" };
                let mend = match inner {
                    Type::Null => ": leave it out, or write `\"\"`",
                    Type::List(_) | Type::Map(..) | Type::Object(_) | Type::Headers => {
                        ": put `toJson(...)` around it, or name one of its values"
                    }
                    _ => ": put `string(...)` around it",
                };
                Some(format!("{what} is a string or bytes, this gives {result}{mend}"))
            }
            Expected::Any if *result == Type::Meta => {
                Some("a type has no form in a record: put `string(...)` around a value".to_owned())
            }
            Expected::Scalar => {
                let mend = match inner {
                    Type::Dyn
                    | Type::String
                    | Type::Bytes
                    | Type::Bool
                    | Type::Int
                    | Type::Uint => return None,
                    Type::Double | Type::Ip | Type::Cidr | Type::Timestamp | Type::Duration => {
                        "put `string(...)` around it"
                    }
                    _ => {
                        "put `string(...)` around one of its values, or `toJson(...)` around the \
                         whole"
                    }
                };
                Some(format!("{SCALAR}, this gives {result}: {mend}"))
            }
            Expected::Count if !matches!(inner, Type::Dyn | Type::Int | Type::Uint) => {
                Some(format!("{COUNT}, this gives {result}: put `int(...)` around it"))
            }
            Expected::Map if !is_map(inner) => Some(format!("{MAP}, this gives {result}")),
            Expected::Time => match inner {
                Type::Dyn
                | Type::Int
                | Type::Uint
                | Type::Double
                | Type::Timestamp
                | Type::Duration => None,
                _ => Some(format!("{TIME}, this gives {result}: put `duration(...)` around it")),
            },
            Expected::Value if *inner == Type::Meta => {
                Some("a type is no data: put `string(...)` around a value".to_owned())
            }
            _ => None,
        }
    }

    /// The data, if it is what is expected, in the form that is promised.
    pub(super) fn fit(self, data: Data) -> Result<Data, String> {
        match (self, data) {
            (
                Expected::Scalar,
                data @ (Data::Text(_)
                | Data::Bytes(_)
                | Data::Bool(_)
                | Data::Int(_)
                | Data::Uint(_)),
            ) => Ok(data),
            (Expected::Count, Data::Uint(count)) => Ok(Data::Uint(count)),
            (Expected::Count, Data::Int(count)) => {
                u64::try_from(count).map(Data::Uint).map_err(|_| NEGATIVE.to_owned())
            }
            (Expected::Map, map @ Data::Map(_)) => Ok(map),
            (Expected::Time, time @ (Data::Duration(_) | Data::Timestamp(_))) => Ok(time),
            (Expected::Time, Data::Uint(seconds)) => {
                Ok(Data::Duration(Duration::from_secs(seconds)))
            }
            (Expected::Time, Data::Int(seconds)) => {
                let seconds = u64::try_from(seconds).map_err(|_| NEGATIVE.to_owned())?;
                Ok(Data::Duration(Duration::from_secs(seconds)))
            }
            (Expected::Time, Data::Double(seconds)) => Duration::try_from_secs_f64(seconds)
                .map(Data::Duration)
                .map_err(|_| "the result is no number of seconds that there can be".to_owned()),
            (Expected::Value, data) => Ok(data),
            (expected, data) => Err(format!("{}, the result is {}", expected.what(), data.kind())),
        }
    }

    /// What is expected, for a message.
    fn what(self) -> &'static str {
        match self {
            Expected::Scalar => SCALAR,
            Expected::Count => COUNT,
            Expected::Map => MAP,
            Expected::Time => TIME,
            _ => "the expression gives no data",
        }
    }
}

const SCALAR: &str = "this must be a string, bytes, a bool, an int or a uint";
const COUNT: &str = "this must be an int or a uint";
const MAP: &str = "this must be a map whose keys are strings";
const TIME: &str = "this must be a duration, a number of seconds, or a timestamp";
const NEGATIVE: &str = "the result is negative";

/// Whether a type is a map whose keys are strings, or may be one.
fn is_map(result: &Type) -> bool {
    match result {
        Type::Map(key, _) => key.fits(&Type::String),
        Type::Dyn | Type::Headers | Type::HeaderLists | Type::Object(_) => true,
        _ => false,
    }
}
