//! A stage that calls a service if a request header asks for it, for tests of requests that wait.
//! It is not part of a module that is shipped.

use std::time::Duration;

use super::{Ending, Flow, Turn};
use crate::call::{Answer, Call, Failure, Form};
use crate::decision::{Asked, Outcome, Reason, Reply, Service};
use crate::policy::probe::Probe;

/// The request header that asks for a call. Its value is the path of the call.
const HEADER: &[u8] = b"x-probe";

/// Calls the service, if the request asks for that.
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    match (turn.facts.headers.first(HEADER), &turn.engine.probe) {
        (Some(path), Some(probe)) => {
            let path = path.to_vec();
            call(turn, probe, &path)
        }
        _ => Flow::Next,
    }
}

/// Makes the call of this path, if there is time for it.
fn call(turn: &mut Turn<'_, '_, '_>, probe: &Probe, path: &[u8]) -> Flow {
    let Some(timeout) = turn.time_for(timeout(probe)) else {
        return failed(turn, probe, Failure::Deadline, 0);
    };
    let caller = turn.engine.caller(turn.facts).spiffe_id().unwrap_or_default();
    let line = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    let form = if probe.grpc {
        Form::Grpc {
            authority: "probe".to_owned(),
            service: "test.Probe",
            method: "Ask",
            message: path.to_vec(),
        }
    } else {
        Form::Http {
            headers: vec![
                line(":method", b"GET"),
                line(":path", path),
                line(":authority", b"probe"),
                line("x-caller", caller.as_bytes()),
            ],
            body: Vec::new(),
        }
    };
    let cluster = probe.cluster.clone();
    Flow::Wait(Box::new(Call { id: turn.next_call, cluster, form, timeout }))
}

fn timeout(probe: &Probe) -> Duration {
    Duration::from_millis(probe.timeout_milliseconds.max(1))
}

/// Lets the request go on if the answer is 200, calls the service again if it is 202, and relays
/// any other answer. Without an answer, the failure mode decides; so it does for an answer that the
/// proxy makes in the service's place. A message of gRPC is a status and a body.
pub(super) fn answered(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
    let Some(probe) = &turn.engine.probe else {
        return Flow::End(Ending::internal_error("a probe without a service"));
    };
    let spent = turn.services().spent.saturating_sub(turn.waited);
    let left = turn.engine.deadline.saturating_sub(spent);
    let milliseconds = u32::try_from(turn.waited.as_millis()).unwrap_or(u32::MAX);
    if let Some(failure) = turn.failure(answer, timeout(probe).min(left)) {
        return failed(turn, probe, failure, milliseconds);
    }
    let (status, said, body) = match answer {
        Answer::Response { headers, body, .. } => {
            (answer.status().unwrap_or_default(), headers.first(HEADER), *body)
        }
        Answer::Message(message) => {
            let (status, body) = message.split_at_checked(3).unwrap_or_default();
            let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
            (status.unwrap_or_default(), None, body)
        }
        _ => return Flow::End(Ending::internal_error("a failure that is none")),
    };
    match status {
        0 => failed(turn, probe, Failure::Unusable, milliseconds),
        200 => {
            note(turn, Outcome::Allowed, milliseconds);
            Flow::Next
        }
        202 => call(turn, probe, b"/again"),
        _ => {
            note(turn, Outcome::Denied, milliseconds);
            let said = said.map(|value| ("x-probe".to_owned(), value.to_vec()));
            Flow::End(Ending {
                reply: Some(Box::new(Reply {
                    status,
                    headers: said.into_iter().collect(),
                    body: body.to_vec().into(),
                    ..Reply::refusing(Reason::DenyMatched)
                })),
                ..Ending::because(Reason::DenyMatched)
            })
        }
    }
}

fn failed(turn: &mut Turn<'_, '_, '_>, probe: &Probe, failure: Failure, milliseconds: u32) -> Flow {
    note(turn, Outcome::Failed(failure), milliseconds);
    if probe.fail_open {
        return Flow::Next;
    }
    Flow::End(Ending::because(Reason::NoAnswer))
}

/// Notes a call, as one of the first policy.
fn note(turn: &mut Turn<'_, '_, '_>, outcome: Outcome, milliseconds: u32) {
    let fails_open = matches!(outcome, Outcome::Failed(_))
        && turn.engine.probe.as_ref().is_some_and(|probe| probe.fail_open);
    turn.found.decision.calls.push(Asked {
        policy: 0,
        service: Service::Authorization,
        outcome,
        is_cached: false,
        fails_open,
        milliseconds,
    });
}
