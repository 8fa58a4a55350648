//! Puts the credentials of the policies in scope into the request, last of all: no expression sees
//! them, and none can overwrite them.

mod inject;

use std::borrow::Cow;

use super::{Ending, Flow, Turn};
use crate::config::{Direction, Location};
use crate::credential::token::Taken;
use crate::credential::{Origin, Secret};
use crate::decision::{Change, Reason};
use crate::request::headers::Headers;
use crate::request::host;
use crate::trace::Feature;

/// A credential that is sent: the index of its policy, where it goes, and what is sent.
type Sent<'a> = (usize, &'a Location, Cow<'a, Secret>);

/// How many header lines can be examined for one step.
const LINES_A_STEP: usize = 64;
/// How many bytes of a query or of cookies can be examined for one step: a name that is escaped is
/// decoded up to three times.
const BYTES_A_STEP: usize = 1;

/// Puts the credentials in, or waits for one that is being fetched. After that, it begins again.
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let engine = turn.engine;
    let mut sent: Vec<Sent<'_>> = Vec::new();
    let mut policies = Vec::new();
    for (index, policy) in engine.policies_at(&turn.found.applied) {
        for number in &policy.credentials {
            let Some(credential) = engine.credentials.all.get(*number) else { continue };
            let answered = match credential.source {
                Origin::Answered => match answered(turn, *number) {
                    Some(value) => Some(value),
                    // The service has given none.
                    None => continue,
                },
                _ => None,
            };
            if policies.is_empty()
                && let Some(why) = objection(turn)
            {
                return refuse(index, why);
            }
            if policies.last() != Some(&index) {
                policies.push(index);
            }
            let value = match &credential.source {
                Origin::Fixed(value) => Cow::Borrowed(value),
                Origin::Answered => match answered {
                    Some(value) => Cow::Owned(value),
                    None => continue,
                },
                Origin::Fetched(tokens) => {
                    // A request can wait for several. To have waited for one makes no other good
                    // that has expired.
                    let has_waited = turn.found.waited.contains(number);
                    match tokens.take(turn.facts.now(), has_waited) {
                        Taken::Token(value) => Cow::Owned(value),
                        Taken::Wait => {
                            turn.found.waited.push(*number);
                            return Flow::Await(*number);
                        }
                        Taken::Failed(why) => {
                            return Flow::End(Ending {
                                detail: Some(why.as_str()),
                                policy: Some(index),
                                ..Ending::because(Reason::CredentialUnavailable)
                            });
                        }
                    }
                }
            };
            sent.push((index, &credential.location, value));
        }
    }
    let Some(first) = policies.first().copied() else { return Flow::Next };
    let meter = turn.meter;
    let (headers, changes) = turn.changing();
    meter.spend_on(sent.len().saturating_mul(headers.len()), LINES_A_STEP);
    let read = headers.values(b"cookie").chain(headers.values(b":path"));
    let bytes = read.fold(0_usize, |sum, value| sum.saturating_add(value.len()));
    meter.spend_on(sent.len().saturating_mul(bytes), BYTES_A_STEP);
    if meter.is_exhausted() {
        // The request is refused, so nothing of it need be looked at.
        return Flow::Next;
    }
    let before = changes.len();
    if let Err(why) = inject::inject(headers, &sent, changes) {
        return refuse(first, why);
    }
    if let Some(trace) = turn.trace.as_deref_mut() {
        let made = turn.changes.get(before..).unwrap_or_default();
        for policy in &policies {
            let own = made.iter().filter(|change| inject::writer(change, &sent) == *policy);
            let own: Vec<Change<'_>> = own.cloned().collect();
            trace.chose(*policy, Feature::Credentials, 0, true);
            trace.changed(*policy, Feature::Credentials, Direction::Request, &own);
        }
    }
    turn.found.decision.credentials = policies;
    Flow::Next
}

/// The credential of this number that an authorization service has given for the request.
fn answered(turn: &Turn<'_, '_, '_>, number: usize) -> Option<Secret> {
    let services = turn.found.services.as_deref()?;
    let said = services.credentials.iter().rev().find(|(of, _)| *of == number);
    said.map(|(_, value)| value.clone())
}

fn refuse(policy: usize, why: &'static str) -> Flow {
    Flow::End(Ending {
        detail: Some(why),
        policy: Some(policy),
        ..Ending::because(Reason::CredentialRefused)
    })
}

/// Why a request must not get a credential of its host, if it must not.
fn objection(turn: &Turn<'_, '_, '_>) -> Option<&'static str> {
    let headers: &Headers<'_> = turn.headers.as_deref().unwrap_or(&turn.facts.headers);
    // Host binding has held the host to the destination, where there is one.
    let Some(destination) = turn.facts.destination() else {
        return Some("the destination is not known");
    };
    // Where the destination is a wildcard, the host that is sent chooses the origin.
    let authority = headers.first(b":authority").unwrap_or_default();
    let sent = host::canonical(authority);
    let is_own = turn.admitted.as_ref().is_some_and(|own| sent.as_deref() == Ok(&*own.host));
    if destination.starts_with('*') && !is_own {
        return Some("the host was rewritten under a wildcard destination");
    }
    // So does the port that is sent with it.
    let is_other = |port: u16| turn.facts.destination_port() != Some(port);
    if destination.starts_with('*') && host::port(authority).is_some_and(is_other) {
        return Some("another port under a wildcard destination");
    }
    // An origin answers it with all that it got.
    let method = headers.first(b":method").unwrap_or_default();
    if method.eq_ignore_ascii_case(b"TRACE") || method.eq_ignore_ascii_case(b"TRACK") {
        return Some("the method would reveal it");
    }
    None
}
