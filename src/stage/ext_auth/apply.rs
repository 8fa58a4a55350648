//! What an answer does with the request.

use std::borrow::Cow;
use std::time::Duration;

use crate::call::Failure;
use crate::cel::data::Data;
use crate::config::{Location, MAX_TTL};
use crate::credential::Origin;
use crate::decision::{Change, EXTERNAL_BODY, Reason, Reply};
use crate::ext_auth::answer::{Allowed, Denied, Header};
use crate::policy::ext_auth::{ExtAuth, Protocol};
use crate::policy::header_rules::{is_legal, set_pseudo};
use crate::policy::reply_rules::is_grpc;
use crate::protobuf::header::HeaderAction;
use crate::reading::name::same_to_some_origin;
use crate::reading::query;
use crate::request::headers::Headers;
use crate::stage::answer_headers::take_out;
use crate::stage::choose::original;
use crate::stage::{Collected, Turn, Write};
use crate::trace::Feature;

/// How many lines can be examined for one step.
const LINES_A_STEP: usize = 64;
/// How many bytes of a query can be examined for one step: a name that is escaped is decoded up to
/// three times.
const BYTES_A_STEP: usize = 1;
/// The longest body that a caller of gRPC gets: it is sent as a header.
const MAX_MESSAGE: usize = 1024;
/// Numbers from here on are no times that anything is kept for, but points in time: 2001-09-09.
const EPOCH: u64 = 1_000_000_000;

/// Changes a request that a service has allowed.
///
/// # Errors
/// If the changes cannot be made; then none is.
pub(super) fn allowed(
    turn: &mut Turn<'_, '_, '_>,
    index: usize,
    form: &ExtAuth,
    allowed: &Allowed,
) -> Result<(), Failure> {
    let path = new_path(turn, allowed)?;
    let rules = allowed.removed.len().saturating_add(allowed.headers.len());
    turn.meter.spend_on(rules.saturating_mul(turn.current().len()), LINES_A_STEP);
    let before = turn.changes.len();
    if rules > 0 || path.is_some() {
        let (headers, changes) = turn.changing();
        for name in &allowed.removed {
            take_out(headers, changes, name);
        }
        for header in &allowed.headers {
            give(headers, changes, header);
        }
        if let Some(path) = path {
            set_pseudo(headers, changes, ":path", Cow::Owned(path));
        }
        turn.provide();
    }
    turn.trace_changes(index, Feature::ExtAuth, before);
    let engine = turn.engine;
    let services = turn.services();
    let written = allowed.removed.iter().chain(allowed.headers.iter().map(|header| &header.name));
    services.written.extend(written.cloned());
    for header in &allowed.response_headers {
        let Header { name, value, action } = header.clone();
        let write = match action {
            HeaderAction::Append => Write::Beside,
            HeaderAction::AddIfAbsent => Write::IfAbsent,
            HeaderAction::Overwrite => Write::Over,
            HeaderAction::OverwriteIfExists => Write::OverIfThere,
        };
        services.response_headers.push(Collected { name, value, write });
    }
    let own = engine.policies.get(index).map(|policy| policy.credentials.as_slice());
    for number in own.unwrap_or_default() {
        let Some(credential) = engine.credentials.all.get(*number) else { continue };
        let (Origin::Answered, Location::Header { name, .. }) =
            (&credential.source, &credential.location)
        else {
            continue;
        };
        if !form.credential_headers.contains(name) {
            continue;
        }
        let said = allowed.credentials.iter().find(|(said, _)| said == name);
        services.credentials.extend(said.map(|(_, value)| (*number, value.clone())));
    }
    let responds = !allowed.response_headers.is_empty();
    turn.found.responds |= responds;
    Ok(())
}

/// Removes the caller's own copies of the headers that come from the service, where the service has
/// said nothing.
pub(super) fn remove_named(turn: &mut Turn<'_, '_, '_>, index: usize, form: &ExtAuth) {
    let of_http = match &form.protocol {
        Protocol::Http(http) => http.response_headers.as_slice(),
        Protocol::Grpc(_) => &[],
    };
    // Where a service has set or removed one, the caller's copy is gone already.
    let written = turn.found.services.as_ref().map_or(&[][..], |said| &said.written);
    let names = of_http.iter().chain(&form.credential_headers);
    let removed: Vec<_> = names.filter(|name| !written.contains(name)).cloned().collect();
    if removed.is_empty() {
        return;
    }
    let nothing = Allowed { removed, ..Allowed::default() };
    // Without a new path, nothing can be wrong.
    let _ = allowed(turn, index, form, &nothing);
}

