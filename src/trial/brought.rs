//! Brings a request's body to an exchange that waits for it.

use super::Serving;
use crate::decision::Reply;
use crate::exchange::{Event, Exchange, Part, Step};
use crate::policy::Engine;
use crate::trace::Trace;

/// What came of a body that an exchange has waited for.
#[derive(Debug)]
pub(crate) enum Brought {
    /// It goes on as it came.
    Forward,
    /// This goes on in its place.
    Replace(Vec<u8>),
    /// The request is answered.
    Reply(Reply),
    /// Nothing goes on.
    Ended,
}

impl Serving<'_> {
    /// Brings a request's body, and answers the calls about it. None if the exchange does not wait
    /// for the body.
    pub(crate) fn bring(
        &self,
        exchange: &mut Exchange,
        engine: &Engine,
        body: &[u8],
        mut trace: Option<&mut Trace>,
    ) -> Option<Brought> {
        let part = Part::RequestBody;
        let mut came = of(exchange.bring(engine, self, part, body, trace.as_deref_mut())?, self);
        loop {
            let event = match came {
                Ok(brought) => return Some(brought),
                Err(event) => event,
            };
            came = match trace.as_deref_mut() {
                Some(trace) => of(exchange.on_traced(engine, self, event, trace), self),
                None => of(exchange.on(engine, self, event), self),
            };
        }
    }
}

/// What a step comes to, or the answer to its call.
fn of<'t>(step: Step<'_>, serving: &Serving<'t>) -> Result<Brought, Event<'t>> {
    Ok(match step {
        Step::Forward(_) => Brought::Forward,
        Step::Replace(new) => Brought::Replace(new),
        Step::Reply(reply) => Brought::Reply(reply),
        Step::Call(call) => return Err(serving.answer(&call)),
        Step::Await(_) | Step::Hold | Step::Reset | Step::Ignore => Brought::Ended,
    })
}
