//! The attributes that the engine itself reads, by their ids.

use super::{ROWS, Row};
use crate::cel::attributes::Id;

/// The id of an attribute that the engine itself uses. A test holds each to its name.
const fn id(name: &str) -> Id {
    let (mut rows, mut position): (&[Row], u8) = (ROWS, 0);
    while let Some((row, more)) = rows.split_first() {
        if is_same(row.name.as_bytes(), name.as_bytes()) {
            return Id::at(position);
        }
        (rows, position) = (more, position.saturating_add(1));
    }
    Id::at(u8::MAX)
}

const fn is_same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let (Some((first_a, rest_a)), Some((first_b, rest_b))) =
        (a.split_first(), b.split_first())
    {
        if *first_a != *first_b {
            return false;
        }
        (a, b) = (rest_a, rest_b);
    }
    a.is_empty() && b.is_empty()
}

pub(crate) const IDENTITY: Id = id("source.identity");
pub(crate) const TRUST_DOMAIN: Id = id("source.identity.trustDomain");
pub(crate) const NAMESPACE: Id = id("source.identity.namespace");
pub(crate) const SERVICE_ACCOUNT: Id = id("source.identity.serviceAccount");
pub(crate) const SPIFFE_ID: Id = id("source.spiffeId");
pub(crate) const SOURCE_PORT: Id = id("source.port");
pub(crate) const METHOD: Id = id("request.method");
pub(crate) const SCHEME: Id = id("request.scheme");
pub(crate) const HOST: Id = id("request.host");
pub(crate) const PATH: Id = id("request.path");
pub(crate) const PATH_AND_QUERY: Id = id("request.pathAndQuery");
pub(crate) const VERSION: Id = id("request.version");
pub(crate) const REQUEST_HEADERS: Id = id("request.headers");
pub(crate) const REQUEST_ID: Id = id("request.id");
/// `extauthz`: an expression that [uses](crate::cel::Uses) it is about what an external
/// authorization service says.
pub const EXTAUTHZ: Id = id("extauthz");
/// `jwt`, for the doubts about rules.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) const JWT: Id = id("jwt");
/// `request.body`: an expression that uses it waits for the request's body.
pub const REQUEST_BODY: Id = id("request.body");
/// `response.body`: an expression that uses it waits for the response's body.
pub const RESPONSE_BODY: Id = id("response.body");
pub(crate) const DESTINATION_PORT: Id = id("destination.port");
