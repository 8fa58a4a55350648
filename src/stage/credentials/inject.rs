//! Puts credentials into a request. Nothing that some origin could take for one of them survives of
//! what the caller sent; all else stays byte for byte.

use std::borrow::Cow;

use super::Sent;
use crate::config::Location;
use crate::credential::Secret;
use crate::decision::Change;
use crate::policy::header_rules;
use crate::reading::{cookie, name, query};
use crate::request::headers::Headers;

/// The headers that locations other than a header write.
const PATH: &str = ":path";
const COOKIE: &str = "cookie";
/// Where Envoy keeps the path of a request that it rewrites.
const ORIGINAL_PATH: &str = "x-envoy-original-path";

/// Puts credentials, given as they are sent, into a request with these headers. The credentials
/// themselves are only in the changes.
///
/// # Errors
/// If the request has no path to which a query can be appended.
pub(super) fn inject<'a>(
    headers: &mut Headers<'a>,
    credentials: &[Sent<'a>],
    changes: &mut Vec<Change<'a>>,
) -> Result<(), &'static str> {
    let (mut parameters, mut cookies) = (Vec::new(), Vec::new());
    for (_, location, value) in credentials {
        match location {
            Location::Header { name, .. } => {
                header_rules::remove(headers, changes, name, false);
                changes.push(Change::Inject(name, value.clone()));
            }
            Location::QueryParameter(name) => parameters.push((name.as_str(), &**value)),
            Location::Cookie(name) => cookies.push((name.as_str(), &**value)),
        }
    }
    if !parameters.is_empty() {
        let path = headers.first(PATH.as_bytes()).unwrap_or_default();
        let (own, path) =
            with_parameters(path, &parameters).ok_or("a path that can have no query")?;
        // What Envoy logs and traces, and Istio's access log, is this path, where it is there.
        header_rules::remove(headers, changes, ORIGINAL_PATH, false);
        changes.push(Change::Replace(Cow::Borrowed(ORIGINAL_PATH), Cow::Owned(own)));
        changes.push(Change::Inject(PATH, Cow::Owned(path)));
    }
    if !cookies.is_empty() {
        let lines = || headers.values(COOKIE.as_bytes());
        if lines().count() > 1 {
            changes.push(Change::Remove(Cow::Borrowed(COOKIE)));
        }
        changes.push(Change::Inject(COOKIE, Cow::Owned(with_cookies(lines(), &cookies))));
    }
    Ok(())
}

/// A path without any parameters of these names; and the same with these behind the others.
fn with_parameters(path: &[u8], parameters: &[(&str, &Secret)]) -> Option<(Vec<u8>, Secret)> {
    // Where a fragment is passed on, what is appended would be a part of it.
    if !path.starts_with(b"/") || path.contains(&b'#') {
        return None;
    }
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    let (start, rest) = path.split_at_checked(end)?;
    let mut whole = start.to_vec();
    let mut separator = b'?';
    let mut push = |whole: &mut Vec<u8>, part: &[u8]| {
        whole.push(separator);
        whole.extend_from_slice(part);
        separator = b'&';
    };
    if let Some(query) = rest.strip_prefix(b"?").filter(|query| !query.is_empty()) {
        let is_ours = |part: &[u8]| parameters.iter().any(|(name, _)| query::may_be(part, name));
        for pair in query.split(|byte| *byte == b'&') {
            if !pair.split(|byte| *byte == b';').any(is_ours) {
                push(&mut whole, pair);
                continue;
            }
            let kept: Vec<&[u8]> =
                pair.split(|byte| *byte == b';').filter(|part| !is_ours(part)).collect();
            if !kept.is_empty() {
                push(&mut whole, &kept.join(&b';'));
            }
        }
    }
    let own = whole.clone();
    for (name, value) in parameters {
        let pair = [&query::encoded(name.as_bytes()), &b"="[..], value.expose()].concat();
        push(&mut whole, &pair);
    }
    Some((own, Secret::new(whole)))
}

/// A `Cookie` line with these cookies before those of other names. They come first, so that no
/// quote which the caller leaves open can swallow them.
fn with_cookies<'h>(lines: impl Iterator<Item = &'h [u8]>, cookies: &[(&str, &Secret)]) -> Secret {
    let is_ours = |part: &[u8]| cookies.iter().any(|(name, _)| cookie::may_be(part, name));
    let mut whole = Vec::new();
    for (name, value) in cookies {
        if !whole.is_empty() {
            whole.extend_from_slice(b"; ");
        }
        whole.extend_from_slice(name.as_bytes());
        whole.push(b'=');
        whole.extend_from_slice(value.expose());
    }
    for line in lines {
        let kept: Vec<&[u8]> =
            line.split(|byte| *byte == b';').filter(|part| !is_ours(part)).collect();
        let kept = kept.join(&b';');
        if !kept.trim_ascii().is_empty() {
            whole.extend_from_slice(b"; ");
            whole.extend_from_slice(kept.trim_ascii_start());
        }
    }
    Secret::new(whole)
}

/// The policy of the first credential because of which a change was made.
pub(super) fn writer(change: &Change<'_>, credentials: &[Sent<'_>]) -> usize {
    let of = match change {
        Change::Add(name, _) | Change::Replace(name, _) => &**name,
        Change::Inject(name, _) => name,
        Change::Remove(name) => name,
    };
    let writes = |location: &Location| match location {
        Location::Header { name, .. } => name::same_to_some_origin(name.as_bytes(), of.as_bytes()),
        Location::QueryParameter(_) => matches!(of, PATH | ORIGINAL_PATH),
        Location::Cookie(_) => of == COOKIE,
    };
    let found = credentials.iter().find(|(_, location, _)| writes(location));
    found.or(credentials.first()).map_or(0, |(policy, ..)| *policy)
}
