//! The places of credentials: which values they can hold, and when two of them are one.

use super::secret::Secret;
use crate::config::Location;
use crate::header_name::is_value;
use egress_reading::{cookie, name, query};

/// The header of cookies.
const COOKIE: &str = "cookie";

/// A value that a location cannot hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Illegal(pub(crate) &'static str);

/// A value as it is sent in a location.
///
/// # Errors
/// If the location cannot hold it: what it may consist of.
pub(crate) fn prepared(location: &Location, value: &[u8]) -> Result<Secret, Illegal> {
    match location {
        Location::Header { prefix, .. } => {
            let whole = [prefix.as_bytes(), value].concat();
            if is_value(&whole) && !value.is_empty() {
                Ok(Secret::new(whole))
            } else {
                Err(Illegal("no control characters, and no blank at its ends"))
            }
        }
        Location::QueryParameter(_) => Ok(Secret::new(query::encoded(value))),
        Location::Cookie(_) => {
            // RFC 6265 section 4.1.1, `cookie-octet`.
            let legal = |byte: &u8| byte.is_ascii_graphic() && !b"\",;\\".contains(byte);
            if value.iter().all(legal) {
                Ok(Secret::new(value))
            } else {
                Err(Illegal("printable ASCII characters without blank, `\"`, `,`, `;` and `\\`"))
            }
        }
    }
}

/// The name of the header that a location writes, which no trailer may repeat.
pub(crate) fn header_of(location: &Location) -> Option<&str> {
    match location {
        Location::Header { name, .. } => Some(name),
        Location::Cookie(_) => Some(COOKIE),
        Location::QueryParameter(_) => None,
    }
}

/// Whether two locations are one and the same to some origin.
pub(crate) fn same(a: &Location, b: &Location) -> bool {
    match (a, b) {
        (Location::Header { name: a, .. }, Location::Header { name: b, .. }) => {
            name::same_to_some_origin(a.as_bytes(), b.as_bytes())
        }
        (Location::QueryParameter(a), Location::QueryParameter(b)) => {
            query::may_be(a.as_bytes(), b) || query::may_be(b.as_bytes(), a)
        }
        (Location::Cookie(a), Location::Cookie(b)) => {
            cookie::may_be([a, "="].concat().as_bytes(), b)
                || cookie::may_be([b, "="].concat().as_bytes(), a)
        }
        // A whole `Cookie` header would take the place of single cookies.
        (Location::Header { name, .. }, Location::Cookie(_))
        | (Location::Cookie(_), Location::Header { name, .. }) => name == COOKIE,
        _ => false,
    }
}
