//! A stage that calls a service if a request header asks for it, for tests of requests that wait.
//! It is not part of a module that is shipped.

use std::time::Duration;

use super::{Ending, Flow, Turn};
use crate::call::{Answer, Call, Form};
use crate::decision::{Reason, Reply};

/// The request header that asks for a call. Its value is the path of the call.
const HEADER: &[u8] = b"x-probe";

/// Calls the service, if the request asks for that.
pub(super) fn enter(turn: &mut Turn<'_, '_, '_>) -> Flow {
    let path = turn.facts.headers.first(HEADER);
    path.and_then(|path| call(turn, path)).map_or(Flow::Next, |call| Flow::Wait(Box::new(call)))
}

/// The call of this path.
fn call(turn: &Turn<'_, '_, '_>, path: &[u8]) -> Option<Call> {
    let probe = turn.engine.probe.as_ref()?;
    let caller = turn.engine.caller(turn.facts).spiffe_id().unwrap_or_default();
    let line = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    Some(Call {
        id: turn.next_call,
        cluster: probe.cluster.clone(),
        form: Form::Http {
            headers: vec![
                line(":method", b"GET"),
                line(":path", path),
                line(":authority", b"probe"),
                line("x-caller", caller.as_bytes()),
            ],
            body: Vec::new(),
        },
        timeout: Duration::from_millis(probe.timeout_milliseconds.max(1)),
    })
}

/// Lets the request go on if the answer is 200, calls the service again if it is 202, and relays
/// any other answer. Without an answer, the
/// failure mode decides; so it does for an answer that the proxy makes in the service's place (503,
/// 504).
pub(super) fn answered(turn: &mut Turn<'_, '_, '_>, answer: &Answer<'_>) -> Flow {
    let Some(probe) = &turn.engine.probe else {
        return Flow::End(Ending::internal_error("a probe without a service"));
    };
    match (answer, answer.status()) {
        (_, Some(200)) => Flow::Next,
        (_, Some(202)) => {
            call(turn, b"/again").map_or(Flow::Next, |call| Flow::Wait(Box::new(call)))
        }
        (Answer::Response { headers, body, .. }, Some(status)) if status < 500 => {
            let said = headers.first(HEADER).map(|value| ("x-probe".to_owned(), value.to_vec()));
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
        _ if probe.fail_open => Flow::Next,
        _ => Flow::End(Ending::because(Reason::NoAnswer)),
    }
}
