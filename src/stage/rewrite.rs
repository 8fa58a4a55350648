//! Changes the request's path and authority, on the exchange's own copy. The rules have decided
//! about the request as it came.

use std::borrow::Cow;

use super::choose::first;
use super::{Ending, Flow, Turn};
use crate::config::HostRewrite;
use crate::decision::Reason;
use crate::policy::header_rules::set_pseudo;
use crate::trace::Feature;

/// Applies the first URL rewrite in scope that is for the request. Where it leaves the authority
/// alone, the first `hostRewrite` in scope is applied.
#[inline(never)]
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    match rewrite_url(turn) {
        Ok(true) => {}
        Ok(false) => rewrite_host(turn),
        Err(ending) => return Flow::End(ending),
    }
    Flow::Next
}

/// Returns whether the authority was set.
fn rewrite_url(turn: &mut Turn<'_, '_, '_>) -> Result<bool, Ending> {
    let path = turn.current().first(b":path").unwrap_or_default().to_vec();
    let found = first(
        turn,
        Feature::UrlRewrite,
        |policy| policy.url_rewrite.as_deref(),
        |rewrite| rewrite.path.as_ref().is_none_or(|change| change.apply(&path).is_some()),
    )?;
    let Some((index, rewrite)) = found else { return Ok(false) };
    let before = turn.changes.len();
    if let Some(new) = rewrite.path.as_ref().and_then(|change| change.apply(&path)) {
        // What the caller wrote may mean something else behind another prefix.
        if let Some(why) = turn.path_safety().objection(&new) {
            let (detail, policy) = (Some(why), Some(index));
            return Err(Ending { detail, policy, ..Ending::because(Reason::RewriteError) });
        }
        let (headers, changes) = turn.changing();
        set_pseudo(headers, changes, ":path", Cow::Owned(new));
    }
    if let Some(hostname) = &rewrite.hostname {
        let (headers, changes) = turn.changing();
        set_pseudo(headers, changes, ":authority", Cow::Borrowed(hostname.as_bytes()));
    }
    turn.trace_changes(index, Feature::UrlRewrite, before);
    Ok(rewrite.hostname.is_some())
}

/// Gives the request the name of its destination, where that is known and no wildcard.
fn rewrite_host(turn: &mut Turn<'_, '_, '_>) {
    let engine = turn.engine;
    let found = engine
        .policies_at(&turn.found.applied)
        .find_map(|(index, policy)| Some((index, policy.host_rewrite?)));
    let Some((index, HostRewrite::Auto)) = found else { return };
    let facts = turn.facts;
    let Some(destination) = facts.destination().filter(|name| !name.contains('*')) else { return };
    if let Some(trace) = turn.trace.as_deref_mut() {
        trace.chose(index, Feature::HostRewrite, 0, true);
    }
    if turn.current().first(b":authority") == Some(destination.as_bytes()) {
        return;
    }
    let before = turn.changes.len();
    let (headers, changes) = turn.changing();
    set_pseudo(headers, changes, ":authority", Cow::Borrowed(destination.as_bytes()));
    turn.trace_changes(index, Feature::HostRewrite, before);
}
