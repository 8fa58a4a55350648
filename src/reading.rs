//! Requests that origins read in several ways.
//!
//! A rule protects an origin only if the origin reads the request as the rule does. Origins do not
//! agree with each other (`egress_reading` has their ways). A request that can be read in several
//! ways is therefore handled in one of two ways. If no honest client sends it, it is refused before
//! any rule ([`objection`], and [`crate::path`] for paths). If honest clients do, a rule is
//! evaluated for each reading: a Deny denies if it matches one of them, an Allow or Require matches
//! only if it matches all ([`crate::policy::rule`]). `docs/reading.md` has the table, with the
//! origins that read each thing in each way.

mod connection;
mod method;

pub(crate) use egress_reading::{cookie, name, query, value};

use crate::decision::Reason;
use crate::mends::{self, Mend};
use crate::request::headers::{Headers, Known};

/// Why a request is refused before any rule because of its method or headers, if it is.
pub(crate) fn objection(headers: &Headers<'_>) -> Option<(Reason, &'static str)> {
    if let Some(why) = method::objection(headers.known(Known::METHOD).unwrap_or_default()) {
        return Some((Reason::MethodUnsafe, why));
    }
    if headers.has_blank_ends() && mends::is_on(Mend::Blanks) {
        return Some((Reason::HeaderUnsafe, "blank around a value"));
    }
    if headers.may_have_known(Known::AUTHORIZATION) || headers.may_have_known(Known::CONNECTION) {
        return objection_to_lines(headers);
    }
    None
}

/// The same because of a header that many requests do not have.
#[inline(never)]
fn objection_to_lines(headers: &Headers<'_>) -> Option<(Reason, &'static str)> {
    if headers.values(value::CREDENTIALS).any(|value| value.contains(&b'\t')) {
        return Some((Reason::HeaderUnsafe, "tab in authorization"));
    }
    if mends::is_on(Mend::Connection)
        && let Some(why) = headers.values(Known::CONNECTION.name).find_map(connection::objection)
    {
        return Some((Reason::HeaderUnsafe, why));
    }
    None
}