/// The answer to a request that a service has denied.
///
/// # Errors
/// Why the URL of a redirect could not be computed.
pub(super) fn denied(
    turn: &Turn<'_, '_, '_>,
    form: &ExtAuth,
    denied: &Denied,
) -> Result<Reply, String> {
    let reason = Reason::ExternalDenied;
    if let Protocol::Http(http) = &form.protocol
        && let Some(redirect) = &http.redirect
        && matches!(denied.status, 401 | 403)
    {
        let view = original(turn.engine, turn.facts, turn.admitted.as_ref());
        let url = turn.meter.rule(|allowance| {
            let url = redirect.header_value(&view, allowance)?;
            match allowance.breached() {
                Some(breach) => Err(breach.to_owned()),
                None => Ok(url),
            }
        })?;
        if url.is_empty() || !is_legal("location", &url) {
            return Err(crate::policy::header_rules::ILLEGAL.to_owned());
        }
        let headers = vec![("location".to_owned(), url)];
        return Ok(Reply { headers, ..Reply::in_place(reason, 302) });
    }
    let is_grpc = is_grpc(&turn.facts.headers);
    // The proxy makes a gRPC answer of it, whose own headers these are.
    let is_own = |name: &str| is_grpc && (name == "content-type" || name.starts_with("grpc-"));
    let headers = denied.headers.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
    let body = match &denied.body {
        _ if denied.status == 304 => Cow::Borrowed(&[][..]),
        Some(body) if !is_grpc || body.len() <= MAX_MESSAGE => Cow::Owned(body.clone()),
        None if denied.headers.is_empty() => Cow::Borrowed(EXTERNAL_BODY.as_bytes()),
        _ if is_grpc => Cow::Borrowed(EXTERNAL_BODY.as_bytes()),
        _ => Cow::Borrowed(&[][..]),
    };
    Ok(Reply { headers, body, ..Reply::in_place(reason, denied.status) })
}

/// How long an answer is kept that is to be kept for, or until, this time; none if not at all.
pub(super) fn ttl(data: &Data, now: Option<Duration>) -> Option<Duration> {
    let ttl = match data {
        Data::Duration(ttl) if ttl.as_secs() < EPOCH => *ttl,
        Data::Duration(end) | Data::Timestamp(end) => end.checked_sub(now?)?,
        _ => return None,
    };
    (!ttl.is_zero()).then(|| ttl.min(MAX_TTL))
}

/// Gives the request a header. One that is to replace others and has no value only removes them.
fn give<'a>(headers: &mut Headers<'a>, changes: &mut Vec<Change<'a>>, header: &Header) {
    let Header { name, value, action } = header;
    let has = |headers: &Headers<'a>| {
        headers.lines().any(|(line, _)| same_to_some_origin(line, name.as_bytes()))
    };
    match action {
        HeaderAction::Append => {}
        HeaderAction::AddIfAbsent if has(headers) => return,
        HeaderAction::OverwriteIfExists if !has(headers) => return,
        HeaderAction::AddIfAbsent => {}
        HeaderAction::Overwrite | HeaderAction::OverwriteIfExists => {
            take_out(headers, changes, name);
        }
    }
    if !value.is_empty() {
        headers.add(name.as_bytes(), value);
        changes.push(Change::Add(Cow::Owned(name.clone()), Cow::Owned(value.clone())));
    }
}

/// The request's path, if an answer changes its query. What stands before the query stays.
fn new_path(turn: &Turn<'_, '_, '_>, allowed: &Allowed) -> Result<Option<Vec<u8>>, Failure> {
    let Allowed { query_to_set: set, query_to_remove: remove, .. } = allowed;
    if set.is_empty() && remove.is_empty() {
        return Ok(None);
    }
    let path = turn.current().first(b":path").unwrap_or_default();
    let keys = set.len().saturating_add(remove.len());
    turn.meter.spend_on(keys.saturating_mul(path.len()), BYTES_A_STEP);
    if turn.meter.is_exhausted() {
        // The request is refused, so nothing of it need be looked at.
        return Ok(None);
    }
    let path = with_query(path, set, remove);
    let path = path.filter(|path| is_legal(":path", path)).ok_or(Failure::Unusable)?;
    match turn.path_safety().objection(&path) {
        Some(_) => Err(Failure::Unusable),
        None => Ok(Some(path)),
    }
}

/// A path without any parameters of these keys, and with those that are set behind the others; none
/// if it can have no query.
fn with_query(path: &[u8], set: &[(String, String)], remove: &[String]) -> Option<Vec<u8>> {
    // Where a fragment is passed on, what is appended would be a part of it.
    if !path.starts_with(b"/") || path.contains(&b'#') {
        return None;
    }
    let end = path.iter().position(|byte| *byte == b'?').unwrap_or(path.len());
    let (start, query) = path.split_at_checked(end)?;
    let goes = |pair: &[u8]| {
        let mut keys = remove.iter().chain(set.iter().map(|(key, _)| key));
        keys.any(|key| query::may_be(pair, key))
    };
    let mut pairs: Vec<Vec<u8>> = Vec::new();
    if let Some(query) = query.strip_prefix(b"?").filter(|query| !query.is_empty()) {
        for pair in query.split(|byte| *byte == b'&') {
            if pair.split(|byte| *byte == b';').all(|part| !goes(part)) {
                pairs.push(pair.to_vec());
            }
        }
    }
    for (key, value) in set {
        let (key, value) = (query::encoded(key.as_bytes()), query::encoded(value.as_bytes()));
        pairs.push([&key[..], b"=", &value].concat());
    }
    let mut whole = start.to_vec();
    for (position, pair) in pairs.iter().enumerate() {
        whole.push(if position == 0 { b'?' } else { b'&' });
        whole.extend_from_slice(pair);
    }
    Some(whole)
}
