//! The facts of a request. They borrow its headers, so each event makes them again.

use crate::request::headers::Headers;
use crate::request::{Facts, Source};
use crate::stage::Found;

/// The facts of a request, with what services have said about it. None if its headers cannot be
/// read.
pub(super) fn of_request<'r>(
    request: &'r [u8],
    source: &'r dyn Source,
    found: &Found,
) -> Option<Facts<'r>> {
    let facts = Facts::new(Headers::from_pairs(request)?, source);
    found.tell(&facts);
    Some(facts)
}

/// The facts for a record. Headers that cannot be read do not go into it.
pub(super) fn for_record<'r>(request: &'r [u8], source: &'r dyn Source) -> Facts<'r> {
    Facts::new(Headers::from_pairs(request).unwrap_or_default(), source)
}
