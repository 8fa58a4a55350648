//! Requests that origins read in several ways.
//!
//! A rule is worth something only where the origin reads the request as the rule does. Origins do
//! not agree with each other (`egress_reading` has their ways), so there are two answers. Where no
//! honest client sends a request that can be read in several ways, it is refused before any rule is
//! asked ([`objection`], and [`crate::path`] for paths). Where honest clients do, a rule is asked
//! about each reading: a Deny denies if it matches one of them, an Allow or Require holds only if
//! it matches all (`authorization::lines`). `docs/reading.md` has the table, with the origins that
//! read each thing in each way.

mod connection;
mod method;

pub(crate) use egress_reading::{cookie, name, value};

use crate::decision::Reason;
use crate::mends::{self, Mend};
use crate::request::headers::Headers;

/// Why a request is refused whatever the rules say, for its method and headers alone.
pub(crate) fn objection(headers: &Headers<'_>) -> Option<(Reason, &'static str)> {
    if let Some(why) = method::objection(headers.first(b":method").unwrap_or_default()) {
        return Some((Reason::MethodUnsafe, why));
    }
    if headers.has_blank_ends() && mends::is_on(Mend::Blanks) {
        return Some((Reason::HeaderUnsafe, "blank around a value"));
    }
    if headers.may_have(value::CREDENTIALS)
        && headers.values(value::CREDENTIALS).any(|value| value.contains(&b'\t'))
    {
        return Some((Reason::HeaderUnsafe, "tab in authorization"));
    }
    if headers.may_have(connection::NAME)
        && mends::is_on(Mend::Connection)
        && let Some(why) = headers.values(connection::NAME).find_map(connection::objection)
    {
        return Some((Reason::HeaderUnsafe, why));
    }
    None
}
